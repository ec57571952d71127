"""What is known of an object ends as the API server has it, in whatever order answers and events come."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from hazelcast_sidecar.controller.reconcile.groups import Key, ManagedObjects
from hazelcast_sidecar.kube.objects import Metadata

KEY = Key("ns", "shop")


class Server:
    """One object as the API server has it, what its watch has still to say, and answers on their way."""

    def __init__(self, first_version: int) -> None:
        self.version = first_version
        self.object: Metadata | None = None
        self.events: list[tuple[str, Metadata]] = []
        self.answers: list[Metadata] = []
        self._uids = 0

    def apply(self) -> None:
        """Our own write: it makes the object, changes it, or leaves it as it is."""
        if self.object is None or self.version % 2:
            self._write()
        assert self.object
        self.answers.append(self.object)

    def edit(self) -> None:
        """Somebody else's write."""
        if self.object:
            self._write()

    def delete(self) -> None:
        if self.object:
            self.version += 1
            self.events.append(("DELETED", self._as_of(self.object.uid)))
            self.object = None

    def pass_time(self) -> None:
        """Write another object of the kind."""
        self.version += 1

    def _write(self) -> None:
        self.version += 1
        if self.object is None:
            self._uids += 1
        self.object = self._as_of(str(self._uids))
        self.events.append(("MODIFIED", self.object))

    def _as_of(self, uid: str) -> Metadata:
        return Metadata(
            name="hazelcast-shop",
            namespace="ns",
            uid=uid,
            resource_version=str(self.version),
            labels={"sidecar.hazelcast.com/group": "shop"},
        )


class History:
    """Feeds what is known of the object with events, answers and lists."""

    def __init__(self, first_version: int, data: st.DataObject) -> None:
        self.server, self._data = Server(first_version), data
        self.touched: list[Key] = []
        self.known = ManagedObjects(self.touched.append, self.touched.append)
        self._list()

    def run(self) -> None:
        steps: list[Callable[[], object]] = [
            self.server.apply,
            self.server.edit,
            self.server.delete,
            self.server.pass_time,
            self._event,
            self._answer,
            self._list,
        ]
        for step in self._data.draw(st.lists(st.sampled_from(steps), max_size=25)):
            before = self.version
            step()
            assert self.version is None or before is None or self.version >= before, "it went back"
        ends = [self._event] * len(self.server.events) + [self._answer] * len(self.server.answers)
        for step in self._data.draw(st.permutations(ends)):
            step()

    @property
    def version(self) -> int | None:
        found = self.known.get(KEY)
        return int(found.resource_version) if found else None

    def _event(self) -> None:
        if self.server.events:
            kind, item = self.server.events.pop(0)
            (self.known.remove if kind == "DELETED" else self.known.upsert)(item)

    def _answer(self) -> None:
        """Any of them: two writes of one object do not overlap, and yet their answers may."""
        if self.server.answers:
            index = self._data.draw(st.integers(0, len(self.server.answers) - 1))
            self.known.observe(self.server.answers.pop(index))

    def _list(self) -> None:
        """Begin a watch as of now; while the list comes, writes and their answers go on."""
        version, listed = self.server.version, self.server.object
        self.server.events.clear()
        meanwhile = [self.server.apply, self.server.edit, self.server.delete, self._answer]
        self.known.begin(str(version))
        for step in self._data.draw(st.lists(st.sampled_from(meanwhile), max_size=3)):
            step()
        if listed:
            self.known.upsert(listed)
        for step in self._data.draw(st.lists(st.sampled_from(meanwhile), max_size=3)):
            step()
        self.known.retain({listed.uid} if listed else set())


@given(data=st.data(), first_version=st.sampled_from([1, 95, 10**19]))
def test_it_ends_as_the_api_server_has_it(data: st.DataObject, first_version: int) -> None:
    history = History(first_version, data)
    history.run()
    there = history.server.object
    known = history.known.get(KEY)
    assert (known and (known.uid, known.resource_version)) == (there and (there.uid, there.resource_version))


@given(data=st.data())
def test_a_store_that_was_restored_is_believed(data: st.DataObject) -> None:
    """Its versions are older than what is known, and so they stay for long."""
    touched: list[Key] = []
    known = ManagedObjects(touched.append, touched.append)
    late, early = Server(1000), Server(10)
    late.apply()
    known.begin("1000")
    known.upsert(late.answers[0])
    for step in data.draw(st.lists(st.sampled_from([early.apply, early.delete]), max_size=4)):
        step()
    known.begin(str(early.version))
    if early.object:
        known.upsert(early.object)
    known.retain({early.object.uid} if early.object else set())
    touched.clear()
    early.apply()
    known.upsert(early.answers[-1])
    found = known.get(KEY)
    assert found
    assert found.resource_version == early.answers[-1].resource_version
