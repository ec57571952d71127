"""The parts of a Pod in CEL, by the variables that both admission policies have.

`conditions.py` of the admission policies defines the variables; rules that have a CEL half beside their
Python speak of them by these names.
"""

from hazelcast_sidecar.cel import Unknown, source
from hazelcast_sidecar.errors import Problem
from hazelcast_sidecar.injection import intact
from hazelcast_sidecar.names import POD_CLIENTS
from hazelcast_sidecar.spec.annotations import TABLE

TYPES = {row.name: row.type for row in TABLE}

GROUP_OF_POD = "variables.group"


def text_of(name: str) -> str:
    """Return the expression of an annotation's text, from the Pod or a default."""
    return f"variables.texts[{source(name)}]"


def value_of(name: str) -> str:
    """Return the expression of an annotation's value, whose text is valid."""
    return TYPES[name].value(text_of(name))


CLIENTS_IN_POD = f"{text_of('clients')} == {source(POD_CLIENTS)}"
"""The condition that only containers of the member's own Pod can be its clients."""

PORTS = f"([{value_of('port')}] + ({CLIENTS_IN_POD} ? [{value_of('port')} + 1, {value_of('port')} + 2] : []))"
"""As in `names.ports_of`."""

METRICS_PORTS = f"({value_of('metrics')} ? [{value_of('metrics-port')}] : [])"

BY_API = f'{text_of("discovery")} == "api"'
HOST_NETWORK = "object.spec.?hostNetwork.orValue(false)"
DNS_POLICY = 'object.spec.?dnsPolicy.orValue("")'
VOLUMES = "object.spec.?volumes.orValue([])"

IS_OTHER = f"!(variables.torn && {intact.IS_MEMBER})"
"""Whether a container `c` is another one than the member of a Pod that was injected."""

_INIT = "size(object.spec.?initContainers.orValue([]))"
PATH = Unknown(
    f'(i < {_INIT} ? "spec.initContainers[" + string(i) : "spec.containers[" + string(i - {_INIT})) + "]"'
)
"""As `Pod.path_at` has it, of the container at `i` in `variables.containers`."""


class Sentence:
    """What is wrong, where, and what to do, said alike by the webhook and by the policies.

    Args:
        where: the place.
        text: the rest; in both, names in braces stand for what only a Pod shows.
    """

    def __init__(self, where: str, text: str) -> None:
        self._where, self._text = where, text

    def about(self, **shown: object) -> Problem:
        """Say it of a Pod."""
        return Problem(self._where.format(**shown), self._text.format(**shown))

    def in_cel(self, **shown: str) -> str:
        """Return the CEL expression of it; what only a Pod shows is `Unknown`."""
        return source(str(self.about(**shown)))


def listed(*elements: str) -> str:
    """Return the list of some elements, such as those of `where`."""
    return "[\n  " + ",\n  ".join(elements) + "\n]"


def where(condition: str, sentence: str) -> str:
    """Return an element of a list that is there under a condition."""
    return f"?({condition})\n    ? optional.of({sentence}) : optional.none()"


def of_containers(condition: str, sentence: str) -> str:
    """Return the list of a sentence about each container `c` at `i` that a condition holds of."""
    return f"variables.containers.transformList(i, c, {condition} && {IS_OTHER}, {sentence})"
