"""Classes of a user's own for members: a jar of one, and a configuration that has it serve a map."""

import subprocess
from pathlib import Path

import yaml

from hazelcast_sidecar.demo.java import member_jars
from hazelcast_sidecar.group_objects.desired_objects import CONFIGURATIONS
from hazelcast_sidecar.names import CONFIG_KEY

OLDEST_JAVA = "17"
"""Of the images that are supported."""


def make_jar(source: Path, jar: Path, classes: Path) -> None:
    """Compile one file, by way of an empty folder for its classes."""
    path = ":".join(map(str, member_jars()))
    subprocess.run(["javac", "--release", OLDEST_JAVA, "-cp", path, "-d", classes, source], check=True)
    subprocess.run(["jar", "--create", "--file", jar, "-C", classes, "."], check=True)


def with_map_store(class_name: str, **properties: str) -> str:
    """The group's own configuration, and a class for the map of the demo application."""
    document = yaml.safe_load(CONFIGURATIONS[CONFIG_KEY])
    store = {"enabled": True, "class-name": class_name, "properties": properties}
    document["hazelcast"]["map"]["map"] = {"map-store": store}
    return yaml.safe_dump(document)
