"""What every store keeps to, whether a folder or a bucket."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import shutil
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import NotFound, TooLarge
from app.infra.blobs import BlobStore, BlobWriter, StoredBlob, make_blob_store
from app.infra.s3_blobs import S3BlobStore


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "bucket":
        return make_blob_store(request.getfixturevalue("s3_url"))
    return make_blob_store(f"file://{tmp_path}/my%20blobs")


def put(store: BlobStore, content: bytes) -> str:
    writer = store.open_for_write(limit_bytes=len(content))
    writer.write(content)
    return writer.finish().sha256


def everything(store: BlobStore) -> list[str]:
    return store.stored_before(math.inf)


def test_the_stores_time_is_that_of_what_is_stored_now(store: BlobStore) -> None:
    before = store.now_s()
    sha256 = put(store, b"weights")
    assert store.stored_before(before - 2.0) == []  # S3 tells full seconds
    assert store.stored_before(store.now_s() + 2.0) == [sha256]


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 9 * 2**20])
def test_a_blob_is_what_was_written_under_its_hash(store: BlobStore, size: int) -> None:
    content = os.urandom(size)
    sha256 = put(store, content)
    assert sha256 == hashlib.sha256(content).hexdigest()
    with store.open(sha256) as file:
        assert file.read() == content


def test_equal_bytes_are_one_blob(store: BlobStore) -> None:
    assert put(store, b"same") == put(store, b"same")
    assert len(everything(store)) == 1


def test_too_many_bytes_leave_nothing(store: BlobStore) -> None:
    writer = store.open_for_write(limit_bytes=3)
    writer.write(b"abc")
    with pytest.raises(TooLarge) as caught:
        writer.write(b"d")
    assert caught.value.code == "body_too_large"
    assert everything(store) == []


def test_a_discarded_blob_leaves_nothing(store: BlobStore) -> None:
    writer = store.open_for_write(limit_bytes=3)
    writer.write(b"abc")
    writer.discard()
    writer.discard()
    assert everything(store) == []


def test_discarding_after_the_end_keeps_the_blob(store: BlobStore) -> None:
    writer = store.open_for_write(limit_bytes=3)
    writer.write(b"abc")
    stored = writer.finish()
    writer.discard()
    assert everything(store) == [stored.sha256]


def test_a_file_is_copied_in_and_out(store: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(b"original")
    stored = store.put_file(tmp_path / "original")
    assert stored.size_bytes == 8
    store.fetch(stored.sha256, tmp_path / "copy")
    (tmp_path / "copy").write_bytes(b"changed!")
    with store.open(stored.sha256) as file:
        assert file.read() == b"original"


class Enough(CancelledError):
    pass


def at_most(chunks: int) -> Callable[[], None]:
    calls = itertools.count(1)

    def go_on() -> None:
        if next(calls) > chunks:
            raise Enough

    return go_on


@pytest.mark.parametrize("chunks", [0, 1, 7])
def test_storing_a_file_can_be_ended_between_chunks(store: BlobStore, chunks: int, tmp_path: Path) -> None:
    (tmp_path / "original").write_bytes(os.urandom(8 * 2**20))
    with pytest.raises(Enough):
        store.put_file(tmp_path / "original", go_on=at_most(chunks))
    assert everything(store) == []


def test_fetching_a_blob_can_be_ended_between_chunks(store: BlobStore, tmp_path: Path) -> None:
    sha256 = put(store, os.urandom(3 * 2**20))
    with pytest.raises(Enough):
        store.fetch(sha256, tmp_path / "copy", go_on=at_most(2))


def test_a_file_that_changes_while_it_is_stored_is_stored_under_what_it_was(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a job's process could put its bytes under the hash of somebody else's."""
    path = tmp_path / "output"
    path.write_bytes(b"known bytes")
    begin = store.open_for_write

    def change_after_reading(**options: Any) -> BlobWriter:
        writer = begin(**options)
        finish = writer.finish

        def late() -> StoredBlob:
            path.write_bytes(b"other bytes")
            return finish()

        monkeypatch.setattr(writer, "finish", late)
        return writer

    monkeypatch.setattr(store, "open_for_write", change_after_reading)
    stored = store.put_file(path)
    assert path.read_bytes() == b"other bytes"
    with store.open(stored.sha256) as file:
        assert hashlib.sha256(file.read()).hexdigest() == stored.sha256


def test_a_blob_can_be_read_from_anywhere(store: BlobStore) -> None:
    content = os.urandom(3 * 2**20)
    with store.open(put(store, content)) as file:
        file.seek(2**21)
        assert file.tell() == 2**21
        assert file.read(5) == content[2**21 : 2**21 + 5]
        file.seek(-7, os.SEEK_END)
        assert file.read() == content[-7:]
        assert file.read() == b""
        file.seek(100)
        file.seek(11, os.SEEK_CUR)
        assert file.read(2**20) == content[111 : 111 + 2**20]


def test_a_missing_blob_is_not_found(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        store.open("0" * 64)
    with pytest.raises(NotFound):
        store.fetch("0" * 64, tmp_path / "copy")


def test_blobs_can_be_deleted(store: BlobStore) -> None:
    kept, deleted = put(store, b"kept"), put(store, b"deleted")
    assert sorted(everything(store)) == sorted([kept, deleted])
    assert store.delete_if_stored_before(deleted, math.inf)
    assert not store.delete_if_stored_before(deleted, math.inf), "it is gone"
    assert everything(store) == [kept]
    with pytest.raises(NotFound):
        store.open(deleted)


def test_young_blobs_stay(store: BlobStore) -> None:
    sha256 = put(store, b"young")
    an_hour_ago = time.time() - 3600
    assert store.stored_before(an_hour_ago) == []
    assert not store.delete_if_stored_before(sha256, an_hour_ago)
    assert everything(store) == [sha256]


def test_a_working_store_passes_its_check(store: BlobStore) -> None:
    store.check()
    assert everything(store) == []


def test_a_folder_knows_how_much_room_it_has_and_a_bucket_does_not(store: BlobStore, tmp_path: Path) -> None:
    room = store.free_bytes()
    assert room is None or 0 < room <= shutil.disk_usage(tmp_path).total
    assert (room is None) == isinstance(store, S3BlobStore)
