import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from app.client.transfer import OnBytes, ignore_bytes
from app.commands import journey
from app.commands.image_sizes import other_size
from app.commands.options import JobOptions
from app.commands.outcome import Output
from tests.app.commands.test_journey import FakeService

TEACHER = {"id": "tch_1", "inspection": {"architecture": {"name": "wrn-10-2", "input_size": 32}}}


def images(sizes: Mapping[str, int]) -> dict[str, Any]:
    return {"id": "ds_1", "inspection": {"sizes": dict(sizes)}}


class Sized(FakeService):
    def upload_teacher(
        self, path: Path, options: Mapping[str, str], on_bytes: OnBytes = ignore_bytes
    ) -> dict:
        return TEACHER

    def upload_dataset(self, path: Path, role: str, on_bytes: OnBytes = ignore_bytes) -> dict:
        return images({"16x16": 360})


def test_images_of_one_other_size_are_pointed_out() -> None:
    """Nothing told a user of a teacher of 16 pixels before a job of an hour was over."""
    told = other_size(TEACHER, images({"16x16": 360}))
    assert "taken for a network of 32x32" in told
    assert told.endswith("start again with --input-size 16.")


@pytest.mark.parametrize("sizes", [{"32x32": 9}, {"16x16": 3, "20x20": 3}, {"16x20": 3}, {}])
def test_the_networks_own_size_or_no_size_in_common_says_nothing(sizes: Mapping[str, int]) -> None:
    assert other_size(TEACHER, images(sizes)) == ""


@pytest.mark.parametrize(
    ("declared", "use", "shown"),
    [
        ({}, "labelled", True),
        ({}, "surrogate", False),
        ({"input_size": "32"}, "labelled", False),
        ({"layers": "{}"}, "unlabelled", False),
    ],
)
def test_it_is_said_before_the_job_and_only_of_an_assumed_size(
    tmp_path: Path, declared: Mapping[str, str], use: str, shown: bool
) -> None:
    path, told = tmp_path / "images.zip", io.StringIO()
    path.write_bytes(b"x")
    output = Output(as_json=False, console=Console(file=told, width=300))
    journey.submit(Sized(), output, path, JobOptions(declared, {use: path}, {"kind": "audit"}))
    assert ("images.zip: All images are 16x16" in told.getvalue()) == shown
