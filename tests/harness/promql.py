"""Which metrics a PromQL expression reads."""

import re

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_NO_PART = re.compile(
    r"\{[^{}]*\}"  # selectors
    r"|\[[^\]]*\]"  # ranges
    r"|\b(?:by|without)\s*\([^)]*\)"
)
_BETWEEN = re.compile(
    r"\b(?:on|ignoring|group_left|group_right)\s*\([^)]*\)"
    r"|\b(?:and|or|unless|bool|offset)\b"
    r"|\b[0-9][0-9a-z.]*\b"  # numbers and times
)
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\b(?!\s*\()")


def metric_names(expression: str) -> set[str]:
    """Return the names of the metrics that it reads."""
    bare = _NO_PART.sub("", _TEXT.sub("", expression))
    return {*_NAME.findall(_BETWEEN.sub(";", bare))}
