"""What a nasty teacher of handwritten digits costs its owner, and its students.

    python benchmarks/nasty_digits.py --seed 0 --omega 0.004 0.04 0.1 --start original

Trains a teacher as scripts/make_digits_teacher.py --clean does, protects it, and measures on the 360 test
images, which nothing was trained on. Prints a line per omega.
"""

from __future__ import annotations

import argparse

import torch

from models import api
from models.architectures import PixelClassifier, build
from models.attacks.teacher import TeacherTraining, train_teacher
from models.checkpoints.load import Teacher
from models.data.digits import DigitsSplit, load_digits
from models.data.normalize import measure_normalization
from models.distillation.nasty.owner_images import ProtectionSplit
from models.engine.monitor import SilentMonitor
from models.engine.seed import derive_seed
from models.errors import TrainingFailed
from models.recipes.architecture import ArchitectureSpec
from models.recipes.protect import HarmRecipe, ProtectRecipe

SIZE = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--omega", type=float, nargs="+", default=[0.04])
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--start", choices=["original", "scratch"], default="original")
    parser.add_argument("--teacher", default="wrn-10-2")
    parser.add_argument("--student", default="plain-cnn-w16")
    parser.add_argument("--max-images", type=int, default=20_000, help="shown to the nasty teacher")
    parser.add_argument("--student-images", type=int, default=12_000, help="shown to each student")
    given = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_digits(SIZE, given.seed)
    original = make_original(digits, given.teacher, given.seed)
    split = ProtectionSplit(digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    harm = HarmRecipe(architecture=given.student, max_images=given.student_images, epochs=1_000)
    for omega in given.omega:
        recipe = ProtectRecipe(
            omega=omega,
            temperature=given.temperature,
            start=given.start,
            max_images=given.max_images,
            harm=harm,
        )
        try:
            print(
                f"omega {omega:g} {given.start}: {measured(original, split, recipe, given.seed)}", flush=True
            )
        except TrainingFailed as failure:
            print(f"omega {omega:g} {given.start}: {failure.code}: {failure.detail}", flush=True)


def make_original(digits: DigitsSplit, architecture: str, seed: int) -> Teacher:
    normalization = measure_normalization(digits.train_images)
    torch.manual_seed(derive_seed(seed, "initialization"))
    spec = ArchitectureSpec(architecture, 10, SIZE)
    network = build(spec)
    classifier = PixelClassifier(network, normalization)
    training = TeacherTraining()
    train_teacher(
        classifier, digits.train_images, digits.train_labels, training, seed=seed, monitor=SilentMonitor()
    )
    return Teacher(network.eval(), normalization, spec)


def measured(original: Teacher, split: ProtectionSplit, recipe: ProtectRecipe, seed: int) -> str:
    nasty = api.protect(original, split, recipe, seed=seed, monitor=SilentMonitor())
    found = api.measure_protection(original, nasty.network, split, recipe, seed=seed, monitor=SilentMonitor())
    (students,) = found.students
    against = students.nasty_minus_labels
    return (
        f"original {found.original_accuracy.value:.3f}, nasty {found.nasty_accuracy.value:.3f}; students of "
        f"labels {students.labels.value:.3f}, original {students.original.value:.3f}, nasty "
        f"{students.nasty.value:.3f}; against labels {100 * against.value:+.1f} points "
        f"[{100 * against.low:+.1f}, {100 * against.high:+.1f}], n = {found.images}"
    )


if __name__ == "__main__":
    main()
