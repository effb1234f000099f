"""Where state is kept. Each store carries out the operations of `state.operations` as `state.apply` says."""
