"""Reading an archive, and the assertion of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from models.data.archive import inspect_dataset
from models.data.codes import DATA_CODES
from models.errors import DataRejected
from models.results.inspection import DatasetInspection


@pytest.fixture
def inspect(tmp_path: Path) -> Callable[..., DatasetInspection]:
    def run(content: bytes, role: str = "clean_labelled", **options) -> DatasetInspection:
        (tmp_path / "upload").write_bytes(content)
        return inspect_dataset(tmp_path / "upload", tmp_path / "canonical", role, **options)

    return run


@pytest.fixture
def refused(inspect, tmp_path: Path) -> Callable[..., DataRejected]:
    def run(content: bytes, role: str = "clean_labelled", **options) -> DataRejected:
        with pytest.raises(DataRejected) as caught:
            inspect(content, role, **options)
        assert caught.value.code in DATA_CODES
        assert caught.value.hint
        assert caught.value.detail.isprintable()
        assert [path.name for path in tmp_path.iterdir()] == ["upload"]
        return caught.value

    return run
