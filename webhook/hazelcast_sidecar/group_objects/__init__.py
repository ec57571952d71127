"""Objects that the Pods of a group need: ConfigMap, headless Service and more."""
