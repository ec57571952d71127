"""Times in which groups are split: a split counts once it has lasted, and has one beginning and one end.

Lists of members differ for a moment whenever a member comes or goes, so one look proves nothing.
"""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Generic, TypeVar

_Group = TypeVar("_Group", bound=Hashable)

_PATIENCE = 5
"""How many times as long as a split must last it is remembered while members do not answer."""


class Transition(StrEnum):
    """What a look at a group has changed."""

    SPLIT = "split"
    """The group has been split for so long that it is reported."""
    HEALED = "healed"
    """A split that was reported is over."""
    LOST = "lost"
    """Of a split that was reported, no one knows any more whether it goes on."""


@dataclass
class _Episode:
    since: float
    seen: float
    """When the group was last seen split."""
    reported: bool = False


class Episodes(Generic[_Group]):
    """Splits that go on.

    Args:
        seconds: how long one must last to be reported.
        clock: a monotonic clock in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._open: dict[_Group, _Episode] = {}

    def is_open(self, group: _Group) -> bool:
        """Tell whether a group was seen split, and not seen whole since."""
        return group in self._open

    def reported(self) -> list[_Group]:
        """List the groups whose splits were reported and go on, in the order of their beginnings."""
        return [group for group, episode in self._open.items() if episode.reported]

    def seconds_of(self, group: _Group) -> float:
        """Return for how long an open split has lasted."""
        return self._clock() - self._open[group].since

    def see(self, group: _Group, *, split: bool, all_answered: bool) -> Transition | None:
        """Take up what one look at a group has shown.

        Args:
            group: the group.
            split: whether members that answered belong to more than one cluster.
            all_answered: whether each member that is ready answered: without that, a group in which no
                split shows may still be split.
        """
        if split:
            return self._see_split(group)
        episode = self._open.get(group)
        if episode is None:
            return None
        if not all_answered and self._clock() - episode.seen < _PATIENCE * self._seconds:
            return None
        del self._open[group]
        if not episode.reported:
            return None
        return Transition.HEALED if all_answered else Transition.LOST

    def _see_split(self, group: _Group) -> Transition | None:
        now = self._clock()
        episode = self._open.setdefault(group, _Episode(now, now))
        episode.seen = now
        if episode.reported or now - episode.since < self._seconds:
            return None
        episode.reported = True
        return Transition.SPLIT

    def retain(self, groups: Collection[_Group]) -> None:
        """Forget all groups but these."""
        for group in [group for group in self._open if group not in groups]:
            del self._open[group]
