"""Properties of copying a workload's annotations onto its Pod template, for every workload and every history.

What somebody wrote is told from what was copied by `managedFields`, which these tests keep as the API server
does: whoever writes a value owns it, what a webhook adds belongs to nobody.
"""

import json
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import assume, event, given
from hypothesis import strategies as st

from hazelcast_sidecar.injection.reviewer import Reviewer
from tests.harness.reviews import patched, response_in, review_of
from tests.harness.strategies import (
    COPIED,
    KEYS,
    PREFIX,
    SMALL_SPEC,
    TEMPLATES,
    VALUES,
    Document,
    fields_of,
    nested,
    workloads,
)

REVIEWER = Reviewer()
Kind = tuple[str, str]
INJECT = f"{PREFIX}inject"


def respond(kind: Kind, workload: Document, before: Document | None) -> Document:
    review = review_of(
        workload,
        kind={"group": kind[0], "version": "v1", "kind": kind[1]},
        operation="UPDATE" if before else "CREATE",
        oldObject=before,
    )
    return response_in(REVIEWER.review_workload(json.dumps(review).encode()))


def stored(kind: Kind, workload: Document, before: Document | None = None) -> Document | None:
    """The workload as it is stored; None where it is denied."""
    response = respond(kind, workload, before)
    if not response["allowed"]:
        assert "patch" not in response
        return None
    after: Document = patched(workload, response)
    return after


def template_of(kind: Kind, workload: Document) -> Document:
    found: Any = workload
    for step in TEMPLATES[kind]:
        found = found[step]
    return dict(found)


def annotations_of(document: Document) -> dict[str, str]:
    return (document.get("metadata") or {}).get("annotations") or {}


def labels_of(document: Document) -> dict[str, str]:
    return dict((document.get("metadata") or {}).get("labels") or {})


def without_our_part(kind: Kind, workload: Document) -> Document:
    """All that no copying may touch."""
    rest = deepcopy(workload)
    own = annotations_of(rest)
    rest["metadata"]["annotations"] = {key: own[key] for key in own if key != COPIED}
    found: Any = rest
    for step in TEMPLATES[kind]:
        found = found[step]
    metadata = found.get("metadata") or {}
    found["metadata"] = {key: metadata[key] for key in metadata if key not in ("annotations", "labels")}
    labels = metadata.get("labels") or {}
    if others := {key: labels[key] for key in labels if key != INJECT}:
        found["metadata"]["labels"] = others
    return rest


# --- one review --------------------------------------------------------------------------------------------


@given(workloads())
def test_copying_twice_is_copying_once(subject: tuple[Kind, Document]) -> None:
    kind, workload = subject
    once = stored(kind, workload)
    assume(once is not None)
    assert once is not None
    event("changed" if once != workload else "unchanged")
    assert "patch" not in respond(kind, once, None)


@given(workloads())
def test_nothing_but_annotations_and_our_label_of_the_template_and_the_record_changes(
    subject: tuple[Kind, Document],
) -> None:
    kind, workload = subject
    after = stored(kind, workload)
    if after is not None:
        assert without_our_part(kind, after) == without_our_part(kind, workload)


@given(workloads())
def test_a_template_gains_only_what_its_workload_says(subject: tuple[Kind, Document]) -> None:
    kind, workload = subject
    after = stored(kind, workload)
    if after is not None:
        had, has = annotations_of(template_of(kind, workload)), annotations_of(template_of(kind, after))
        gained = {key: text for key, text in has.items() if had.get(key) != text}
        assert gained.items() <= annotations_of(workload).items()
        assert COPIED not in gained
        assert all(key.startswith(PREFIX) for key in gained)


@given(workloads())
def test_what_somebody_wrote_stays_whatever_the_record_says(subject: tuple[Kind, Document]) -> None:
    kind, workload = subject
    had = annotations_of(template_of(kind, workload))
    every = deepcopy(workload)
    every["metadata"]["managedFields"] = [fields_of(TEMPLATES[kind], had)]
    after = stored(kind, every)
    if after is not None:
        assert had.items() <= annotations_of(template_of(kind, after)).items()


@given(workloads())
def test_annotations_of_others_stay_whatever_the_record_says(subject: tuple[Kind, Document]) -> None:
    kind, workload = subject
    after = stored(kind, workload)
    if after is not None:
        assert of_others(template_of(kind, after)) == of_others(template_of(kind, workload))


def of_others(template: Document) -> dict[str, str]:
    return {key: text for key, text in annotations_of(template).items() if not key.startswith(PREFIX)}


# --- histories ---------------------------------------------------------------------------------------------


class Edit(NamedTuple):
    """One write of a user's."""

    where: str
    """workload, template, both (from one to the other), or manifest (a replacement by what users wrote)."""
    key: str
    text: str | None
    """None: it is removed."""


@st.composite
def edits(draw: st.DrawFn) -> Edit:
    """Any write."""
    name = draw(st.sampled_from(["inject", *KEYS]))
    text = draw(st.none() | st.sampled_from(VALUES[name]))
    return Edit(
        draw(st.sampled_from(["workload", "workload", "template", "both", "manifest"])), PREFIX + name, text
    )


class History:
    """A workload under the hands of its users, beside what its template would be without any webhook."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.own: dict[str, str] = {}
        self.written: dict[str, str] = {}
        """Annotations of the template that users wrote."""
        self.stored = self.sent({}, {}, {})

    def sent(
        self,
        own: dict[str, str],
        template: dict[str, str],
        written: dict[str, str],
        labels: dict[str, str] | None = None,
    ) -> Document:
        path = TEMPLATES[self.kind]
        metadata = {"name": "shop", "annotations": own, "managedFields": [fields_of(path, written)]}
        return {
            "metadata": metadata,
            **nested(
                path, {"metadata": {"annotations": template, "labels": labels or {}}, "spec": SMALL_SPEC}
            ),
        }

    def edit(self, edit: Edit) -> None:
        """Write, have it reviewed, and look at what is stored."""
        own, written = dict(self.own), dict(self.written)
        template = dict(annotations_of(template_of(self.kind, self.stored)))
        labels = labels_of(template_of(self.kind, self.stored))
        record = annotations_of(self.stored).get(COPIED)
        match edit.where:
            case "workload":
                put(own, edit.key, edit.text)
            case "template":
                put(written, edit.key, edit.text)
                put(template, edit.key, edit.text)
            case "both":
                text = own.pop(edit.key, edit.text)
                put(written, edit.key, text)
                put(template, edit.key, text)
            case "manifest":
                put(own, edit.key, edit.text)
                template, record, labels = dict(written), None, {}
        sent = self.sent(own | ({COPIED: record} if record else {}), template, written, labels)
        self.review(own, written, sent)

    def review(self, own: dict[str, str], written: dict[str, str], sent: Document) -> bool:
        """Whether it was let through; then everything holds that should."""
        after = stored(self.kind, sent, self.stored)
        if after is None:
            return False
        self.own, self.written, self.stored = own, written, after
        assert "patch" not in respond(self.kind, after, after)
        has = annotations_of(template_of(self.kind, after))
        assert written.items() <= has.items(), "what somebody wrote was changed or removed"
        wanted = {**own, **written}.get(INJECT, "false") != "false"
        assert has == ({**own, **written} if wanted else written)
        assert labels_of(template_of(self.kind, after)) == ({INJECT: "true"} if wanted else {})
        return True


def put(mapping: dict[str, str], key: str, text: str | None) -> None:
    if text is None:
        mapping.pop(key, None)
    else:
        mapping[key] = text


UPDATABLE = [kind for kind in TEMPLATES if kind[1] != "Job"]


@given(st.sampled_from(UPDATABLE), st.lists(edits(), min_size=1, max_size=12))
def test_after_any_history_a_workload_can_be_as_if_never_annotated(kind: Kind, writes: list[Edit]) -> None:
    history = History(kind)
    for edit in writes:
        history.edit(edit)
    event(f"copies at the end: {COPIED in annotations_of(history.stored)}")
    template = annotations_of(template_of(kind, history.stored))
    labels = labels_of(template_of(kind, history.stored))
    record = {key: text for key, text in annotations_of(history.stored).items() if key == COPIED}
    assume(history.review({}, history.written, history.sent(record, template, history.written, labels)))
    assert annotations_of(template_of(kind, history.stored)) == history.written
    asks = history.written.get(INJECT, "false") != "false"  # by its template, which is labelled for it
    assert annotations_of(history.stored) == ({COPIED: '{"label":"true"}'} if asks else {})
