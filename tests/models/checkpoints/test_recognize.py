"""Foreign formats are refused by name, told from their bytes."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image


def _image(form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, form)
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("model.pt")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


def _numpy(save) -> bytes:
    out = io.BytesIO()
    save(out, np.ones(3))
    return out.getvalue()


SIGNED = {
    "gzip": (gzip.compress(b"weights"), "gzip"),
    "bzip2": (b"BZh91AY&SY", "bzip2"),
    "xz": (b"\xfd7zXZ\x00\x00", "xz"),
    "zstandard": (b"\x28\xb5\x2f\xfd\x00", "zstandard"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "RAR"),
    "tar": (_tar(), "tar"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras"),
    "npy": (_numpy(np.save), "npy"),
    "npz": (_numpy(np.savez), "npz"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(32), "GGUF"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x80\x01" + bytes(200), "ONNX"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(32), "TensorFlow Lite"),
    "pdf": (b"%PDF-1.7\n", "PDF"),
    "png": (_image("PNG"), "PNG"),
    "jpeg": (_image("JPEG"), "JPEG"),
    "elf": (b"\x7fELF\x02\x01\x01" + bytes(9), "program"),
    "html": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML"),
    "git_lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "text": ("Hello, this is not a model. Größe: 12\n".encode(), "text file"),
    "long_text": (("ä" * 5000).encode(), "text file"),
    "json": (b'{"weights": [1, 2, 3]}', "text file"),
    "plain_pickle": (pickle.dumps({"w": [1.0]}, protocol=4), "plain pickle"),
    "pickled_state_dict": (pickle.dumps({"w": torch.ones(2)}, protocol=4), "plain pickle"),
    # Its sender was told to leave optimizer state out, or to have a limit raised: neither helps.
    "long_plain_pickle": (pickle.dumps({"w": bytes(5 << 20)}, protocol=4), "plain pickle"),
}


@pytest.mark.parametrize(("content", "named"), SIGNED.values(), ids=SIGNED.keys())
def test_names_the_format(content: bytes, named: str, refused) -> None:
    error = refused(content)
    assert error.code == "unsupported_format"
    assert named in error.detail


ZIPS = {
    "torchscript": (("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"), "TorchScript"),
    "mobile": (("m/data.pkl", "m/bytecode.pkl"), "Mobile"),
    "torch_package": (("p/.data/extern_modules", "p/model/model.pkl"), "torch.package"),
    "pt2": (("m/archive_format", "m/models/model.json"), "pt2"),
    "mar": (("MAR-INF/MANIFEST.json", "model.pt"), "TorchServe"),
    "keras": (("config.json", "model.weights.h5"), "Keras"),
    "npz": (("weights.npy",), "npz"),
    "office": (("word/document.xml",), "office"),
    "plain": (("model.pt", "readme.txt"), "zip archive"),
}


@pytest.mark.parametrize(("names", "named"), ZIPS.values(), ids=ZIPS.keys())
def test_names_what_a_zip_holds(names: tuple[str, ...], named: str, make_zip, refused) -> None:
    error = refused(make_zip(dict.fromkeys(names, b"")))
    assert error.code == "unsupported_format"
    assert named in error.detail


def test_an_empty_file_is_told_so(refused) -> None:
    assert refused(b"").code == "empty_file"


def test_unknown_bytes_are_told_so(refused) -> None:
    assert refused(b"\xf0\x00\x01\x02" * 50).code == "format_unknown"


def test_names_a_truncated_legacy_file(refused) -> None:
    out = io.BytesIO()
    torch.save({"w": torch.ones(100)}, out, _use_new_zipfile_serialization=False)
    content = out.getvalue()
    codes = [refused(content[:length]).code for length in (20, 100, len(content) - 1)]
    assert codes == ["truncated_file"] * 3


def test_refuses_bytes_after_a_legacy_file(refused) -> None:
    out = io.BytesIO()
    torch.save({"w": torch.ones(100)}, out, _use_new_zipfile_serialization=False)
    assert refused(out.getvalue() + b"more").code == "storage_size_mismatch"


def test_refuses_a_legacy_storage_of_another_length(refused) -> None:
    out = io.BytesIO()
    torch.save({"w": torch.ones(100)}, out, _use_new_zipfile_serialization=False)
    content = out.getvalue()
    assert (
        refused(content[:-408] + (99).to_bytes(8, "little") + content[-400:]).code == "storage_size_mismatch"
    )
