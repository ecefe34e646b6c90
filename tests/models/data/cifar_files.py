"""CIFAR's python files in small: pickles as Python 2 wrote them byte for byte, and tars of them."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import tarfile

import numpy as np

ROOT10 = "cifar-10-batches-py"


class Python2:
    """Writes protocol 2 as Python 2's cPickle did: 8-bit strings, every string and container remembered.

    The published files begin ``80 02 7d 71 01 28 55``: PROTO 2, EMPTY_DICT, BINPUT 1, MARK, SHORT_BINSTRING.
    """

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.memo = 0

    def put(self) -> None:
        self.memo += 1
        self.out += b"q" + bytes([self.memo]) if self.memo < 256 else b"r" + struct.pack("<I", self.memo)

    def write(self, value: object) -> None:
        match value:
            case dict():
                self.out += b"}"
                self.put()
                self.out += b"("
                for key, entry in value.items():
                    self.write(key)
                    self.write(entry)
                self.out += b"u"
            case str():
                raw = value.encode()
                self.out += b"U" + bytes([len(raw)]) + raw
                self.put()
            case list():
                self.out += b"]"
                self.put()
                for start in range(0, len(value), 1000):
                    self.out += b"("
                    for item in value[start : start + 1000]:
                        self.write(item)
                    self.out += b"e"
            case int():
                self.out += b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)
            case np.ndarray():
                self.array(value)

    def array(self, value: np.ndarray) -> None:
        self.out += b"cnumpy.core.multiarray\n_reconstruct\n"
        self.put()
        self.out += b"cnumpy\nndarray\n"
        self.put()
        self.out += b"K\x00\x85U\x01b\x87R"
        self.put()
        self.out += b"(K\x01"
        for length in value.shape:
            self.write(length)
        self.out += b"\x86cnumpy\ndtype\n"
        self.put()
        self.out += b"U\x02u1K\x00K\x01\x87R"
        self.put()
        self.out += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        raw = value.tobytes()
        self.out += b"T" + struct.pack("<I", len(raw)) + raw + b"tb"

    @classmethod
    def dumps(cls, value: object) -> bytes:
        writer = cls()
        writer.write(value)
        return bytes(writer.out) + b"."


def pixels(count: int, seed: int = 0) -> np.ndarray:
    """Random images, uint8 (N, 3072)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def batch10(count: int = 4, seed: int = 0, **changes: object) -> dict[str, object]:
    """A CIFAR-10 batch with the published keys in the published order; labels 0 to 9 in turn."""
    return {
        "batch_label": "training batch 1 of 5",
        "labels": [index % 10 for index in range(count)],
        "data": pixels(count, seed),
        "filenames": [f"leptodactylus_pentadactylus_s_{index:06}.png" for index in range(count)],
    } | changes


def batch100(count: int = 4, seed: int = 0) -> dict[str, object]:
    return {
        "filenames": [f"bos_taurus_s_{index:06}.png" for index in range(count)],
        "batch_label": "training batch 1 of 1",
        "fine_labels": [(7 * index) % 100 for index in range(count)],
        "coarse_labels": [index % 20 for index in range(count)],
        "data": pixels(count, seed),
    }


NAMES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
META10 = {"num_cases_per_batch": 10000, "label_names": NAMES10, "num_vis": 3072}


def as_bytes_keys(content: dict[str, object]) -> bytes:
    """What Python 3 writes when it saves again what ``encoding="bytes"`` gave it, in protocol 4."""
    return pickle.dumps({key.encode(): value for key, value in content.items()}, protocol=4)


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: object
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def tar(members: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def files(contents: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    return tar([(member(name, content), content) for name, content in contents.items()], form)


def published10(count: int = 4) -> dict[str, bytes]:
    """What cifar-10-python.tar.gz holds, in its order."""
    made = {"data_batch_4": 4, "readme.html": 0, "test_batch": 6, "data_batch_3": 3}
    made |= {"batches.meta": 0, "data_batch_2": 2, "data_batch_5": 5, "data_batch_1": 1}
    contents = {
        f"{ROOT10}/{name}": Python2.dumps(batch10(count, seed)) for name, seed in made.items() if seed
    }
    contents[f"{ROOT10}/readme.html"] = b'<meta HTTP-EQUIV="REFRESH">'
    contents[f"{ROOT10}/batches.meta"] = Python2.dumps(META10)
    return {f"{ROOT10}/{name}": contents[f"{ROOT10}/{name}"] for name in made}


def archive10(count: int = 4, form: int = tarfile.GNU_FORMAT) -> bytes:
    """A small cifar-10-python.tar.gz, with the folder's own entry."""
    inside = [(member(name, content), content) for name, content in published10(count).items()]
    return gzip.compress(tar([(member(ROOT10, kind=tarfile.DIRTYPE), b""), *inside], form))
