"""The demonstration without a cluster, which runs the containers of patched Pods as plain programs."""
