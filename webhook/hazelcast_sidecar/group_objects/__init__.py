"""What stands beside the Pods of a group: ConfigMap, headless Service and more."""
