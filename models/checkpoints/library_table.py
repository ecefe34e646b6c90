"""Writes the table of torchvision's networks: ``python -m models.checkpoints.library_table``."""

from __future__ import annotations

import gzip
import json

import torch

from models.architectures import build
from models.architectures.cost import count_macs
from models.architectures.staged import StagedClassifier
from models.checkpoints.layouts.library import TABLE_PATH
from models.recipes.architecture import ArchitectureSpec
from models.recipes.blueprints.library import LIBRARY

_SIZES = range(32, 257, 32)
_CLASSES = 1000


def build_on_meta(name: str) -> StagedClassifier:
    """Build a network without memory for its weights."""
    with torch.device("meta"):
        return build(ArchitectureSpec(name, _CLASSES, 224))


def main() -> None:
    """Write the file; equal versions of torchvision give equal bytes."""
    document = {}
    for name, head in LIBRARY.items():
        network = build_on_meta(name)
        state = network.state_dict()
        last = state[f"{head}.weight"].numel()
        document[name] = {
            "shapes": {key: list(tensor.shape) for key, tensor in state.items()},
            # AlexNet's poolings leave nothing of images below 64 pixels.
            "body_macs": {
                size: count_macs(network, size) - last
                for size in _SIZES
                if size >= 64 or not name.endswith("alexnet")
            },
        }
    text = json.dumps(document, separators=(",", ":")).encode()
    TABLE_PATH.write_bytes(gzip.compress(text, compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
