"""The objects of each group."""
