"""Is an installation healthy, would one work here: a cluster, read once and judged by pure functions."""
