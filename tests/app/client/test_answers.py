"""What is no Proctor server is told to be none."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.client import ProctorClient
from app.client.errors import ClientError
from app.client.retry import RetryPolicy

ANSWERS = {
    "a web page": httpx.Response(200, text="<html>", headers={"Content-Type": "text/html"}),
    "another service": httpx.Response(200, json={"message": "hello"}),
    "a list": httpx.Response(200, json=[]),
    "a list of something": httpx.Response(200, json={"data": [{"name": "x"}]}),
    "no list": httpx.Response(200, json={"data": 7}),
    "deep JSON": httpx.Response(200, text="[" * 200_000),
    "a redirect": httpx.Response(301, headers={"Location": "https://server/v1/jobs"}),
}
CALLS: dict[str, Callable[[ProctorClient, Path], object]] = {
    "job": lambda client, path: client.job("job_1"),
    "jobs": lambda client, path: list(client.jobs(limit=5)),
    "submit": lambda client, path: client.submit({}),
    "cancel": lambda client, path: client.cancel("job_1"),
    "events": lambda client, path: list(client.events("job_1")),
    "artifacts": lambda client, path: client.artifacts("job_1"),
    "upload": lambda client, path: client.upload_teacher(path, {}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_what_does_not_answer_as_proctor_is_none(answer: str, call: str, tmp_path: Path) -> None:
    (tmp_path / "teacher.pt").write_bytes(b"weights")

    def handler(request: httpx.Request) -> httpx.Response:
        request.read()
        found = ANSWERS[answer]
        return httpx.Response(found.status_code, headers=found.headers, content=found.content)

    client = ProctorClient("http://server", "prk_x", httpx.MockTransport(handler), RetryPolicy(attempts=1))
    with pytest.raises(ClientError, match="http://server/ answered, but not as a Proctor server") as caught:
        CALLS[call](client, tmp_path / "teacher.pt")
    assert caught.value.code == "not_proctor"
    assert ("https://server/v1/jobs" in caught.value.detail) == (answer == "a redirect")


def test_a_redirected_download_is_no_file(tmp_path: Path) -> None:
    client = ProctorClient(
        "http://server",
        "prk_x",
        httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": "/login"})),
    )
    with pytest.raises(ClientError, match="it sends on to /login"):
        client.download({"id": "art_1", "sha256": "0" * 64}, tmp_path / "student.safetensors")
    assert list(tmp_path.iterdir()) == []
