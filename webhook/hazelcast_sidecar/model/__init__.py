"""Pods, workloads, admission reviews and the status annotation, as far as they are read."""
