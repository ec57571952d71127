"""The demonstration without a cluster: what a patched Pod says, run as plain programs on this machine."""
