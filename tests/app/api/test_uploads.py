from __future__ import annotations

import asyncio

import pytest

from app.core.states import Scope


def put(api, content, **headers):
    return api(
        "PUT",
        "/v1/teachers/a.pt",
        content=content,
        headers={name.replace("_", "-"): v for name, v in headers.items()},
    )


async def pieces(*parts):
    for part in parts:
        yield part


def refused(api, answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert api.blobs() == []
    return True


def test_a_body_without_a_length_is_refused(api):
    assert refused(api, put(api, pieces(b"weights")), 411, "length_required")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "", "7, 7", "9" * 30])
def test_a_length_that_is_no_number_is_refused(api, length):
    assert refused(api, put(api, pieces(b"weights"), Content_Length=length), 400, "content_length_invalid")


@pytest.mark.parametrize("length", ["6", "8", "0"])
def test_a_length_that_lies_is_refused(api, length):
    assert refused(api, put(api, pieces(b"weights"), Content_Length=length), 400, "content_length_mismatch")


def test_a_body_at_the_limit_is_taken(api):
    assert put(api, b"x" * 100_000).status_code == 201


def test_a_body_over_the_limit_is_refused_before_it_is_read(api):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    assert refused(api, put(api, unread(), Content_Length="100001"), 413, "body_too_large")


def test_a_form_is_refused_with_a_hint(api):
    answer = put(api, b"--x", Content_Type="multipart/form-data; boundary=x")
    assert refused(api, answer, 415, "unsupported_media_type")
    assert "raw bytes" in answer.json()["hint"]


def test_a_compressed_body_is_refused(api):
    assert refused(api, put(api, b"x", Content_Encoding="gzip"), 415, "unsupported_media_type")


def test_a_part_of_a_file_is_not_taken_for_the_whole(api):
    """What `curl -C 7 -T` sent was inspected as it was, and the reader knew no such format."""
    answer = put(api, b"weights", Content_Range="bytes 7-13/14")
    assert refused(api, answer, 400, "bad_request")
    assert "Content-Range" in answer.json()["detail"]


def test_a_body_that_stalls_is_given_up(api, monkeypatch):
    monkeypatch.setattr("app.api.uploads.IDLE_TIMEOUT_S", 0.05)

    async def stalling():
        yield b"wei"
        await asyncio.Event().wait()

    assert refused(api, put(api, stalling(), Content_Length="7"), 408, "upload_timed_out")


def test_a_key_that_is_revoked_meanwhile_uploads_nothing(api):
    secret = api.make_key(Scope.SUBMIT)

    async def parts():
        yield b"wei"
        api.revoke(secret)
        yield b"ghts"

    headers = {"Content-Length": "7"}
    answer = api("PUT", "/v1/teachers/a.pt", key=secret, content=parts(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert api("GET", "/v1/teachers").json()["data"] == []


def test_a_body_that_drips_is_given_up(api, monkeypatch):
    """Its connection and its temporary file were kept for as long as a byte a minute came."""
    monkeypatch.setattr("app.api.uploads.IDLE_TIMEOUT_S", 0.3)

    async def dripping():
        for _ in range(12):
            yield b"w"
            await asyncio.sleep(0.1)

    assert refused(api, put(api, dripping(), Content_Length="12"), 408, "upload_timed_out")


def test_a_body_may_pause_when_it_came_fast_before(api, monkeypatch):
    monkeypatch.setattr("app.api.uploads.IDLE_TIMEOUT_S", 0.3)

    async def pausing():
        for _ in range(5):
            yield bytes(1024)
            await asyncio.sleep(0.1)

    assert put(api, pausing(), Content_Length="5120").status_code < 300


def test_a_key_that_may_not_upload_is_told_before_the_body_is_read(api):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    answer = api("PUT", "/v1/teachers/a.pt", key=api.make_key(Scope.READ), content=unread())
    assert answer.status_code == 403
