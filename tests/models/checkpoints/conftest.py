"""Building blocks of hostile files as fixtures, and the assertion of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.checkpoints.codes import CODES
from models.checkpoints.scan import scan_checkpoint
from models.errors import CheckpointRejected
from tests.hostile import craft


@pytest.fixture
def assemble() -> craft.Assembler:
    return craft.A


@pytest.fixture
def make_zip() -> Callable[..., bytes]:
    return craft.zip_of


@pytest.fixture
def torch_zip() -> Callable[..., bytes]:
    return craft.torch_zip


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def make(content: bytes) -> Path:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return path

    return make


@pytest.fixture
def refused(write) -> Callable[..., CheckpointRejected]:
    """Scan content that must be refused; returns the error, whose code is documented and whose hint helps."""

    def scan(content: bytes, **options) -> CheckpointRejected:
        with pytest.raises(CheckpointRejected) as caught:
            scan_checkpoint(write(content), **options)
        assert caught.value.code in CODES
        assert caught.value.hint
        assert caught.value.detail.isprintable()
        return caught.value

    return scan
