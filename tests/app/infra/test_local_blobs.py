from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from app.core.errors import TooLarge, Unavailable
from app.infra.local_blobs import LocalBlobStore


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def files_in(store: LocalBlobStore) -> list[Path]:
    found = store.writing_folder.parent.rglob("*")
    return [path for path in found if path.is_file() and path.name != "lock"]


def test_equal_bytes_are_one_file_and_too_many_none(store: LocalBlobStore) -> None:
    assert put(store, b"same") == put(store, b"same")
    assert len(files_in(store)) == 1
    for size in (3, 4):
        writer = store.open_for_write(limit_bytes=3)
        with suppress(TooLarge):
            writer.write(b"x" * size)
        writer.discard()
    assert len(files_in(store)) == 1


def put(store: LocalBlobStore, content: bytes) -> str:
    writer = store.open_for_write(limit_bytes=len(content))
    writer.write(content)
    return writer.finish().sha256


def test_a_full_disk_is_said_so_and_leaves_nothing(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = store.open_for_write(limit_bytes=3)
    writer.write(b"abc")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable) as caught:
        writer.finish()
    assert caught.value.code == "storage_full"
    assert files_in(store) == []


def test_another_input_output_error_stays_what_it_is(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = store.open_for_write(limit_bytes=3)
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        writer.finish()


def test_files_and_folders_are_private(store: LocalBlobStore) -> None:
    path = store.path(put(store, b"secret"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.writing_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.writing_folder.parent / "lock").stat().st_mode) == 0o600


def test_old_blobs_are_named_and_can_be_deleted(store: LocalBlobStore) -> None:
    put(store, b"new")
    old = put(store, b"old")
    os.utime(store.path(old), (0, 0))
    assert store.stored_before(1.0) == [old]
    assert store.delete_if_stored_before(old, 1.0)
    assert not store.delete_if_stored_before(old, 1.0), "it is gone"
    assert store.stored_before(1.0) == []


def test_a_blob_that_was_stored_again_is_not_old(store: LocalBlobStore) -> None:
    """Between the look at a blob's age and its end, another upload may bring the same bytes."""
    sha256 = put(store, b"same")
    os.utime(store.path(sha256), (0, 0))
    assert store.stored_before(1.0) == [sha256]
    put(store, b"same")
    assert not store.delete_if_stored_before(sha256, 1.0)
    assert store.path(sha256).exists()


def test_a_blob_is_as_old_as_its_end(store: LocalBlobStore) -> None:
    writer = store.open_for_write(limit_bytes=1)
    writer.write(b"x")
    os.utime(str(writer._path), (0, 0))
    writer.finish()
    assert store.stored_before(1.0) == []


def test_only_abandoned_temporary_files_are_cleared_away(store: LocalBlobStore) -> None:
    kept = put(store, b"blob")
    abandoned, current = (store.open_for_write(limit_bytes=9) for _ in range(2))
    assert abandoned._path is not None
    os.utime(abandoned._path, (0, 0))
    assert store.delete_abandoned(older_than_s=3600) == 1
    assert {path.name for path in files_in(store)} == {kept, Path(str(current._path)).name}
    abandoned.discard()
    current.discard()
