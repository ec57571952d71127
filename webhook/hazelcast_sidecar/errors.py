"""Problems of user input, said so that a user can fix them."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple


class Problem(NamedTuple):
    """One problem of an object: where it is, and a sentence that says what to do."""

    where: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


def in_one_sentence(problems: Sequence[Problem]) -> str:
    """Join all problems in the one line that kubectl prints, numbered if there are several."""
    if len(problems) == 1:
        return str(problems[0])
    return f"{len(problems)} problems: " + "; ".join(
        f"({number}) {problem}" for number, problem in enumerate(problems, 1)
    )


_SHOWN = 300


def in_short(error: BaseException) -> str:
    """Return an unexpected exception as text, with its type; cut, as it may repeat a whole object."""
    text = repr(error)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


class InvalidSettingsError(Exception):
    """The settings given at start cannot be used; carries every problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(in_one_sentence(problems))
        self.problems = tuple(problems)


class ReviewError(Exception):
    """A request that this server cannot answer with a review: an HTTP status (4xx) and a sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
