"""What can keep the demonstration from running."""


class DemoError(Exception):
    """The demonstration cannot go on; the message is one sentence that says what to do about it."""
