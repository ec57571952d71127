"""Every command of the documents is run by a test, or says that it was not run."""

import re
from pathlib import Path

import pytest

from tests.e2e.test_word_by_word import TYPED
from tests.harness.document_commands import DOCUMENTS, ROOT, Shown, block, blocks

NOT_RUN = "not run here"
"""A comment says so behind a command that no test runs, as it takes a container engine or a registry."""

RUN_BY = {
    "make demo": "tests/demo/test_demo.py::test_it_forms_a_cluster_and_survives_the_loss_of_a_replica",
    "make test.*": ".ci/run::all_tests",
    "make install-yaml .*|kubectl apply -f build/install.yaml": (
        "tests/apiserver/test_ways_to_install.py::test_the_built_file_is_the_base"
    ),
    "hazelcast-sidecar (un)?install .*": (
        "tests/unit/test_install_page.py::test_every_command_of_the_page_prints_objects"
    ),
    "hazelcast-sidecar inject -R .*": (
        "tests/cli/test_files.py::test_folders_are_read_by_themselves_or_with_what_is_in_them"
    ),
    "hazelcast-sidecar resources .*": "tests/cli/test_manifests.py::test_what_is_printed",
    "hazelcast-sidecar check --pre": "tests/apiserver/test_check.py::test_before_an_installation",
    "hazelcast-sidecar status .*": "tests/e2e/test_status.py::test_the_demo_is_one_cluster",
    "helm (install|upgrade) .*": (
        "tests/apiserver/test_ways_to_install.py::test_the_chart_takes_every_command_of_the_pages"
    ),
    "helm (test|rollback|uninstall) .*|kubectl (create|label|delete) namespace .*": (
        "tests/e2e/test_upgrade_by_helm.py::test_no_pod_is_refused_from_installation_to_uninstallation"
    ),
    r"make release|\(cd dist && sha256sum --check SHA256SUMS\)": (
        "tests/unit/test_release.py::test_a_commit_gives_the_same_files_in_any_folder"
    ),
    "kubectl (apply|delete) -k manifests/demo-client-server.*|kubectl -n hazelcast-demo (?!get|port).*": (
        "tests/e2e/test_topologies.py::test_entries_stay_from_one_to_the_other_and_back"
    ),
    "kubectl --namespace shop rollout restart deployment/shop": (
        "tests/e2e/test_upgrade_from_earlier_versions.py::test_groups_run_on_and_no_pod_is_refused_there_and_back"
    ),
    "kubectl apply -k .": "tests/apiserver/test_ways_to_install.py::test_kustomize_and_install_give_the_same",
}
"""What runs a command: patterns of commands, and for each a test, or a function of CI."""


def lines() -> list[Shown]:
    return [shown for document in DOCUMENTS for each in blocks(document) for shown in each]


def runners(command: str) -> list[str]:
    """Return what runs a command."""
    typed = ["tests/e2e/test_word_by_word.py"] * any(
        command == shown.command for each in TYPED for shown in each
    )
    return typed + [runner for pattern, runner in RUN_BY.items() if re.fullmatch(pattern, command)]


def test_each_is_run_or_says_that_it_was_not() -> None:
    found = lines()
    assert len(found) > 60
    silent = [shown.line for shown in found if not runners(shown.command) and NOT_RUN not in shown.line]
    assert silent == [], f"have a test run them, or put a comment behind them that says {NOT_RUN!r}"
    run_after_all = [shown.line for shown in found if runners(shown.command) and NOT_RUN in shown.line]
    assert run_after_all == []


@pytest.mark.parametrize("runner", sorted(set(RUN_BY.values())))
def test_what_runs_them_is_there(runner: str) -> None:
    file, name = runner.split("::")
    assert re.search(rf"^(def )?{name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("pattern", RUN_BY)
def test_each_pattern_is_of_a_command(pattern: str) -> None:
    assert any(re.fullmatch(pattern, shown.command) for shown in lines())


def test_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {target for shown in lines() for target in re.findall(r"\bmake ([a-z][\w-]*)", shown.line)}
    assert named
    assert {target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)} == set()


def test_a_block_that_is_not_there_once_is_named() -> None:
    with pytest.raises(
        ValueError, match=r"README\.md has 0 console blocks that begin with 'kubectl delete duck'"
    ):
        block("README.md", "kubectl delete duck")


def test_output_belongs_to_the_command_before_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ one    # first\nsaid\n$ two\n```\n")
    assert blocks(page) == [[Shown("page.md", "one    # first", ("said",)), Shown("page.md", "two", ())]]
    assert blocks(page)[0][0].command == "one"
