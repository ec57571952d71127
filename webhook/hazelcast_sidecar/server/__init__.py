"""The webhook's server: an HTTP layer around the pure reviewer."""
