"""`install` and `uninstall`: what they print, in which order, and how values are given."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hazelcast_sidecar.installation.components import COMPONENTS
from hazelcast_sidecar.names import CONTROLLER, INJECTOR
from hazelcast_sidecar.version import __version__
from tests.harness.command_line import run_here

DIGEST = f"sha256:{'5' * 64}"


def output(*arguments: str) -> str:
    done = run_here(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def objects(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output(*arguments, "-o", "json"))["items"]
    return found


def installed(*arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(each["kind"], each["metadata"]["name"]): each for each in objects("install", *arguments)}


def container(name: str, *arguments: str) -> dict[str, Any]:
    spec = installed(*arguments)["Deployment", name]["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["containers"][0]
    return found


def refusal(*arguments: str) -> str:
    done = run_here("install", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


def test_what_answers_is_applied_before_it_is_asked_and_deleted_after() -> None:
    kinds = [each["kind"] for each in objects("install")]
    assert (kinds[0], kinds[-1]) == ("Namespace", "MutatingWebhookConfiguration")
    kinds = [each["kind"] for each in objects("uninstall")]
    assert kinds[:2] == ["MutatingWebhookConfiguration", "Namespace"]


def test_what_is_deleted_is_all_that_no_namespace_takes_with_it() -> None:
    given = ("--component", "repair", "--component", "cert-manager")
    outside = {each for each, obj in installed(*given).items() if "namespace" not in obj["metadata"]}
    deleted = {(each["kind"], each["metadata"]["name"]) for each in objects("uninstall")}
    assert deleted == outside
    in_another = {each["kind"]: each["metadata"]["name"] for each in objects("uninstall", "-n", "elsewhere")}
    assert in_another["Namespace"] == "elsewhere"
    assert in_another["MutatingWebhookConfiguration"] == INJECTOR


def test_no_part_of_the_output_refers_to_another() -> None:
    assert not any(isinstance(token, yaml.AnchorToken) for token in yaml.scan(run_here("install").stdout))


def test_as_json_it_is_a_list_for_kubectl() -> None:
    document = json.loads(output("install", "-o", "json"))
    assert document["kind"] == "List"
    assert document["items"] == list(yaml.safe_load_all(output("install")))


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ("injector", f"injector:{__version__}"),
        ("registry.example:5000/a/injector", f"registry.example:5000/a/injector:{__version__}"),
        ("registry.example:5000/a/injector:7.1", "registry.example:5000/a/injector:7.1"),
        (f"registry.example:5000/a/injector@{DIGEST}", f"registry.example:5000/a/injector@{DIGEST}"),
        (f"injector:7.1@{DIGEST}", f"injector:7.1@{DIGEST}"),
    ],
)
def test_an_image_is_given_as_its_reference(given: str, image: str) -> None:
    assert [container(name, f"--set=image={given}")["image"] for name in (INJECTOR, CONTROLLER)] == [
        image
    ] * 2


def test_values_are_numbers_texts_and_lists_and_keys_may_have_dots() -> None:
    found = installed(
        "--set=webhook.replicas=7",
        r"--set=webhook.nodeSelector.kubernetes\.io/os=true!",
        "--set=webhook.resources.limits.memory=1Gi",
        "--set=imagePullSecrets=[{name: registry}]",
        "--set=controller.priorityClassName=007",
        "--set=networkPolicies.enabled=false",
    )
    webhook = found["Deployment", INJECTOR]["spec"]
    assert webhook["replicas"] == 7
    pod = webhook["template"]["spec"]
    assert pod["nodeSelector"] == {"kubernetes.io/os": "true!"}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    limits = pod["containers"][0]["resources"]["limits"]
    assert limits == {"memory": "1Gi", "ephemeral-storage": "1Gi"}, "the others stay"
    assert found["Deployment", CONTROLLER]["spec"]["template"]["spec"]["priorityClassName"] == "007"
    assert not any(kind == "NetworkPolicy" for kind, _ in found)


def test_later_options_win_and_null_takes_away(tmp_path: Path) -> None:
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("webhook: {replicas: 3}\nrepair: all\n")
    second.write_text("webhook: {replicas: 4, resources: {limits: {memory: null}}}\n")
    files = ("--component=repair", "--values", str(first), "-f", str(second))
    assert "--repair=all" in container(CONTROLLER, *files)["args"]
    assert installed(*files)["Deployment", INJECTOR]["spec"]["replicas"] == 4
    assert set(container(INJECTOR, *files)["resources"]["limits"]) == {"ephemeral-storage"}
    assert installed(*files, "--set=webhook.replicas=5")["Deployment", INJECTOR]["spec"]["replicas"] == 5


def test_an_empty_file_of_values_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# nothing\n")
    assert installed("-f", str(tmp_path / "values.yaml")) == installed()


@pytest.mark.parametrize("name", COMPONENTS)
def test_every_component_changes_something(name: str) -> None:
    assert installed("--component", name) != installed()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set=webhook.replica=3"], "webhook: Object contains unknown field `replica`"),
        (["--set=webhook.replicas=x"], "webhook.replicas: Expected `int`, got `str`"),
        (["--set=webhook.replicas"], '--set: "webhook.replicas" is not NAME=VALUE, such as'),
        (["--set=webhook=3"], "webhook: Expected `object`, got `int`"),
        (["--set=tolerations=[{"], "is not YAML"),
        (["--set=settings.defaults.prot=1"], 'no such annotation (did you mean "port"?)'),
        (["--set=settings.defaults.port=x"], '"x" is not an integer from 1024 to 65533'),
        (["--set=networkPolicies.apiServers=[a]"], "Address ranges of the API servers, such as 10.0.0.0/28"),
        (["--set=certificates.source=own"], "--set-file certificates.caBundle=ca.crt"),
        (["--set-file=certificates.caBundle=/no/such/file"], "/no/such/file: No such file"),
        (["--values=/no/such/file"], "/no/such/file: No such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], said: str) -> None:
    complaint = refusal(*arguments)
    assert complaint.startswith("hazelcast-sidecar install: ")
    assert said in complaint
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("text", ["- a", "a: [", "\x01"])
def test_a_file_that_has_no_values_is_refused_by_its_name(text: str, tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    assert str(path) in refusal("-f", str(path))


def test_a_namespace_is_a_dns_label() -> None:
    done = run_here("install", "--namespace", "Team_A")
    assert done.returncode == 2
    assert '"Team_A" is not the name of a namespace' in done.stderr
