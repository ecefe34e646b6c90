import hashlib
from pathlib import Path

import httpx
import pytest

from app.client.answers import raise_for_problem
from app.client.errors import DownloadCorruptError, ProblemError
from app.client.transfer import Download, fetch_once, keep_if_intact, read_chunks

CONTENT = bytes(range(256)) * 64
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def serve_ranges(request: httpx.Request) -> httpx.Response:
    wanted = request.headers.get("Range")
    if wanted is None:
        return httpx.Response(200, content=CONTENT)
    start = int(wanted.removeprefix("bytes=").rstrip("-"))
    if start >= len(CONTENT):
        return httpx.Response(416, headers={"Content-Range": f"bytes */{len(CONTENT)}"})
    headers = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"}
    return httpx.Response(206, content=CONTENT[start:], headers=headers)


def client_of(handler) -> httpx.Client:
    return httpx.Client(base_url="http://server", transport=httpx.MockTransport(handler))


@pytest.fixture
def download(tmp_path: Path) -> Download:
    return Download("/v1/artifacts/art_1/content", DIGEST, tmp_path / "student.safetensors")


def test_a_whole_file_arrives(download: Download) -> None:
    moved: list[int] = []
    fetch_once(client_of(serve_ranges), download, moved.append)
    keep_if_intact(download)
    assert download.destination.read_bytes() == CONTENT
    assert sum(moved) == len(CONTENT)


@pytest.mark.parametrize("have", [1, 1000, len(CONTENT) - 1])
def test_a_broken_download_goes_on_where_it_stopped(download: Download, have: int) -> None:
    download.part_path.write_bytes(CONTENT[:have])
    moved: list[int] = []
    response = fetch_once(client_of(serve_ranges), download, moved.append)
    keep_if_intact(download)
    assert response.status_code == 206
    assert sum(moved) == len(CONTENT) - have
    assert download.destination.read_bytes() == CONTENT


def test_a_complete_part_file_is_kept(download: Download) -> None:
    download.part_path.write_bytes(CONTENT)
    assert fetch_once(client_of(serve_ranges), download, lambda n: None).status_code == 416
    keep_if_intact(download)
    assert download.destination.read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_starts_over(download: Download) -> None:
    download.part_path.write_bytes(CONTENT[:500])
    moved: list[int] = []
    fetch_once(client_of(lambda request: httpx.Response(200, content=CONTENT)), download, moved.append)
    keep_if_intact(download)
    assert download.destination.read_bytes() == CONTENT
    assert sum(moved) == len(CONTENT) - 500


def test_wrong_bytes_are_thrown_away(download: Download) -> None:
    fetch_once(client_of(lambda request: httpx.Response(200, content=b"other")), download, lambda n: None)
    with pytest.raises(DownloadCorruptError):
        keep_if_intact(download)
    assert list(download.destination.parent.iterdir()) == []


def test_part_files_of_other_content_are_not_used(download: Download) -> None:
    other = Download(download.url, "0" * 64, download.destination)
    assert other.part_path != download.part_path


def test_chunks_cover_the_file(tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    path.write_bytes(CONTENT)
    moved: list[int] = []
    assert b"".join(read_chunks(path, moved.append)) == CONTENT
    assert sum(moved) == len(CONTENT)


def test_a_problem_document_is_raised_with_its_code_and_hint() -> None:
    document = {"code": "pickle_refused", "detail": "It is a pickle.", "hint": "Save a state_dict."}
    with pytest.raises(ProblemError, match="It is a pickle") as caught:
        raise_for_problem(httpx.Response(422, json=document))
    assert (caught.value.code, caught.value.hint, caught.value.status) == (
        "pickle_refused",
        "Save a state_dict.",
        422,
    )


def test_an_error_that_is_no_problem_document_is_raised_too() -> None:
    with pytest.raises(ProblemError, match="500"):
        raise_for_problem(httpx.Response(500, text="<html>"))
