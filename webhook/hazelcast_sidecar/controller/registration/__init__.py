"""The webhook's certificates and the owner of its configuration."""
