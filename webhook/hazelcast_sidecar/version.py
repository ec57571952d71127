"""The version of the injector, written into every Pod that it changes."""

__version__ = "0.1.0"
