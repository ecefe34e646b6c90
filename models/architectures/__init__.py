"""Networks, built by name."""

from models.architectures.pixel_classifier import PixelClassifier
from models.architectures.registry import build
from models.architectures.staged import ChainedClassifier, StagedClassifier, StageEdit, StageOutputs
from models.recipes.architecture_catalog import known_architectures

__all__ = [
    "ChainedClassifier",
    "PixelClassifier",
    "StageEdit",
    "StageOutputs",
    "StagedClassifier",
    "build",
    "known_architectures",
]
