import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from app.api.connections import PunctualProtocol

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"

application = FastAPI()
ended = Event()


@application.get("/")
async def answer() -> str:
    return "answered"


@application.get("/endless")
async def endless() -> StreamingResponse:
    async def stream() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                await asyncio.sleep(0)
        finally:
            ended.set()

    return StreamingResponse(stream())


@application.get("/slow")
async def slow() -> str:
    await asyncio.sleep(1.5)
    return "late"


class Hasty(PunctualProtocol):
    head_s = 1.0
    reading_s = 1.0


@contextmanager
def serving() -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, http=Hasty, log_level="critical"))
    thread = Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving() as found:
        yield found


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.settimeout(4.0)  # less than uvicorn's own limit after an answer
    return connection


def is_closed(connection: socket.socket, drip: bytes = b"") -> bool:
    try:
        while connection.recv(65536):
            if drip:
                connection.sendall(drip)
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD[:-2]])
def test_a_connection_without_a_whole_head_is_closed(port: int, sent: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(sent)
        assert is_closed(connection)


@pytest.mark.parametrize("first", [HEAD, BODY])
def test_after_an_answer_a_byte_does_not_keep_a_connection_open(port: int, first: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(first)
        assert is_closed(connection, drip=b"G")


def test_a_request_may_take_longer_than_its_head(port: int) -> None:
    with connect(port) as connection:
        for path, told in ((b"/slow", b"late"), (b"/", b"answered")):
            connection.sendall(HEAD.replace(b"/", path, 1))
            received = b""
            while told not in received:
                received += (part := connection.recv(65536))
                assert part


def test_who_does_not_read_an_answer_loses_it(port: int) -> None:
    ended.clear()
    with connect(port) as connection:
        connection.sendall(HEAD.replace(b"/ ", b"/endless ", 1))
        assert ended.wait(5.0)


@pytest.mark.parametrize(
    "sent", [b"GET / HTTP/1.1\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", b"?\r\n\r\n"]
)
def test_what_is_no_request_is_refused_like_any_other(port: int, sent: bytes) -> None:
    """It was told so in plain text, by uvicorn."""
    with connect(port) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in head
    problem = json.loads(body)
    assert (problem["code"], problem["status"]) == ("bad_request", 400)
    assert problem["request_id"].encode() in head
