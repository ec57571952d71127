"""The status annotation of an injected Pod, which is all that the controller needs to know of it."""

from typing import Annotated, Literal

import msgspec

from hazelcast_sidecar import untrusted
from hazelcast_sidecar.model.pod import Int64
from hazelcast_sidecar.names import MAX_PORT, Ports, ports_of

MAX_LETTERS = 64 * 1024
"""Maximal characters of a status that is read.

The webhook's own has less than 2 KiB (`collisions.py`); in manifests it also lists variables, of hundreds of
containers at most.
"""


class Status(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """The annotation's value, as JSON.

    Anyone who may create Pods can write it, so a reader trusts nothing in it beyond its types.
    """

    version: str
    group: str
    cluster: str
    image: str
    discovery: Literal["dns", "api"]
    port: Annotated[int, msgspec.Meta(ge=1024, le=MAX_PORT)]
    pod_clients: bool = False
    """Whether only containers of the member's own Pod can be its clients."""
    backups: Literal["any", "node", "zone"] = "any"
    """Where the backups of entries are."""
    config: bool = False
    """Whether the Pod mounts a user-provided ConfigMap."""
    service_account: str = ""
    """The ServiceAccount of the Pod; only with discovery by API."""
    fingerprint: str = ""
    """The fingerprint of the injected parts, or UNKNOWN (`fingerprint.py`); empty from older versions."""
    disruption_budget: bool = False
    network_policy: bool = False
    manifest: bool = False
    """Whether it is in a manifest, and the following fields say what was there before."""
    own_env: tuple[str, ...] = ()
    """In manifests: the application's variables that its containers set themselves, as [name=app]/NAME."""
    own_grace: Int64 | msgspec.UnsetType | None = msgspec.UNSET
    """In manifests: the grace period in seconds before it was raised; None: absent; unset: not raised."""
    own_text: tuple[tuple[str, str], ...] = ()
    """In manifests: JSON pointers to overwritten values, and how they were written."""
    added_secrets: tuple[str, ...] = ()
    """In manifests: names of the pull secrets that were added."""

    @property
    def ports(self) -> Ports:
        """Return the ports that the member listens on."""
        return ports_of(self.port, pod_clients=self.pod_clients)

    @property
    def reversible(self) -> bool:
        """Tell whether it says everything that was there before."""
        return self.manifest or bool(self.own_env) or self.own_grace is not msgspec.UNSET


def encode(status: Status) -> str:
    """Encode the annotation's text."""
    return msgspec.json.encode(status).decode()


def decode(text: str) -> Status:
    """Read a status from the annotation's text.

    Raises:
        UndecodableError: the text is not a status; always this error, which is a msgspec.MsgspecError.
    """
    return _decode(text)


_decode = untrusted.decoder(Status, MAX_LETTERS)
