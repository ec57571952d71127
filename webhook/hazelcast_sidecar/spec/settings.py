"""Settings of the installation, which its operator sets once, for all Pods or for those of a namespace.

Written in YAML, every key optional:

    defaults:                   # annotations, without the prefix, for Pods that do not set them
      image: registry.example/hazelcast:5.7.0
    namespaces:                 # the same for the Pods of one namespace, which win
      team-a:
        memory-limit: 1Gi
    runAsUser: 65534            # of the member container; or platform, to leave it open, for OpenShift
    imagePullSecrets:           # for Pods that get a member, beside those that they have
      - name: mirror
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import yaml

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.names import SETTINGS_KEY, is_object_name
from hazelcast_sidecar.untrusted import UNDECODABLE

_MAX_USER = 2**31 - 1  # the API server's maximum
_SHOWN = 64  # characters of a wrong value that a message repeats


class Settings(msgspec.Struct, frozen=True):
    """Settings of one installation; the shipped ones when made without arguments.

    Attributes:
        defaults: annotation name (without the prefix) to the value it has where a Pod does not set it.
        namespaces: namespace to the defaults of the Pods in it, which outrank those for all.
        run_as_user: numeric user and group of the member container; None leaves the choice to the
            platform, as OpenShift wants it.
        image_pull_secrets: Secrets, in the namespace of each Pod, to pull the member's image with.
    """

    defaults: Mapping[str, str] = MappingProxyType({})
    namespaces: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    run_as_user: int | None = 65534
    image_pull_secrets: tuple[str, ...] = ()


class _SecretReference(msgspec.Struct, forbid_unknown_fields=True):
    """A Secret, as a Pod refers to it."""

    name: str


class _File(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The document, with each scalar as it was written: `true` and `2` are texts, as in an annotation."""

    defaults: dict[str, str] = {}
    namespaces: dict[str, dict[str, str]] = {}
    run_as_user: str = str(Settings().run_as_user)
    image_pull_secrets: list[_SecretReference] = []


def read(text: str) -> Settings:
    """Parse settings from YAML; an empty document is the shipped settings.

    `annotations.DefaultSpecs` validates the defaults.

    Raises:
        InvalidSettingsError: it is not such a document.
    """
    try:
        document = yaml.load(text, _EveryScalarIsText)  # noqa: S506 - builds texts, lists and mappings only
        found = msgspec.convert(document or {}, _File)
    except (yaml.YAMLError, *UNDECODABLE) as error:
        raise InvalidSettingsError([Problem("settings", " ".join(str(error).split()))]) from error
    return Settings(
        found.defaults, found.namespaces, _user(found.run_as_user), _secrets(found.image_pull_secrets)
    )


def installed(config_map: Mapping[str, Any] | None) -> Settings:
    """Return the settings in the installation's ConfigMap, or the shipped ones without it.

    Raises:
        InvalidSettingsError: as `read`.
    """
    return read(((config_map or {}).get("data") or {}).get(SETTINGS_KEY, ""))


class _EveryScalarIsText(yaml.BaseLoader):
    """A base loader that refuses duplicate keys, of which YAML's silently takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the library's
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := _first_repeated(keys):
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _first_repeated(keys: Iterable[str]) -> str | None:
    seen: set[str] = set()
    return next((key for key in keys if key in seen or seen.add(key)), None)  # type: ignore[func-returns-value]


def _user(text: str) -> int | None:
    if text == "platform":
        return None
    # Python refuses to parse an integer of thousands of digits.
    digits = text if text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_USER)) else "0"
    if not 0 < int(digits) <= _MAX_USER:
        sentence = f'"{text[:_SHOWN]}" is neither a user from 1 to {_MAX_USER} nor "platform"'
        raise InvalidSettingsError([Problem("runAsUser", sentence)])
    return int(text)


def _secrets(references: Iterable[_SecretReference]) -> tuple[str, ...]:
    names = dict.fromkeys(reference.name for reference in references)
    if wrong := next((name for name in names if not is_object_name(name)), None):
        sentence = f'"{wrong[:_SHOWN]}" is not the name of a Kubernetes object (a DNS subdomain, RFC 1123)'
        raise InvalidSettingsError([Problem("imagePullSecrets", sentence)])
    return tuple(names)
