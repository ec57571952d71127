"""The objects beside the Pods of each group."""
