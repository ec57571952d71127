"""Label selectors, evaluated on labels.

Source: Kubernetes API reference, meta/v1 LabelSelector.
"""

from collections.abc import Mapping
from typing import Any

Selector = Mapping[str, Any]
"""As the API has it: `matchLabels` and `matchExpressions`, either of which may be absent."""


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Tell whether labels meet all requirements of a selector; an empty one selects everything."""
    wanted: Mapping[str, str] = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def combined(first: Selector, second: Selector) -> Selector:
    """Return a selector that selects what both of two select."""
    expressions = []
    for selector in (first, second):
        for key, value in (selector.get("matchLabels") or {}).items():
            expressions.append({"key": key, "operator": "In", "values": [value]})
        expressions += selector.get("matchExpressions") or ()
    return {"matchExpressions": expressions}


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:  # of a later Kubernetes: an unknown requirement is not met
            return False
