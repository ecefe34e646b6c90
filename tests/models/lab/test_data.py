import io
import os
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from models.errors import DataRejected
from models.lab.data import load_lab_data
from tests.models.data.cifar_files import META10, Python2, batch10


def picture(level, size=32):
    out = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), level, np.uint8)).save(out, "PNG")
    return out.getvalue()


def write_folder(folder, levels):
    for name, level in levels.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(level))


def write_zip(path, levels):
    with zipfile.ZipFile(path, "w") as archive:
        for name, level in levels.items():
            archive.writestr(name, picture(level))


TRAIN = {"cat/1.png": 10, "cat/2.png": 20, "dog/1.png": 30}
TEST = {"cat/3.png": 40, "dog/2.png": 50}


EXPECTED = (("cat", "dog"), ([10, 20, 30], [0, 0, 1]), ([40, 50], [0, 1]))


def read(source, test=None):
    data = load_lab_data(str(source), test, size=32)
    halves = ((h.images[:, 0, 0, 0].tolist(), h.labels.tolist()) for h in (data.training, data.test))
    return (data.classes, *halves)


def test_a_folder_of_two_archives(tmp_path):
    write_zip(tmp_path / "train.zip", TRAIN)
    write_zip(tmp_path / "test.zip", TEST)
    assert read(tmp_path) == EXPECTED


def test_a_folder_of_two_folders(tmp_path):
    write_folder(tmp_path / "train", TRAIN)
    write_folder(tmp_path / "test", TEST)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no picture")
    assert read(tmp_path) == EXPECTED


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cat/4.bmp", "archive_member"),
        ("fox/1.PPM", "archive_member"),
        ("dog/2.webp", "archive_member"),
        ("4.png", "archive_layout"),
        ("cat/left/4.jpg", "archive_layout"),
        ("fox/left/4.png", "archive_layout"),
        ("fox/left/4.bmp", "archive_layout"),
    ],
)
def test_a_picture_in_a_folder_is_refused_where_it_would_be_in_a_zip(tmp_path, name, code):
    """Such, and those a folder deeper, were left out without a word, and so was a class of such alone."""
    write_folder(tmp_path / "train", TRAIN | {name: 60})
    write_folder(tmp_path / "test", TEST)
    with pytest.raises(DataRejected) as caught:
        load_lab_data(str(tmp_path), None, size=32)
    assert caught.value.code == code
    assert name in caught.value.detail


def test_pictures_older_than_zips_are_read(tmp_path):
    """Files that were unpacked reproducibly are of 1970; they ended in a ValueError."""
    write_folder(tmp_path / "train", TRAIN)
    write_folder(tmp_path / "test", TEST)
    os.utime(tmp_path / "train" / "cat" / "1.png", (0, 0))
    assert read(tmp_path) == EXPECTED


@pytest.mark.parametrize("content", [b"", b"no images"])
def test_a_file_that_holds_no_images_is_refused(tmp_path, content):
    path = tmp_path / "images.zip"
    path.write_bytes(content)
    with pytest.raises(DataRejected, match="no CIFAR archive, and no test images") as caught:
        read(path)
    assert caught.value.code == "test_images_missing"
    assert "as train.zip and test.zip" in caught.value.hint  # calibrate and reproduce have no --test


def test_two_archives_by_name(tmp_path):
    write_zip(tmp_path / "a.zip", TRAIN)
    write_zip(tmp_path / "b.zip", TEST)
    assert read(tmp_path / "a.zip", tmp_path / "b.zip") == EXPECTED


@pytest.mark.parametrize("from_folder", [True, False])
def test_cifars_archive_is_divided_by_the_names_of_its_batches(tmp_path, from_folder):
    first, second, test = batch10(6, 0), batch10(6, 1), batch10(10, 2)
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (
            ("batches.meta", META10),
            ("data_batch_1", first),
            ("data_batch_2", second),
            ("test_batch", test),
        ):
            packed = Python2.dumps(content)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(packed)
            archive.addfile(info, io.BytesIO(packed))
    data = load_lab_data(str(tmp_path if from_folder else path), None, size=32)
    pixels = np.concatenate([first["data"], second["data"]]).reshape(-1, 3, 32, 32)
    assert data.training.images.numpy().tolist() == pixels.tolist()
    assert data.training.labels.tolist() == [*range(6), *range(6)]
    assert data.test.images.numpy().tolist() == test["data"].reshape(-1, 3, 32, 32).tolist()
    assert data.classes[0] == "airplane"


def test_digits_are_divided_alike_for_every_recipe():
    data = load_lab_data("digits", None, size=8)
    assert (len(data.training), len(data.test), len(data.classes)) == (1437, 360, 10)
    assert data.sha256 == load_lab_data("digits", None, size=8).sha256


def test_other_pixels_or_labels_have_another_hash(tmp_path):
    write_zip(tmp_path / "test.zip", TEST)
    hashes = set()
    for levels in (TRAIN, TRAIN | {"dog/1.png": 31}, {"cat/1.png": 10, "dog/0.png": 20, "dog/1.png": 30}):
        write_zip(tmp_path / "train.zip", levels)
        data = load_lab_data(str(tmp_path), None, size=32)
        hashes.add(data.sha256["training"])
    assert len(hashes) == 3


def test_classes_that_differ_are_refused(tmp_path):
    write_zip(tmp_path / "train.zip", TRAIN)
    write_zip(tmp_path / "test.zip", {"cat/3.png": 40, "fox/2.png": 50})
    with pytest.raises(DataRejected) as caught:
        load_lab_data(str(tmp_path), None, size=32)
    assert caught.value.code == "labels_mismatch"


def test_what_lacks_test_images_is_refused(tmp_path):
    with pytest.raises(DataRejected) as caught:
        load_lab_data(str(tmp_path), None, size=32)
    assert caught.value.code == "data_format_unknown"
    write_zip(tmp_path / "train.zip", TRAIN)
    with pytest.raises(DataRejected) as caught:
        load_lab_data(str(tmp_path / "train.zip"), None, size=32)
    assert caught.value.code == "test_images_missing"


def test_test_images_beside_data_that_bring_their_own_are_refused(tmp_path):
    """They were left out without a word, or what CIFAR's archive tests with was trained on."""
    write_zip(tmp_path / "test.zip", TEST)
    archive = tmp_path / "cifar.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / "test.zip")
    for source in ("digits", archive):
        with pytest.raises(DataRejected) as caught:
            load_lab_data(str(source), tmp_path / "test.zip", size=32)
        assert caught.value.code == "test_images_unused"


def test_an_empty_file_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "train.zip").touch()
    with pytest.raises(DataRejected) as caught:
        load_lab_data(str(tmp_path / "train.zip"), None, size=32)
    assert caught.value.code == "test_images_missing"


def test_images_of_another_size_are_resized(tmp_path):
    write_zip(tmp_path / "train.zip", TRAIN)
    write_zip(tmp_path / "test.zip", TEST)
    data = load_lab_data(str(tmp_path), None, size=16)
    assert data.training.images.shape == (3, 3, 16, 16)
    assert data.training.images.dtype == torch.uint8
