"""The webhook's server: aiohttp around the pure review."""
