"""`hazelcast-sidecar install`, which prints the objects of an installation."""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import yaml

from hazelcast_sidecar.cli.options import add_injector_namespace
from hazelcast_sidecar.cli.output import add_output, objects
from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.installation.components import COMPONENTS
from hazelcast_sidecar.installation.rendering import installation_objects
from hazelcast_sidecar.installation.values_reader import described_values, read_values
from hazelcast_sidecar.kube.objects import JsonObject

_EXAMPLES = """examples:
  hazelcast-sidecar install --set image=registry.example/hazelcast-sidecar-injector:0.1.0 | kubectl apply -f -
  hazelcast-sidecar install --component repair --set webhook.replicas=3 | kubectl diff -f -
  hazelcast-sidecar install --values values.yaml >install.yaml
  hazelcast-sidecar install --set certificates.source=own --set-file certificates.caBundle=ca.crt

The values are those of the Helm chart, and the same file serves both:
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = _EXAMPLES + "".join(f"  {value.name}\n" for value in described_values())
    parser.add_argument(
        "-f",
        "--values",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="YAML file with values; repeatable, later ones win",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a value, such as webhook.replicas=3; image=REFERENCE sets all of image; repeatable",
    )
    parser.add_argument(
        "--set-file",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="a value that is the content of a file; repeatable",
    )
    parser.add_argument(
        "--component",
        action="append",
        default=[],
        choices=sorted(COMPONENTS),
        help="the values of a component of manifests/; repeatable",
    )
    add_injector_namespace(parser)
    add_output(parser, "yaml", "json")


def run(options: argparse.Namespace) -> int:
    """Print the objects, in the order in which they are to be applied."""
    values = read_values(*_given(options))
    sys.stdout.write(objects(installation_objects(values, options.namespace), options.output))
    return 0


def _given(options: argparse.Namespace) -> Iterator[JsonObject]:
    """Yield the values of each option; later ones win."""
    for name in options.component:
        yield COMPONENTS[name]
    for path in options.values:
        yield _document(path)
    for text in options.set:
        name, value = _pair("--set", text)
        yield _image(value) if name == "image" else _nested(name, _scalar(value))
    for text in options.set_file:
        name, path = _pair("--set-file", text)
        yield _nested(name, Path(path).read_text(encoding="utf-8"))


def _document(path: Path) -> JsonObject:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise InvalidSettingsError([Problem(f"--values {path}", " ".join(str(error).split()))]) from error
    if not isinstance(found or {}, dict):
        raise InvalidSettingsError([Problem(f"--values {path}", "it must be a mapping of values")])
    return found or {}


def _pair(option: str, text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InvalidSettingsError(
            [Problem(option, f'"{text}" is not NAME=VALUE, such as webhook.replicas=3')]
        )
    return name, value


def _scalar(text: str) -> object:
    """Read a value as Helm does: numbers, true, false and null are themselves, and the rest is text.

    Lists and mappings are as in YAML, which Helm reads with --set-json.
    """
    if (
        text in ("true", "false", "null")
        or re.fullmatch(r"0|[1-9][0-9]{0,17}", text)
        or text[:1] in ("[", "{")
    ):
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise InvalidSettingsError([Problem("--set", f'"{text}" is not YAML: {error}')]) from error
    return text


def _nested(name: str, value: object) -> JsonObject:
    """Put a value under its keys, which dots separate; a dot in a key is written with a backslash."""
    for key in reversed(re.split(r"(?<!\\)\.", name)):
        value = {key.replace("\\.", "."): value}
    return cast("JsonObject", value)


def _image(reference: str) -> JsonObject:
    """Split a reference of an image; a colon before a slash belongs to a registry's port."""
    rest, _, digest = reference.partition("@")
    repository, separator, tag = rest.rpartition(":")
    if not separator or "/" in tag:
        repository, tag = rest, ""
    return {"image": {"repository": repository, "tag": tag, "digest": digest}}
