"""The error that ends the demonstration."""


class DemoError(Exception):
    """A failure of the demonstration; the message is one sentence that says what to do about it."""
