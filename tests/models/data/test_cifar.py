"""CIFAR's python archives and batches, as their authors and as newer Pythons write them."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from models.data.dataset import load_images, load_photographs
from models.data.isolated import inspect_dataset_isolated
from models.data.limits import ArchiveLimits
from tests.models.data.cifar_files import (
    META10,
    NAMES10,
    ROOT10,
    Python2,
    archive10,
    as_bytes_keys,
    batch10,
    batch100,
    files,
    pixels,
    published10,
)


def test_the_writer_of_these_tests_writes_what_python_reads() -> None:
    """And as Python 2 did: the head of the published data_batch_1 is known."""
    written = Python2.dumps(batch10())
    assert written.startswith(bytes.fromhex("80027d710128550b62617463685f6c6162656c71025515747261696e696e67"))
    read = pickle.loads(written, encoding="bytes")
    assert read[b"labels"] == [0, 1, 2, 3]
    assert np.array_equal(read[b"data"], pixels(4))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("zipped", [True, False])
def test_the_published_archive(zipped: bool, form: int, inspect, tmp_path: Path) -> None:
    """Browsers that unpack downloads leave the plain tar."""
    content = archive10(form=form)
    inspection = inspect(content if zipped else gzip.decompress(content))
    assert inspection.classes == tuple(NAMES10)
    assert (inspection.images, inspection.sizes) == (24, {"32x32": 24})
    assert inspection.class_counts == (6, 6, 6, 6, 0, 0, 0, 0, 0, 0)
    loaded = load_images(tmp_path / "canonical", size=32)
    expected = np.concatenate([pixels(4, seed) for seed in range(1, 7)])
    assert np.array_equal(loaded.images.numpy().reshape(-1, 3072), expected)
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0, 1, 2, 3] * 6
    assert any("test_batch alone" in warning for warning in inspection.warnings)


def test_cifar_100_takes_the_fine_labels(inspect, tmp_path: Path) -> None:
    meta = {"fine_label_names": [f"fine{i}" for i in range(100)], "coarse_label_names": ["x"] * 20}
    root = "cifar-100-python"
    members = {
        f"{root}/file.txt~": b"",
        f"{root}/train": Python2.dumps(batch100(3, 1)),
        f"{root}/test": Python2.dumps(batch100(2, 2)),
        f"{root}/meta": Python2.dumps(meta),
    }
    inspection = inspect(gzip.compress(files(members)))
    assert (inspection.images, len(inspection.classes), inspection.classes[7]) == (5, 100, "fine7")
    loaded = load_images(tmp_path / "canonical", size=32)
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0, 7, 0, 7, 14]  # test before train, in the order of their names


BATCHES = {
    "python_2": Python2.dumps(batch10()),
    "python_3_bytes_keys": as_bytes_keys(batch10()),
    "python_3_text_keys": pickle.dumps(batch10(), protocol=4),
    "fortran": as_bytes_keys(batch10(data=np.asfortranarray(pixels(4)))),
    "protocol_3": pickle.dumps(batch10(), protocol=3),
}


@pytest.mark.parametrize("content", BATCHES.values(), ids=BATCHES.keys())
def test_one_batch(content: bytes, inspect, tmp_path: Path) -> None:
    inspection = inspect(content)
    assert (inspection.images, inspection.classes) == (4, ("0", "1", "2", "3"))
    assert any("called by their numbers" in warning for warning in inspection.warnings)
    loaded = load_images(tmp_path / "canonical", size=32)
    assert np.array_equal(loaded.images.numpy().reshape(-1, 3072), pixels(4))


def test_a_row_holds_three_planes_of_colors(inspect, tmp_path: Path) -> None:
    data = np.zeros((1, 3072), np.uint8)
    data[0, 1024 + 33] = 200  # green, row 1, column 1
    inspect(Python2.dumps(batch10(1, data=data)), "surrogate")
    (image,) = load_photographs(tmp_path / "canonical")
    assert image.nonzero().tolist() == [[1, 1, 1]]


def test_roles_without_labels_do_not_keep_them(inspect, tmp_path: Path) -> None:
    inspection = inspect(Python2.dumps(batch10()), "clean_unlabelled")
    assert (inspection.classes, inspection.class_counts) == ((), ())
    assert load_images(tmp_path / "canonical", size=32).labels is None


def test_training_batches_alone_are_not_warned_about(inspect) -> None:
    members = published10()
    del members[f"{ROOT10}/test_batch"]
    assert not any("alone" in warning for warning in inspect(gzip.compress(files(members))).warnings)


def test_the_child_process_reads_them_too(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(archive10())
    made = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
    assert asdict(made)["images"] == 24


def test_the_longest_names_that_classes_may_have_fit_the_parser_s_answer(tmp_path: Path) -> None:
    names = [f"{number:03}{chr(0x1F600) * 252}" for number in range(1000)]
    contents = published10() | {f"{ROOT10}/batches.meta": pickle.dumps({"label_names": names}, protocol=4)}
    (tmp_path / "upload").write_bytes(files(contents))
    made = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
    assert made.classes == tuple(names)


@pytest.mark.slow
def test_an_archive_of_the_real_size_fits_the_limits_of_the_parser(tmp_path: Path) -> None:
    """60,000 random images: 170 MB as published, 184 MB here, since noise does not compress."""
    batches = {f"{ROOT10}/data_batch_{n}": Python2.dumps(batch10(10_000, n)) for n in range(1, 6)}
    batches[f"{ROOT10}/test_batch"] = Python2.dumps(batch10(10_000, 6))
    batches[f"{ROOT10}/batches.meta"] = Python2.dumps(META10)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as packed:
        packed.write(files(batches))
    (tmp_path / "upload").write_bytes(out.getvalue())
    del batches, out
    started = time.monotonic()
    made = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
    assert made.class_counts == (6000,) * 10
    assert time.monotonic() - started < ArchiveLimits().wall_s / 2


@pytest.mark.slow
def test_a_training_batch_of_cifar_100_s_size_fits_the_limits_of_the_parser(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(Python2.dumps(batch100(50_000)))
    made = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
    assert made.images == 50_000
