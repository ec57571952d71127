"""Maintenance of the webhook's certificates: two Secrets, and the caBundle of its configuration.

The order of writing matters: the CA's key first, so that it cannot get lost; then the caBundle, so that the
API server trusts the next certificate; then the leaf, which the server reloads from its mounted files.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hazelcast_sidecar.certificates import KeyPair
from hazelcast_sidecar.controller.registration.rotation import Certificates, Policy, expiry, plan
from hazelcast_sidecar.controller.shared.backoff import run_periodically
from hazelcast_sidecar.controller.shared.controller_metrics import ControllerMetrics, Where
from hazelcast_sidecar.controller.shared.faults import Faults
from hazelcast_sidecar.group_objects.desired_objects import OURS
from hazelcast_sidecar.kube.client import Api
from hazelcast_sidecar.kube.objects import SECRET, WEBHOOK_CONFIGURATION
from hazelcast_sidecar.names import AUTHORITY_SECRET, INJECTOR, LEAF_SECRET
from hazelcast_sidecar.runtime.log import LogLine

FIELD_MANAGER = "hazelcast-sidecar-certificates"

_LOOK_SECONDS = 3

SecretContent = dict[str, bytes]


class CertificateKeeper:
    """Keeper of certificates, which checks them every few seconds and writes what is needed."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument for each thing it connects
        self,
        api: Api,
        namespace: str,
        policy: Policy,
        metrics: ControllerMetrics,
        log: LogLine,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api, self._namespace, self._policy = api, namespace, policy
        self._metrics, self._log, self._clock = metrics, log, clock
        self._faults = Faults(metrics, log)

    async def work(self) -> None:
        """Maintain certificates until cancelled."""
        trouble = "failed to maintain certificates"
        await run_periodically(
            _LOOK_SECONDS, self._look, self._log, trouble, self._faults, Where.CERTIFICATES
        )

    async def _look(self) -> None:
        authority, leaf = await self._content(AUTHORITY_SECRET), await self._content(LEAF_SECRET)
        configuration = await self._api.read(WEBHOOK_CONFIGURATION, "", INJECTOR)
        found = Certificates(
            _pair(authority, "ca.crt", "ca.key"),
            # The served certificate may still be of an authority whose own Secret was deleted. If both were
            # deleted, the servers go on serving what they have, and the API server knows whom it trusted.
            authority.get("ca-bundle.crt", b"") + leaf.get("ca.crt", b"") or _ca_bundle(configuration),
            _pair(leaf, "tls.crt", "tls.key"),
        )
        wanted = plan(found, self._policy, self._clock())
        assert wanted.authority is not None  # noqa: S101 - a plan is complete
        assert wanted.leaf is not None  # noqa: S101
        new = {
            "ca.crt": wanted.authority.certificate,
            "ca.key": wanted.authority.key,
            "ca-bundle.crt": wanted.bundle,
        }
        await self._keep_secret(AUTHORITY_SECRET, "Opaque", authority, new, "ca")
        await self._keep_ca_bundle(configuration, wanted.bundle)
        new = {"tls.crt": wanted.leaf.certificate, "tls.key": wanted.leaf.key, "ca.crt": wanted.bundle}
        await self._keep_secret(LEAF_SECRET, "kubernetes.io/tls", leaf, new, "leaf")
        self._metrics.certificate_expiry["ca"].set(expiry(wanted.authority.certificate).timestamp())
        self._metrics.certificate_expiry["leaf"].set(expiry(wanted.leaf.certificate).timestamp())

    async def _content(self, name: str) -> SecretContent:
        """Return a Secret's content; empty if it does not exist, and without values that are not base64."""
        secret = await self._api.read(SECRET, self._namespace, name)
        return {key: _decoded(value) for key, value in ((secret or {}).get("data") or {}).items()}

    async def _keep_secret(
        self, name: str, kind: str, found: SecretContent, wanted: SecretContent, what: str
    ) -> None:
        if all(found.get(key) == value for key, value in wanted.items()):
            return
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": self._namespace, "labels": OURS},
            "type": kind,
            "data": {key: b64encode(value).decode() for key, value in wanted.items()},
        }
        await self._api.apply(SECRET, secret, force=True, field_manager=FIELD_MANAGER)
        self._log("certificates written", what=what, secret=name)

    async def _keep_ca_bundle(self, configuration: dict[str, Any] | None, bundle: bytes) -> None:
        if configuration is None:
            return  # it may be installed later
        text = b64encode(bundle).decode()
        webhooks: list[dict[str, Any]] = configuration.get("webhooks") or []
        if all(webhook["clientConfig"].get("caBundle") == text for webhook in webhooks):
            return
        patch = {
            "apiVersion": configuration["apiVersion"],
            "kind": configuration["kind"],
            "metadata": {"name": INJECTOR},
            "webhooks": [
                {"name": webhook["name"], "clientConfig": {"caBundle": text}} for webhook in webhooks
            ],
        }
        await self._api.apply(WEBHOOK_CONFIGURATION, patch, force=True, field_manager=FIELD_MANAGER)
        self._log("caBundle written", configuration=INJECTOR)


def _ca_bundle(configuration: dict[str, Any] | None) -> bytes:
    """Return the CAs that the API server trusts now."""
    webhooks = (configuration or {}).get("webhooks") or []
    return b"".join(_decoded(webhook["clientConfig"].get("caBundle", "")) for webhook in webhooks)


def _decoded(text: str) -> bytes:
    """Decode base64; return nothing if that is impossible, so that it is written again."""
    try:
        return b64decode(text)
    except ValueError:
        return b""


def _pair(content: SecretContent, certificate: str, key: str) -> KeyPair | None:
    if certificate not in content or key not in content:
        return None
    return KeyPair(content[certificate], content[key])
