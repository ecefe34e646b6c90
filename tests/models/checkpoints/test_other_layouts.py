"""Names of other public repositories, translated; and what only the user can tell."""

from __future__ import annotations

import re

import pytest

from models.checkpoints.infer_architecture import FAMILIES, infer_architecture
from models.checkpoints.layouts.family import rename
from models.checkpoints.layouts.layout import Shape
from models.errors import CheckpointRejected
from models.recipes.architecture import ArchitectureSpec

UNIT = {"conv1": "0", "bn1": "1", "conv2": "3", "bn2": "4", "conv3": "6", "bn3": "7"}
PRLZ = {
    "conv1": "conv_reduce",
    "bn1": "bn_reduce",
    "conv2": "conv_conv",
    "bn2": "bn",
    "conv3": "conv_expand",
    "bn3": "bn_expand",
    "shortcut.0": "shortcut.shortcut_conv",
    "shortcut.1": "shortcut.shortcut_bn",
}


def table(name: str) -> dict[str, Shape]:
    spec = ArchitectureSpec(name, 10, 32)
    return next(layout.shapes for family in FAMILIES if (layout := family.lay_out(spec)) is not None)


def weiaicunzai(name: str) -> str:
    name = re.sub(r"^bn1\.", "conv1.1.", re.sub(r"^conv1\.", "conv1.0.", name)).replace("linear.", "fc.")
    name = re.sub(
        r"^layer(\d)\.(\d+)\.(conv\d|bn\d)",
        lambda m: f"layer{m[1]}.{m[2]}.residual_function.{UNIT[m[3]]}",
        name,
    )
    return re.sub(r"^layer(\d)", lambda m: f"conv{int(m[1]) + 1}_x", name)


def prlz77(name: str) -> str:
    name = name.replace("linear.", "classifier.")
    name = re.sub(r"^conv1\.", "conv_1_3x3.", re.sub(r"^bn1\.", "bn_1.", name))
    return re.sub(
        r"^layer(\d)\.(\d+)\.(conv\d|bn\d|shortcut\.\d)",
        lambda m: f"stage_{m[1]}.stage_{m[1]}_bottleneck_{m[2]}.{PRLZ[m[3]]}",
        name,
    )


def functional(name: str) -> str:
    """Write names as szagoruyko/wide-residual-networks does: parameters in a dict, counted from 0."""
    name = re.sub(r"^conv1\.weight", "conv0", re.sub(r"^bn1\.", "bn.", name))
    name = re.sub(r"^block(\d)\.layer\.(\d+)", lambda m: f"group{int(m[1]) - 1}.block{m[2]}", name)
    name = re.sub(r"\.(bn|conv)([12])\b", lambda m: f".{m[1]}{int(m[2]) - 1}", name)
    return re.sub(r"(conv\d|convdim)\.weight$", r"\1", name.replace("convShortcut", "convdim"))


def infer(shapes: dict[str, Shape], declared: str | None = None):
    return infer_architecture(shapes, declared=declared, num_classes=None, input_size=None)


@pytest.mark.parametrize(
    ("name", "translate", "sample"),
    [
        ("resnet-18", weiaicunzai, "conv3_x.0.residual_function.3.weight"),
        ("resnet-50", weiaicunzai, "conv5_x.2.residual_function.7.running_var"),
        ("resnext-29-8x64d", prlz77, "stage_3.stage_3_bottleneck_0.shortcut.shortcut_bn.bias"),
        ("wrn-16-2", functional, "group2.block0.convdim"),
        ("wrn-10-1", functional, "group0.block0.bn1.running_mean"),
    ],
)
def test_reads_the_names_of_other_repositories(name: str, translate, sample: str) -> None:
    canonical = table(name)
    shapes = {translate(key): shape for key, shape in canonical.items()}
    assert sample in shapes
    inferred = infer(shapes)
    assert inferred.spec.name == name
    assert inferred.key_map == {key: translate(key) for key in canonical}


def test_whether_an_edited_torchvision_resnet_pools_only_the_user_knows() -> None:
    shapes = {
        key.replace("shortcut", "downsample").replace("linear", "fc"): shape
        for key, shape in table("resnet-18").items()
    }
    with pytest.raises(CheckpointRejected) as caught:
        infer(shapes)
    assert caught.value.code == "architecture_ambiguous"
    assert "resnet-18, resnet-18-maxpool" in caught.value.detail
    assert infer(shapes, declared="resnet-18").key_map["linear.weight"] == "fc.weight"
    assert infer(shapes, declared="resnet-18-maxpool").key_map == {key: key for key in shapes}


def test_a_saved_student_that_pools_is_never_taken_for_one_that_does_not() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        infer(table("resnet-18-w32-maxpool"))
    assert "resnet-18-w32, resnet-18-w32-maxpool" in caught.value.detail


def test_two_names_never_become_one() -> None:
    shapes = {"fc.weight": (10, 64), "classifier.weight": (10, 64), "bn_1.bias": (4,), "bn1.bias": (4,)}
    rules = ((r"(?:fc|classifier)\.(\w+)", r"linear.\1"), (r"bn_1\.(\w+)", r"bn1.\1"))
    assert rename(shapes, rules) == {"fc.weight": "linear.weight"}


def test_of_two_names_for_one_tensor_one_is_unexpected() -> None:
    shapes = {**table("torchvision-resnet18"), "linear.weight": (10, 512)}
    with pytest.raises(CheckpointRejected) as caught:
        infer(shapes)
    assert "linear.weight [10, 512] is unexpected" in caught.value.detail


def test_a_second_classifier_is_not_overlooked() -> None:
    with pytest.raises(CheckpointRejected) as caught:
        infer({**table("resnet-18"), "fc.weight": (10, 512), "fc.bias": (10,)})
    assert caught.value.code == "architecture_mismatch"
    assert "fc.weight [10, 512] is unexpected" in caught.value.detail
