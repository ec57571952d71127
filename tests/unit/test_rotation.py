"""When certificates are made, renewed and rotated: years of it, step by step, without waiting."""

import contextlib
import ssl
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from cryptography import x509
from hypothesis import example, given
from hypothesis import strategies as st

from hazelcast_sidecar.certificates import (
    KeyPair,
    UnreadableCertificateError,
    flaw,
    make_authority,
    make_leaf,
    mistrust,
    validity,
)
from hazelcast_sidecar.controller.registration.certificate_keeper import CertificateKeeper
from hazelcast_sidecar.controller.registration.rotation import Certificates, Policy, expiry, plan
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import Kind
from hazelcast_sidecar.names import AUTHORITY_SECRET, LEAF_SECRET

NAMES = ["hazelcast-sidecar-injector.ns.svc"]
POLICY = Policy(NAMES, timedelta(days=90), timedelta(days=3650), timedelta(minutes=10))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
NOTHING = Certificates(None, b"", None)


def authorities(certificates: Certificates) -> int:
    return len(x509.load_pem_x509_certificates(certificates.bundle))


def is_served(certificates: Certificates, bundle: bytes, now: datetime) -> bool:
    assert certificates.leaf is not None
    return flaw(certificates.leaf, bundle, NAMES, now) is None


def test_from_nothing_everything_is_made_and_then_nothing_changes() -> None:
    made = plan(NOTHING, POLICY, NOW)
    assert is_served(made, made.bundle, NOW)
    assert authorities(made) == 1
    for later in (timedelta(0), timedelta(seconds=3), timedelta(days=59)):
        assert plan(made, POLICY, NOW + later) == made


def test_the_leaf_is_renewed_at_two_thirds_of_its_life_under_the_same_authority() -> None:
    made = plan(NOTHING, POLICY, NOW)
    renewed = plan(made, POLICY, NOW + timedelta(days=60, minutes=1))
    assert renewed.leaf != made.leaf
    assert (renewed.authority, renewed.bundle) == (made.authority, made.bundle)


def test_an_authority_is_rotated_in_steps_and_at_none_of_them_a_leaf_is_not_trusted() -> None:
    due = timedelta(days=3650) * 2 / 3
    now = NOW
    before = plan(NOTHING, POLICY, now)
    seen = []
    # Just before it is due, then minute by minute.
    for minute in range(-2, 30):
        now = NOW + due + timedelta(minutes=minute)
        after = plan(before, POLICY, now)
        # Between two writes either pair of old and new may meet; the bundle is written before the leaf.
        assert is_served(before, after.bundle, now) or after.leaf != before.leaf
        assert is_served(after, after.bundle, now)
        assert after.authority
        assert after.bundle.startswith(after.authority.certificate), "the newest is the first"
        if after.leaf != before.leaf and authorities(before) == 2:
            assert is_served(after, before.bundle, now), "the leaf may reach the server before the new bundle"
        if after != before:
            seen.append((authorities(after), after.authority != before.authority, after.leaf != before.leaf))
        before = after
    renewal_of_the_leaf, rotation = (1, False, True), [(2, True, False), (2, False, True), (1, False, False)]
    assert [step for step in seen if step != renewal_of_the_leaf] == rotation


@pytest.mark.parametrize("key", ["authority", "leaf"])
def test_what_was_lost_is_made_again(key: str) -> None:
    made = plan(NOTHING, POLICY, NOW)
    left = made._replace(authority=None) if key == "authority" else made._replace(leaf=None)
    again = plan(left, POLICY, NOW)
    assert is_served(again, again.bundle, NOW)
    if key == "authority":
        # The leaf of the lost one is still served and trusted, until one of the new has taken its place.
        assert again.leaf == made.leaf
        assert authorities(again) == 2
        later = plan(again, POLICY, NOW + POLICY.overlap)
        assert later.leaf != made.leaf
        assert authorities(plan(later, POLICY, NOW + 2 * POLICY.overlap)) == 1


@pytest.mark.parametrize("broken", ["garbage", "foreign key", "other names", "other authority", "expired"])
def test_a_leaf_that_is_no_good_is_replaced(broken: str) -> None:
    made = plan(NOTHING, POLICY, NOW)
    assert made.authority is not None
    assert made.leaf is not None
    other = make_authority(NOW)
    leaf = {
        "garbage": KeyPair(b"x", b"y"),
        "foreign key": KeyPair(made.leaf.certificate, make_leaf(other, NAMES, NOW).key),
        "other names": make_leaf(made.authority, ["else.ns.svc"], NOW),
        "other authority": make_leaf(other, NAMES, NOW),
        "expired": make_leaf(made.authority, NAMES, NOW - timedelta(days=2), lifetime=timedelta(days=1)),
    }[broken]
    mended = plan(made._replace(leaf=leaf), POLICY, NOW)
    assert is_served(mended, mended.bundle, NOW)
    assert mended.authority == made.authority


@pytest.mark.heavy
def test_a_leaf_that_falls_due_with_its_authority_waits_for_the_overlap() -> None:
    short = Policy(NAMES, timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=5))
    now, certificates, steps = NOW, NOTHING, []
    for second in range(150):
        now = NOW + timedelta(seconds=second)
        after = plan(certificates, short, now)
        assert is_served(after, after.bundle, now)
        if after.authority != certificates.authority:
            steps.append((second, "ca"))
        elif after.leaf != certificates.leaf:
            assert is_served(after, certificates.bundle, now)
            steps.append((second, "leaf"))
        certificates = after
    leaves = [second for second, what in steps if what == "leaf"]
    assert [second for second, what in steps if what == "ca"] == [0, 40, 80, 120]
    assert leaves == [20, 45, 65, 85, 105, 125, 145]


def test_one_bad_block_does_not_spoil_the_bundle() -> None:
    made = plan(NOTHING, POLICY, NOW)
    bad = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    mended = plan(made._replace(authority=None, bundle=bad + made.bundle + made.bundle), POLICY, NOW)
    assert (mended.leaf, authorities(mended)) == (made.leaf, 2)


@pytest.mark.parametrize("bundle", [b"", b"garbage"])
def test_a_bundle_that_was_lost_is_made_of_the_authority(bundle: bytes) -> None:
    made = plan(NOTHING, POLICY, NOW)
    assert plan(made._replace(bundle=bundle), POLICY, NOW) == made


def test_an_authority_whose_key_does_not_fit_is_replaced_and_trusted_for_a_while() -> None:
    made = plan(NOTHING, POLICY, NOW)
    assert made.authority is not None
    broken = KeyPair(made.authority.certificate, make_authority(NOW).key)
    mended = plan(made._replace(authority=broken), POLICY, NOW)
    assert mended.authority != broken
    assert (mended.leaf, authorities(mended)) == (made.leaf, 2)


# --- clocks that jump --------------------------------------------------------------------------------------

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
JUMPS = {
    "past 2/3 of the leaf's life": 61 * DAY,
    "past the leaf's end": 91 * DAY,
    "past 2/3 of the authority's life": 2500 * DAY,
    "past the authority's end": 3651 * DAY,
    "back by a minute": timedelta(minutes=-1),
    "back by an hour": timedelta(hours=-1),
    "back by a year": -365 * DAY,
    "back to 1970": datetime(1970, 1, 1, tzinfo=UTC) - NOW,
}
"""A machine that wakes up, whose battery was empty, or whose clock somebody set."""


def settled(found: Certificates, now: datetime) -> Certificates:
    """What stands there two overlaps later, each look served, and nothing left to do."""
    for _ in range(3):
        found = plan(found, POLICY, now)
        assert is_served(found, found.bundle, now)
        assert plan(found, POLICY, now + 3 * SECOND) == found, "the next look changes nothing"
        now += POLICY.overlap
    return found


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_and_comes_back(jump: str) -> None:
    """At once after either jump what stands there is good by the clock, and it ends with one authority."""
    made = settled(plan(NOTHING, POLICY, NOW), NOW)
    jumped = settled(made, NOW + JUMPS[jump])
    assert authorities(jumped) == 1
    returned = settled(jumped, NOW + timedelta(hours=1))
    assert authorities(returned) == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_for_less_than_an_overlap_takes_no_trust_away(jump: str) -> None:
    """Servers whose clock is right refuse a leaf of another time and serve the one before: it stays trusted.

    Not past the authority's own end, where nobody could know that the clock is wrong.
    """
    made = plan(NOTHING, POLICY, NOW)
    jumped = plan(made, POLICY, NOW + JUMPS[jump])
    assert made.leaf is not None
    trusted = flaw(made.leaf, jumped.bundle, NAMES, NOW) is None
    assert trusted == (jump != "past the authority's end")
    back = plan(jumped, POLICY, NOW + timedelta(minutes=1))
    assert is_served(back, back.bundle, NOW + timedelta(minutes=1))


@pytest.mark.heavy
def test_a_clock_that_jumps_to_and_fro_does_not_pile_up_authorities() -> None:
    found, most = plan(NOTHING, POLICY, NOW), 0
    for number in range(20):
        for jump in (timedelta(0), *JUMPS.values()):
            now = NOW + jump + number * timedelta(minutes=1)
            found = plan(found, POLICY, now)
            assert is_served(found, found.bundle, now)
            most = max(most, authorities(found))
    assert most < 10


# --- what is no certificate, or none that can be read ------------------------------------------------------

MADE = plan(NOTHING, POLICY, NOW)
assert MADE.authority is not None
assert MADE.leaf is not None
AUTHORITY, LEAF = MADE.authority, MADE.leaf
VERSION = b"\xa0\x03\x02\x01\x02"
"""Of X.509 3, as it stands in every certificate."""


def spoiled(certificate: bytes, *changes: tuple[int, int]) -> bytes:
    """A certificate in PEM with some bytes changed."""
    der = bytearray(ssl.PEM_cert_to_DER_cert(certificate.decode()))
    for position, byte in changes:
        der[position % len(der)] = byte
    return ssl.DER_cert_to_PEM_cert(bytes(der)).encode()


def of_another_version(certificate: bytes) -> bytes:
    """A certificate of X.509 8, which nobody knows."""
    position = ssl.PEM_cert_to_DER_cert(certificate.decode()).index(VERSION)
    return spoiled(certificate, (position + len(VERSION) - 1, 7))


def unreadable(certificate: bytes) -> bool:
    with contextlib.suppress(UnreadableCertificateError):
        validity(certificate)
        return False
    return True


def is_in_order_after(found: Certificates) -> bool:
    """Whether the next plan is one that works, and the one after it changes nothing."""
    again = plan(found, POLICY, NOW)
    return is_served(again, again.bundle, NOW) and plan(again, POLICY, NOW) == again


def test_a_certificate_of_an_unknown_version_is_replaced() -> None:
    odd_authority = KeyPair(of_another_version(AUTHORITY.certificate), AUTHORITY.key)
    odd_leaf = KeyPair(of_another_version(LEAF.certificate), LEAF.key)
    assert unreadable(odd_leaf.certificate)
    assert "unreadable PEM: 7 is not a valid X509 version" in str(flaw(odd_leaf, MADE.bundle, NAMES, NOW))
    assert "unreadable PEM" in str(mistrust(odd_leaf.certificate, MADE.bundle, NAMES, NOW))
    assert "unreadable PEM" in str(mistrust(LEAF.certificate, odd_authority.certificate, NAMES, NOW))
    for found in (
        MADE._replace(authority=odd_authority),
        MADE._replace(leaf=odd_leaf),
        MADE._replace(bundle=odd_authority.certificate + MADE.bundle),
        Certificates(odd_authority, odd_authority.certificate, odd_leaf),
    ):
        assert is_in_order_after(found)


changes = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4)


@pytest.mark.heavy
@given(of_authority=changes, of_leaf=changes, key=st.binary(max_size=60) | st.just(AUTHORITY.key))
@example(of_authority=[(0, 0)], of_leaf=[(0, 0)], key=b"")
def test_whatever_certificates_have_become_the_next_plan_is_in_order(
    of_authority: list[tuple[int, int]], of_leaf: list[tuple[int, int]], key: bytes
) -> None:
    authority = KeyPair(spoiled(AUTHORITY.certificate, *of_authority), key)
    leaf = KeyPair(spoiled(LEAF.certificate, *of_leaf), key)
    assert isinstance(unreadable(leaf.certificate), bool)
    assert flaw(leaf, authority.certificate, NAMES, NOW) is not None
    assert is_in_order_after(Certificates(authority, authority.certificate + MADE.bundle, leaf))


def test_a_bundle_of_beginnings_is_searched_in_linear_time() -> None:
    def seconds(beginnings: int) -> float:
        started = time.process_time()
        plan(MADE._replace(bundle=b"-----BEGIN CERTIFICATE-----\n" * beginnings), POLICY, NOW)
        return time.process_time() - started

    assert seconds(40_000) < 20 * (seconds(10_000) + 0.05)


class Cluster:
    """Stands in for an API server that returns Secrets whose values are not base64, as no real one does."""

    def __init__(self) -> None:
        self.applied: list[str] = []

    async def read(self, kind: Kind, _: str, name: str) -> dict[str, Any]:
        if kind.name == "Secret":
            return {"data": dict.fromkeys(("ca.crt", "ca.key", "ca-bundle.crt", "tls.crt", "tls.key"), "a")}
        hook = {"name": "pods", "clientConfig": {"caBundle": "no base64"}}
        return {"apiVersion": "v1", "kind": kind.name, "metadata": {"name": name}, "webhooks": [hook]}

    async def apply(self, kind: Kind, *_: object, **__: object) -> None:
        self.applied.append(kind.name)


async def test_what_is_not_base64_is_written_again() -> None:
    cluster = Cluster()
    metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)
    keeper = CertificateKeeper(
        cast("Api", cluster), "ns", POLICY, metrics, lambda *_, **__: None, clock=lambda: NOW
    )
    await keeper._look()  # noqa: SLF001 - one look
    assert cluster.applied == ["Secret", "MutatingWebhookConfiguration", "Secret"]


class Store:
    """Keeps what is applied, beside a configuration with two webhooks, or without one."""

    def __init__(self, *, registered: bool = True) -> None:
        self.applied: list[str] = []
        self.secrets: dict[str, dict[str, Any]] = {}
        hooks = [{"name": name, "clientConfig": {"service": {"name": "x"}}} for name in ("pods", "workloads")]
        about = {"apiVersion": "v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": "x"}}
        self.configuration: dict[str, Any] | None = {**about, "webhooks": hooks} if registered else None
        self.metrics = ControllerMetrics(pods=lambda: 0, queue_depth=lambda: 0, requests=lambda: 0)

    async def read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        assert bool(namespace) is (kind.name == "Secret")
        return self.secrets.get(name) if kind.name == "Secret" else self.configuration

    async def apply(self, kind: Kind, obj: dict[str, Any], *, force: bool, field_manager: str) -> None:
        assert (obj["kind"], force, field_manager) == (kind.name, True, "hazelcast-sidecar-certificates")
        self.applied.append(kind.name)
        if kind.name == "Secret":
            assert obj["metadata"]["namespace"] == "ns"
            self.secrets[obj["metadata"]["name"]] = obj
        else:
            assert self.configuration
            self.configuration["webhooks"] = obj["webhooks"]

    async def look(self, now: datetime = NOW) -> list[str]:
        """Let the keeper look once; what it applied."""
        self.applied = []
        api, log = cast("Api", self), lambda *_, **__: None
        keeper = CertificateKeeper(api, "ns", POLICY, self.metrics, log, clock=lambda: now)
        await keeper._look()  # noqa: SLF001 - one look
        return self.applied

    def content(self, name: str) -> dict[str, bytes]:
        return {key: b64decode(value) for key, value in self.secrets[name]["data"].items()}

    def trusted(self) -> set[bytes]:
        """The CAs that the API server trusts, the same for each webhook."""
        assert self.configuration
        (bundle,) = {b64decode(hook["clientConfig"]["caBundle"]) for hook in self.configuration["webhooks"]}
        return set(_blocks(bundle))


def _blocks(bundle: bytes) -> list[bytes]:
    return [
        part.lstrip() + b"-----END CERTIFICATE-----"
        for part in bundle.split(b"-----END CERTIFICATE-----")[:-1]
    ]


async def test_what_is_in_order_is_not_written_again() -> None:
    cluster = Store()
    assert await cluster.look() == ["Secret", "MutatingWebhookConfiguration", "Secret"]
    assert {name: secret["type"] for name, secret in cluster.secrets.items()} == {
        AUTHORITY_SECRET: "Opaque",
        LEAF_SECRET: "kubernetes.io/tls",
    }
    authority, leaf = cluster.content(AUTHORITY_SECRET), cluster.content(LEAF_SECRET)
    assert authority["ca.crt"] == authority["ca-bundle.crt"] == leaf["ca.crt"]
    assert cluster.trusted() == {authority["ca.crt"].rstrip()}
    pair = KeyPair(leaf["tls.crt"], leaf["tls.key"])
    assert flaw(pair, authority["ca.crt"], NAMES, NOW) is None
    shown = {name: gauge._value.get() for name, gauge in cluster.metrics.certificate_expiry.items()}  # noqa: SLF001
    assert shown == {
        "ca": expiry(authority["ca.crt"]).timestamp(),
        "leaf": expiry(leaf["tls.crt"]).timestamp(),
    }
    for _ in range(2):
        assert await cluster.look() == []


async def test_each_part_that_was_changed_or_deleted_is_written_again() -> None:
    cluster = Store()
    await cluster.look()
    assert cluster.configuration
    cluster.configuration["webhooks"][1]["clientConfig"]["caBundle"] = ""
    assert await cluster.look() == ["MutatingWebhookConfiguration"]
    del cluster.secrets[LEAF_SECRET]["data"]["ca.crt"]
    assert await cluster.look() == ["Secret"]
    for key in ("tls.key", "tls.crt"):
        del cluster.secrets[LEAF_SECRET]["data"][key]
        assert await cluster.look() == ["Secret"]
    cluster.secrets[LEAF_SECRET]["data"] = None
    assert await cluster.look() == ["Secret"]


@pytest.mark.parametrize(
    "deleted", [[AUTHORITY_SECRET], [AUTHORITY_SECRET, LEAF_SECRET], [LEAF_SECRET]], ids=len
)
async def test_a_former_authority_is_trusted_behind_the_loss_of_secrets(deleted: list[str]) -> None:
    """Servers may go on serving what it signed."""
    cluster = Store()
    await cluster.look()
    before = cluster.trusted()
    for name in deleted:
        del cluster.secrets[name]
    await cluster.look()
    assert before <= cluster.trusted()
    assert len(cluster.trusted()) == (2 if AUTHORITY_SECRET in deleted else 1)


async def test_certificates_are_made_before_anything_is_registered() -> None:
    assert await Store(registered=False).look() == ["Secret", "Secret"]
