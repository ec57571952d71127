"""The Kubernetes API, as the controller and the commands use it."""
