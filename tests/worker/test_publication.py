from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.infra.blob_store import CHUNK_BYTES
from app.infra.local_blobs import LocalBlobStore
from worker import publication
from worker.child_job import OUTPUTS
from worker.sandbox.protocol import ProducedFile


@pytest.mark.parametrize("becomes", ["link", "pipe", "folder"])
def test_what_takes_a_file_s_place_after_the_look_at_it_is_not_published(
    becomes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process still runs: a link showed what the worker can read, a pipe kept it waiting for ever."""
    (tmp_path / "secret").write_bytes(b"secret")
    path = tmp_path / "job" / OUTPUTS / "report.html"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"<p>")

    def look(found: Path, limit_bytes: int) -> None:
        real(found, limit_bytes)
        found.unlink()
        if becomes == "link":
            found.symlink_to(tmp_path / "secret")
        elif becomes == "pipe":
            os.mkfifo(found)
        else:
            found.mkdir()

    real = publication._check
    monkeypatch.setattr(publication, "_check", look)
    store = LocalBlobStore(tmp_path / "blobs")
    produced = [ProducedFile(name="report.html", media_type="text/html")]
    with pytest.raises(Invalid):
        publication.store_files(store, tmp_path / "job", produced, limit_bytes=100, go_on=lambda: None)
    assert store.stored_before(float("inf")) == []
    assert list(store.writing_folder.iterdir()) == []


def test_what_grows_while_it_is_stored_is_not_published(tmp_path: Path) -> None:
    """A job, canceled or not, failed with ``body_too_large`` and the hint to upload a smaller file."""
    path = tmp_path / "job" / OUTPUTS / "report.html"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(CHUNK_BYTES))

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    store = LocalBlobStore(tmp_path / "blobs")
    produced = [ProducedFile(name="report.html", media_type="text/html")]
    with pytest.raises(Invalid) as caught:
        publication.store_files(store, tmp_path / "job", produced, limit_bytes=2 * CHUNK_BYTES, go_on=grow)
    assert caught.value.code == "output_invalid"
    assert list(store.writing_folder.iterdir()) == []
