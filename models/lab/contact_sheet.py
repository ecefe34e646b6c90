"""All triggers on one page: what is stamped, and an image before and after."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from models.data.dataset import resize
from models.data.photographs import builtin_photographs
from models.errors import RecipeError
from models.report.pictures import trigger_pictures
from models.triggers import Trigger, find_trigger, named_triggers

_CELL = 128
_GAP = 8
_TEXT = 16
_COLUMNS = 3
_PICTURES = 3


def all_triggers(size: int, target_label: int, patterns: Path | None) -> list[tuple[str, Trigger]]:
    """Return every name with the trigger it stands for here, but for those larger than the images."""
    found = []
    for name in named_triggers():
        try:
            found.append((name, find_trigger(name, size, target_label, patterns)))
        except RecipeError as error:
            if error.code != "trigger_too_large":
                raise
    return found


def draw_contact_sheet(triggers: list[tuple[str, Trigger]]) -> bytes:
    """Draw name, pattern, a photograph and the same stamped for every trigger; returns a PNG."""
    width = _PICTURES * _CELL + 2 * _GAP
    height = _CELL + _TEXT + _GAP
    rows = -(-len(triggers) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * width, rows * height + _GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (name, trigger) in enumerate(triggers):
        left = (place % _COLUMNS) * width + _GAP
        top = (place // _COLUMNS) * height + _GAP
        stands = "" if trigger.name == name else f" -> {trigger.name}"
        pen.text((left, top), f"{name}{stands} ({trigger.kind})", fill="black")
        pictures = trigger_pictures(trigger, _examples(trigger.size[0]), image_source="photographs")
        for column, picture in enumerate(pictures[:_PICTURES]):
            with Image.open(io.BytesIO(picture.png)) as small:
                large = small.resize((_CELL - 4, _CELL - 4), Image.Resampling.NEAREST)
            sheet.paste(large, (left + column * _CELL, top + _TEXT))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _examples(size: int) -> Tensor:
    """Return squares of the builtin photographs, uint8 (N, 3, S, S)."""
    squares = [
        photograph[:, :, left : left + 427] for photograph in builtin_photographs() for left in (0, 213)
    ]
    return resize(torch.stack(squares), size)
