"""The fuzzer: libFuzzer by way of atheris, with a mutator that knows JSON. `make fuzz` runs it."""

import json
import random
import sys
from typing import Any

import atheris

with atheris.instrument_imports(include=["webhook"]):
    from tests.fuzz.target import check

PIECES: list[Any] = [
    *(None, True, False, 0, -1, 5701, 2**31, 2**63, -(2**70), 1.5, 1e300),
    *(
        "",
        "true",
        "false",
        "Always",
        "1e9",
        "9" * 5000 + "%",
        "\0",
        "\u202e",
        "\x9b",
        "$(X)",
        "UPDATE",
        "CREATE",
    ),
    *([], {}, [None], [[]], {"": None}, {"limits": {"memory": "1e8"}}, {"name": "hazelcast"}),
    *({"sidecar.hazelcast.com/inject": "true"}, {"sidecar.hazelcast.com/copied": '{"a": "b"}'}),
]


def mutate(body: bytes, max_size: int, seed: int) -> bytes:
    """A body with one value or key of its document replaced, or with some of its bytes changed."""
    choose = random.Random(seed)  # noqa: S311 - no secret
    try:
        document = json.loads(body)
        places = list(places_in(document))
    except (ValueError, RecursionError):
        places = []
    if not places or choose.random() < 0.2:
        return bytes(atheris.Mutate(body, max_size))
    parent, key = choose.choice(places)
    piece = choose.choice([*PIECES, choose.choice(places)[0]])
    match choose.randrange(4):
        case 0 if isinstance(parent, dict):
            parent[choose.choice([*KEYS, *parent])] = piece
        case 1 if isinstance(parent, list):
            parent.insert(key, parent[key])
        case 2:
            del parent[key]
        case _:
            parent[key] = piece
    try:
        return json.dumps(document).encode()[:max_size]
    except (ValueError, RecursionError):  # a document within itself
        return bytes(atheris.Mutate(body, max_size))


def places_in(document: Any) -> Any:
    """Every place of a document that holds a value: its mapping or list, and the key there."""
    keys: Any = ()
    if isinstance(document, dict | list):
        keys = [*document] if isinstance(document, dict) else range(len(document))
    for key in keys:
        yield document, key
        yield from places_in(document[key])


KEYS = [
    *("initContainers", "containers", "env", "ports", "resources", "securityContext", "windowsOptions"),
    *("volumes", "labels", "annotations", "ownerReferences", "managedFields", "hostNetwork", "dnsPolicy"),
    *("sidecar.hazelcast.com/inject", "sidecar.hazelcast.com/port", "sidecar.hazelcast.com/status"),
    *("oldObject", "subResource", "terminationGracePeriodSeconds", "replicas", "strategy"),
]

if __name__ == "__main__":
    atheris.Setup(sys.argv, check, custom_mutator=mutate)
    atheris.Fuzz()
