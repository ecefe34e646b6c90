"""Requests that no HTTP client would send, and what may be answered."""

from __future__ import annotations

import contextlib
import re
import socket
from dataclasses import dataclass, replace

#: A refusal of the server or of the service; 0 stands for a connection that is closed without an answer.
CLOSED = 0
#: An inspection takes seconds of a processor, and tests share theirs.
WAIT_S = 60.0


@dataclass(frozen=True)
class Request:
    """Raw bytes, in which ``KEY`` stands for a valid key, and the statuses that are right answers to them."""

    raw: bytes
    statuses: frozenset[int]
    hangs_up: bool = False
    """Whether the client closes its side once it has sent everything."""

    def bytes_for(self, key: str) -> bytes:
        """Fill the key in."""
        return self.raw.replace(b"KEY", key.encode())


def made(line: str, *headers: str, body: bytes = b"", statuses: tuple[int, ...]) -> Request:
    """Write a request from its parts, with a key and a host."""
    head = [line, "Host: localhost", "Authorization: Bearer KEY", "Connection: close", *headers, "", ""]
    return Request("\r\n".join(head).encode("latin-1") + body, frozenset(statuses))


def answers(address: tuple[str, int], request: Request, key: str) -> set[int]:
    """Send a request and return the statuses of the answers; ``CLOSED`` if there was none."""
    received = b""
    with socket.create_connection(address, timeout=WAIT_S) as connection, contextlib.suppress(OSError):
        connection.sendall(request.bytes_for(key))
        if request.hangs_up:
            connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            received += part
    return {int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", received)} or {CLOSED}


PUT = "PUT /v1/teachers/x HTTP/1.1"
LONG = "x" * 70_000

REQUESTS: dict[str, Request] = {
    "no length": made(PUT, statuses=(411,)),
    "chunked": made(PUT, "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n", statuses=(411,)),
    "length and chunked": made(
        PUT,
        "Content-Length: 3",
        "Transfer-Encoding: chunked",
        body=b"0\r\n\r\nGET /v1/jobs HTTP/1.1\r\n\r\n",
        statuses=(400, 411),
    ),
    "two lengths": made(PUT, "Content-Length: 3", "Content-Length: 30", body=b"abc", statuses=(400,)),
    "negative length": made(PUT, "Content-Length: -1", statuses=(400,)),
    "length in words": made(PUT, "Content-Length: ten", statuses=(400,)),
    "length of exabytes": made(PUT, "Content-Length: 9223372036854775808", statuses=(400, 413)),
    "length too long": made(PUT, "Content-Length: " + "9" * 5000, statuses=(400, 413)),
    "over the limit": made(PUT, "Content-Length: 99999999999", statuses=(413,)),
    "early end": replace(
        made(PUT, "Content-Length: 1000", body=b"abc", statuses=(400, CLOSED)), hangs_up=True
    ),
    "empty": made(PUT, "Content-Length: 0", statuses=(422,)),
    "wrong digest": made(
        PUT, "Content-Length: 3", "Content-Digest: sha-256=:AAAA:", body=b"abc", statuses=(400, 422)
    ),
    "digest of junk": made(
        PUT, "Content-Length: 3", "Content-Digest: \xff;;=,", body=b"abc", statuses=(415, 400, 422)
    ),
    "gzip": made(PUT, "Content-Length: 3", "Content-Encoding: gzip", body=b"abc", statuses=(400, 415, 422)),
    "path in the name": made(
        "PUT /v1/teachers/..%2F..%2Fetc%2Fpasswd HTTP/1.1",
        "Content-Length: 3",
        body=b"abc",
        statuses=(404, 422),
    ),
    "dots": made("GET /v1/../../../etc/passwd HTTP/1.1", statuses=(404,)),
    "nul in the name": made(
        "PUT /v1/teachers/a%00b HTTP/1.1", "Content-Length: 3", body=b"abc", statuses=(422,)
    ),
    "broken escape": made(
        "PUT /v1/teachers/%zz%ff HTTP/1.1", "Content-Length: 3", body=b"abc", statuses=(415, 400, 422)
    ),
    "long name": made(
        f"PUT /v1/teachers/{'x' * 5000} HTTP/1.1", "Content-Length: 3", body=b"abc", statuses=(404, 414, 422)
    ),
    "long target": made(f"GET /v1/jobs?after={LONG} HTTP/1.1", statuses=(422, 400, 414, 431)),
    "long header": made("GET /v1/jobs HTTP/1.1", f"X-Long: {LONG}", statuses=(200, 400, 431)),
    "many headers": made(
        "GET /v1/jobs HTTP/1.1", *(f"X-{index}: 1" for index in range(5000)), statuses=(200, 400, 431)
    ),
    "sql in a query": made("GET /v1/jobs?after='%20OR%201=1-- HTTP/1.1", statuses=(404, 422)),
    "unknown query": made("GET /v1/jobs?admin=1 HTTP/1.1", statuses=(422,)),
    "no host": Request(b"GET /v1/jobs HTTP/1.1\r\nAuthorization: Bearer KEY\r\n\r\n", frozenset({200, 400})),
    "no key": Request(b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", frozenset({401})),
    "long key": Request(
        b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer "
        + b"k" * 30_000
        + b"\r\n\r\n",
        frozenset({401}),
    ),
    "endless header": Request(
        b"GET /livez HTTP/1.1\r\nX: " + b"x" * 5_000_000, frozenset({400, 431, CLOSED})
    ),
    "endless headers": Request(
        b"GET /livez HTTP/1.1\r\n" + b"X: x\r\n" * 1_000_000, frozenset({400, 431, CLOSED})
    ),
    "endless target": Request(b"GET /" + b"x" * 5_000_000, frozenset({400, 414, CLOSED})),
    "key of bytes": Request(
        b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
        frozenset({400, 401}),
    ),
    "folded header": Request(
        b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: a\r\n b\r\n\r\n", frozenset({200, 400})
    ),
    "bare newlines": Request(
        b"GET /livez HTTP/1.1\nHost: a\nConnection: close\n\n", frozenset({200, 400, CLOSED})
    ),
    "no http": Request(
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), frozenset({400, CLOSED})
    ),
    "http 0.9": Request(b"GET /\r\n\r\n", frozenset({400, CLOSED})),
    "unknown method": made("BREW /v1/jobs HTTP/1.1", statuses=(400, 405)),
    "trace": made("TRACE /v1/jobs HTTP/1.1", statuses=(400, 405)),
    "range flood": made(
        "GET /openapi.json HTTP/1.1",
        "Range: bytes=" + ",".join("0-" for _ in range(2000)),
        statuses=(200, 400, 416),
    ),
    "deep json": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 60000",
        body=b"[" * 60_000,
        statuses=(400, 413, 422),
    ),
    "number bomb": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 60000",
        body=b"9" * 60_000,
        statuses=(400, 413, 422),
    ),
    "nan": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 12",
        body=b'{"kind":NaN}',
        statuses=(400, 422),
    ),
    "surrogate": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 17",
        body=b'{"kind":"\\ud800"}',
        statuses=(400, 422),
    ),
    "no utf-8": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/json",
        "Content-Length: 4",
        body=b'"\xff\xfe"',
        statuses=(400, 422),
    ),
    "form": made(
        "POST /v1/jobs HTTP/1.1",
        "Content-Type: application/x-www-form-urlencoded",
        "Content-Length: 3",
        body=b"a=b",
        statuses=(415, 422),
    ),
    "multipart": made(
        "PUT /v1/teachers/x HTTP/1.1",
        "Content-Type: multipart/form-data; boundary=a",
        "Content-Length: 5",
        body=b"--a--",
        statuses=(415, 422),
    ),
    "websocket": made(
        "GET /v1/jobs HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        statuses=(200, 400, 403, 404, 500),
    ),
    "pipelined": Request(
        b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n" * 200
        + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        frozenset({200}),
    ),
    "expectation": made(
        PUT, "Content-Length: 3", "Expect: 200-maybe", body=b"abc", statuses=(415, 400, 417, 422)
    ),
}
