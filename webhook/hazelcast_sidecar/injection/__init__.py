"""The decision about a Pod or a workload, and the patch that follows from it."""
