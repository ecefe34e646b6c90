"""Image archives: honest layouts, and everything that has no place in one."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.data.archive import inspect_dataset
from models.data.dataset import load_images, load_photographs
from models.data.isolated import inspect_dataset_isolated
from models.data.limits import ArchiveLimits
from models.errors import DataRejected


def picture(
    value: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB", form: str = "PNG", **options
) -> bytes:
    out = io.BytesIO()
    width, height = size
    pixels = np.random.default_rng(value).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(out, form, **options)
    return out.getvalue()


def pixels_of(content: bytes) -> torch.Tensor:
    with Image.open(io.BytesIO(content)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return out.getvalue()


ONE = picture()
LABELLED = {
    "dog/1.png": picture(3),
    "cat/2.jpg": picture(2, form="JPEG"),
    "cat/1.PNG": picture(1),
    "eel/a.jpeg": picture(4, form="JPEG"),
}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("around", ["", "data/"])
def test_class_folders_in_order_of_their_names(around: str, method: int, inspect, tmp_path: Path) -> None:
    inspection = inspect(archive({around + name: content for name, content in LABELLED.items()}, method))
    assert (inspection.images, inspection.classes, inspection.class_counts) == (
        4,
        ("cat", "dog", "eel"),
        (2, 1, 1),
    )
    assert inspection.sizes == {"8x8": 4}
    loaded = load_images(tmp_path / "canonical", size=8)
    assert loaded.classes == ("cat", "dog", "eel")
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0, 0, 1, 2]
    expected = torch.stack([pixels_of(LABELLED[name]) for name in sorted(LABELLED)])
    assert torch.equal(loaded.images, expected)


def test_equal_images_give_equal_canonical_bytes(inspect) -> None:
    first = inspect(archive(LABELLED))
    second = inspect(archive(dict(reversed(LABELLED.items())), zipfile.ZIP_DEFLATED))
    assert first.sha256 != second.sha256
    assert first.canonical_sha256 == second.canonical_sha256


@pytest.mark.parametrize("around", ["", "photos/"])
def test_images_side_by_side_have_no_labels(around: str, inspect, tmp_path: Path) -> None:
    content = archive({f"{around}{index}.png": picture(index) for index in range(3)})
    inspection = inspect(content, "clean_unlabelled")
    assert (inspection.images, inspection.classes, inspection.class_counts) == (3, (), ())
    assert load_images(tmp_path / "canonical", size=8).labels is None


def test_class_folders_of_unlabelled_images_are_ignored_aloud(inspect, tmp_path: Path) -> None:
    inspection = inspect(archive(LABELLED), "clean_unlabelled")
    assert inspection.classes == ()
    assert "ignored" in inspection.warnings[0]
    assert load_images(tmp_path / "canonical", size=8).labels is None


def test_depth_does_not_matter_without_labels(inspect) -> None:
    assert inspect(archive({"a.png": ONE, "x/b.png": ONE, "x/y/z/c.png": ONE}), "surrogate").images == 3


def test_numbered_folders_in_text_order_are_pointed_out(inspect) -> None:
    inspection = inspect(archive({f"{label}/a.png": picture(label) for label in (0, 2, 10)}))
    assert inspection.classes == ("0", "10", "2")
    assert "order as text" in inspection.warnings[0]


def test_images_of_several_sizes_keep_their_order(inspect, tmp_path: Path) -> None:
    members = {
        f"{label}/{index}.png": picture(index, (8 + 4 * index, 8)) for label in "ab" for index in range(3)
    }
    inspection = inspect(archive(members))
    assert inspection.sizes == {"12x8": 2, "16x8": 2, "8x8": 2}
    loaded = load_images(tmp_path / "canonical", size=8)
    assert loaded.labels is not None
    assert loaded.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(loaded.images[0], pixels_of(members["a/0.png"]))
    assert torch.equal(loaded.images[:3], loaded.images[3:])
    photographs = load_photographs(tmp_path / "canonical")
    assert all(
        torch.equal(photograph, pixels_of(members[name]))
        for photograph, name in zip(photographs, members, strict=True)
    )


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_one_image_is_a_surrogate_source(form: str, inspect, tmp_path: Path) -> None:
    content = picture(1, (1500, 20), form=form)
    assert inspect(content, "surrogate").sizes == {"1500x20": 1}
    assert torch.equal(load_photographs(tmp_path / "canonical")[0], pixels_of(content))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA"])
def test_other_color_modes_become_three_channels(mode: str, inspect, tmp_path: Path) -> None:
    content = picture(5, mode=mode)
    inspect(archive({"a.png": content}), "clean_unlabelled")
    assert torch.equal(load_images(tmp_path / "canonical", size=8).images[0], pixels_of(content))


def test_litter_of_operating_systems_is_passed_over(inspect) -> None:
    litter = {"dog/": b"", "__MACOSX/dog/._1.png": b"x", "dog/.DS_Store": b"x", "cat/Thumbs.db": b"x"}
    assert inspect(archive({**litter, **LABELLED})).images == 4


@pytest.mark.parametrize("around", ["", "photos/"])
@pytest.mark.parametrize(
    "litter",
    [
        "__MACOSX/._dog",
        "__macosx/dog/._1.png",
        "__MACOSX/dog/1.png",
        "._dog",
        "dog/._1.png",
        ".ds_store",
        "cat/thumbs.db",
        "ehthumbs.db",
        "Desktop.ini",
        ".ipynb_checkpoints/1-checkpoint.png",
        "cat/.ipynb_checkpoints/1-checkpoint.png",
        "@eaDir/1.png/SYNOPHOTO_THUMB_M.jpg",
    ],
)
def test_litter_is_neither_an_image_nor_a_class(litter: str, around: str, inspect) -> None:
    members = {f"{around}{litter}": b"\0\5\x16\7", **{f"{around}{name}": LABELLED[name] for name in LABELLED}}
    inspection = inspect(archive(members))
    assert (inspection.images, inspection.classes) == (4, ("cat", "dog", "eel"))


@pytest.mark.parametrize("name", ["._a/1.png", "x.DS_Store/1.png", "my__MACOSX/1.png", "_/1.png", ".a/1.png"])
def test_names_that_only_resemble_litter_are_classes(name: str, inspect) -> None:
    assert len(inspect(archive({name: picture(9), **LABELLED})).classes) == 4


@pytest.mark.parametrize(
    ("content", "role", "code"),
    [
        (b"", "surrogate", "empty_file"),
        (b"hello", "surrogate", "data_format_unknown"),
        (picture(form="GIF"), "surrogate", "data_format_unknown"),
        (ONE, "clean_unlabelled", "single_image"),
        (ONE, "clean_labelled", "single_image"),
        (archive({}), "clean_unlabelled", "no_images"),
        (archive({"a.png": ONE}), "clean_labelled", "labels_missing"),
        (archive({"cat/a.png": ONE, "cat/b.png": ONE}), "clean_labelled", "labels_missing"),
        (archive({"cat/a.png": ONE, "b.png": ONE}), "clean_labelled", "archive_layout"),
        (archive({"x/cat/a.png": ONE, "x/dog/1/b.png": ONE}), "clean_labelled", "archive_layout"),
    ],
)
def test_what_does_not_fit_the_role_is_refused(content: bytes, role: str, code: str, refused) -> None:
    assert refused(content, role).code == code


@pytest.mark.parametrize("around", ["", "data/"])
def test_a_class_folder_without_images_is_refused_since_labels_would_shift(around, inspect, refused) -> None:
    """Of bee, cat (empty) and dog, dog's images were read as the second class; the teacher has it third."""
    members = {f"{around}{name}/": b"" for name in ("bee", "cat", "dog")}
    members |= {f"{around}{name}/1.png": ONE for name in ("bee", "dog")}
    error = refused(archive(members))
    assert error.code == "archive_layout"
    assert f"{around}cat holds no image" in error.detail
    assert inspect(archive(members), "clean_unlabelled").images == 2


@pytest.mark.parametrize("folder", ["cat/drafts/", "__MACOSX/", "__MACOSX/cat/", ".ipynb_checkpoints/"])
def test_empty_folders_that_are_no_classes_are_passed_over(folder: str, inspect) -> None:
    assert inspect(archive({**LABELLED, folder: b""})).classes == ("cat", "dog", "eel")


def test_two_sets_of_class_folders_are_told_so(refused) -> None:
    error = refused(archive({f"{part}/{name}": ONE for part in ("test", "train") for name in LABELLED}))
    assert error.code == "archive_layout"
    assert "one set of class folders" in error.detail


def test_a_single_class_is_told_from_no_class_at_all(refused) -> None:
    """Who had made class/name.png was told to make class/name.png."""
    detail = refused(archive({"cat/a.png": ONE, "cat/b.png": ONE}), "clean_labelled").detail
    assert detail == "All images lie in one folder, cat: that is one class alone."
    assert "side by side" in refused(archive({"a.png": ONE}), "clean_labelled").detail


@pytest.mark.parametrize(
    "limit", ["file_bytes", "members", "member_bytes", "side", "decoded_bytes", "classes"]
)
def test_every_limit_fails_closed(limit: str, refused) -> None:
    assert refused(archive(LABELLED), limits=ArchiveLimits(**{limit: 1})).code == "data_limit_exceeded"


def test_the_parser_process_answers_the_same(inspect, tmp_path: Path) -> None:
    here = inspect(archive(LABELLED))
    there = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "other", "clean_labelled")
    assert here == there
    assert (tmp_path / "canonical").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_answer_that_is_no_inspection_is_none(monkeypatch, tmp_path: Path) -> None:
    for answer in ({}, {"classes": [], "class_counts": [], "warnings": [], "findings": {"patches": 3}}):
        monkeypatch.setattr("models.data.isolated.ask_child", lambda *_, answer=answer, **__: answer)
        with pytest.raises(DataRejected) as caught:
            inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
        assert caught.value.code == "parser_failed"


def test_a_thousand_long_names_of_emoji_fit_the_parser_s_answer(tmp_path: Path) -> None:
    """Escaped they had 1.5 MiB, and the upload was refused for time and memory that nobody had used."""
    name = 122 * chr(0x1F600)
    (tmp_path / "upload").write_bytes(archive({f"{name}{number:03}/a.png": ONE for number in range(1000)}))
    made = inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_labelled")
    assert made.classes == tuple(f"{name}{number:03}" for number in range(1000))


def test_the_parser_process_carries_refusals_over(tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(archive({"a.png": b"x"}))
    with pytest.raises(DataRejected) as caught:
        inspect_dataset_isolated(tmp_path / "upload", tmp_path / "out", "clean_unlabelled")
    assert caught.value.code == "image_unreadable"
    assert [path.name for path in tmp_path.iterdir()] == ["upload"]


@pytest.mark.slow
def test_ten_thousand_jpegs_pass_within_half_a_minute(tmp_path: Path) -> None:
    shared = os.environ.get("PROCTOR_SHARED_DATA")
    root = Path(shared) if shared else Path(__file__).parents[4] / "shared" / "data"
    if not (root / "cifar10" / "test.zip").exists():
        pytest.skip(f"CIFAR-10 is not at {root}; set PROCTOR_SHARED_DATA")
    start = time.process_time()
    inspection = inspect_dataset(root / "cifar10" / "test.zip", tmp_path / "out", "clean_labelled")
    assert time.process_time() - start < 30
    assert inspection.class_counts == (1000,) * 10
    assert inspection.findings is not None
    assert inspection.findings.patches == ()
    assert inspection.findings.patches_looked_at == 4_000
