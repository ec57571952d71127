"""Manifests in every style that people and tools write, as hypothesis strategies.

A text is made of plain objects, and each decision about its style is drawn for its own place: columns of
mappings and lists, the width of dashes, brackets or blocks, quotes, comments, blank lines, line breaks.
"""

import json
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

PREFIX = "sidecar.hazelcast.com/"


class Written(NamedTuple):
    """A file, and what its documents say."""

    text: str
    objects: list[dict[str, Any]]


# --- objects -----------------------------------------------------------------------------------------------

_ABSENT = object()
WORDS = [
    "x",
    "two words",
    "yes",
    "0400",
    "7e2",
    "",
    "a: b",
    "# c",
    "it's",
    'a "b"',
    "é",
    "1.0",
    "~",
    "line\nnext",
    "a\n\nb\n",
    "- d",
    "{e}",
    "\U0001f600",
    "2024-01-02",
]
VARIABLES = [
    {"name": "HAZELCAST_ADDRESS", "value": "127.0.0.1:5701"},
    {"name": "HAZELCAST_CLUSTER_NAME", "value": "own"},
    *({"name": f"V{number}", "value": word} for number, word in enumerate(WORDS)),
    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
]
VOLUMES = [
    {"name": "data", "emptyDir": {}},
    {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 256}},
    {"emptyDir": None, "name": "more"},
]
INITS = [{"name": "wait", "image": "x:1", "command": ["sh", "-c", "a\nb\n"]}, {"image": "y:1", "name": "b"}]
OTHERS = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b\n c\n", "m": "1"}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "part"}},
]
SETTINGS: list[dict[str, str]] = [
    {},
    {"port": "6000"},
    {"native-sidecar": "false"},
    {"group": "g"},
    {"native-sidecar": "false", "shutdown-timeout": "10s"},
]


def _some(random: Random, among: list[Any], most: int = 2) -> Any:
    """A list that is absent, null, empty or filled."""
    chosen = random.randrange(8)
    if chosen < 3:
        return [_ABSENT, None, []][chosen]
    return random.sample(among, random.randint(1, most))


def _mapping(random: Random, **fields: Any) -> dict[str, Any]:
    """The fields that are not absent, in any order."""
    present = [(key, value) for key, value in fields.items() if value is not _ABSENT]
    random.shuffle(present)
    return dict(present)


def _annotations(random: Random) -> dict[str, str]:
    ours = {"inject": "true"} | random.choice(SETTINGS)
    found = {PREFIX + key: value for key, value in ours.items()}
    return found | ({"example.com/note": random.choice(WORDS)} if random.random() < 0.3 else {})


def _spec(random: Random) -> dict[str, Any]:
    containers = [
        _mapping(
            random,
            name=f"c{number}",
            image=f"registry.example/c{number}:1",
            env=_some(random, VARIABLES),
            args=random.choice([_ABSENT, ["one", "two"], ["a\nb\n"]]),
            ports=random.choice([_ABSENT, [{"containerPort": 80}]]),
            resources=random.choice([_ABSENT, None, {}, {"limits": {"cpu": None}}]),
        )
        for number in range(random.randint(1, 2))
    ]
    return _mapping(
        random,
        containers=containers,
        initContainers=_some(random, INITS),
        volumes=_some(random, VOLUMES),
        terminationGracePeriodSeconds=random.choice([_ABSENT, _ABSENT, None, 10, 45]),
        nodeSelector=random.choice([_ABSENT, {"zone": "0400"}]),
        serviceAccountName=random.choice([_ABSENT, None, "shop"]),
    )


def asking(random: Random, name: str) -> dict[str, Any]:
    """A Pod or a workload with annotations of ours."""
    kind = random.choice(["Pod", "Deployment", "StatefulSet", "Job"])
    labels = random.choice([_ABSENT, None, {}, {"app": name}, {"app": name, "sha": "25921e05"}])
    if kind == "Pod":
        metadata = _mapping(random, name=name, annotations=_annotations(random), labels=labels)
        return _mapping(random, apiVersion="v1", kind=kind, metadata=metadata, spec=_spec(random))
    on_template = random.random() < 0.5
    own = _annotations(random) if not on_template or random.random() < 0.2 else _ABSENT
    inside = _annotations(random) if on_template else random.choice([_ABSENT, None, {}, {"a": "b"}])
    of_template = _mapping(random, labels=labels, annotations=inside)
    if not on_template and random.random() < 0.3:
        nothing: list[Any] = [_ABSENT, None, {}]
        of_template = random.choice(nothing)
    template = _mapping(random, metadata=of_template, spec=_spec(random))
    spec = _mapping(random, selector={"matchLabels": {"app": name}}, template=template, replicas=3)
    group = "batch/v1" if kind == "Job" else "apps/v1"
    metadata = _mapping(random, name=name, annotations=own, labels=random.choice([_ABSENT, {"app": name}]))
    return _mapping(random, apiVersion=group, kind=kind, metadata=metadata, spec=spec)


def objects(random: Random) -> list[dict[str, Any]]:
    """The documents of a file."""
    found = [asking(random, f"shop{number}") for number in range(random.choice([1, 1, 1, 2]))]
    found += random.sample(OTHERS, random.choice([0, 0, 1, 2]))
    random.shuffle(found)
    if random.random() < 0.25:
        return [_mapping(random, apiVersion="v1", kind="List", items=found)]
    return found


# --- YAML --------------------------------------------------------------------------------------------------


class _Writer:
    """Writes objects as YAML, in a style of its own at every place."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._wild = random.random() < 0.7
        self._steps = [random.choice([2, 2, 4])]
        self._offsets = [random.choice([0, 2])]
        self._dashes = [2]
        if self._wild:
            self._steps, self._offsets, self._dashes = [1, 2, 2, 4, 3], [0, 2, 2, 1, 4], [2, 2, 3, 4]
        self._comments = random.choice([0, 0, 0.05, 0.3])
        self._flows = random.choice([0, 0.1, 0.4])
        self._anchors = random.choice([0, 0, 0.1])
        self._anchored = 0
        self.is_behind_block = False

    def document(self, obj: dict[str, Any]) -> list[str]:
        """The lines of a document."""
        return self._mapping(obj, 0)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _noise(self, lines: list[str]) -> None:
        """Comments and blank lines between two entries."""
        while self._chance(self._comments):
            # Deeper than a text in a block it would be a part of that text.
            column = "" if self.is_behind_block else " " * self._random.randrange(12)
            lines.append(self._random.choice(["", f"{column}# - a: comment", f"{column}#"]))

    def _tail(self) -> str:
        return self._random.choice(["  # why", " #", "   "]) if self._chance(self._comments) else ""

    def _mapping(self, value: dict[str, Any], column: int) -> list[str]:
        lines: list[str] = []
        for key, each in value.items():
            self._noise(lines)
            shown = self._random.choice([key, key, f"'{key}'", json.dumps(key)]) if self._wild else key
            lines += self._entry(f"{' ' * column}{shown}:", each, column, is_element=False)
        return lines

    def _sequence(self, value: list[Any], column: int) -> list[str]:
        lines: list[str] = []
        for each in value:
            self._noise(lines)
            lines += self._entry(f"{' ' * column}-", each, column, is_element=True)
        return lines

    def _entry(self, head: str, value: Any, column: int, *, is_element: bool) -> list[str]:  # noqa: PLR0911 - a style, a return
        self.is_behind_block = False
        anchor = ""
        if value and self._chance(self._anchors):
            self._anchored += 1
            anchor = f" &a{self._anchored}"
        if isinstance(value, dict | list) and (not value or self._chance(self._flows)):
            own_line = not is_element and not anchor and self._chance(0.1)
            lead = f"{head}{self._tail()}\n{' ' * (column + 2)}" if own_line else f"{head}{anchor} "
            return [lead + self._flow(value) + self._tail()]
        if isinstance(value, dict):
            if not is_element or (self._wild and self._chance(0.1)):
                inner = column + self._random.choice(self._steps)
                return [head + anchor + self._tail(), *self._mapping(value, inner)]
            return self._beside(head, anchor, column, lambda inner: self._mapping(value, inner))
        if isinstance(value, list):
            if is_element:
                return self._beside(head, anchor, column, lambda inner: self._sequence(value, inner))
            return [
                head + anchor + self._tail(),
                *self._sequence(value, column + self._random.choice(self._offsets)),
            ]
        if isinstance(value, str) and self._is_block(value) and self._chance(0.7):
            return self._block(head + anchor, value, column)
        if value is None and not is_element and self._chance(0.6):
            return [head + self._tail()]
        if value is None and not is_element and self._chance(0.3):
            return [f"{head}\n{' ' * (column + 2)}null{self._tail()}"]
        return [f"{head}{anchor}{self._random.choice([' ', ' ', '   '])}{self._scalar(value)}{self._tail()}"]

    def _beside(self, head: str, anchor: str, column: int, inner_lines: Any) -> list[str]:
        """A collection whose first entry stands beside its dash."""
        if anchor:
            return [head + anchor, *inner_lines(column + 2)]
        width = self._random.choice(self._dashes)
        comments, self._comments = self._comments, 0  # a comment cannot be there
        first, *rest = inner_lines(column + width)
        self._comments = comments
        return [head + " " * (width - 1) + first[column + width :], *rest]

    @staticmethod
    def _is_block(text: str) -> bool:
        return (
            "\n" in text and not text.startswith((" ", "\n")) and not any(c < " " and c != "\n" for c in text)
        )

    def _block(self, head: str, text: str, column: int) -> list[str]:
        self.is_behind_block = True
        stripped = text.rstrip("\n")
        breaks = len(text) - len(stripped)
        sign = {0: "-", 1: ""}.get(breaks, "+")
        margin = " " * (column + self._random.choice([2, 4]))
        lines = [margin + line if line else "" for line in stripped.split("\n")]
        lines += [""] * (breaks - 1)
        return [f"{head} |{sign}", *lines]

    def _scalar(self, value: Any, *, in_flow: bool = False) -> str:  # noqa: PLR0911 - a type, a return
        if value is None:
            return self._random.choice(["null", "~", "Null"])
        if value is True or value is False:
            return self._random.choice(["yes", "on", "true"] if value else ["no", "off", "false"])
        if value == 256:
            return self._random.choice(["0400", "0o400", "256"])
        if not isinstance(value, str):
            return str(value)
        printable = value.isprintable()
        simple = (
            value.replace("/", "").replace(".", "").replace(":", "").replace("-", "").isalpha()
            and value.isascii()
        )
        ambiguous = (
            value in {"yes", "y", "no", "n", "true", "false", "on", "off", "null"}
            or value[-1:] in ":-"
            or value[:1] in ":-"
        )
        if simple and not ambiguous and not (in_flow and ":" in value) and self._chance(0.6):
            return value
        if printable and self._chance(0.5):
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=not printable)

    def _flow(self, value: Any) -> str:
        if isinstance(value, dict | list) and not value:
            space = self._random.choice(["", "", " "])
            return f"{{{space}}}" if isinstance(value, dict) else f"[{space}]"
        if isinstance(value, dict):
            pairs = [f"{self._scalar(key, in_flow=True)}: {self._flow(each)}" for key, each in value.items()]
            return self._brackets("{}", pairs)
        if isinstance(value, list):
            return self._brackets("[]", [self._flow(each) for each in value])
        return self._scalar(value, in_flow=True)

    def _brackets(self, pair: str, shown: list[str]) -> str:
        if self._wild and self._chance(0.2):
            inner = " " * 40
            return pair[0] + f"\n{inner}" + f",\n{inner}".join(shown) + f"\n{inner}" + pair[1]
        space = self._random.choice(["", "", " "])
        comma = self._random.choice([", ", ", ", "," if pair == "[]" else ", ", " , "])
        last = ", " if self._wild and self._chance(0.1) else ""
        return pair[0] + space + comma.join(shown) + last + space + pair[1]


def yaml_text(random: Random, found: list[dict[str, Any]]) -> str:
    """A file of YAML documents."""
    lines: list[str] = []
    preface = random.choice(
        ["", "", "# first\n\n", "%YAML 1.1\n---\n", "---\n", "--- # Source: shop/x.yaml\n"]
    )
    ends = [random.choice([[], [], ["..."], ["# END"], ["", ""], ["  # end", ""]]) for _ in found]
    for number, obj in enumerate(found):
        if number:
            lines.append(random.choice(["---", "---", "--- # next", "---  "]))
        writer = _Writer(random)
        lines += writer.document(obj)
        lines += ends[number]
    # A text in a block would be another one without its last line break.
    ends_in_block = writer.is_behind_block and not ends[-1]
    text = preface + "\n".join(lines) + random.choice(["\n", "\n", "\n", "\n" if ends_in_block else ""])
    breaks = random.choice(["\n", "\n", "\r\n", ""])
    if breaks:
        text = text.replace("\n", breaks)
    else:
        text = "".join(
            random.choice(["\n", "\r\n"]) if character == "\n" else character for character in text
        )
    return random.choice(["", "", "", "\ufeff"]) + text


# --- JSON --------------------------------------------------------------------------------------------------


def json_text(random: Random, found: list[dict[str, Any]]) -> str:
    """A file of one JSON value, as programs and people write it."""
    value: Any = found[0] if len(found) == 1 else {"apiVersion": "v1", "kind": "List", "items": found}
    style = random.randrange(5)
    if style == 0:
        text = json.dumps(value, separators=(",", ":"))
    elif style == 1:
        text = json.dumps(value)
    else:
        indent: Any = random.choice([2, 4, "\t", "   "])
        text = json.dumps(value, indent=indent, ensure_ascii=False)
        if style == 3:
            text = text.replace("\n", "\r\n")
        if style == 4:
            text = text.replace('":', '" :').replace("{}", "{ }").replace("[]", "[ ]")
    return random.choice(["", "", "\ufeff", "\n"]) + text + random.choice(["", "\n", "\n\n"])


def _file(random: Random, *, is_json: bool) -> Written:
    found = objects(random)
    text = json_text(random, found) if is_json else yaml_text(random, found)
    if is_json and len(found) > 1:
        found = [{"apiVersion": "v1", "kind": "List", "items": found}]
    return Written(text, found)


# A seed and no strategy for each decision: ten thousand drawn ones cost minutes of shrinking.
yaml_files = st.integers(0, 2**63).map(lambda seed: _file(Random(seed), is_json=False))  # noqa: S311 - styles
json_files = st.integers(0, 2**63).map(lambda seed: _file(Random(seed), is_json=True))  # noqa: S311 - styles
