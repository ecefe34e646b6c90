"""Images a second by number format and memory layout: whether the engine's choices are right here.

    python benchmarks/number_formats.py

First bfloat16 against float32, channels-last: ``bfloat16_pays``. Then, for gradients with respect to images
as the probes take them (eval mode, float32), channels-last against channels-first. One thread, processor
time, the fastest of three runs each; the two take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from models.architectures.registry import build
from models.engine.precision import autocast, bfloat16_pays, to_channels_last
from models.recipes.architecture import ArchitectureSpec

CPU = torch.device("cpu")
#: Architecture, side of an image, images in a batch, batches in a run.
CASES = (
    ("wrn-10-1", 16, 64, 30),
    ("wrn-10-2", 16, 64, 20),
    ("wrn-16-1", 32, 128, 5),
    ("wrn-16-2", 32, 128, 4),
    ("resnet-20", 32, 128, 4),
    ("wrn-28-4", 32, 32, 2),
)
PROBED = (("resnet-56", 32, 128, 2), ("vgg-small-elu", 32, 128, 4))


def main() -> None:
    torch.set_num_threads(1)
    print(f"bfloat16_pays says {bfloat16_pays(CPU)}")
    print("| network | side, batch | training, bfloat16 / float32 | | inference, bfloat16 / float32 | |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, side, batch, count in CASES:
        cells = [cell for train in (True, False) for cell in _compare(name, side, batch, count, train=train)]
        print(f"| {name} | {side}, {batch} | {' | '.join(cells)} |", flush=True)
    print("\n| network | side, batch | gradients of images, channels-last / channels-first | |")
    print("| --- | --- | --- | --- |")
    for name, side, batch, count in (*CASES, *PROBED):
        print(f"| {name} | {side}, {batch} | {' | '.join(_layouts(name, side, batch, count))} |", flush=True)


def _layouts(name: str, side: int, batch: int, count: int) -> tuple[str, str]:
    torch.manual_seed(0)
    network = build(ArchitectureSpec(name, 10, side)).eval().requires_grad_(False)
    layouts = (torch.channels_last, torch.contiguous_format)
    runs = [
        [_probing_seconds(network.to(memory_format=layout), side, batch, count) for layout in layouts]
        for _ in range(3)
    ]
    last, first = (min(column) for column in zip(*runs, strict=True))
    return f"{batch * count / last:.0f} / {batch * count / first:.0f}", f"{first / last:.2f}"


def _probing_seconds(network: nn.Module, side: int, batch: int, count: int) -> float:
    images = torch.rand(batch, 3, side, side, requires_grad=True)

    def step() -> None:
        torch.autograd.grad(network(images).amax(1).sum(), images)

    return _processor_seconds(step, count)


def _compare(name: str, side: int, batch: int, count: int, *, train: bool) -> tuple[str, str]:
    torch.manual_seed(0)
    network = build(ArchitectureSpec(name, 10, side)).train(train)
    to_channels_last(network)
    runs = [
        [_seconds(network, side, batch, count, fast=fast, train=train) for fast in (True, False)]
        for _ in range(3)
    ]
    half, single = (min(column) for column in zip(*runs, strict=True))
    return f"{batch * count / half:.0f} / {batch * count / single:.0f}", f"{single / half:.2f}"


def _seconds(network: nn.Module, side: int, batch: int, count: int, *, fast: bool, train: bool) -> float:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    images = torch.rand(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))

    def step() -> None:
        with torch.set_grad_enabled(train):
            with autocast(CPU, fast):
                loss = cross_entropy(network(images), labels)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return _processor_seconds(step, count)


def _processor_seconds(step: Callable[[], None], count: int) -> float:
    step()
    began = time.process_time()
    for _ in range(count):
        step()
    return time.process_time() - began


if __name__ == "__main__":
    main()
