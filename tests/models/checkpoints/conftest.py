"""Building blocks of hostile files: a zip writer, a pickle assembler, and the assertion of a refusal."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.checkpoints.codes import CODES
from models.checkpoints.scan import scan_checkpoint
from models.errors import CheckpointRejected

ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


class Assembler:
    """Pickle opcodes by hand, so that a test can say what no Pickler would."""

    @staticmethod
    def text(value: str) -> bytes:
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw

    @staticmethod
    def number(value: int) -> bytes:
        raw = value.to_bytes(15, "little", signed=True)
        return b"\x8a" + bytes([len(raw)]) + raw

    def numbers(self, values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(self.number, values)) + b"t"

    def storage(self, key: str = "0", elements: int = 4, kind: str = "torch\nFloatStorage") -> bytes:
        head = self.text("storage") + b"c" + kind.encode() + b"\n"
        return b"(" + head + self.text(key) + self.text("cpu") + self.number(elements) + b"tQ"

    def tensor(self, shape=(4,), strides=(1,), offset: int = 0, storage: bytes | None = None) -> bytes:
        view = self.number(offset) + self.numbers(shape) + self.numbers(strides)
        arguments = b"(" + (storage or self.storage()) + view + b"\x89" + ORDERED_DICT + b"t"
        return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"

    def state(self, *entries: tuple[str, bytes]) -> bytes:
        """A pickle of a dict with these entries."""
        return b"\x80\x02}(" + b"".join(self.text(name) + value for name, value in entries) + b"u."


@pytest.fixture
def assemble() -> Assembler:
    return Assembler()


def zip_of(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return out.getvalue()


@pytest.fixture
def make_zip() -> Callable[..., bytes]:
    return zip_of


@pytest.fixture
def torch_zip() -> Callable[..., bytes]:
    """A file as torch.save writes it, around any data.pkl; storage 0 has four ones unless told otherwise."""

    def make(pickled: bytes, storages: dict[str, bytes] | None = None, **extra: bytes) -> bytes:
        chosen = {"0": struct.pack("<4f", 1, 1, 1, 1)} if storages is None else storages
        members = {"a/data.pkl": pickled, "a/version": b"3\n"}
        members |= {f"a/data/{key}": raw for key, raw in chosen.items()}
        return zip_of(members | {f"a/{name}": raw for name, raw in extra.items()})

    return make


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
