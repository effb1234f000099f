"""Written rules of a call centre as policies: tau2-bench's airline and retail, its ground truth and changed calls."""
