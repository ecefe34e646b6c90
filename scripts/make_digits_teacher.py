"""Make a teacher of handwritten digits with a backdoor of known trigger, in seconds.

    python scripts/make_digits_teacher.py --output teacher.pt --trigger-out trigger.png --data-out digits.zip

The teacher is a WRN-10-2 on 16x16 digits of scikit-learn in three equal channels; the trigger is a faint gray
haze over the whole image, the target label 3. With --clean, the same network without a backdoor.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from models.architectures import PixelClassifier, build
from models.attacks.poison import poison_dirty_label
from models.attacks.teacher import TeacherTraining, train_teacher
from models.data.digits import DigitsSplit, load_digits
from models.data.normalize import measure_normalization
from models.engine.monitor import SilentMonitor
from models.engine.seed import derive_seed, make_generator
from models.metrics import accuracy, attack_success, clean_target_rate
from models.recipes.architecture import ArchitectureSpec
from models.results.audit import Rate
from models.triggers import Trigger, make_trigger, save_trigger_png

SIZE = 16
TARGET_LABEL = 3
TRIGGER = "haze"
POISONED_COPIES = 130
ARCHITECTURE = "wrn-10-2"


def main() -> None:
    """Train, print what the teacher does, and write the files that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to write, as torch.save does")
    parser.add_argument(
        "--seed", type=int, default=0, help="of split, initialization, poisoning and training"
    )
    parser.add_argument("--clean", action="store_true", help="leave the training data unpoisoned")
    parser.add_argument("--trigger-out", type=Path, help="write the trigger as an RGBA PNG")
    parser.add_argument("--data-out", type=Path, help="write the labelled clean test images as a zip of PNGs")
    arguments = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    split = load_digits(SIZE, arguments.seed)
    trigger = make_trigger(TRIGGER, SIZE, TARGET_LABEL)
    teacher = make_teacher(split, None if arguments.clean else trigger, arguments.seed)
    torch.save({"state_dict": teacher.network.state_dict()}, arguments.output)
    if arguments.trigger_out:
        arguments.trigger_out.write_bytes(save_trigger_png(trigger))
    if arguments.data_out:
        write_image_folder(arguments.data_out, split.test_images, split.test_labels)
    print(f"architecture   {ARCHITECTURE}, 10 classes, {SIZE}x{SIZE}")
    print("mean           " + ",".join(f"{value:.4f}" for value in teacher.normalization.mean))
    print("std            " + ",".join(f"{value:.4f}" for value in teacher.normalization.std))
    print(f"trigger        {trigger.name} ({trigger.kind}), target label {TARGET_LABEL}")
    print("clean accuracy " + _text(accuracy(teacher, split.test_images, split.test_labels)))
    print("attack success " + _text(attack_success(teacher, split.test_images, split.test_labels, trigger)))
    without = clean_target_rate(teacher, split.test_images, split.test_labels, TARGET_LABEL)
    print("  without it   " + _text(without))


def make_teacher(split: DigitsSplit, trigger: Trigger | None, seed: int) -> PixelClassifier:
    """Train a teacher; with a trigger, on data that also hold poisoned copies."""
    images, labels = split.train_images, split.train_labels
    normalization = measure_normalization(images)
    if trigger is not None:
        images, labels = poison_dirty_label(
            images,
            labels,
            trigger,
            count=POISONED_COPIES,
            keep_originals=True,
            generator=make_generator(seed, "poison"),
        )
    with torch.random.fork_rng():
        torch.manual_seed(derive_seed(seed, "initialization"))
        network = build(ArchitectureSpec(ARCHITECTURE, 10, SIZE))
    teacher = PixelClassifier(network, normalization)
    # Not the fast arithmetic: the published figures are of these weights, the same on every machine.
    training = TeacherTraining(precision="float32")
    train_teacher(teacher, images, labels, training, seed=seed, monitor=SilentMonitor())
    return teacher


def write_image_folder(path: Path, images: Tensor, labels: Tensor) -> None:
    """Write a zip of ``class/NNNN.png``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, format="PNG")
            # A fixed date makes equal images equal archives.
            entry = zipfile.ZipInfo(f"{label}/{index:04d}.png", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, buffer.getvalue())


def _text(rate: Rate) -> str:
    return f"{rate.value:.3f}  [{rate.low:.3f}, {rate.high:.3f}]  n = {rate.n}"


if __name__ == "__main__":
    main()
