"""The text of manifests: read as kubectl reads it, and changed at positions, the rest left as it is."""
