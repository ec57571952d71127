"""What no API server sends, and what the server says to it: the table of docs/bad-input.md."""

import gzip
import json
from dataclasses import dataclass

from hazelcast_sidecar.server.app import MUTATE_PODS
from tests.harness.pods import pod
from tests.harness.reviews import review_of

GOOD = json.dumps(review_of(pod())).encode()
MIB = 1024 * 1024


def request(*headers: str, method: str = "POST", path: str = MUTATE_PODS, version: str = "1.1") -> bytes:
    """The head of a request: a review's, without a length, unless told otherwise."""
    lines = [f"{method} {path} HTTP/{version}", "Host: x", "Content-Type: application/json", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def post(body: bytes = GOOD, *headers: str, length: object = None, **line: str) -> bytes:
    """A whole request, with the length that its body has unless told otherwise."""
    return request(*headers, f"Content-Length: {len(body) if length is None else length}", **line) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A whole request in chunks."""
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return request("Transfer-Encoding: chunked") + framed + end


@dataclass(frozen=True)
class Shape:
    """One thing that is sent over TLS, all at once.

    Attributes:
        what: in the words of the document.
        sent: the bytes.
        status: of the answer; of each, where there are several.
        says: part of what it says.
        stays: whether the connection takes a review afterwards.
        body: of the request, where that is what is wrong.
    """

    what: str
    sent: bytes
    status: tuple[int, ...]
    says: str = ""
    stays: bool = True
    body: bytes | None = None

    @property
    def answer(self) -> str:
        """In the words of the document."""
        statuses = ", then ".join(map(str, self.status))
        said = f": {self.says}" if self.says else ""
        return f"{statuses}{said}{'' if self.stays else '; closed'}"


def body(what: str, sent: bytes, status: int = 400, says: str = "") -> Shape:
    """A body that is sent as it should be."""
    return Shape(what, post(sent), (status,), says, body=sent)


def swapped(old: str, new: str, *, encoding: str = "latin-1") -> bytes:
    """A good review with one part of it replaced."""
    text = GOOD.decode()
    assert old in text
    return text.replace(old, new).encode(encoding)


PERIOD, DRY_RUN = '"terminationGracePeriodSeconds": 30', '"dryRun": false'
NO_REVIEW, MALFORMED = "the body is not an AdmissionReview", "JSON is malformed"
BIG = b" " * (8 * MIB)

BODIES = (
    body("nothing", b"", says=NO_REVIEW),
    body("broken JSON", b"{", says=NO_REVIEW),
    body("half a review", GOOD[: len(GOOD) // 2], says="truncated"),
    body("a review and something behind it", GOOD + b"{}", says="trailing characters"),
    body("a comment before the review", b"// x\n" + GOOD, says=MALFORMED),
    body("zero bytes", b"\0" * 100, says=MALFORMED),
    body("an array", b"[]", says="Expected `object`, got `array`"),
    body("null", b"null", says="Expected `object`, got `null`"),
    body("1,000,000 brackets", swapped(DRY_RUN, '"x": ' + "[" * 1_000_000), says="nested too deeply"),
    body(
        "500,000 objects in each other where nothing is read",
        swapped(DRY_RUN, '"x": ' + '{"a":' * 500_000 + "1" + "}" * 500_000),
        says="nested too deeply",
    ),
    body(
        "500,000 objects in each other where a label belongs",
        swapped('"app": "shop"', '"app": ' + '{"a":' * 500_000 + "1" + "}" * 500_000),
        says="nested too deeply",
    ),
    body("a key twice: the last one counts", swapped('"uid":', '"uid":"first","uid":'), 200),
    body(
        "annotations twice: the last ones count",
        swapped('"annotations":', '"annotations":{"sidecar.hazelcast.com/inject":"false"},"annotations":'),
        200,
    ),
    body("a number beyond all bounds", swapped(PERIOD, PERIOD[:-2] + "1e400"), says="out of range"),
    body("an integer of 5,000 digits", swapped(PERIOD, PERIOD[:-2] + "9" * 5000), says="out of range"),
    body(
        "an integer of 4,300 digits for a quantity",
        swapped(PERIOD, PERIOD + ', "resources": {"limits": {"cpu": ' + "9" * 4300 + "}}"),
        says="cannot be read",
    ),
    body("an integer of 4,000 digits where nothing is read", swapped(DRY_RUN, '"x": ' + "9" * 4000), 200),
    body("NaN", swapped(PERIOD, PERIOD[:-2] + "NaN"), says=MALFORMED),
    body("Infinity where nothing is read", swapped(DRY_RUN, '"x": -Infinity'), says=MALFORMED),
    body("invalid UTF-8 in what is read", swapped("shop:1", "\xff\xfe"), says="can't decode byte 0xff"),
    body("invalid UTF-8 where nothing is read", swapped(DRY_RUN, '"x": "\xff\xfe"'), 200),
    body("half a surrogate pair", swapped("shop:1", "\\ud800"), says=MALFORMED),
    body("UTF-16", GOOD.decode().encode("utf-16"), says=MALFORMED),
    body("a byte order mark", b"\xef\xbb\xbf" + GOOD, says=MALFORMED),
    body("another kind", swapped('"kind": "AdmissionReview"', '"kind": "Pod"'), says='the body is a "Pod"'),
    body(
        "a review of v1beta1",
        swapped("admission.k8s.io/v1", "admission.k8s.io/v1beta1"),
        says="this webhook supports admission.k8s.io/v1",
    ),
    body("a review of a Node", swapped('"kind": "Pod"},', '"kind": "Node"},'), says="not a Pod"),
    body("a review without a request", b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}'),
    body("a review without a uid", json.dumps(review_of(pod(), uid="")).encode(), says="no uid"),
    body("a Pod that is a string", json.dumps(review_of("x")).encode(), says="cannot be read"),
    body(
        "annotations that are a list",
        json.dumps(review_of({**pod(), "metadata": {"annotations": [1]}})).encode(),
        says="cannot be read",
    ),
    body("gzip without saying so", gzip.compress(GOOD, mtime=0), says=MALFORMED),
)

LENGTHS = (
    Shape("8 MiB, declared", post(BIG), (413,), "more than an API server sends"),
    Shape("8 MiB in chunks", chunked(*[b" " * 65536] * 128), (413,), "more than an API server sends"),
    Shape("a good review in chunks", chunked(GOOD[:9], GOOD[9:]), (200,)),
    Shape("gzip", post(gzip.compress(GOOD), "Content-Encoding: gzip"), (415,), "send plain JSON"),
    Shape(
        "100 KiB of gzip that unfold to 100 MiB",
        post(gzip.compress(b" " * (100 * MIB)), "Content-Encoding: gzip"),
        (415,),
        "send plain JSON",
    ),
    Shape("Brotli", post(GOOD, "Content-Encoding: br"), (415,), "send plain JSON"),
    Shape("a length that is too short", post(length=10), (400,), "Invalid method", stays=False),
    Shape("a negative length", post(length=-5), (400,), "Content-Length", stays=False),
    Shape("a length in hexadecimal", post(length="0x10"), (400,), "Content-Length", stays=False),
    Shape("a length of 30 digits", post(length="9" * 30), (400,), "Content-Length", stays=False),
    Shape("two lengths", post(GOOD, "Content-Length: 3"), (400,), "Duplicate Content-Length", stays=False),
    Shape(
        "a length and chunks, a second request hidden in one of both",
        post(b"0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n", "Transfer-Encoding: chunked"),
        (400,),
        "Content-Length can't be present with Transfer-Encoding",
        stays=False,
    ),
    Shape(
        "chunks named twice",
        request("Transfer-Encoding: chunked", "Transfer-Encoding: identity") + b"0\r\n\r\n",
        (400,),
        "Transfer-Encoding",
        stays=False,
    ),
    Shape("another transfer encoding", request("Transfer-Encoding: xchunked"), (400,), stays=False),
    Shape("a blank before the colon", request("Transfer-Encoding : chunked"), (400,), stays=False),
    Shape("a chunk of size zz", chunked(end=b"zz\r\nabc\r\n0\r\n\r\n"), (400,), "chunk size", stays=False),
    Shape("a chunk of size -5", chunked(end=b"-5\r\nabc\r\n0\r\n\r\n"), (400,), "chunk size", stays=False),
    Shape("10,000 trailers", chunked(GOOD, end=b"0\r\n" + b"X: y\r\n" * 10_000), (400,), stays=False),
)

HEADS = (
    Shape("a header of 100 KB", post(GOOD, f"X: {'a' * 100_000}"), (400,), "more than 8190", stays=False),
    Shape("1,000 headers", post(GOOD, *["X: a"] * 1000), (400,), "Too many headers", stays=False),
    Shape("a path of 100 KB", post(path="/" + "a" * 100_000), (400,), "more than 8190", stays=False),
    Shape("a zero byte in a header", post(GOOD, "X: a\0b"), (400,), "Invalid header value", stays=False),
    Shape("a header over two lines", post(GOOD, "X: a\r\n b"), (400,), "Unexpected whitespace", stays=False),
    Shape("no Host", post().replace(b"Host: x\r\n", b""), (400,), "Missing 'Host'", stays=False),
    Shape("two Hosts", post(GOOD, "Host: y"), (400,), "Duplicate 'Host'", stays=False),
    Shape("garbage", b"\x00\x01\x02garbage\r\n\r\n", (400,), "Invalid method", stays=False),
    Shape("a greeting of SSH", b"SSH-2.0-OpenSSH_9.0\r\n", (400,), "Invalid method", stays=False),
    Shape("HTTP/0.9", b"GET /\r\n\r\n", (404,), stays=False),
    Shape("HTTP/1.0", post(version="1.0"), (200,), stays=False),
    Shape("HTTP/9.9", post(version="9.9"), (400,), "Invalid HTTP version", stays=False),
    Shape("HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,), stays=False),
    Shape("an upgrade to HTTP/2: passed over", post(GOOD, "Upgrade: h2c", "Connection: Upgrade"), (200,)),
    Shape("three reviews at once", post() * 3, (200, 200, 200)),
    Shape("HEAD", request(method="HEAD"), (405,)),
    Shape("GET with a body", post(method="GET"), (405,), "POST an AdmissionReview"),
    Shape("OPTIONS", request(method="OPTIONS"), (405,), "POST an AdmissionReview"),
    Shape("OPTIONS *", request(method="OPTIONS", path="*"), (404,), "this path is not served"),
    Shape("TRACE", request(method="TRACE"), (405,), "POST an AdmissionReview"),
    Shape("CONNECT", request(method="CONNECT", path="example.com:443"), (404,), "this path is not served"),
    Shape("another path", post(path="/%2e%2e/%2e%2e/etc/passwd"), (404,), "this path is not served"),
    Shape("Expect: 100-continue, and the body with it", post(GOOD, "Expect: 100-continue"), (200,)),
    Shape("Expect: something else", post(GOOD, "Expect: magic"), (417,)),
    Shape(
        "another content type",
        post().replace(b"application/json", b"text/plain"),
        (415,),
        "send an AdmissionReview as application/json",
    ),
    Shape("two content types", post(GOOD, "Content-Type: text/plain"), (400,), stays=False),
)

SHAPES = (*BODIES, *LENGTHS, *HEADS)
