from __future__ import annotations

import base64
import hashlib

import pytest

CONTENT = bytes(range(256)) * 4


@pytest.fixture
def artifact(api):
    job_id = api.job()
    return f"/v1/artifacts/{api.publish(job_id, 'student.safetensors', CONTENT)}/content"


def test_artifacts_are_listed_with_their_digest(api):
    job_id = api.job()
    artifact_id = api.publish(job_id, "student.safetensors", CONTENT)
    (listed,) = api("GET", f"/v1/jobs/{job_id}/artifacts").json()["data"]
    assert listed["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (listed["name"], listed["size_bytes"], listed["job"]) == ("student.safetensors", 1024, job_id)
    assert listed["links"]["content"] == f"/v1/artifacts/{artifact_id}/content"


def test_a_job_without_artifacts_has_an_empty_list(api):
    assert api("GET", f"/v1/jobs/{api.job()}/artifacts").json()["data"] == []


def test_a_download_carries_its_digest_twice(api, artifact):
    answer = api("GET", artifact)
    digest = hashlib.sha256(CONTENT)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["etag"] == f'"sha256:{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["content-disposition"] == 'attachment; filename="student.safetensors"'
    assert answer.headers["content-length"] == "1024"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_head_sends_the_same_headers_and_no_bytes(api, artifact):
    got, head = api("GET", artifact), api("HEAD", artifact, headers={"Range": "bytes=0-1"})
    assert (head.status_code, head.content) == (200, b"")
    assert {**head.headers, "x-request-id": ""} == {**got.headers, "x-request-id": ""}


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 0), ("100-199", 100, 199), ("1000-", 1000, 1023), ("-24", 1000, 1023)],
)
def test_a_range_is_sent_alone(api, artifact, asked, first, last):
    answer = api("GET", artifact, headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/1024"
    assert answer.headers["content-length"] == str(last - first + 1)


def test_a_range_outside_names_the_size(api, artifact):
    answer = api("GET", artifact, headers={"Range": "bytes=1024-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == "bytes */1024"


def test_if_range_guards_against_joining_two_versions(api, artifact):
    headers = {"Range": "bytes=0-9", "If-Range": '"sha256:another"'}
    answer = api("GET", artifact, headers=headers)
    assert (answer.status_code, answer.content) == (200, CONTENT)


def test_an_unchanged_file_is_not_sent_again(api, artifact):
    etag = api("GET", artifact).headers["etag"]
    answer = api("GET", artifact, headers={"If-None-Match": etag, "Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("size", [0, 1, 255, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1])
def test_files_of_any_size_arrive_whole(api, size):
    content = hashlib.shake_128(str(size).encode()).digest(size)
    artifact_id = api.publish(api.job(), "x.bin", content)
    answer = api("GET", f"/v1/artifacts/{artifact_id}/content")
    assert answer.content == content
    assert answer.headers["content-length"] == str(size)


def test_an_artifact_whose_bytes_are_gone_is_gone(api, artifact):
    for blob in api.blobs():
        blob.unlink()
    assert api("GET", artifact).json()["code"] == "not_found"


def test_a_hostile_name_stays_inside_its_header(api):
    artifact_id = api.publish(api.job(), 'a"\r\nSet-Cookie: x=1', b"x")
    answer = api("GET", f"/v1/artifacts/{artifact_id}/content")
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].startswith('attachment; filename="a___Set-Cookie__x_1"')
