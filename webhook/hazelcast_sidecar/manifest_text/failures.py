"""Why the text of a document cannot be read, or cannot be changed."""


class UnreadableError(ValueError):
    """A text that kubectl would not accept, or that is refused for its size: one sentence.

    Args:
        sentence: what is wrong with it.
        index: where in the text, in characters.
    """

    def __init__(self, sentence: str, index: int = 0) -> None:
        super().__init__(sentence)
        self.index = index


class UneditableError(ValueError):
    """A change that would reach more than its own place, or that cannot be written there: one sentence."""
