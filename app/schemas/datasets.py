"""Datasets on the wire."""

from __future__ import annotations

from typing import Literal

from app.core.states import DatasetRole
from app.schemas.base import Wire
from app.schemas.uploads import Links, Upload
from models.results.inspection import DatasetInspection


class DatasetQuery(Wire):
    """What the images are, as query parameters."""

    role: DatasetRole
    """What jobs may use them for: ``clean_labelled``, ``clean_unlabelled`` or ``surrogate``."""


class Dataset(Upload):
    """An uploaded archive or image and what the inspection found in it."""

    object: Literal["dataset"] = "dataset"
    role: DatasetRole
    """What jobs may use it for."""
    inspection: DatasetInspection | None
    """Null until the status is ``ready``."""
    links: Links
