"""The certificates that the controller keeps, on a real API server and with exactly the shipped rights.

Each test begins with a clean installation: no Secrets, a configuration without caBundle, a free Lease.
"""

import argparse
import base64
import contextlib
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from os import kill
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hazelcast_sidecar.certificates import KeyPair, flaw, make_authority, make_leaf, validity
from hazelcast_sidecar.cli.controller_command import configure
from hazelcast_sidecar.names import INJECTOR
from tests.harness.accounts import NAME, Account
from tests.harness.audit_log import asked
from tests.harness.control_plane import MERGE, ControlPlane
from tests.harness.controller_program import LEASES, Controller, started
from tests.harness.installation import (
    AUTHORITY,
    CONFIGURATIONS,
    LEAF,
    SECRETS,
    SERVER_NAME,
    Kubelet,
    injects,
    put_configuration,
    read_ca_bundle,
    read_secret,
    route_to,
)
from tests.harness.load import Tally, creating
from tests.harness.namespaces import create_namespace
from tests.harness.service import Replica, Service
from tests.harness.shipped_manifests import OWN_NAMESPACE, ROOT, rendered
from tests.harness.waiting import until

pytestmark = [pytest.mark.apiserver, pytest.mark.slow]

TYPES = {AUTHORITY: "Opaque", LEAF: "kubernetes.io/tls"}
PATIENCE_SECONDS = 60.0  # a busy machine gets room; what it took is printed
LOOK_SECONDS = 5.0  # at the latest after so long it looks again
SAMPLE_SECONDS = 0.05


# --- the installation --------------------------------------------------------------------------------------


def clean(cluster: ControlPlane) -> None:
    """Leave nothing of an earlier test: no certificate, and no leader whose Lease would have to run out."""
    lease = f"{LEASES}/{OWN_NAMESPACE}/leases/{NAME}"
    for path in (lease, *(f"{SECRETS}/{name}" for name in TYPES)):
        assert cluster.request("DELETE", path).code in (200, 404)
    put_configuration(cluster)


@pytest.fixture
def clean_cluster(cluster: ControlPlane, shipped: Account) -> ControlPlane:
    assert shipped
    clean(cluster)
    return cluster


@pytest.fixture
def controller(clean_cluster: ControlPlane, shipped: Account, tmp_path: Path) -> Iterator[Controller]:
    """Run one that has made the certificates. It may not end by itself, and must end in order."""
    running = Controller(shipped, tmp_path / "controller.log")
    with started(running):
        until(PATIENCE_SECONDS, "the certificates are in order", lambda: disorder(clean_cluster) is None)
        yield running
        assert running.program.status is None, running.program.failure("it ended by itself")
        assert running.program.stop() == 0, "SIGTERM is the ordinary end"
        running.lines()


# --- what is found -----------------------------------------------------------------------------------------


def pair_of(data: Mapping[str, bytes], stem: str) -> KeyPair:
    return KeyPair(data.get(f"{stem}.crt", b""), data.get(f"{stem}.key", b""))


def disorder(cluster: ControlPlane) -> str | None:
    """Say what is not as it should be: missing, not fitting together, or refused by the API server."""
    leaf, authority = read_secret(cluster, LEAF), read_secret(cluster, AUTHORITY)
    bundle = read_ca_bundle(cluster)
    for name, data, keys in (
        (LEAF, leaf, {"tls.crt", "tls.key", "ca.crt"}),
        (AUTHORITY, authority, {"ca.crt", "ca.key", "ca-bundle.crt"}),
    ):
        if data.keys() != keys:
            return f"{name} has {sorted(data)}"
    if not bundle == leaf["ca.crt"] == authority["ca-bundle.crt"]:
        return "caBundle and the bundles in the Secrets differ"
    if not bundle.startswith(authority["ca.crt"]):
        return "the newest authority is not the first in the bundle"
    now = datetime.now(UTC)
    # Whether the authority can sign is best seen by letting it sign.
    try:
        signed = make_leaf(pair_of(authority, "ca"), [SERVER_NAME], now)
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        return f"the authority cannot sign: {error}"
    for which, pair in (("a leaf of the authority", signed), ("the leaf", pair_of(leaf, "tls"))):
        why = flaw(pair, bundle, [SERVER_NAME], now)
        if why is not None:
            return f"{which}: {why}"
    return None


# --- made, and kept as they are ----------------------------------------------------------------------------


def test_a_clean_installation_has_certificates_at_once(
    clean_cluster: ControlPlane, shipped: Account, tmp_path: Path, say: Callable[[str], None]
) -> None:
    cluster = clean_cluster
    assert disorder(cluster) is not None
    running = Controller(shipped, tmp_path / "controller.log")
    begun = time.monotonic()
    with started(running):
        until(PATIENCE_SECONDS, "it leads", running.leads)
        leads = time.monotonic() - begun
        until(PATIENCE_SECONDS, "certificates in order", lambda: disorder(cluster) is None)
        say(f"certificates: in order {time.monotonic() - begun:.1f} s after the start (leads: {leads:.1f} s)")
        for name, kind in TYPES.items():
            assert cluster.request("GET", f"{SECRETS}/{name}").document["type"] == kind
        until(PATIENCE_SECONDS, "it said so", lambda: bool(running.said("caBundle written")))
        assert {line["what"] for line in running.said("certificates written")} >= {"ca", "leaf"}
        for which, name, key in (("ca", AUTHORITY, "ca.crt"), ("leaf", LEAF, "tls.crt")):
            ends = validity(read_secret(cluster, name)[key]).ends.timestamp()
            metric = running.metric("certificate_expiry_timestamp_seconds", certificate=which)
            assert metric == pytest.approx(ends, abs=1)
        assert no_key_in(running.log.read_text())

        before = versions(cluster)
        time.sleep(2 * LOOK_SECONDS)
        assert versions(cluster) == before, "what is in order is not written again"


def no_key_in(log: str) -> bool:
    return "PRIVATE KEY" not in log and base64.b64encode(b"-----BEGIN PRIVATE").decode() not in log


def versions(cluster: ControlPlane) -> list[str]:
    """The resource versions of the three objects."""
    paths = [*(f"{SECRETS}/{name}" for name in TYPES), f"{CONFIGURATIONS}/{INJECTOR}"]
    return [cluster.request("GET", path).document["metadata"]["resourceVersion"] for path in paths]


def test_lifetimes_and_names_are_the_documented_ones(
    clean_cluster: ControlPlane, controller: Controller
) -> None:
    assert controller.is_ready()
    leaf = x509.load_pem_x509_certificate(read_secret(clean_cluster, LEAF)["tls.crt"])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert SERVER_NAME in names.get_values_for_type(x509.DNSName)
    for name, key, days in ((LEAF, "tls.crt", 90), (AUTHORITY, "ca.crt", 3650)):
        ends = validity(read_secret(clean_cluster, name)[key]).ends
        assert abs(ends - datetime.now(UTC) - timedelta(days=days)) < timedelta(hours=1)


def test_a_new_controller_takes_over_the_certificates(
    clean_cluster: ControlPlane, shipped: Account, tmp_path: Path
) -> None:
    """A restart, or another leader, is no reason to make anything anew."""
    first = Controller(shipped, tmp_path / "one.log")
    with started(first):
        until(PATIENCE_SECONDS, "in order", lambda: disorder(clean_cluster) is None)
    before = versions(clean_cluster)
    other = Controller(shipped, tmp_path / "two.log", "two")
    with started(other):
        expiry = "certificate_expiry_timestamp_seconds"
        until(PATIENCE_SECONDS, "it has looked", lambda: other.metric(expiry, certificate="leaf") > 0)
        assert versions(clean_cluster) == before


def test_a_configuration_that_comes_later_gets_its_ca_bundle(
    clean_cluster: ControlPlane, shipped: Account, tmp_path: Path
) -> None:
    cluster = clean_cluster
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
    running = Controller(shipped, tmp_path / "controller.log")
    with started(running):
        until(PATIENCE_SECONDS, "the Secret is there", lambda: bool(read_secret(cluster, LEAF)))
        put_configuration(cluster)
        until(PATIENCE_SECONDS, "in order", lambda: disorder(cluster) is None)


def test_installing_again_leaves_the_ca_bundle(
    clean_cluster: ControlPlane, shipped: Account, tmp_path: Path
) -> None:
    """What `kubectl apply` writes and what the controller writes are different fields of the same object."""
    cluster, manifest = clean_cluster, str(ROOT / "manifests" / "base" / "webhook.yaml")
    assert cluster.request("DELETE", f"{CONFIGURATIONS}/{INJECTOR}").code == 200
    cluster.kubectl("apply", "-f", manifest)
    running = Controller(shipped, tmp_path / "controller.log")
    with started(running):
        until(PATIENCE_SECONDS, "in order", lambda: disorder(cluster) is None)
        bundle = read_ca_bundle(cluster)
        shipped_text = Path(manifest).read_text()
        for seconds, options in ((6, []), (7, ["--server-side", "--force-conflicts"])):
            # Another manifest, so that there is something to write.
            text = shipped_text.replace("timeoutSeconds: 5", f"timeoutSeconds: {seconds}")
            cluster.kubectl("apply", *options, "-f", "-", stdin=text)
            assert read_ca_bundle(cluster) == bundle
        document = cluster.request("GET", f"{CONFIGURATIONS}/{INJECTOR}").document
        assert document["webhooks"][-1]["timeoutSeconds"] == 7
        managers = {entry["manager"] for entry in document["metadata"]["managedFields"]}
        assert "hazelcast-sidecar-certificates" in managers


def test_leave_touches_nothing(clean_cluster: ControlPlane, shipped: Account, tmp_path: Path) -> None:
    offset = clean_cluster.audit_log.stat().st_size
    running = Controller(shipped, tmp_path / "controller.log", options=["--certificates", "leave"])
    with started(running):
        until(PATIENCE_SECONDS, "it leads", running.leads)
        time.sleep(LOOK_SECONDS + 1)
        requests = {request.resource for request in asked(clean_cluster, shipped.user, offset)}
        assert "leases" in requests, "the log has what it asks for"
        assert "secrets" not in requests
        assert [read_secret(clean_cluster, name) for name in TYPES] == [{}, {}]
        assert read_ca_bundle(clean_cluster) == b""


def test_what_users_write_on_the_secrets_survives(
    clean_cluster: ControlPlane, controller: Controller
) -> None:
    """Backup and mirroring tools are told by annotations and labels what to do with a Secret."""
    cluster = clean_cluster
    given = {"annotations": {"example.com/mirror": "yes"}, "labels": {"team": "platform"}}
    for name in TYPES:
        assert cluster.request("PATCH", f"{SECRETS}/{name}", {"metadata": given}, MERGE).code == 200

    def spoil() -> None:
        write(cluster, LEAF, {"tls.crt": b"x"})
        write(cluster, AUTHORITY, {"ca.crt": b"x"})

    change(cluster, controller, spoil)
    until(PATIENCE_SECONDS, "in order", lambda: disorder(cluster) is None)
    for name in TYPES:
        metadata = cluster.request("GET", f"{SECRETS}/{name}").document["metadata"]
        for field, values in given.items():
            assert metadata[field].items() >= values.items()


# --- the overlays ------------------------------------------------------------------------------------------


def one(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("base", "manage"), ("overlays/dev", "leave"), ("overlays/cert-manager", "leave")],
)
def test_overlays_with_other_certificates_leave_them(
    cluster: ControlPlane, manifests: Path, folder: str, expected: str
) -> None:
    objects = rendered(cluster, manifests / folder)
    (container,) = one(objects, "Deployment", NAME)["spec"]["template"]["spec"]["containers"]
    parser = argparse.ArgumentParser()
    configure(parser)
    assert parser.parse_args(container["args"][1:]).certificates == expected


def test_cert_manager_makes_what_the_server_mounts(cluster: ControlPlane, manifests: Path) -> None:
    """No cert-manager runs here; what refers to what can be seen all the same."""
    objects = rendered(cluster, manifests / "overlays" / "cert-manager")
    assert {o["metadata"]["namespace"] for o in objects if "cert-manager" in o["apiVersion"]} == {
        OWN_NAMESPACE
    }
    leaf, authority = one(objects, "Certificate", INJECTOR), one(objects, "Certificate", AUTHORITY)
    volumes = one(objects, "Deployment", INJECTOR)["spec"]["template"]["spec"]["volumes"]
    (volume,) = [volume for volume in volumes if "secret" in volume]
    assert leaf["spec"]["secretName"] == volume["secret"]["secretName"] == LEAF
    assert SERVER_NAME in leaf["spec"]["dnsNames"]
    for each in (leaf, authority):
        key = each["spec"]["privateKey"]
        assert (key["algorithm"], key["size"]) == ("ECDSA", 256)
    issuer = one(objects, "Issuer", leaf["spec"]["issuerRef"]["name"])
    assert issuer["spec"]["ca"]["secretName"] == authority["spec"]["secretName"]
    assert authority["spec"]["secretName"] not in TYPES, "the controller's has another type, for good"
    assert one(objects, "Issuer", authority["spec"]["issuerRef"]["name"])["spec"] == {"selfSigned": {}}
    annotations = one(objects, "MutatingWebhookConfiguration", INJECTOR)["metadata"]["annotations"]
    assert annotations["cert-manager.io/inject-ca-from"] == f"{OWN_NAMESPACE}/{leaf['metadata']['name']}"


# --- repaired ----------------------------------------------------------------------------------------------


def write(cluster: ControlPlane, name: str, data: Mapping[str, bytes]) -> None:
    """Overwrite some keys of a Secret, as a person or a tool might."""
    body = {"data": {key: base64.b64encode(value).decode() for key, value in data.items()}}
    answer = cluster.request("PATCH", f"{SECRETS}/{name}", body, MERGE)
    assert answer.code == 200, answer.message


def write_ca_bundle(cluster: ControlPlane, bundle: bytes) -> None:
    path = f"{CONFIGURATIONS}/{INJECTOR}"
    count = len(cluster.request("GET", path).document["webhooks"])
    field = "/webhooks/{}/clientConfig/caBundle"
    patch = [
        {"op": "replace", "path": field.format(i), "value": base64.b64encode(bundle).decode()}
        for i in range(count)
    ]
    assert cluster.request("PATCH", path, patch, "application/json-patch+json").code == 200


def delete(cluster: ControlPlane, *names: str) -> None:
    for name in names:
        assert cluster.request("DELETE", f"{SECRETS}/{name}").code == 200


def change(cluster: ControlPlane, controller: Controller, damage: Callable[[], object]) -> None:
    """Do damage while the controller is suspended, so that it is seen before it is repaired."""
    kill(controller.program.pid, signal.SIGSTOP)
    try:
        damage()
        assert disorder(cluster) is not None
    finally:
        kill(controller.program.pid, signal.SIGCONT)


def replace_leaf(cluster: ControlPlane, leaf: KeyPair) -> None:
    write(cluster, LEAF, {"tls.crt": leaf.certificate, "tls.key": leaf.key})


def replace_authority(cluster: ControlPlane, authority: KeyPair) -> None:
    write(cluster, AUTHORITY, {"ca.crt": authority.certificate, "ca.key": authority.key})


def own_leaf(cluster: ControlPlane, name: str = SERVER_NAME, age: timedelta = timedelta()) -> KeyPair:
    """A leaf of the authority that stands there."""
    now = datetime.now(UTC) - age
    return make_leaf(pair_of(read_secret(cluster, AUTHORITY), "ca"), [name], now, lifetime=timedelta(days=90))


def foreign_leaf() -> KeyPair:
    now = datetime.now(UTC)
    return make_leaf(make_authority(now), [SERVER_NAME], now)


def rsa_authority() -> KeyPair:
    """An authority as many tools make it by default."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "corporate CA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return KeyPair(certificate.public_bytes(encoding), secret)


def make_all(cluster: ControlPlane, age: timedelta) -> None:
    """Leave what was made at another time: what a clock finds that jumped by so much."""
    then = datetime.now(UTC) - age
    authority = make_authority(then, lifetime=timedelta(days=3650))
    leaf = make_leaf(authority, [SERVER_NAME], then, lifetime=timedelta(days=90))
    bundle = authority.certificate
    write(cluster, AUTHORITY, {"ca.crt": bundle, "ca.key": authority.key, "ca-bundle.crt": bundle})
    write(cluster, LEAF, {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": bundle})
    write_ca_bundle(cluster, bundle)


DAMAGES: dict[str, Callable[[ControlPlane], None]] = {
    "caBundle blanked": lambda c: write_ca_bundle(c, b""),
    "caBundle of somebody else": lambda c: write_ca_bundle(c, make_authority(datetime.now(UTC)).certificate),
    "leaf Secret deleted": lambda c: delete(c, LEAF),
    "CA Secret deleted": lambda c: delete(c, AUTHORITY),
    "both Secrets deleted": lambda c: delete(c, LEAF, AUTHORITY),
    "leaf is no PEM": lambda c: write(c, LEAF, {"tls.crt": b"\xff no PEM"}),
    "leaf's key is empty": lambda c: write(c, LEAF, {"tls.key": b""}),
    "leaf's bundle is no PEM": lambda c: write(c, LEAF, {"ca.crt": b"no PEM"}),
    "leaf with another key": lambda c: write(c, LEAF, {"tls.key": own_leaf(c).key}),
    "leaf of other names": lambda c: replace_leaf(c, own_leaf(c, "elsewhere.example")),
    "leaf of another CA": lambda c: replace_leaf(c, foreign_leaf()),
    "leaf that expired": lambda c: replace_leaf(c, own_leaf(c, age=timedelta(days=91))),
    "CA is no PEM": lambda c: write(c, AUTHORITY, {"ca.crt": b"no PEM"}),
    "CA's key is no PEM": lambda c: write(c, AUTHORITY, {"ca.key": b"no PEM"}),
    "CA with another key": lambda c: write(c, AUTHORITY, {"ca.key": make_authority(datetime.now(UTC)).key}),
    "CA's bundle is no PEM": lambda c: write(c, AUTHORITY, {"ca-bundle.crt": b"no PEM"}),
    "CA that may not sign": lambda c: replace_authority(c, own_leaf(c)),
    "CA of another kind": lambda c: replace_authority(c, rsa_authority()),
    "CA that expired": lambda c: replace_authority(
        c, make_authority(datetime.now(UTC) - timedelta(days=3651), lifetime=timedelta(days=3650))
    ),
    "the clock jumped past the leaf's end": lambda c: make_all(c, timedelta(days=91)),
    "the clock jumped past the CA's end": lambda c: make_all(c, timedelta(days=3651)),
    "the clock jumped back by an hour": lambda c: make_all(c, timedelta(hours=-1)),
    "the clock jumped back by a year": lambda c: make_all(c, timedelta(days=-365)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_repaired(
    clean_cluster: ControlPlane, controller: Controller, damage: str, say: Callable[[str], None]
) -> None:
    change(clean_cluster, controller, lambda: DAMAGES[damage](clean_cluster))
    try:
        took = until(PATIENCE_SECONDS, "in order again", lambda: disorder(clean_cluster) is None)
    except AssertionError as late:
        raise AssertionError(f"{late}: {disorder(clean_cluster)}\n{controller.log.read_text()}") from late
    say(f"{damage}: repaired after {took:.1f} s")
    assert controller.leads()


def test_a_lost_ca_secret_does_not_break_the_leaf_in_use(
    clean_cluster: ControlPlane, controller: Controller
) -> None:
    """Its certificate stands in the leaf's Secret: it stays trusted until the leaf of a new one is served."""
    leaf = pair_of(read_secret(clean_cluster, LEAF), "tls")
    old = read_secret(clean_cluster, AUTHORITY)["ca.crt"]
    change(clean_cluster, controller, lambda: delete(clean_cluster, AUTHORITY))
    until(PATIENCE_SECONDS, "in order", lambda: disorder(clean_cluster) is None)
    assert read_secret(clean_cluster, AUTHORITY)["ca.crt"] != old
    assert flaw(leaf, read_ca_bundle(clean_cluster), [SERVER_NAME], datetime.now(UTC)) is None


@pytest.fixture
def no_webhook_afterwards(cluster: ControlPlane) -> Iterator[None]:
    """Take the Service away again, and have the configuration stand for no Pod."""
    yield
    put_configuration(cluster)
    assert cluster.request("DELETE", f"/api/v1/namespaces/{OWN_NAMESPACE}/services/{INJECTOR}").code == 200


@pytest.mark.usefixtures("no_webhook_afterwards")
def test_a_controller_that_slept_past_the_leafs_end(
    clean_cluster: ControlPlane, shipped: Account, tmp_path: Path, say: Callable[[str], None]
) -> None:
    """For it the clock has jumped. Until it renews the leaf nobody is served, and then at once."""
    cluster, folder = clean_cluster, tmp_path / "mounted"
    folder.mkdir()
    options = ["--leaf-lifetime", "12s", "--overlap", "2s"]
    running = Controller(shipped, tmp_path / "controller.log", options=options)
    kubelet = Kubelet(cluster, folder)
    with started(running):
        until(PATIENCE_SECONDS, "certificates in order", lambda: disorder(cluster) is None)
        kubelet.sync()
        replica = Replica("slept", folder)
        try:
            replica.program.wait_until(replica.is_ready)
            route_to(cluster, replica.port)
            until(PATIENCE_SECONDS, "the API server calls the webhook", lambda: injects(cluster, "default"))
            kill(running.program.pid, signal.SIGSTOP)
            try:
                until(PATIENCE_SECONDS, "the leaf has ended", lambda: not injects(cluster, "default"))
                until(5, "the server is not ready", lambda: not replica.is_ready())
            finally:
                kill(running.program.pid, signal.SIGCONT)

            def serves() -> bool:
                kubelet.sync()
                return injects(cluster, "default") and replica.is_ready()

            took = until(PATIENCE_SECONDS, "the webhook serves again", serves)
            assert replica.program.status is None, "without a restart"
        finally:
            replica.program.stop()
    say(f"a controller that slept past the leaf's end: the webhook serves again after {took:.1f} s")


# --- renewed and rotated under load ------------------------------------------------------------------------

LEAF_LIFETIME, CA_LIFETIME, OVERLAP = 30.0, 60.0, 5.0
ROTATION_SECONDS = 75.0
KUBELET_DELAY = 1.0


class Sample(NamedTuple):
    """The leaf and then the caBundle, at one moment."""

    at: float
    leaf: x509.Certificate
    trusted: tuple[x509.Certificate, ...]
    flaw: str | None

    def is_of(self, authority: x509.Certificate) -> bool:
        """Whether the leaf is signed by that authority."""
        try:
            self.leaf.verify_directly_issued_by(authority)
        except Exception:  # noqa: BLE001 - one of several, all saying no
            return False
        return True


class Rotation(NamedTuple):
    """What was seen while the leaf and the authority were replaced, several times each."""

    samples: list[Sample]
    refused_handshakes: Counter[str]
    handshakes: int
    served: set[int]
    tally: Tally
    log: str


class Watch:
    """Looks at everything at once, from several threads, until told to stop."""

    def __init__(self, cluster: ControlPlane, kubelet: Kubelet, port: int) -> None:
        self._cluster, self._kubelet, self._port = cluster, kubelet, port
        self._stop = threading.Event()
        self.samples: list[Sample] = []
        self.refused_handshakes: Counter[str] = Counter()
        self.handshakes = 0
        self.served: set[int] = set()
        self._crashes: list[BaseException] = []

    def run(self, seconds: float) -> None:
        jobs = (
            (self._sample, SAMPLE_SECONDS),
            (self._shake_hands, SAMPLE_SECONDS),
            (lambda: self._kubelet.sync(KUBELET_DELAY), 0.1),
        )
        threads = [threading.Thread(target=self._again, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in threads:
            thread.join(30)
        if self._crashes:
            raise self._crashes[0]

    def _again(self, job: Callable[[], None], pause: float) -> None:
        try:
            while not self._stop.wait(pause):
                job()
        except BaseException as error:  # noqa: BLE001 - a thread's end must not pass for silence
            self._crashes.append(error)
            self._stop.set()

    def _sample(self) -> None:
        data = read_secret(self._cluster, LEAF)
        bundle = read_ca_bundle(self._cluster)
        leaf = pair_of(data, "tls")
        self.samples.append(
            Sample(
                time.monotonic(),
                x509.load_pem_x509_certificate(leaf.certificate),
                tuple(x509.load_pem_x509_certificates(bundle)),
                flaw(leaf, bundle, [SERVER_NAME], datetime.now(UTC)),
            )
        )

    def _shake_hands(self) -> None:
        """The API server keeps its connections; a new one needs a certificate that is good now."""
        context = ssl.create_default_context(cadata=read_ca_bundle(self._cluster).decode())
        self.handshakes += 1
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=SERVER_NAME) as secured,
            ):
                certificate = secured.getpeercert(binary_form=True) or b""
                self.served.add(x509.load_der_x509_certificate(certificate).serial_number)
        except OSError as error:
            self.refused_handshakes[str(error)] += 1


@contextlib.contextmanager
def two_replicas(folder: Path, service: Service) -> Iterator[None]:
    """Run the webhook on the files of a folder, behind a Service."""
    replicas = [Replica(name, folder) for name in ("one", "two")]
    service.select(*replicas)
    try:
        until(PATIENCE_SECONDS, "the Service leads to both", lambda: service.leads_to(*replicas))
        yield
        for replica in replicas:
            assert replica.program.status is None, replica.program.failure("it ended by itself")
    finally:
        for replica in replicas:
            replica.program.stop()


@pytest.fixture(scope="module")
def rotation(
    cluster: ControlPlane,
    shipped: Account,
    tmp_path_factory: pytest.TempPathFactory,
    say: Callable[[str], None],
) -> Rotation:
    """Watch lifetimes of seconds for a good minute: each step of a rotation happens."""
    folder = tmp_path_factory.mktemp("mounted")
    logs = tmp_path_factory.mktemp("logs")
    clean(cluster)
    options = ["--leaf-lifetime", f"{LEAF_LIFETIME:.0f}s", "--ca-lifetime", f"{CA_LIFETIME:.0f}s"]
    options += ["--overlap", f"{OVERLAP:.0f}s"]
    running = Controller(shipped, logs / "controller.log", options=options)
    namespace = create_namespace(cluster, {})
    with started(running):
        until(PATIENCE_SECONDS, "certificates in order", lambda: disorder(cluster) is None)
        kubelet = Kubelet(cluster, folder)
        kubelet.sync()
        with Service() as service, two_replicas(folder, service):
            route_to(cluster, service.port)
            until(PATIENCE_SECONDS, "caBundle", lambda: bool(read_ca_bundle(cluster)))
            watch = Watch(cluster, kubelet, service.port)
            until(PATIENCE_SECONDS, "the API server calls the webhook", lambda: injects(cluster, namespace))
            with creating(cluster, namespace, clients=4) as load:
                watch.run(ROTATION_SECONDS)
        seen = Rotation(
            watch.samples,
            watch.refused_handshakes,
            watch.handshakes,
            watch.served,
            load.tally,
            running.log.read_text(),
        )
    # The server is gone: the next test's Pods, and nobody else's, would be refused.
    put_configuration(cluster)
    assert cluster.request("DELETE", f"/api/v1/namespaces/{OWN_NAMESPACE}/services/{INJECTOR}").code == 200
    leaves = {sample.leaf.serial_number for sample in seen.samples}
    authorities = {one.serial_number for sample in seen.samples for one in sample.trusted}
    say(
        f"rotation: {len(seen.samples)} samples, {len(leaves)} leaves, {len(authorities)} authorities; "
        f"{seen.handshakes} handshakes, {seen.refused_handshakes.total()} refused; {seen.tally}"
    )
    return seen


def test_rotation_was_seen_whole(rotation: Rotation) -> None:
    """The other tests of it mean nothing where nothing was replaced."""
    leaves = {sample.leaf.serial_number for sample in rotation.samples}
    issuers = {one for sample in rotation.samples for one in sample.trusted if sample.is_of(one)}
    assert len(leaves) >= 3
    assert len(issuers) >= 2, "leaves of two authorities"
    assert {len(sample.trusted) for sample in rotation.samples} >= {1, 2}
    assert len(leaves & rotation.served) >= 3, "the server served them"
    assert len(rotation.samples) > ROTATION_SECONDS, "more often than its steps"
    assert no_key_in(rotation.log)


def test_at_every_moment_the_leaf_is_trusted(rotation: Rotation) -> None:
    assert [sample.flaw for sample in rotation.samples if sample.flaw] == []


def test_no_handshake_is_refused_in_a_rotation(rotation: Rotation) -> None:
    assert rotation.handshakes > 100
    assert rotation.refused_handshakes == {}


def test_no_pod_is_refused_in_a_rotation(rotation: Rotation) -> None:
    assert rotation.tally.asked > 100
    assert rotation.tally.failures == []
    assert rotation.tally.bare == 0


def test_the_steps_of_a_rotation_are_an_overlap_apart(rotation: Rotation) -> None:
    """First trusted, then used; and trusted for as long as a kubelet may still have the old leaf."""
    tolerance = 1.0  # a certificate's times are whole seconds
    first, *later = dict.fromkeys(one for sample in rotation.samples for one in sample.trusted)
    assert later
    for old, new in zip([first, *later], later, strict=False):
        trusted = next(sample.at for sample in rotation.samples if new in sample.trusted)
        used = next((sample.at for sample in rotation.samples if sample.is_of(new)), None)
        assert used is None or used - trusted >= OVERLAP - tolerance, "a leaf before everybody trusts it"
        gone = next((s.at for s in rotation.samples if s.at > trusted and old not in s.trusted), None)
        if gone is not None:
            assert used is not None
            assert gone - used >= OVERLAP - tolerance, "the old authority went too early"


def test_certificates_are_renewed_in_time(rotation: Rotation) -> None:
    """At 2/3 of their life and a look later; one that falls due with its authority waits an overlap too."""
    made: dict[int, float] = {}
    for sample in rotation.samples:
        made.setdefault(sample.leaf.serial_number, sample.at)
    lives = [after - before for before, after in zip(made.values(), list(made.values())[1:], strict=False)]
    # The last samples' leaf still lives; the first is younger than seen.
    assert max(lives) <= LEAF_LIFETIME * 2 / 3 + OVERLAP + LOOK_SECONDS
