"""What is a bucket's alone: two steps of deletion, what the SDK raises, how the store is named."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber
from urllib3.exceptions import SSLError

from app.core.errors import NotFound, Unavailable
from app.infra.blobs import StoreUnreachable, make_blob_store
from app.infra.s3_blobs import S3BlobStore
from app.infra.s3_reader import S3BlobReader
from tests.app.infra.test_blob_stores import Enough, at_most, everything, put

HOUR_S = 3600.0


@pytest.fixture
def store(s3_url: str) -> S3BlobStore:
    made = make_blob_store(s3_url)
    assert isinstance(made, S3BlobStore)
    return made


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for what the server stores from now on."""
    from moto.s3 import models

    def pass_by(seconds: float) -> None:
        now = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=seconds)
        monkeypatch.setattr(models, "utcnow", lambda: now)

    return pass_by


def keys(store: S3BlobStore) -> list[str]:
    listed = store._client.list_objects_v2(Bucket=store._bucket)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def delete_old(store: S3BlobStore, sha256: str, *, now_s: float) -> bool:
    """Do what a sweep does that finds nobody who needs the blob."""
    horizon = now_s - HOUR_S
    return sha256 in store.stored_before(horizon) and store.delete_if_stored_before(sha256, horizon)


def test_a_blob_is_deleted_in_two_steps(store: S3BlobStore, age: Callable[[float], None]) -> None:
    sha256 = put(store, b"old")
    start = time.time()
    age(2 * HOUR_S)
    assert not delete_old(store, sha256, now_s=start + 2 * HOUR_S)
    assert keys(store) == [f"some/prefix/trash/{sha256}"]
    assert not delete_old(store, sha256, now_s=start + 2.5 * HOUR_S), "it lies there for half an hour"
    assert delete_old(store, sha256, now_s=start + 4 * HOUR_S)
    assert keys(store) == []


def test_a_blob_stored_again_while_it_is_deleted_is_not_lost(
    store: S3BlobStore, age: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a blob's age and its end, another upload may bring the same bytes."""
    sha256 = put(store, b"same")
    start = time.time()
    age(2 * HOUR_S)
    copied = store._mover.copy_object

    def copy_and_lose_the_race(**arguments: Any) -> None:
        copied(**arguments)
        put(store, b"same")

    monkeypatch.setattr(store._mover, "copy_object", copy_and_lose_the_race)
    assert not delete_old(store, sha256, now_s=start + 2 * HOUR_S)
    with store.open(sha256) as file:
        assert file.read() == b"same"
    assert store.delete_abandoned(older_than_s=-9 * HOUR_S) == 0, "the only copy is no rubbish"


def test_of_two_upkeeps_one_is_faster(
    store: S3BlobStore, age: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256 = put(store, b"old")
    now_s = time.time() + 2 * HOUR_S
    age(2 * HOUR_S)
    copied = store._mover.copy_object

    def lose_the_race(**arguments: Any) -> None:
        monkeypatch.setattr(store._mover, "copy_object", copied)
        delete_old(store, sha256, now_s=now_s)
        copied(**arguments)

    monkeypatch.setattr(store._mover, "copy_object", lose_the_race)
    assert not delete_old(store, sha256, now_s=now_s)
    assert keys(store) == [f"some/prefix/trash/{sha256}"]


def test_a_blob_that_came_back_is_deleted_with_its_copy(
    store: S3BlobStore, age: Callable[[float], None]
) -> None:
    sha256 = put(store, b"back")
    start = time.time()
    for hours in (2, 4):
        age(hours * HOUR_S)
        assert not delete_old(store, sha256, now_s=start + hours * HOUR_S)
        if hours == 2:
            put(store, b"back")
            assert len(keys(store)) == 2
            assert not store.delete_if_stored_before(sha256, start + HOUR_S), "young again"
    age(6 * HOUR_S)
    assert delete_old(store, sha256, now_s=start + 6 * HOUR_S)
    assert keys(store) == []


def test_other_keys_of_the_bucket_are_not_ours(store: S3BlobStore) -> None:
    store._client.put_object(Bucket=store._bucket, Key="theirs/blobs/x", Body=b"x")
    assert everything(store) == []
    put(make_blob_store(f"s3://{store._bucket}"), b"without a prefix")
    assert len(keys(store)) == 2
    assert everything(store) == []


@pytest.mark.parametrize("chunks", [12, 20, 40])
def test_sending_can_be_ended_between_chunks(store: S3BlobStore, chunks: int, tmp_path: Path) -> None:
    """Eight are collected in a file, then hashed, then sent in smaller ones; the SDK does not try again."""
    (tmp_path / "original").write_bytes(os.urandom(8 * 2**20))
    began = time.monotonic()
    with pytest.raises(Enough):
        store.put_file(tmp_path / "original", go_on=at_most(chunks))
    assert time.monotonic() - began < 5
    assert keys(store) == []


def test_a_missing_bucket_is_said_so(s3_url: str) -> None:
    store = make_blob_store("s3://there-is-none")
    with pytest.raises(StoreUnreachable, match="there-is-none"):
        store.check()
    with pytest.raises(StoreUnreachable, match="there-is-none"):
        store.open("0" * 64)
    with pytest.raises(StoreUnreachable, match="NoSuchBucket"):
        put(store, b"x")


def test_a_store_that_is_away_is_said_so(monkeypatch: pytest.MonkeyPatch, s3_url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    store = make_blob_store(s3_url)
    for reach in (store.check, lambda: store.open("0" * 64), lambda: everything(store)):
        with pytest.raises(StoreUnreachable, match="EndpointConnectionError"):
            reach()


@pytest.mark.parametrize(("code", "status"), [("Whatever", 507), ("QuotaExceeded", 403)])
def test_a_full_store_is_said_so(store: S3BlobStore, code: str, status: int) -> None:
    with Stubber(store._mover) as stub:
        stub.add_client_error("put_object", code, http_status_code=status)
        with pytest.raises(Unavailable) as caught:
            put(store, b"x")
    assert caught.value.code == "storage_full"


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_found_by_either_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv(name, "eu-central-1")
    assert S3BlobStore("bucket")._client.meta.region_name == "eu-central-1"


def test_a_connection_that_breaks_once_is_taken_up_where_it_broke(store: S3BlobStore) -> None:
    content = bytes(range(256)) * 40
    sha256 = put(store, content)
    reader = S3BlobReader(store._client, store._bucket, store._key(sha256), len(content))
    assert reader.read(1000) == content[:1000]
    reader._stream = _Breaking(ReadTimeoutError(endpoint_url="x"))
    assert reader.read() == content[1000:]


class _Breaking:
    """A client whose connections break."""

    def __init__(self, fault: Exception | None) -> None:
        self.fault = fault

    def get_object(self, **_: str) -> dict[str, _Breaking]:
        return {"Body": self}

    def read(self, _: int) -> bytes:
        if self.fault is not None:
            raise self.fault
        return b""

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "fault",
    [
        ReadTimeoutError(endpoint_url="x"),
        EndpointConnectionError(endpoint_url="x"),
        SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"),
        None,
    ],
)
def test_a_broken_connection_is_no_end_of_file(fault: Exception | None) -> None:
    with S3BlobReader(_Breaking(fault), "bucket", "key", 10) as reader, pytest.raises(StoreUnreachable):
        reader.read(5)


def test_a_blob_deleted_after_it_was_opened_is_not_found(store: S3BlobStore) -> None:
    sha256 = put(store, b"x")
    with store.open(sha256) as file:
        store.delete_if_stored_before(sha256, time.time() + HOUR_S)
        store.delete_if_stored_before(sha256, time.time() + HOUR_S)
        with pytest.raises(NotFound):
            file.read()
