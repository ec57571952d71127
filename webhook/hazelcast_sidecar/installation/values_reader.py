"""Values as users give them: merged, checked, and described by a JSON Schema."""

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Annotated, Any, TypeGuard, get_args, get_origin

import msgspec
import yaml
from msgspec import Meta

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.installation.values import Values, ValuesPart
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.spec import settings
from hazelcast_sidecar.spec.annotations import TABLE, DefaultSpecs


def _merged(values: JsonObject, others: JsonObject) -> JsonObject:
    """Return values with others in their place, as Helm does it: key by key, and null removes one."""
    found = dict(values)
    for key, value in others.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict):
            before = found.get(key)
            found[key] = _merged(before if isinstance(before, dict) else {}, value)
        else:
            found[key] = value
    return found


def read_values(*documents: JsonObject) -> Values:
    """Merge and check values, as of values files: later ones win, and what is in none is as by default.

    Raises:
        InvalidSettingsError: an unknown key, a wrong type, or values that contradict each other.
    """
    try:
        found = msgspec.convert(reduce(_merged, documents, msgspec.to_builtins(Values())), Values)
    except msgspec.ValidationError as error:
        sentence, _, where = str(error).partition(" - at `$.")
        where = where.rstrip("`")
        raise InvalidSettingsError([Problem(where or "values", _with_help(sentence, where))]) from error
    if problem := _contradiction(found):
        raise InvalidSettingsError([problem])
    DefaultSpecs(settings.read(yaml.safe_dump(msgspec.to_builtins(found.settings))))
    return found


def _with_help(sentence: str, where: str) -> str:
    """Add to a complaint about a value what is known of it."""
    if "unknown field" in sentence:
        return f"{sentence}; `hazelcast-sidecar install --help` lists all"
    about = dict(_fields(Values)).get(re.sub(r"\[.*", "", where))
    said = next((each.description for each in _arguments(about) if isinstance(each, Meta)), None)
    return f"{sentence}: {said}" if said else sentence


def _contradiction(values: Values) -> Problem | None:
    certificates = values.certificates
    if certificates.source == "own" and "-----BEGIN CERTIFICATE-----" not in certificates.ca_bundle:
        sentence = (
            "with certificates.source own it needs the CA certificates in PEM: "
            "--set-file certificates.caBundle=ca.crt"
        )
        return Problem("certificates.caBundle", sentence)
    return None


def value_names() -> Iterator[str]:
    """Yield the name of every value, with dots between its keys."""
    return (name for name, _ in _fields(Values))


def _fields(part: type[msgspec.Struct], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the name and the annotated type of every value."""
    for known in msgspec.structs.fields(part):
        inner = next((each for each in _arguments(known.type) if _is_part(each)), None)
        name = f"{before}{known.encode_name}"
        yield from [(name, known.type)] if inner is None else _fields(inner, f"{name}.")


def _arguments(kind: object) -> tuple[object, ...]:
    return get_args(kind) if get_origin(kind) is Annotated else (kind,)


def _is_part(kind: object) -> TypeGuard[type[ValuesPart]]:
    return isinstance(kind, type) and issubclass(kind, ValuesPart)


def values_schema() -> JsonObject:
    """Return the JSON Schema of the values; it knows the names of annotations, too."""
    schema = msgspec.json.schema(Values)
    definitions = schema["$defs"]
    annotations = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            row.name: {"description": row.meaning, "type": ["string", "integer", "boolean"]}
            for row in TABLE
            if row.name != "inject"
        },
    }
    definitions["Annotations"] = annotations
    properties = definitions["SettingsValues"]["properties"]
    for place, key in ((properties, "defaults"), (properties["namespaces"], "additionalProperties")):
        place[key] = {"$ref": "#/$defs/Annotations"} | _described(place[key])
    return schema


def _described(part: Mapping[str, Any]) -> JsonObject:
    return {key: part[key] for key in ("description", "default") if key in part}
