"""Checks of the webhook's certificate, and of the caBundle by which the API server trusts it."""

from base64 import b64decode
from binascii import Error as Base64Error
from datetime import datetime
from shlex import quote
from urllib.parse import urlsplit

from hazelcast_sidecar.certificates import mistrust, validity
from hazelcast_sidecar.checks.dry_run import member_of
from hazelcast_sidecar.checks.registration import client_of
from hazelcast_sidecar.checks.results import Area, CheckResult, Unread
from hazelcast_sidecar.checks.snapshot import Snapshot
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.names import CONTROLLER, INJECTOR, LEAF_SECRET

_AREA = Area("certificates")
_CERT_MANAGER = "cert-manager.io/inject-ca-from"


def ca_bundle(snapshot: Snapshot) -> list[CheckResult]:
    """Check that every webhook has a caBundle that verifies the certificate."""
    configuration = snapshot.configuration
    if configuration is None:
        return []  # `registration` reports it
    if isinstance(configuration, Unread):
        return [_AREA.skipped("caBundle", configuration)]
    bundles = [each["clientConfig"].get("caBundle", "") for each in configuration.get("webhooks") or []]
    if not all(bundles):
        message = "is empty, so the API server does not trust the webhook"
        return [_AREA.problem("caBundle", message, _fix(snapshot, configuration))]
    return _trust(snapshot, configuration, bundles)


def _trust(snapshot: Snapshot, configuration: JsonObject, bundles: list[str]) -> list[CheckResult]:
    chain, where = _chain(snapshot)
    if chain is None:
        return []  # `expiry` reports it
    if isinstance(chain, Unread):
        return [_AREA.skipped("caBundle", chain)]
    name = _name(snapshot, configuration)
    why = next((why for each in bundles if (why := _mistrusted(chain, each, name, snapshot.now))), None)
    if why is None:
        return [_AREA.ok("caBundle", f"verifies the certificate {where}")]
    # The verifier here is stricter than the API server's.
    tell = _AREA.warning if _works(snapshot) else _AREA.problem
    message = f"does not verify the certificate {where}: {why}"
    return [tell("caBundle", message, _fix(snapshot, configuration))]


def expiry(snapshot: Snapshot) -> list[CheckResult]:
    """Check how long the certificate is still valid."""
    check = "expiry"
    chain, where = _chain(snapshot)
    configuration = snapshot.configuration
    known = configuration if isinstance(configuration, dict) else {}
    fix = _fix(snapshot, known)
    if isinstance(chain, Unread):
        return [_AREA.skipped(check, chain)]
    if chain is None:
        message = f"there is no certificate {where}"
        return [_AREA.problem(check, message, fix)]
    try:
        valid = validity(chain)
    except ValueError as error:
        return [_AREA.problem(check, f"the certificate {where} cannot be read: {error}", fix)]
    if snapshot.now >= valid.ends:
        return [
            _AREA.problem(check, f"the certificate {where} expired on {valid.ends:%Y-%m-%d %H:%M} UTC", fix)
        ]
    left = (valid.ends - snapshot.now).days
    if snapshot.now >= valid.renew:
        message = (
            f"the certificate {where} expires in {left} days, and less than a third of its lifetime is left"
        )
        return [_AREA.warning(check, message, fix)]
    return [_AREA.ok(check, f"the certificate {where} is valid for {left} more days")]


def _chain(snapshot: Snapshot) -> tuple[bytes | Unread | None, str]:
    """Return the served certificate if it could be read, otherwise the one in the Secret."""
    if snapshot.served is not None and not isinstance(snapshot.served, Unread):
        return snapshot.served, "that is served"
    if isinstance(snapshot.served, Unread) and not isinstance(snapshot.leaf, bytes):
        return snapshot.served, "that is served"
    return snapshot.leaf, f"in the Secret {LEAF_SECRET}"


def _name(snapshot: Snapshot, configuration: JsonObject) -> str:
    """Return the name by which the API server calls the webhook."""
    client = client_of(configuration)
    if "url" in client:
        return urlsplit(client["url"]).hostname or ""
    service = client.get("service") or {}
    return f"{service.get('name', INJECTOR)}.{service.get('namespace', snapshot.namespace)}.svc"


def _mistrusted(chain: bytes, bundle: str, name: str, now: datetime) -> str | None:
    """Return why the API server would reject the chain, apart from its expiry, which `expiry` reports."""
    try:
        trusted = b64decode(bundle)
        moment = min(now, validity(chain).renew)
    except (Base64Error, ValueError) as error:
        return f"it cannot be read ({error})"
    return mistrust(chain, trusted, [name], moment)


def _works(snapshot: Snapshot) -> bool:
    return not isinstance(snapshot.dry_run, Unread) and member_of(snapshot.dry_run) is not None


def _fix(snapshot: Snapshot, configuration: JsonObject) -> str:
    """Return a fix, which depends on who issues the certificates."""
    annotations = configuration.get("metadata", {}).get("annotations") or {}
    if source := annotations.get(_CERT_MANAGER):
        namespace, _, name = source.partition("/")
        return f"kubectl -n {quote(namespace)} describe certificate {quote(name)}"
    controller = snapshot.controller
    if isinstance(controller, dict) and "leave" in _arguments(controller):
        return (
            f"kubectl -n {snapshot.namespace} create secret tls {LEAF_SECRET} --cert=tls.crt --key=tls.key "
            "--dry-run=client -o yaml | kubectl apply -f -  # your own; in a checkout: make certs && kubectl "
            "apply -k manifests/overlays/dev"
        )
    return f"kubectl -n {snapshot.namespace} logs deployment/{CONTROLLER}  # it writes both within seconds"


def _arguments(deployment: JsonObject) -> list[str]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return [argument for container in containers for argument in container.get("args") or ()]
