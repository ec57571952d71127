"""What a controller does when it begins and stops to lead, without an API server."""

# ruff: noqa: SLF001 - its parts are what is looked at

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hazelcast_sidecar.controller import lifecycle
from hazelcast_sidecar.controller.audit.findings import DRIFTED, MISSED
from hazelcast_sidecar.controller.lifecycle import Controller, ControllerSettings
from hazelcast_sidecar.controller.reconcile.groups import Key
from hazelcast_sidecar.controller.registration.rotation import Policy
from hazelcast_sidecar.kube.objects import KEPT_KINDS
from hazelcast_sidecar.runtime.address import Address
from hazelcast_sidecar.spec.settings import Settings
from tests.harness.controller_parts import Seen, running, until
from tests.unit.stored_objects import injected_pod

SHOP, CART = Key("ns", "shop"), Key("ns", "cart")


def controller(seen: Seen, **changed: Any) -> Any:
    """A controller with an API server that nothing here asks, as `Any`: its parts are looked at."""
    given = {"kubeconfig": None, "namespace": "own", "identity": "one", **changed}
    return Controller(
        cast("Any", None), ControllerSettings(admin_listen=Address("127.0.0.1", 0), **given), seen.log
    )


class Worker:
    """Stands in for a part that works until it is cancelled."""

    def __init__(self) -> None:
        self.begun = self.ended = 0
        self.forgotten = 0

    async def work(self) -> None:
        self.begun += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1

    def forget(self) -> None:
        self.forgotten += 1


async def test_a_leader_reconciles_every_group_once_its_indexes_are_complete(seen: Seen) -> None:
    made = controller(seen)
    made._reconciler, made._leftovers = reconciler, leftovers = Worker(), Worker()
    watched = made._reflectors[-1]._index
    watched.upsert(injected_pod())
    assert len(made._queue) == 0, "who does not lead has no use for it"
    async with running(made._reconcile()):
        for reflector in made._reflectors:
            await asyncio.sleep(0)
            assert reconciler.begun == 0
            assert reconciler.forgotten == 1
            reflector.synced.set()
        await until(lambda: reconciler.begun == 8)
        assert leftovers.begun == 1
        assert await made._queue.get() == SHOP
        assert len(made._queue) == 0
        watched.upsert(injected_pod("cart-1", group="cart"))
        assert await made._queue.get() == CART
        made._queue.add(SHOP)
    assert (reconciler.ended, leftovers.ended) == (8, 1)
    assert len(made._queue) == 0, "the next leader looks at every group"
    watched.remove(injected_pod())
    assert len(made._queue) == 0


async def test_the_group_of_an_object_that_is_gone_is_looked_at_after_a_second(seen: Seen) -> None:
    made = controller(seen)
    loop = asyncio.get_running_loop()
    made._miss(SHOP)
    assert made._queue._later == {}
    made._reconciling = True
    before = loop.time()
    made._miss(SHOP)
    assert before + 1 <= made._queue._later[SHOP].when() <= loop.time() + 1
    assert len(made._queue) == 0
    made._queue.clear()


def test_each_kind_is_watched_and_counted(seen: Seen) -> None:
    made = controller(seen)
    assert len(made._reflectors) == len(KEPT_KINDS) + 1
    assert made._pods_known is made._reflectors[-1].synced
    made._reflectors[-1]._index.upsert(injected_pod())
    made._queue.add(SHOP)
    text = made.metrics.exposition().decode()
    for line in ("pods 1.0", "queue_depth 1.0"):
        assert f"hazelcast_sidecar_controller_{line}\n" in text or f"_{line}\n" in text


@pytest.mark.parametrize("reasons", [(), (MISSED,), (DRIFTED, MISSED)])
def test_only_what_was_asked_for_is_repaired_and_in_that_order(seen: Seen, reasons: tuple[str, ...]) -> None:
    made = controller(seen, repair=reasons, repair_seconds=77.0)
    if not reasons:
        assert made._repairer is None
        return
    assert tuple(findings.reason for findings in made._repairer._repaired) == reasons


@pytest.mark.parametrize("policy", [None, Policy(["x"], timedelta(90), timedelta(3650), timedelta(1))])
def test_certificates_are_kept_where_no_one_else_issues_them(seen: Seen, policy: Policy | None) -> None:
    assert (controller(seen, certificates=policy)._keeper is None) is (policy is None)


@pytest.mark.parametrize("reasons", [(), (MISSED,)])
def test_new_settings_are_audited_and_repair_waits_for_what_comes_of_them(
    seen: Seen, reasons: tuple[str, ...]
) -> None:
    made = controller(seen, repair=reasons)
    used: list[Any] = []
    made._auditor = SimpleNamespace(use=used.append)
    if reasons:
        made._repairer = SimpleNamespace(settle=lambda: used.append("settled"))
    settings = Settings({"port": "6000"})
    made._use(settings)
    assert used == [settings, *(["settled"] if reasons else [])]


async def test_repair_goes_on_beside_the_audit(seen: Seen) -> None:
    made = controller(seen, repair=(MISSED,))
    made._auditor, made._repairer = auditor, repairer = Worker(), Worker()
    made._pods_known.set()
    async with running(made._audit()):
        await until(lambda: auditor.begun and repairer.begun)


async def test_every_replica_watches_and_follows_the_settings(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "settings.yaml").write_text("defaults: {}")
    made = controller(seen, settings=tmp_path / "settings.yaml")
    begun: list[str] = []

    async def run() -> None:
        begun.append("reflector")
        await asyncio.Event().wait()

    async def follow(what: str, take_up: Any, *_: object) -> None:
        begun.append(what)
        (tmp_path / "settings.yaml").write_text("defaults: {port: '6000'}")
        assert take_up()
        await asyncio.Event().wait()

    used: list[Settings] = []
    made._use = used.append
    made._reflectors = [SimpleNamespace(run=run) for _ in range(3)]
    monkeypatch.setattr(lifecycle, "follow", follow)
    async with running(made.watch()):
        await until(lambda: used)
    assert begun == ["reflector"] * 3 + ["settings"]
    assert [settings.defaults for settings in used] == [{"port": "6000"}]


async def test_a_signal_or_a_task_that_ends_is_what_a_controller_waits_for() -> None:
    stop = asyncio.Event()
    goes_on = asyncio.create_task(asyncio.Event().wait())
    stop.set()
    assert await lifecycle._first(stop, [cast("Any", goes_on)]) == []

    async def ends() -> None:
        """Do nothing more."""

    ended = asyncio.create_task(ends())
    assert await lifecycle._first(asyncio.Event(), [cast("Any", goes_on), ended]) == [ended]
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {goes_on, asyncio.current_task()}, "nothing waits for the signal any more"
    goes_on.cancel()
