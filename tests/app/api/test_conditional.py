from __future__ import annotations

import hashlib

import pytest

from app.api.conditional import (
    ByteRange,
    UnsatisfiableRangeError,
    content_disposition,
    matches,
    parse_range,
    parse_sha256_digest,
    sha256_digest_field,
    sha256_etag,
)
from app.core.states import UploadStatus
from app.db import tables

ETAG = sha256_etag("ab" * 32)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", ByteRange(0, 0)),
        ("bytes=0-", ByteRange(0, 99)),
        ("bytes=10-19", ByteRange(10, 19)),
        ("bytes=90-1000", ByteRange(90, 99)),
        ("bytes=99-", ByteRange(99, 99)),
        ("bytes=-1", ByteRange(99, 99)),
        ("bytes=-1000", ByteRange(0, 99)),
        ("Bytes = 5-6", ByteRange(5, 6)),
        # Not understood, so the whole file is the answer (RFC 9110 section 14.2).
        ("bytes=-", None),
        ("bytes=6-5", None),
        ("bytes=0-1,3-4", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("items=0-1", None),
        ("bytes", None),
        ("", None),
        ("bytes=0-" + "9" * 5000, None),
    ],
)
def test_a_range_of_a_file_of_a_hundred_bytes(header, expected):
    assert parse_range(header, None, size=100, etag=ETAG) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_outside_the_file(header, size):
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, None, size=size, etag=ETAG)


@pytest.mark.parametrize("if_range", [f"W/{ETAG}", '"sha256:other"', "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_range_of_another_version_is_the_whole_file(if_range):
    assert parse_range("bytes=1-2", if_range, size=100, etag=ETAG) is None


def test_a_range_of_this_version():
    assert parse_range("bytes=1-2", ETAG, size=100, etag=ETAG) == ByteRange(1, 2)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("*", True),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ('"x"', False),
        ("ab", False),
    ],
)
def test_if_none_match_compares_weakly(header, expected):
    assert matches(header, ETAG) is expected


@pytest.mark.parametrize("kind", ["teachers", "datasets"])
@pytest.mark.parametrize("stale", ['"nope"', 'W/"nope"', "nope", ""])
def test_another_version_is_not_deleted(api, kind, stale):
    url = f"/v1/{kind}/{upload(api, kind)}"
    answer = api("DELETE", url, headers={"If-Match": stale})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    assert api("GET", url).status_code == 200


@pytest.mark.parametrize("kind", ["teachers", "datasets"])
@pytest.mark.parametrize("sent", ["{}", '"x", {}', "*"])
def test_the_version_that_was_seen_is_deleted(api, kind, sent):
    url = f"/v1/{kind}/{upload(api, kind)}"
    etag = api("GET", url).headers["etag"]
    assert api("DELETE", url, headers={"If-Match": sent.format(etag)}).status_code == 204
    gone = api("DELETE", url, headers={"If-Match": "*"})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


def test_a_teacher_that_changed_since_is_not_deleted(api):
    api.inspector.idle = True
    object.__setattr__(api.edge, "settings", api.edge.settings.model_copy(update={"inspect_wait_s": 0.0}))
    teacher_id = api("PUT", "/v1/teachers/a.pt", content=b"weights").json()["id"]
    etag = api("GET", f"/v1/teachers/{teacher_id}").headers["etag"]
    with api.edge.sessions.begin() as session:
        session.get_one(tables.Teacher, teacher_id).status = UploadStatus.REJECTED
    answer = api("DELETE", f"/v1/teachers/{teacher_id}", headers={"If-Match": etag})
    assert answer.status_code == 412


def upload(api, kind):
    return api.teacher() if kind == "teachers" else api.dataset("surrogate")


def test_a_digest_field_reads_back():
    sha256 = hashlib.sha256(b"x").hexdigest()
    assert parse_sha256_digest(sha256_digest_field(sha256)) == sha256


def test_other_digest_algorithms_are_ignored():
    assert parse_sha256_digest("sha-512=:AAAA:") is None


@pytest.mark.parametrize("header", ["sha-256=AAAA", "sha-256=:AAAA:", "sha-256=:?:", "sha-256=", "sha-256"])
def test_a_malformed_digest_is_refused(header):
    with pytest.raises(ValueError, match=r"sha-256|base64|padding|Only"):
        parse_sha256_digest(header)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("student.safetensors", 'attachment; filename="student.safetensors"'),
        ('a"b.pt', "attachment; filename=\"a_b.pt\"; filename*=UTF-8''a%22b.pt"),
        ("../../x", "attachment; filename=\"_.._x\"; filename*=UTF-8''..%2F..%2Fx"),
        ("Größe.pt", "attachment; filename=\"Gr__e.pt\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.pt"),
        ("a\r\nX-Evil: 1", "attachment; filename=\"a__X-Evil__1\"; filename*=UTF-8''a%0D%0AX-Evil%3A%201"),
        ("", "attachment; filename=\"download\"; filename*=UTF-8''"),
        ("\ud800", "attachment; filename=\"_\"; filename*=UTF-8''%3F"),
    ],
)
def test_any_file_name_fits_into_the_header(name, expected):
    assert content_disposition(name) == expected
    assert content_disposition(name).isascii()
