"""Values and keys are data: refused with one sentence, or the member sees the very text of the user."""

import contextlib
import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import pytest

from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.spec.annotations import TABLE
from tests.harness.pods import ours, pod
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.strategies import GOOD, PREFIX, Document
from tests.properties.oracle import expanded

REVIEWER = Reviewer()
DEPLOYMENT = {"group": "apps", "version": "v1", "kind": "Deployment"}
LABELLED = {"app": "shop", PREFIX + "inject": "true"}

HOSTILE = {
    "double quote": 'a"b',
    "single quote": "a'b",
    "newline": "a\nb",
    "newline and a field": 'a\nimage: "evil:1"',
    "carriage return": "a\rb",
    "tab": "a\tb",
    "NUL": "a\0b",
    "escape sequence": "a\x1b[31mb",
    "control sequence in one": "a\x9b31mb",
    "reference": "$(HOME)",
    "escaped reference": "$$(HOME)",
    "twice escaped": "$$$(HOME)$$",
    "reference to ours": "$(HZ_CLUSTERNAME)$(HAZELCAST_ADDRESS)",
    "open reference": "a$(HOME",
    "shell variable": "${HOME}$HOME",
    "backticks": "`id`",
    "semicolon": "a;id",
    "pipe": "a|id",
    "ampersand": "a&id",
    "redirection": "a>/tmp/b",
    "glob": "*",
    "character class": "[a-z]?",
    "backslash": "a\\nb\\",
    "comment": "a #b",
    "YAML anchor": "&a b",
    "YAML alias": "*a",
    "YAML tag": "!!python/object:os.system",
    "template": "{{ .Values.x }}",
    "JSON fragment": '"},"hostNetwork":true,"x":{"y":"',
    "JSON patch": '[{"op":"add","path":"/spec/hostNetwork","value":true}]',
    "option": "-version",
    "words": "a b",
    "leading space": " a",
    "trailing space": "a ",
    "no-break space": "a\u00a0b",
    "combining": "e\u0301",
    "right-to-left letters": "\u05e9\u05dc\u05d5\u05dd",
    "right-to-left override": "a\u202eb",
    "zero width": "a\u200bb",
    "byte order mark": "\ufeffa",
    "emoji": "\U0001f680",
    "Arabic-Indic digits": "\u0665\u0667\u0660\u0661",
    "fullwidth digits": "\uff15\uff17\uff10\uff11",
    "Cyrillic homoglyph": "tru\u0435",
    "line separator": "a\u2028b",
    "very long": "x" * (256 * 1024),
    "empty": "",
}

NOT_PRINTABLE = {
    "newline",
    "newline and a field",
    "carriage return",
    "tab",
    "NUL",
    "escape sequence",
    "control sequence in one",
    "no-break space",
    "right-to-left override",
    "zero width",
    "byte order mark",
    "line separator",
}
CARRIED = {
    "cluster-name": HOSTILE.keys()
    - NOT_PRINTABLE
    - {"leading space", "trailing space", "very long", "empty"},
    "java-opts": {"empty"},
}
"""Those that are no mistake; of every other annotation, none."""

EXPECTED = {
    "cluster-name": {"HZ_CLUSTERNAME", "HAZELCAST_CLUSTER_NAME", "cluster-name", "status"},
    "java-opts": {"JAVA_OPTS", "java-opts", "status"},
}
"""Where a value may be seen: annotations and variables."""

NAMES = [annotation.name for annotation in TABLE]


def review_pod(annotations: dict[str, str]) -> tuple[Document, Document]:
    """The response, and the Pod as it is stored."""
    subject = pod(annotations)
    response = response_in(REVIEWER.review_pod(json.dumps(review_of(subject)).encode()))
    return response, patched(subject, response)


def review_deployment(annotations: dict[str, str]) -> tuple[Document, Document]:
    """The response, and the Deployment as it is stored."""
    template = {"metadata": {"labels": {"app": "shop"}}, "spec": pod({})["spec"]}
    subject = {"metadata": {"name": "shop", "annotations": annotations}, "spec": {"template": template}}
    review = review_of(subject, kind=DEPLOYMENT)
    response = response_in(REVIEWER.review_workload(json.dumps(review).encode()))
    return response, patched(subject, response)


ADDRESS = "192.0.2.7"
"""Of the Pod, for the variable that has no value."""


def environment(container: Document) -> dict[str, str]:
    """What the container's processes see, in a Pod where HOME is set for everyone."""
    seen = {"HOME": "/root"}
    for variable in container["env"]:
        seen[variable["name"]] = expanded(variable.get("value", ADDRESS), seen)
    return seen


def differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """The paths at which two documents differ; elements with a name go by it."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one.keys() | other.keys():
            yield from differences(one.get(key), other.get(key), f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        for index, (left, right) in enumerate(zip_longest(one, other)):
            name = left.get("name", index) if isinstance(left, dict) else index
            yield from differences(left, right, f"{where}.{name}")
    elif one != other:
        yield where


def place(path: str) -> str:
    """The annotation or the variable at a path; the path where it is neither."""
    if path.startswith(f".metadata.annotations.{PREFIX}"):
        return path.removeprefix(f".metadata.annotations.{PREFIX}")
    return path.removesuffix(".value").rpartition(".env.")[2]


@contextlib.contextmanager
def naming(case: str) -> Iterator[None]:
    """Say which case it was that failed."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"the case: {case}")
        raise


def test_every_annotation_has_examples() -> None:
    assert {"inject", *GOOD} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_value_is_refused_with_one_sentence_or_carried_literally(name: str) -> None:
    for case, text in HOSTILE.items():
        with naming(case):
            check_value(name, case, text)


def check_value(name: str, case: str, text: str) -> None:
    response, after = review_pod({PREFIX + "inject": "true", PREFIX + name: text})
    if case not in CARRIED.get(name, set()):
        assert_refused(response, f"Pod shop-6d4b75cb6d-*: {PREFIX}{name}: ")
        return
    assert response["allowed"], response
    member, app = after["spec"]["initContainers"][0], after["spec"]["containers"][0]
    if name == "cluster-name":
        assert environment(member)["HZ_CLUSTERNAME"] == text
        assert environment(app)["HAZELCAST_CLUSTER_NAME"] == text
        assert json.loads(after["metadata"]["annotations"][PREFIX + "status"])["cluster"] == text
    harmless = review_pod({PREFIX + "inject": "true", PREFIX + name: GOOD[name][0]})[1]
    assert {place(path) for path in differences(after, harmless)} <= EXPECTED[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_workloads_value_is_refused_or_copied_literally(name: str) -> None:
    for case, text in HOSTILE.items():
        with naming(case):
            check_value_of_workload(name, case, text)


def check_value_of_workload(name: str, case: str, text: str) -> None:
    own = {PREFIX + "inject": "true", PREFIX + name: text}
    response, after = review_deployment(own)
    if case not in CARRIED.get(name, set()):
        assert_refused(response, f"Deployment shop: {PREFIX}{name}: ")
        return
    assert response["allowed"], response
    assert after["spec"]["template"]["metadata"].pop("annotations") == own
    assert json.loads(after["metadata"]["annotations"].pop(PREFIX + "copied")) == own | {"label": "true"}
    assert after == {
        "metadata": {"name": "shop", "annotations": own},
        "spec": {"template": {"metadata": {"labels": LABELLED}, "spec": pod({})["spec"]}},
    }
    assert all(warning.isprintable() for warning in response.get("warnings", []))


def assert_refused(response: Document, beginning: str) -> None:
    """Denied, in one line that no terminal takes for more than text, and that does not bury its reader."""
    assert not response["allowed"], response
    message = response["status"]["message"]
    assert message.startswith(beginning)
    assert message.isprintable()
    assert len(message) < 1000
    assert "problems" not in message


OPTIONS = ["-Da=100%", "-XX:+UseZGC", "-Xmx1g", "--add-opens=java.base/java.lang=ALL-UNNAMED", "-Da=@b,c"]


@pytest.mark.parametrize("separator", [" ", "\n", " \t\r\n "])
def test_options_reach_the_start_script_word_for_word(separator: str) -> None:
    _, after = review_pod(ours(java_opts=separator.join(["", *OPTIONS, ""])))
    harmless = review_pod(ours(java_opts="-Da=b"))[1]
    seen = environment(after["spec"]["initContainers"][0])["JAVA_OPTS"].split(" ")
    assert seen[-len(OPTIONS) :] == OPTIONS
    assert (
        seen[: -len(OPTIONS)] == environment(harmless["spec"]["initContainers"][0])["JAVA_OPTS"].split()[:-1]
    )
    assert {place(path) for path in differences(after, harmless)} == EXPECTED["java-opts"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("$(HOME)", "/root"),
        ("$$(HOME)", "$(HOME)"),
        ("$$$(HOME)", "$/root"),
        ("$$$$(HOME)", "$$(HOME)"),
        ("$(NONE)", "$(NONE)"),
        ("$(HOME", "$(HOME"),
        ("a$", "a$"),
        ("$$", "$"),
        ("$HOME ${HOME}", "$HOME ${HOME}"),
    ],
)
def test_the_kubelets_expansion_is_as_documented(text: str, seen: str) -> None:
    """The measure of the tests above: examples of Kubernetes' own documentation and tests."""
    assert expanded(text, {"HOME": "/root"}) == seen


KEYS = [
    "",
    "a/b",
    "a~b",
    "~0~1",
    "x" * 5000,
    "ähnlich",
    "inject\u200b",
    "inject\n",
    "a\x9bb",
    "\u202etrop",
    "Inject",
    '"',
]


@pytest.mark.parametrize("key", KEYS)
def test_an_odd_key_is_refused_with_one_sentence(key: str) -> None:
    for review, kind in ((review_pod, "Pod shop-6d4b75cb6d-*"), (review_deployment, "Deployment shop")):
        response, _ = review({PREFIX + "inject": "true", PREFIX + key: "x"})
        assert_refused(response, f"{kind}: {PREFIX}")


@pytest.mark.parametrize("key", KEYS)
def test_an_odd_key_without_inject_is_a_printable_warning(key: str) -> None:
    for review in (review_pod, review_deployment):
        response, _ = review({PREFIX + key: "x"})
        (warning,) = response["warnings"]
        assert "no Hazelcast member is injected" in warning
        assert warning.isprintable()


@pytest.mark.parametrize("key", KEYS)
def test_an_odd_key_that_was_copied_is_taken_away_again(key: str) -> None:
    """However it got there: the path of its operation names it and nothing else."""
    copied = {PREFIX + key: "x"}
    own = {PREFIX + "copied": json.dumps(copied)}
    template = {"metadata": {"annotations": {**copied, "a/b": "y", "a~b": "z"}}, "spec": pod({})["spec"]}
    subject = {"metadata": {"name": "shop", "annotations": own}, "spec": {"template": template}}
    review = review_of(subject, kind=DEPLOYMENT)
    after = patched(subject, response_in(REVIEWER.review_workload(json.dumps(review).encode())))
    assert after["spec"]["template"]["metadata"]["annotations"] == {"a/b": "y", "a~b": "z"}
    assert after["metadata"]["annotations"] == {}
