"""Our training loops against the loops as published, side by side in one run: the table of docs/results.md.

    python -m benchmarks.lean_loops [--repeats 5] [--compile] [--device cuda --peak-tflops 989]

WRN-16-2 to WRN-16-1 at 32x32, both sides with the published sizes (batches of 128, for patches of 512; a
generator of width 128). One step is one pseudo-batch of zero-shot transfer, one batch of patches, or a round
of inversion: four synthesis and eight distilling iterations, with 4,096 images remembered. Every variant
takes one step that does not count, two when compiled; then they take turns, so that a busy moment of the
machine hits all of them. Told are the fastest steps: on a virtual machine whose neighbors take a half of it
for minutes, medians of the same run differed by a factor of two. Time depends on no weight, so the networks
are as initialized.
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from benchmarks.published.cmi import PublishedCmi
from benchmarks.published.ood import PublishedOod, as_files
from benchmarks.published.zskt import PublishedVaccine, PublishedZskt
from models.architectures import StagedClassifier, build
from models.architectures.cost import count_macs
from models.architectures.generator import Generator
from models.checkpoints.load import Teacher
from models.data.patches import make_patches
from models.data.photographs import builtin_photographs
from models.distillation.abd.defense import AbdDefense
from models.distillation.data_free import DataFreeTask
from models.distillation.inversion.cmi import CmiSynthesizer
from models.distillation.inversion.task import InversionTask
from models.distillation.out_of_distribution import OodTask
from models.distillation.zero_shot import ZsktTask
from models.recipes.abd import AbdRecipe, VaccineRecipe
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.cmi import CmiRecipe
from models.recipes.ood import OodRecipe
from models.recipes.pool_learning import PoolLearningRecipe
from models.recipes.zskt import ZsktRecipe

SIDE = 32
TEACHER, STUDENT = (ArchitectureSpec(name, 10, SIDE) for name in ("wrn-16-2", "wrn-16-1"))
ZSKT = ZsktRecipe(pseudo_batches=80_000, generator_width=128)
OOD = OodRecipe(patches=2_048, images=512 * 29_000, batch_size=512)
SYNTHESIS_BATCH, DISTILLING_BATCH, BANK = 256, 128, 4_096
#: Of a round; the papers take 200 and 400.
SYNTHESIS_STEPS, DISTILLING_STEPS = 4, 8

Step = Callable[[], object]


@dataclass
class Contest:
    """Variants of one step, by name, the published one first."""

    method: str
    images: int
    """Images the student learns from in a step, counting repetitions."""
    macs: float
    """Multiply-accumulates of a lean step: what cannot be left out."""
    variants: dict[str, Step]
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def fastest(self, variant: str) -> float | None:
        times = self.seconds.get(variant)
        return min(times) if times else None


class Networks:
    """Fresh networks on one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def student(self) -> StagedClassifier:
        torch.manual_seed(1)
        return build(STUDENT).to(self.device)

    def teacher(self) -> Teacher:
        """A frozen teacher, as the methods hold it."""
        return Teacher(self.plain_teacher().requires_grad_(False), Normalization(), TEACHER)

    def plain_teacher(self) -> StagedClassifier:
        torch.manual_seed(0)
        return build(TEACHER).eval().to(self.device)


def stepping(task: DataFreeTask, *, vaccinated: bool) -> Step:
    """Take the next step of a lean task at each call."""
    if vaccinated:
        settings = AbdRecipe(VaccineRecipe(selection_batches=0))
        task.defense = AbdDefense(task.teacher, task.student, settings, seed=0, steps=task.steps)
    done = iter(range(task.steps))
    return lambda: task.step(next(done))


def zskt(networks: Networks, *, compile_: bool, vaccinated: bool) -> Contest:
    plain = networks.plain_teacher()
    generator = Generator(SIDE, ZSKT.noise_size, ZSKT.generator_width).to(networks.device)
    vaccine = PublishedVaccine(plain) if vaccinated else None
    published = PublishedZskt(plain, networks.student(), generator, ZSKT.pseudo_batches, vaccine)
    noise = torch.randn(ZSKT.batch_size, ZSKT.noise_size, device=networks.device)
    variants: dict[str, Step] = {"published": lambda: published.pseudo_batch(noise)}
    for name in ("lean", "compiled") if compile_ else ("lean",):
        recipe = replace(ZSKT, compile="always" if name == "compiled" else "never")
        task = ZsktTask(networks.teacher(), networks.student(), recipe, seed=0)
        variants[name] = stepping(task, vaccinated=vaccinated)
    teacher, student = count_macs(plain, SIDE), count_macs(networks.student(), SIDE)
    making = 116e6  # of the generator, algorithms.md 9.1
    copies = 2 * teacher if vaccinated else 0  # three times the last third, forward and backward
    macs = 4 * making + 3 * teacher + 2 * student + copies + 3 * student * ZSKT.student_steps
    name = "zskt + vaccine" if vaccinated else "zskt"
    return Contest(name, ZSKT.batch_size * ZSKT.student_steps, ZSKT.batch_size * macs, variants)


def ood(networks: Networks, *, compile_: bool, vaccinated: bool) -> Contest:
    patches = make_patches(builtin_photographs(), count=OOD.patches, size=SIDE, seed=0)
    plain, normalization = networks.plain_teacher(), Normalization()
    vaccine = PublishedVaccine(plain) if vaccinated else None
    published = PublishedOod(
        plain, networks.student(), as_files(patches), normalization.mean, normalization.std,
        batch_size=OOD.batch_size, vaccine=vaccine,
    )  # fmt: skip
    variants: dict[str, Step] = {"published": published.step}
    for name in ("lean", "compiled") if compile_ else ("lean",):
        recipe = replace(OOD, compile="always" if name == "compiled" else "never")
        task = OodTask(networks.teacher(), networks.student(), patches, recipe, seed=0)
        variants[name] = stepping(task, vaccinated=vaccinated)
    macs = (2 if vaccinated else 1) * count_macs(plain, SIDE) + 3 * count_macs(networks.student(), SIDE)
    return Contest("ood + vaccine" if vaccinated else "ood", OOD.batch_size, OOD.batch_size * macs, variants)


def lean_cmi(networks: Networks) -> Step:
    """Take a whole round at each call; the bank is full from the start, and the pool as small as there."""
    recipe = CmiRecipe(
        rounds=1_000,
        synthesis_steps=SYNTHESIS_STEPS,
        student_steps=DISTILLING_STEPS,
        synthesis_batch=SYNTHESIS_BATCH,
        generator_width=128,
        bank_size=BANK,
        negatives=BANK,
        learning=PoolLearningRecipe(batch_size=DISTILLING_BATCH),
    )
    synthesizer = CmiSynthesizer(teacher := networks.teacher(), student := networks.student(), recipe, seed=0)
    width = next(synthesizer.head.parameters()).shape[1]
    features = torch.randn(2, BANK, width, device=networks.device)
    synthesizer.bank.add(features[0], features[1])
    task = InversionTask(
        teacher, student, synthesizer, recipe.learning, student_steps=DISTILLING_STEPS, seed=0
    )
    done = iter(range(task.steps))
    return lambda: [task.step(next(done)) for _ in range(SYNTHESIS_STEPS + DISTILLING_STEPS)]


def cmi(networks: Networks) -> Contest:
    """A round of both."""
    mean, std = torch.tensor([0.5] * 3), torch.tensor([0.25] * 3)
    with torch.device(networks.device):
        published = PublishedCmi(
            copy.deepcopy(networks.plain_teacher()), networks.student(), SIDE,
            mean.to(networks.device), std.to(networks.device),
            synthesis_batch=SYNTHESIS_BATCH, batch_size=DISTILLING_BATCH, bank=BANK,
        )  # fmt: skip

    def step() -> None:
        with torch.device(networks.device):
            for _ in range(SYNTHESIS_STEPS):
                published.synthesis_step()
            for _ in range(DISTILLING_STEPS):
                published.distilling_step()

    teacher, student = count_macs(networks.plain_teacher(), SIDE), count_macs(networks.student(), SIDE)
    learned, made = DISTILLING_STEPS * DISTILLING_BATCH, SYNTHESIS_STEPS * SYNTHESIS_BATCH
    macs = made * (3 * 116e6 + 4 * teacher + 2 * student) + learned * (teacher + 3 * student)
    return Contest("cmi", learned, macs, {"published": step, "lean": lean_cmi(networks)})


def run(contest: Contest, repeats: int, device: torch.device) -> None:
    """Let the variants take turns."""
    for name, step in contest.variants.items():
        for _ in range(2 if name == "compiled" else 1):
            step()
        contest.seconds[name] = []
    for _ in range(repeats):
        for name, step in contest.variants.items():
            started = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            contest.seconds[name].append(time.perf_counter() - started)


def row(contest: Contest, peak: float | None) -> str:
    published, lean, compiled = (contest.fastest(name) for name in ("published", "lean", "compiled"))
    best = min((value for value in (lean, compiled) if value is not None), default=None)
    cells = [contest.method, *(f"{value:.3f}" if value else "" for value in (published, lean, compiled))]
    cells += [f"{published / value:.1f}" if published and value else "" for value in (lean, compiled)]
    cells += [f"{contest.images / best:.0f}" if best else ""]
    if peak is not None:
        cells += [f"{2 * contest.macs / best / peak:.2%}" if best else ""]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also with torch.compile; minutes more")
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak-tflops", type=float, help="the GPU's bfloat16 peak, for the share of it")
    options = parser.parse_args()
    device = torch.device(options.device)
    networks = Networks(device)
    peak = options.peak_tflops * 1e12 if options.peak_tflops else None
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor()
    print(f"{where or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads,")
    print(f"load {os.getloadavg()[0]:.1f} at the start, torch {torch.__version__}; s/step, fastest of")
    print(f"{options.repeats}; images/s of the faster lean variant\n")
    heads = ["method", "published", "lean", "lean + compile", "ratio", "ratio, compiled", "images/s"]
    heads += ["of the bf16 peak"] if peak else []
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    makers: dict[str, Callable[[], Contest]] = {
        "zskt": lambda: zskt(networks, compile_=options.compile, vaccinated=False),
        "zskt + vaccine": lambda: zskt(networks, compile_=options.compile, vaccinated=True),
        "ood": lambda: ood(networks, compile_=options.compile, vaccinated=False),
        "ood + vaccine": lambda: ood(networks, compile_=options.compile, vaccinated=True),
        "cmi": lambda: cmi(networks),
    }
    for name, make in makers.items():
        if options.only not in name:
            continue
        contest = make()
        run(contest, options.repeats, device)
        print(row(contest, peak), flush=True)


if __name__ == "__main__":
    main()
