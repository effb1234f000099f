"""The stores of state. Each carries out the operations of `state.operations` as `state.apply` defines."""
