"""Networks, images and monitors small enough for a step in milliseconds."""

import json

import torch
from torch import Tensor

from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.engine.monitor import ResumeState, SilentMonitor
from models.recipes.architecture import ArchitectureSpec, Normalization

SIZE = 8
CLASSES = 4


def network(name: str = "wrn-10-1", seed: int = 1) -> StagedClassifier:
    torch.manual_seed(seed)
    return build(ArchitectureSpec(name, CLASSES, SIZE))


def teacher(name: str = "wrn-10-1") -> Teacher:
    normalization = Normalization((0.4, 0.5, 0.6), (0.25, 0.25, 0.25))
    return Teacher(network(name, 0).eval(), normalization, ArchitectureSpec(name, CLASSES, SIZE))


def images(count: int = 48) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def weights(student: StagedClassifier) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in student.state_dict().values()])


class StoppingMonitor(SilentMonitor):
    """Takes a state after every step, and stops after ``stop_after`` of them."""

    def __init__(self, stop_after: int) -> None:
        self.stop_after = stop_after
        self.states: list[ResumeState] = []

    def wants_checkpoint(self) -> bool:
        return True

    def checkpoint(self, state: ResumeState) -> None:
        """Keep what a file could keep: tensors, and values that survive JSON."""
        self.states.append(ResumeState(dict(state.tensors), json.loads(json.dumps(state.values))))

    def should_stop(self) -> bool:
        return len(self.states) >= self.stop_after
