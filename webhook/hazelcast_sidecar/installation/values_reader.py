"""Values as users give them: merged, checked, and described by a JSON Schema."""

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Annotated, Any, NamedTuple, TypeGuard, get_args, get_origin

import msgspec
import yaml
from msgspec import Meta

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.installation.values import Values, ValuesPart
from hazelcast_sidecar.kube.objects import JsonObject
from hazelcast_sidecar.spec import settings
from hazelcast_sidecar.spec.annotations import TABLE, WITHOUT_DEFAULT, DefaultSpecs


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
    about = re.sub(r"\[.*", "", where)
    said = next((value.meaning for value in described_values() if value.name == about), "")
    return f"{sentence}: {said}" if said else sentence


def _contradiction(values: Values) -> Problem | None:
    certificates = values.certificates
    if certificates.source == "own" and not certificates.ca_bundle:
        sentence = (
            "with certificates.source own it needs the CA certificates in PEM: "
            "--set-file certificates.caBundle=ca.crt"
        )
        return Problem("certificates.caBundle", sentence)
    return None


class DescribedValue(NamedTuple):
    """A value, for people."""

    name: str
    """With dots between its keys."""
    meaning: str
    default: Any


def described_values() -> Iterator[DescribedValue]:
    """Yield every value that has a description, in the order of the values file."""
    return _described_in(Values, msgspec.to_builtins(Values()), "")


def _described_in(part: type[msgspec.Struct], defaults: JsonObject, before: str) -> Iterator[DescribedValue]:
    for known in msgspec.structs.fields(part):
        kind, *notes = _arguments(known.type)
        name, default = f"{before}{known.encode_name}", defaults.get(known.encode_name)
        inner = list(_described_in(kind, default or {}, f"{name}.")) if _is_part(kind) else []
        meaning = next((n.description for n in notes if isinstance(n, Meta) and n.description), None)
        yield from inner or ([DescribedValue(name, meaning, default)] if meaning else [])


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
            if row.name not in WITHOUT_DEFAULT
        },
    }
    definitions["Annotations"] = annotations
    properties = definitions["SettingsValues"]["properties"]
    for place, key in ((properties, "defaults"), (properties["namespaces"], "additionalProperties")):
        place[key] = {"$ref": "#/$defs/Annotations"} | _described(place[key])
    return schema


def _described(part: Mapping[str, Any]) -> JsonObject:
    return {key: part[key] for key in ("description", "default") if key in part}
