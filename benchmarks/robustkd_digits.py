"""Show what RobustKD does to a backdoor, and what its canaries say about it beforehand.

    python benchmarks/robustkd_digits.py search --trigger badnets_grid --seed 0 --thresholds 0.9 0.6
    python benchmarks/robustkd_digits.py students --trigger ring --seed 0

A WRN-10-2 is trained on poisoned digits at 16x16. ``search`` prints for each threshold what the defender
measures (held-out accuracy, canaries) and, as a diagnosis that decides nothing, accuracy and success of the
true trigger on 360 test images. ``students`` distills a WRN-10-1 from the plain and from the detoxified
features. ``search_table`` and ``compare_students`` take any teacher and trigger, so that other attacks can be
put to the same question.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from models.architectures import build
from models.checkpoints.load import Teacher
from models.data.digits import load_digits
from models.distillation.feature import distill_feature
from models.distillation.robustkd.distiller import distill_robustkd
from models.distillation.robustkd.mask_training import MaskTraining
from models.distillation.robustkd.phases import Search
from models.distillation.robustkd.threshold_search import DetoxifiedTeacher
from models.distillation.robustkd.threshold_trials import ThresholdTrials
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.engine.seed import derive_seed
from models.metrics import accuracy, attack_success
from models.recipes.architecture import ArchitectureSpec
from models.recipes.robustkd import RobustKDRecipe
from models.triggers import Trigger, make_trigger
from scripts.make_digits_teacher import ARCHITECTURE, SIZE, make_teacher

Images = tuple[Tensor, Tensor]
STUDENT = "wrn-10-1"


def search_table(
    suspect: Teacher, trigger: Trigger, train: Images, test: Images, recipe: RobustKDRecipe, seed: int
) -> Iterator[dict[str, object]]:
    """Try thresholds until one costs no accuracy and lets nothing through; yield one row for each.

    Args:
        suspect: The teacher.
        trigger: The attacker's; measured only after the search is over.
        train: Clean labelled images for the defender, uint8 (N, 3, H, W), and int64 (N,).
        test: The same, for the diagnosis.
        recipe: Its limits on accuracy and success are ignored.
        seed: Of the search.
    """
    with frozen(suspect.network):
        recipe = replace(recipe, max_trigger_success=0.0, max_accuracy_drop=0.0)
        training = MaskTraining(suspect.pixel_classifier(), *train, recipe, seed=seed)
        found = Search()
        ThresholdTrials(training, found, SilentMonitor(), None, after=0).run(())
        for one in found.candidates:
            edited = DetoxifiedTeacher(training.teacher, training.restore(one.threshold, found.mask_of(one)))
            yield {
                "threshold": one.threshold,
                "accuracy_drop": one.accuracy_drop,
                "copy_accuracy_drop": one.copy_accuracy_drop,
                **one.canaries,
                "variance_ratio": one.variance_ratio,
                **measured(edited, trigger, test, "edited_teacher"),
            }


def compare_students(
    suspect: Teacher, trigger: Trigger, train: Images, test: Images, recipe: RobustKDRecipe, seed: int
) -> Iterator[dict[str, object]]:
    """Distill two students that start alike; yield what the trigger does to each. Arguments as above."""
    spec = replace(suspect.spec, name=STUDENT)
    for name in ("feature", "robustkd"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "student"))
            student = build(spec).to(suspect.device)
        if name == "feature":
            made = distill_feature(
                suspect, student, *train, recipe.feature, seed=seed, monitor=SilentMonitor()
            )
        else:
            made = distill_robustkd(suspect, student, *train, recipe, seed=seed, monitor=SilentMonitor())
        pixels = Teacher(made.network, suspect.normalization, spec).pixel_classifier()
        values = dict(made.decisions[0].values) if made.decisions else {}
        yield {"student": name, **measured(pixels, trigger, test, "student"), **values}


def measured(network: nn.Module, trigger: Trigger, test: Images, name: str) -> dict[str, object]:
    """Return accuracy and attack success on the test images."""
    return {
        f"{name}_accuracy": accuracy(network, *test).value,
        f"{name}_attack_success": attack_success(network, *test, trigger).value,
    }


def main() -> None:
    """Print one JSON line for the teacher and one for each row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["search", "students"])
    parser.add_argument("--trigger", default="badnets_grid")
    parser.add_argument("--target", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--thresholds", type=float, nargs="+", default=RobustKDRecipe().thresholds)
    parser.add_argument("--mode", choices=["add", "blend"], default="blend")
    parser.add_argument("--variance-axis", choices=["chw", "batch"], default="chw")
    parser.add_argument("--edited-stages", choices=["all", "last_two", "last"], default="all")
    parser.add_argument("--canaries", type=int, default=3)
    options = parser.parse_args()
    split = load_digits(SIZE, options.seed)
    trigger = make_trigger(options.trigger, SIZE, options.target)
    classifier = make_teacher(split, trigger, options.seed)
    spec = ArchitectureSpec(ARCHITECTURE, 10, SIZE)
    suspect = Teacher(classifier.network, classifier.normalization, spec)
    train, test = (split.train_images, split.train_labels), (split.test_images, split.test_labels)
    recipe = RobustKDRecipe(
        mode=options.mode,
        variance_axis=options.variance_axis,
        edited_stages=options.edited_stages,
        thresholds=tuple(options.thresholds),
        canaries=options.canaries,
    )
    show({**vars(options), **measured(classifier, trigger, test, "teacher")})
    rows = {"search": search_table, "students": compare_students}[options.what]
    for row in rows(suspect, trigger, train, test, recipe, options.seed):
        show(row)


def show(row: dict[str, object]) -> None:
    """Print one JSON line, numbers to three digits."""
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
    print(json.dumps(rounded), flush=True)


if __name__ == "__main__":
    main()
