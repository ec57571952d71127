"""Events on workloads."""
