"""Injection without a webhook: admission policies in CEL."""
