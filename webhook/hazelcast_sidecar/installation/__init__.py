"""The installation: its objects, the values that change them, and what of that is optional."""
