"""The controller, which creates and maintains everything that injected Pods need."""
