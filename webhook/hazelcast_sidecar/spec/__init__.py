"""Annotations and settings: what they request."""
