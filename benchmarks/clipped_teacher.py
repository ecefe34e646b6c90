"""What bounding its channels does to a teacher itself, before anyone learns from it: docs/results.md.

    python benchmarks/clipped_teacher.py [--images 1000]

Public checkpoints of CIFAR-10 (data folder: PROCTOR_SHARED_DATA, or ``shared/data`` beside the repository)
and test images. Per quantile: agreement with the intact teacher on held-out patches, which is what the
defense chooses by; accuracy and attack success, which it never sees. Bounds over smooth patches, and over
patches half of which are sharp, to show why the first are taken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from audit_public_checkpoints import data_folder  # noqa: E402

from models.checkpoints.load import Teacher  # noqa: E402
from models.data.labelled import LabelledImages  # noqa: E402
from models.data.patches import make_patches  # noqa: E402
from models.data.photographs import builtin_photographs  # noqa: E402
from models.distillation.clipping.bounds import ChannelQuantiles, clipped  # noqa: E402
from models.engine.seed import make_generator  # noqa: E402
from models.lab.data import load_lab_data  # noqa: E402
from models.lab.reproduction.cell import PublicTeacher  # noqa: E402
from models.lab.reproduction.teachers import Folders, public_suspect  # noqa: E402
from models.metrics import accuracy, attack_success  # noqa: E402
from models.recipes.clip import ClipRecipe  # noqa: E402

PUBLIC = {
    "watermark, class 2": PublicTeacher("ibau_trojan_wm_2_02_ckpt.pth", "trojan_wm", 2),
    "square, class 8": PublicTeacher("ibau_badnets_8_02_ckpt.pth", "badnets_square", 8),
    "clean ResNet-20": PublicTeacher("akamaster_resnet20-12fca82f.th", None),
}
QUANTILES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
BOUNDING, JUDGING = 1_000, 1_000


def clipped_teachers(
    teacher: Teacher, sharp_share: float, recipe: ClipRecipe
) -> Iterator[tuple[float, float, Teacher]]:
    """Give quantile, agreement and the bounded teacher."""
    patches = make_patches(
        builtin_photographs(), count=BOUNDING + JUDGING, size=32, seed=0, sharp_share=sharp_share
    )
    x = teacher.pixel_classifier().normalize(patches.float() / 255.0)
    quantiles = ChannelQuantiles(teacher, x[:BOUNDING], make_generator(0, "positions"))
    with torch.no_grad():
        intact = teacher.network(x[BOUNDING:]).argmax(dim=1)
        for quantile in QUANTILES:
            bounded = clipped(teacher, quantiles, quantile, recipe)
            yield (
                quantile,
                float((bounded.network(x[BOUNDING:]).argmax(dim=1) == intact).float().mean()),
                bounded,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000, help="test images, drawn at random")
    options = parser.parse_args()
    data = data_folder()
    test = load_lab_data(str(data / "cifar10" / "test.zip"), data / "cifar10" / "test.zip", size=32).test
    chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[: options.images]
    test = LabelledImages(test.images[chosen], test.labels[chosen])
    print("| teacher | patches | quantile | agreement | ACC | ASR |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as work:
        folders = Folders(Path(work), data / "triggers", data / "teachers")
        for name, public in PUBLIC.items():
            suspect = public_suspect(public, test, folders, device=torch.device("cpu"))
            success = f"{suspect.attack_success.value:.3f}" if suspect.attack_success else "—"
            print(f"| {name} | | not bounded | 1 | {suspect.clean_accuracy.value:.3f} | {success} |")
            for share, patches in ((0.0, "smooth"), (0.5, "half sharp")):
                for quantile, agreement, bounded in clipped_teachers(suspect.teacher, share, ClipRecipe()):
                    network = bounded.pixel_classifier()
                    right = accuracy(network, test.images, test.labels).value
                    if suspect.trigger is not None:
                        rate = attack_success(network, test.images, test.labels, suspect.trigger)
                        success = f"{rate.value:.3f}"
                    line = f"{quantile} | {agreement:.3f} | {right:.3f} | {success}"
                    print(f"| {name} | {patches} | {line} |", flush=True)


if __name__ == "__main__":
    main()
