"""Which metrics a PromQL expression reads."""

import re

_NOT_NAMES = re.compile(
    r"\{[^{}]*\}"  # selectors
    r"|\[[^\]]*\]"  # ranges
    r"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"  # labels
    r"|\b(?:and|or|unless|bool|offset)\b"
    r"|\b[0-9][0-9a-z.]*\b"  # numbers and times
)
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*\b(?!\s*\()")


def metric_names(expression: str) -> set[str]:
    """Return the names of the metrics that it reads."""
    return {*_NAME.findall(_NOT_NAMES.sub(";", _TEXT.sub("", expression)))}
