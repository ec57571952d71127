"""Checks of an installation and of a cluster, which read the cluster once and are pure functions of it."""
