from __future__ import annotations

import pytest
import torch

from models.data.bundle import AuditData
from models.errors import DataRejected

IMAGES = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)


def test_labels_without_their_images_are_refused() -> None:
    with pytest.raises(DataRejected) as caught:
        AuditData(images=IMAGES, labels=torch.zeros(2, dtype=torch.int64))
    assert caught.value.code == "labels_mismatch"
