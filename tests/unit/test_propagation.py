"""The plan for a template's annotations, row by row of its table."""

import json

import pytest

from hazelcast_sidecar.injection.propagation import Copying, copied_annotation, plan
from hazelcast_sidecar.names import COPIED, PREFIX, STATUS

INJECT, PORT, GROUP = f"{PREFIX}inject", f"{PREFIX}port", f"{PREFIX}group"
ON = {INJECT: "true"}


def recorded(**copied: str) -> dict[str, str]:
    return {COPIED: json.dumps({PREFIX + name: value for name, value in copied.items()})}


@pytest.mark.parametrize(
    ("own", "template", "after"),
    [
        pytest.param(ON, {}, ON, id="copied onto a template that has none"),
        pytest.param(ON | {PORT: "1"}, {"other": "x"}, {"other": "x", **ON, PORT: "1"}, id="beside others"),
        pytest.param({**ON, "other": "x", STATUS: "{}"}, {}, ON, id="only ours, and no status annotation"),
        pytest.param(
            {INJECT: "true", PORT: "2"} | recorded(inject="true", port="1"),
            {INJECT: "true", PORT: "1"},
            {INJECT: "true", PORT: "2"},
            id="a change is followed",
        ),
        pytest.param(
            ON | recorded(inject="true", port="1"), ON | {PORT: "1"}, ON, id="what is gone is taken away"
        ),
        pytest.param(recorded(inject="true"), ON, {}, id="inject is gone"),
        pytest.param(
            {PORT: "1"} | recorded(inject="true", port="1"), ON | {PORT: "1"}, {}, id="inject alone is gone"
        ),
        pytest.param({INJECT: "false"} | recorded(inject="true"), ON, {}, id="declined"),
        pytest.param({INJECT: "false"}, {}, {}, id="declined and never copied"),
        pytest.param({PORT: "1"}, {}, {}, id="nothing without inject"),
        pytest.param({PORT: "1"}, ON, ON | {PORT: "1"}, id="inject on the template counts"),
        pytest.param(
            {PORT: "1"}, {INJECT: "false"}, {INJECT: "false"}, id="declined on the template counts too"
        ),
        pytest.param({}, ON, ON, id="the template's own stay"),
        pytest.param(recorded(inject="false"), ON, ON, id="written over what was copied: theirs"),
        pytest.param(
            ON | recorded(inject="true", port="1"), ON | {PORT: "2"}, ON | {PORT: "2"}, id="theirs stays"
        ),
        pytest.param(ON | recorded(inject="true"), {}, ON, id="removed from the template: copied again"),
        pytest.param(ON | {COPIED: "no JSON"}, ON, ON, id="a broken record is none"),
        pytest.param(ON | {COPIED: "[" * 10_000}, ON, ON, id="a deep one as well"),
    ],
)
def test_what_becomes_of_a_template(
    own: dict[str, str], template: dict[str, str], after: dict[str, str]
) -> None:
    assert plan(own, template, written=()).annotations == after


def test_a_contradiction_is_found_and_the_template_counts() -> None:
    found = plan(ON | {PORT: "1", GROUP: "a"}, {PORT: "2", GROUP: "a"}, written=())
    assert found == Copying({PORT: "2", GROUP: "a", **ON}, ON, [PORT])


def test_what_somebody_wrote_is_theirs_though_it_equals_the_copy() -> None:
    own = recorded(inject="true", port="1")
    assert plan(own, ON | {PORT: "1"}, written={INJECT}).annotations == ON
    assert plan(ON | own, ON, written={INJECT}) == Copying(ON, ON, [])


def test_the_record_names_the_copies_in_one_order_or_is_absent() -> None:
    copied = plan({PORT: "1", INJECT: "true"}, {}, ()).copied
    assert copied_annotation(copied, labelled=False) == f'{{"{INJECT}":"true","{PORT}":"1"}}'
    assert copied_annotation({}, labelled=True) == '{"label":"true"}'
    assert copied_annotation(plan({}, ON, ()).copied, labelled=False) is None
