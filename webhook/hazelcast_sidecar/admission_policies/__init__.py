"""Admission policies in CEL, which inject without a webhook."""
