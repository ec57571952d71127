"""Which cluster a command asks, where nothing names one."""

from pathlib import Path

import pytest

from tests.harness.command_line import run_here


@pytest.fixture(autouse=True)
def no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def complaint(*arguments: str) -> str:
    done = run_here("check", *arguments)
    assert done.returncode == 2
    return done.stderr


def test_in_a_pod_it_is_the_pods_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert complaint().startswith("hazelcast-sidecar check: in-cluster configuration: Service token file")


def test_a_context_is_of_a_kubeconfig_also_in_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert complaint("--context", "x").startswith("hazelcast-sidecar check: context x: ")


def test_elsewhere_a_kubeconfig_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    said = complaint()
    assert said.startswith("hazelcast-sidecar check: kubeconfig: ")
    assert "set --kubeconfig or KUBECONFIG" in said
