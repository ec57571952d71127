"""The server over real TLS: reviews, refusals, and the admin port."""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator
from io import BytesIO
from time import perf_counter
from typing import Any
from unittest import mock

import aiohttp
import pytest
from yarl import URL

from hazelcast_sidecar.injection import pod_decision
from hazelcast_sidecar.injection.reviewer import Reviewer
from hazelcast_sidecar.limits import MAX_REVIEW_BYTES
from hazelcast_sidecar.runtime.admin import Readiness
from hazelcast_sidecar.server import app
from hazelcast_sidecar.server.app import MUTATE_PODS, MUTATE_WORKLOADS
from hazelcast_sidecar.server.server_metrics import ServerMetrics
from hazelcast_sidecar.version import __version__
from tests.harness.pods import ours, pod
from tests.harness.reviews import patched, review_of
from tests.server.conftest import TlsFiles, Webhook
from tests.server.test_serve import PATIENCE_SECONDS

REVIEW = json.dumps(review_of(pod())).encode()


async def test_a_review_is_answered_with_a_patch(webhook: Webhook) -> None:
    status, answer = await webhook.post(REVIEW)
    assert status == 200
    injected = patched(pod(), answer["response"])
    assert injected["spec"]["initContainers"][0]["name"] == "hazelcast"


async def test_the_query_that_the_api_server_adds_changes_nothing(webhook: Webhook) -> None:
    async with webhook.http.post(f"{webhook.url}{MUTATE_PODS}?timeout=5s", json=review_of(pod())) as response:
        assert response.status == 200


async def test_a_review_is_logged_in_one_line_and_counted(webhook: Webhook) -> None:
    before = perf_counter()
    await webhook.post(REVIEW)
    await webhook.post(json.dumps(review_of(pod(ours(port="x")))).encode())
    injected, denied = webhook.log
    assert (injected["outcome"], injected["group"], injected["namespace"]) == ("injected", "shop", "default")
    assert injected["name"] == "shop-6d4b75cb6d-*"
    assert "warnings" not in injected
    assert 0 <= injected["microseconds"] <= (perf_counter() - before) * 1e6
    assert 'sidecar.hazelcast.com/port: "x"' in denied["problems"]
    counter = "hazelcast_sidecar_admission_requests_total"
    assert await webhook.metric(f'{counter}{{outcome="injected"}}') == 1
    assert await webhook.metric(f'{counter}{{outcome="invalid-annotations"}}') == 1
    assert await webhook.metric("hazelcast_sidecar_admission_duration_seconds_count") == 2
    assert await webhook.metric("hazelcast_sidecar_admission_duration_seconds_sum") <= perf_counter() - before


async def test_warnings_are_logged_in_one_sentence(webhook: Webhook) -> None:
    never_done = pod(ours(native_sidecar="false"), restartPolicy="Never")
    del never_done["metadata"]["ownerReferences"]  # a workload's would be warned about there
    _, answer = await webhook.post(json.dumps(review_of(never_done)).encode())
    assert webhook.log[0]["warnings"] == "; ".join(answer["response"]["warnings"])


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "status", "sentence"),
    [
        ("POST", MUTATE_PODS, b"{", "application/json", 400, "not an AdmissionReview"),
        ("POST", MUTATE_PODS, b"", "application/json", 400, "not an AdmissionReview"),
        ("POST", MUTATE_PODS, b"[" * 100_000, "application/json", 400, "not an AdmissionReview"),
        (
            "POST",
            MUTATE_PODS,
            json.dumps(review_of(pod(), uid="")).encode(),
            "application/json",
            400,
            "no uid",
        ),
        ("POST", MUTATE_PODS, REVIEW, "text/plain", 415, "send an AdmissionReview as application/json"),
        (
            "POST",
            MUTATE_PODS,
            b" " * (MAX_REVIEW_BYTES + 1),
            "application/json",
            413,
            "more than an API server sends",
        ),
        ("GET", MUTATE_PODS, None, "application/json", 405, "POST an AdmissionReview"),
        ("PUT", MUTATE_PODS, REVIEW, "application/json", 405, "POST an AdmissionReview"),
        ("POST", "/", REVIEW, "application/json", 404, MUTATE_PODS),
    ],
)
async def test_anything_else_gets_its_status_and_a_sentence_and_the_server_goes_on(
    webhook: Webhook,
    method: str,
    path: str,
    body: bytes | None,
    content_type: str,
    status: int,
    sentence: str,
) -> None:
    headers = {"Content-Type": content_type}
    async with webhook.http.request(
        method, webhook.url + path, data=BytesIO(body or b""), headers=headers
    ) as response:
        assert response.status == status
        assert response.headers.get("Allow") == ("POST" if status == 405 else None)
        answer = await response.json()
    assert (answer["kind"], answer["status"], answer["code"]) == ("Status", "Failure", status)
    assert sentence in answer["message"]
    assert webhook.log[-1]["status"] == status
    assert await webhook.metric(f'hazelcast_sidecar_refused_requests_total{{status="{status}"}}') == 1
    assert (await webhook.post(REVIEW))[0] == 200


async def test_an_error_of_our_own_is_answered_without_its_details(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The one fault that no input causes, as far as we know; hence the patch.
    def broken(*_: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(pod_decision, "decide", broken)
    status, answer = await webhook.post(REVIEW)
    assert status == 500
    assert "secret" not in json.dumps(answer)
    assert "secret detail" in webhook.log[0]["error"]
    monkeypatch.undo()
    assert (await webhook.post(REVIEW))[0] == 200


async def test_a_workload_is_reviewed_at_its_own_path(webhook: Webhook) -> None:
    obj = {"metadata": {"name": "shop", "annotations": ours()}, "spec": {"template": {"spec": {}}}}
    review = json.dumps(review_of(obj, kind={"group": "apps", "version": "v1", "kind": "Deployment"}))
    url = webhook.url + MUTATE_WORKLOADS
    async with webhook.http.post(url, data=review, headers={"Content-Type": "application/json"}) as response:
        answer = (await response.json())["response"]
    assert patched(obj, answer)["spec"]["template"]["metadata"]["annotations"] == ours()
    assert (webhook.log[0]["kind"], webhook.log[0]["outcome"]) == ("Deployment", "annotations-copied")
    status, refused = await webhook.post(review.encode())
    assert status == 400
    assert 'about a "apps/v1/Deployment", not a Pod' in refused["message"]


async def test_the_largest_review_that_is_taken_is_answered(webhook: Webhook) -> None:
    big = review_of(pod(containers=[{"name": "app", "image": "shop:1", "args": ["x" * 1_000_000]}]))
    body = json.dumps(big).encode()
    status, answer = await webhook.post(body + b" " * (MAX_REVIEW_BYTES - len(body)))
    assert (status, answer["response"]["allowed"]) == (200, True)


async def test_the_admin_port_says_whether_the_server_lives_and_is_ready(webhook: Webhook) -> None:
    for path, ready, status in (("/livez", True, 200), ("/readyz", True, 200), ("/readyz", False, 503)):
        webhook.readiness.obstacles = set() if ready else {"draining"}
        async with webhook.http.get(webhook.admin + path) as response:
            assert response.status == status


async def test_while_draining_a_connection_is_closed_behind_its_answer(webhook: Webhook) -> None:
    for ready, connection in ((True, None), (False, "close")):
        webhook.readiness.obstacles = set() if ready else {"draining"}
        async with webhook.http.post(webhook.url + MUTATE_PODS, json=review_of(pod())) as response:
            assert (response.status, response.headers.get("Connection")) == (200, connection)


async def test_now_and_then_a_connection_is_closed_behind_its_answer(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the API server opens new ones, which the Service spreads over the replicas."""
    for seconds, connection in ((3600, None), (0, "close"), (3600, None)):
        monkeypatch.setattr(app, "RENEWAL_SECONDS", seconds)
        async with webhook.http.post(webhook.url + MUTATE_PODS, json=review_of(pod())) as response:
            assert (response.status, response.headers.get("Connection")) == (200, connection)


async def test_a_compressed_body_is_refused_unread(webhook: Webhook) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    status, answer = await webhook.post(b"not gzip", headers=headers, compress=None)
    assert status == 415
    assert "send plain JSON" in answer["message"]


async def test_only_tls_1_3_is_spoken(webhook: Webhook, tls: TlsFiles) -> None:
    old = tls.client
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(aiohttp.ClientConnectorError):
        await webhook.post(REVIEW, ssl=old)
    old.maximum_version = ssl.TLSVersion.TLSv1_3
    assert (await webhook.post(REVIEW, ssl=old))[0] == 200


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def wire(webhook: Webhook, tls: TlsFiles) -> AsyncIterator[Wire]:
    """A connection to the webhook, for bytes."""
    where = URL(webhook.url)
    assert where.host
    reader, writer = await asyncio.open_connection(where.host, where.port, ssl=tls.client)
    async with asyncio.timeout(PATIENCE_SECONDS):
        yield reader, writer
    writer.close()
    await writer.wait_closed()


def head(*headers: str, path: str = MUTATE_PODS, version: str = "1.1") -> bytes:
    """The head of a review's request."""
    lines = [f"POST {path} HTTP/{version}", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(REVIEW)}", "", ""]).encode()


async def response(wire: Wire) -> tuple[str, str]:
    """The next response's head and body."""
    reader, _ = wire
    said = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = re.search(r"(?i)content-length: (\d+)", said)
    return said, (await reader.readexactly(int(length[1]))).decode() if length else ""


@pytest.mark.parametrize("path", ["{url}" + MUTATE_PODS, MUTATE_PODS])
@pytest.mark.parametrize("pause", [0, 0.1])
async def test_the_path_may_be_a_whole_url_and_the_body_may_come_behind_its_head(
    webhook: Webhook, wire: Wire, path: str, pause: float
) -> None:
    """A proxy may send the one, and a slow network the other."""
    wire[1].write(head(path=f"{path.format(url=webhook.url)}?timeout=5s"))
    await asyncio.sleep(pause)
    wire[1].write(REVIEW)
    assert (await response(wire))[0].startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_a_body_may_come_in_pieces(wire: Wire, count: int) -> None:
    wire[1].write(head())
    size = len(REVIEW) // count + 1
    for begin in range(0, len(REVIEW), size):
        await asyncio.sleep(0.05)
        wire[1].write(REVIEW[begin : begin + size])
    assert (await response(wire))[0].startswith("HTTP/1.1 200 ")


async def test_a_client_that_asks_whether_to_send_the_body_is_invited(wire: Wire) -> None:
    for _ in range(2):  # which leaves the connection as it was
        wire[1].write(head("Expect: 100-Continue"))
        assert await response(wire) == ("HTTP/1.1 100 Continue\r\n\r\n", "")
        wire[1].write(REVIEW)
        said, body = await response(wire)
        assert said.startswith("HTTP/1.1 200 OK\r\n")
        assert json.loads(body)["response"]["allowed"] is True


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_body_that_is_there_needs_no_invitation(wire: Wire, version: str) -> None:
    wire[1].write(head("Expect: 100-continue", version=version) + REVIEW)
    assert (await response(wire))[0].startswith(f"HTTP/{version} 200 OK\r\n")


async def test_a_client_of_http_1_0_is_not_invited(wire: Wire) -> None:
    wire[1].write(head("Expect: 100-continue", version="1.0"))
    await asyncio.sleep(0.05)
    wire[1].write(REVIEW)
    assert (await response(wire))[0].startswith("HTTP/1.0 200 OK\r\n")


async def test_another_expectation_is_refused(wire: Wire) -> None:
    wire[1].write(head("Expect: magic") + REVIEW)
    said, body = await response(wire)
    assert said.startswith("HTTP/1.1 417 ")
    assert 'the expectation \\"magic\\" cannot be met; send none' in body


@pytest.mark.parametrize("headers", [[], ["Expect: 100-continue"]])
async def test_a_client_that_is_gone_before_its_handler_begins_is_no_error_of_ours(
    headers: list[str],
) -> None:
    """Both happen between two turns of the loop, which is why they are played here."""
    lines: list[dict[str, Any]] = []

    def log(message: str, **fields: Any) -> None:
        lines.append({"message": message, **fields})

    server = app.webhook_server(app.request_handler(Reviewer(), Readiness(set()), ServerMetrics(), log))
    protocol = server()
    protocol.connection_made(mock.create_autospec(asyncio.Transport))
    await asyncio.sleep(0)
    protocol.data_received(head(*headers))
    await asyncio.sleep(0)
    protocol.connection_lost(None)
    for _ in range(10):
        await asyncio.sleep(0)
    assert [(line["level"], line["sentence"]) for line in lines] == [
        ("warning", "the body is incomplete: the client is gone")
    ]


@pytest.mark.parametrize(
    ("headers", "version", "kept"),
    [
        ([], "1.1", True),
        (["Connection: close"], "1.1", False),
        ([], "1.0", False),
        (["Connection: keep-alive"], "1.0", True),
    ],
)
async def test_a_connection_is_kept_as_its_client_asks(
    wire: Wire, headers: list[str], version: str, *, kept: bool
) -> None:
    wire[1].write(head(*headers, version=version) + REVIEW)
    said, _ = await response(wire)
    assert said.startswith(f"HTTP/{version} 200 OK\r\n")
    assert re.search(r"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", said)
    wire[1].write(head() + REVIEW)
    if kept:
        assert (await response(wire))[0].startswith("HTTP/1.1 200 OK\r\n")
    else:
        assert await wire[0].read() == b""


async def test_connections_that_the_server_closes_are_counted_by_reason(webhook: Webhook) -> None:
    where = URL(webhook.url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    writer.write(b"no TLS")
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.close()
    counter = "hazelcast_sidecar_closed_connections_total"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await webhook.metric(f'{counter}{{reason="handshake"}}'):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await webhook.metric(f'{counter}{{reason="evicted"}}') == 0


async def test_the_metrics_say_which_version_runs(webhook: Webhook) -> None:
    assert await webhook.metric(f'hazelcast_sidecar_build_info{{version="{__version__}"}}') == 1
