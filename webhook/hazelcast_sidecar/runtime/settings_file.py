"""The settings file, which may change while a program runs."""

from collections.abc import Callable
from pathlib import Path

from hazelcast_sidecar.errors import InvalidSettingsError, Problem
from hazelcast_sidecar.spec import settings
from hazelcast_sidecar.spec.settings import Settings


class SettingsFile:
    """Settings in a file, or the shipped ones.

    Args:
        path: None: the shipped settings, which never change.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._text = path, ""

    def load(self) -> Settings:
        """Return the settings as they are in the file now.

        Raises:
            InvalidSettingsError: it cannot be read, or is not a settings document.
        """
        self._text = self._read()
        return settings.read(self._text)

    def reload(self, use: Callable[[Settings], None]) -> bool:
        """Use the settings if the file has changed since they were last used, and return whether it has.

        Raises:
            InvalidSettingsError: the new ones cannot be used.
        """
        text = self._read()
        if text == self._text:
            return False
        use(settings.read(text))
        self._text = text
        return True

    def _read(self) -> str:
        if self._path is None:
            return ""
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:  # such as a file that is not UTF-8, or a path that cannot be
            raise InvalidSettingsError(
                [Problem("--settings", f"{self._path} cannot be read: {error}")]
            ) from error
