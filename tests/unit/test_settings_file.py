"""The settings file, which is read again while a program runs."""

from pathlib import Path

import pytest

from hazelcast_sidecar.errors import InvalidSettingsError
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.runtime.settings_file import SettingsFile
from hazelcast_sidecar.spec.settings import Settings


def test_the_shipped_settings_never_change() -> None:
    used: list[Settings] = []
    file = SettingsFile(None)
    assert file.load() == Settings()
    assert file.reload(used.append) is False
    assert used == []


def test_changed_settings_are_used_once(tmp_path: Path) -> None:
    path, used = tmp_path / "settings.yaml", list[Settings]()
    path.write_text("defaults: {port: 6001}")
    file = SettingsFile(path)
    assert file.load().defaults == {"port": "6001"}
    assert file.reload(used.append) is False
    path.write_text("defaults: {port: 6002}")
    assert [file.reload(used.append) for _ in range(2)] == [True, False]
    assert [settings.defaults for settings in used] == [{"port": "6002"}]


def test_settings_that_cannot_be_used_are_said_until_they_can(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.touch()
    file = SettingsFile(path)
    reviewer = Reviewer(file.load())
    for text in (b"defaults: [", b"defaults: {prot: 1}", b"\xff"):
        path.write_bytes(text)
        for _ in range(2):
            with pytest.raises(InvalidSettingsError):
                file.reload(reviewer.use)
    path.unlink()
    with pytest.raises(InvalidSettingsError, match=r"settings\.yaml cannot be read: .*No such file"):
        file.reload(reviewer.use)
    path.write_text("defaults: {port: 6002}")
    assert file.reload(reviewer.use) is True
