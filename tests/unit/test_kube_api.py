"""Lists and watches with objects in them that cannot be read: the others are served.

A stand-in sends what no API server would: here it has a fault.
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpServer
from kubernetes.aio.client import ApiClient, Configuration

from hazelcast_sidecar.certificates import make_authority
from hazelcast_sidecar.kube.bounded import MAX_BYTES, UnreadableAnswerError
from hazelcast_sidecar.kube.client import Api, ApiError
from hazelcast_sidecar.kube.objects import POD, Kind, Metadata, Partial

Answer = Callable[[web.Request], Any]


def pod_text(name: str, **metadata: Any) -> str:
    """A Pod as an API server writes it: its name first."""
    made = {"metadata": {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "7"} | metadata}
    return json.dumps(made, separators=(",", ":"))


# From Python 3.14 on it is the size of the stack that bounds the depth, and no longer a number.
NESTED = pod_text("bad", managedFields="here").replace('"here"', "[" * 500_000 + "]" * 500_000)
BAD = {
    "nested deeply": NESTED,
    "nested deeply where a label belongs": pod_text("bad", labels="here").replace(
        '"here"', "[" * 20_000 + "]" * 20_000
    ),
    "a label that is a number": pod_text("bad", labels={"a": 1}),
    "a time that is none": pod_text("bad", creationTimestamp="yesterday"),
    "half a surrogate pair": pod_text("bad", labels={"a": "here"}).replace("here", "\\ud800"),
    "an owner of 2,000 characters": pod_text(
        "bad", ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "x" * 2000, "uid": "1"}]
    ),
    "annotations of ours of 20,000 characters": pod_text(
        "bad", annotations={"sidecar.hazelcast.com/x": "x" * 20_000}
    ),
    "many labels": pod_text("bad", labels={f"l{number}": "" for number in range(1000)}),
}
"""What anybody may write, or an API server with a fault: each is one object's alone."""


LONG = pod_text("bad", annotations={"theirs": "x" * MAX_BYTES})


class Stand:
    """An API server that answers what it is given.

    Args:
        pods: as JSON; each page has no more of them than asked for.
        change: what a watch says became of each.
    """

    def __init__(self, pods: list[str], change: str = "MODIFIED") -> None:
        self.pods, self.change = pods, change
        self.limits: list[int] = []

    async def list(self, request: web.Request) -> web.Response:
        limit, start = int(request.query["limit"]), int(request.query.get("continue", "0"))
        self.limits.append(limit)
        end = start + limit
        metadata = {"resourceVersion": "9"} | ({"continue": str(end)} if end < len(self.pods) else {})
        head = f'{{"kind":"List","apiVersion":"v1","metadata":{json.dumps(metadata)},"items":['
        return web.Response(text=head + ",".join(self.pods[start:end]) + "]}")

    async def watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for each in self.pods:
            await response.write(f'{{"type":"{self.change}","object":{each}}}\n'.encode())
        return response


Connect = Callable[[Answer], Any]


@pytest.fixture(scope="module")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate to trust: else each client loads all that the system has, which takes most of a test."""
    path = tmp_path_factory.mktemp("trusted") / "ca.crt"
    path.write_bytes(make_authority(datetime.now(UTC)).certificate)
    return path


@pytest.fixture
async def connect(aiohttp_server: AiohttpServer, one_authority: Path) -> AsyncIterator[Connect]:
    """Make an Api, and the list of what it could not read, for a handler of all requests."""
    clients: list[ApiClient] = []

    async def made(answer: Answer) -> tuple[Api, list[str]]:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", answer)
        server = await aiohttp_server(application)
        unread: list[str] = []

        def note(kind: Kind, name: str, why: Exception) -> None:
            assert kind == POD
            assert str(why) or isinstance(why, RecursionError)
            unread.append(name)

        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        configuration.ssl_ca_cert = str(one_authority)
        clients.append(ApiClient(configuration))
        return Api(clients[-1], note), unread

    yield made
    for client in clients:
        await client.close()


async def names(api: Api) -> list[str]:
    return [item.metadata.name async for page in api.pages(POD, Partial) for item in page.items]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_list_has_all_but_what_cannot_be_read(connect: Connect, bad: str) -> None:
    stand = Stand([pod_text("a"), *(pod_text(f"b{number}") for number in range(7)), bad, pod_text("c")])
    api, unread = await connect(stand.list)
    assert await names(api) == ["a", *(f"b{number}" for number in range(7)), "c"]
    assert unread == ["ns/bad"]


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_a_watch_goes_on_behind_what_cannot_be_read(connect: Connect, bad: str) -> None:
    api, unread = await connect(Stand([pod_text("a"), bad, bad, pod_text("c")]).watch)
    seen = [(change, item.metadata.name) async for change, item in api.watch(POD, Partial, "1")]
    assert seen == [("MODIFIED", "a"), ("MODIFIED", "c")]
    assert unread == ["ns/bad", "ns/bad"]


@pytest.mark.parametrize("bad", [*BAD.values(), LONG], ids=[*BAD.keys(), "long"])
async def test_a_deletion_is_said_whatever_was_deleted(connect: Connect, bad: str) -> None:
    """What cannot be read was known before, perhaps, when it could."""
    api, unread = await connect(Stand([pod_text("a"), bad, pod_text("c")], "DELETED").watch)
    seen = [(change, item.metadata) async for change, item in api.watch(POD, Partial, "1")]
    assert [(change, item.name) for change, item in seen] == [
        ("DELETED", "a"),
        ("DELETED", "bad"),
        ("DELETED", "c"),
    ]
    assert seen[1][1] == Metadata(name="bad", namespace="ns", uid="bad", resource_version="7")
    assert unread == ["ns/bad"]


@pytest.mark.parametrize(
    "bad",
    [
        pod_text("bad", labels={"a": 1}).replace('"uid":"bad",', ""),
        pod_text("bad", labels={"a": 1}).replace('"7"', '"x"'),
        '{"spec":' + pod_text("bad", labels={"a": 1}).replace('"', '\\"').join('""') + "}",
        '{"metadata":{"labels":1}}',
    ],
)
async def test_what_does_not_say_which_one_was_deleted_is_passed_over(connect: Connect, bad: str) -> None:
    api, unread = await connect(Stand([pod_text("a"), bad, pod_text("c")], "DELETED").watch)
    assert [item.metadata.name async for _, item in api.watch(POD, Partial, "1")] == ["a", "c"]
    assert len(unread) == 1


@pytest.mark.heavy
async def test_what_is_too_long_is_passed_over(connect: Connect) -> None:
    stand = Stand([pod_text("a"), LONG, pod_text("c")])
    api, unread = await connect(stand.list)
    assert await names(api) == ["a", "c"]
    api, unread_in_watch = await connect(stand.watch)
    assert [item.metadata.name async for _, item in api.watch(POD, Partial, "1")] == ["a", "c"]
    assert unread == unread_in_watch == ["ns/bad"]


async def test_a_line_that_is_garbage_is_passed_over(connect: Connect) -> None:
    stand = Stand([pod_text("a"), '"', pod_text("b")[:-20], "{}", pod_text("c")])
    api, unread = await connect(stand.watch)
    assert [item.metadata.name async for _, item in api.watch(POD, Partial, "1")] == ["a", "c"]
    assert unread == ["", "ns/b", ""]


@pytest.mark.heavy
async def test_pages_fit_what_they_contain(connect: Connect) -> None:
    """The first is small; then as many as make half of what may be read at once, but no more than 500."""
    small, large = (
        (pod_text(f"s{number}") for number in range(2000)),
        pod_text("l", annotations={"theirs": "x" * 250_000}),
    )
    stand = Stand([*small, *([large] * 100)])
    api, unread = await connect(stand.list)
    assert len(await names(api)) == 2100
    assert unread == []
    assert stand.limits[:5] == [50, 500, 500, 500, 500]
    assert 10 <= stand.limits[-1] <= 42, "what fits"
    assert len(stand.limits) < 25, "few are asked for in vain"


async def test_an_answer_that_is_no_list_is_an_error(connect: Connect) -> None:
    async def garbage(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    api, _ = await connect(garbage)
    with pytest.raises(UnreadableAnswerError):
        await names(api)
    with pytest.raises(UnreadableAnswerError):
        await api.read(POD, "ns", "a")
    with pytest.raises(UnreadableAnswerError):
        await api.get(POD, "ns", "a")


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_end_is_not_read_to_it(connect: Connect, status: int) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    api, _ = await connect(endless)
    for ask in (api.document("/version"), api.get(POD, "ns", "a"), api.create(POD, "ns", {})):
        with pytest.raises(UnreadableAnswerError if status == 200 else ApiError) as raised:
            await ask
        assert len(str(raised.value)) < 300


def test_what_is_kept_of_metadata_is_bounded() -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}
    owners = [owner] * 5000 + [owner | {"name": "controller", "controller": True}]
    found = msgspec.convert({"ownerReferences": owners, "annotations": {"theirs": "x"}}, Metadata)
    assert len(found.owner_references) == 100
    assert found.owner_references[0].name == "controller"
    assert found.known_annotations == {}
