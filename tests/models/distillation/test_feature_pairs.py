"""Feature distillation and RobustKD between networks of all families."""

import pytest
import torch

from models.architectures import PixelClassifier, StagedClassifier, build
from models.checkpoints.load import Teacher
from models.distillation.feature_distance import partial_l2
from models.distillation.feature_task import FeatureTask, check_stages
from models.distillation.labelled_batches import LabelledBatches
from models.distillation.robustkd.distiller import distill_robustkd
from models.engine.monitor import SilentMonitor
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.feature import FeatureRecipe
from models.recipes.robustkd import RobustKDRecipe

CLASSES = 4
NORMALIZATION = Normalization((0.5,) * 3, (0.25,) * 3)
LABELS = torch.arange(24) % CLASSES
RECIPE = RobustKDRecipe(
    thresholds=(0.5,),
    rounds=1,
    mask_batch_size=8,
    mean_images=4,
    canaries=0,
    max_images=100,
    feature=FeatureRecipe(epochs=1, batch_size=8),
)
PAIRS = [
    ("wrn-10-2", "wrn-10-1", 8),
    ("wrn-10-2", "resnet-20", 8),
    ("resnet-20", "wrn-10-1", 8),
    ("pyramidnet-110-84", "wrn-10-1", 8),
    ("pyramidnet-164-24", "pyramidnet-110-48", 8),
    ("wrn-10-2-biased", "wrn-10-1", 8),
    ("vgg-11-bn-w16", "vgg-11-bn-w16", 32),
    ("vgg-small-elu", "vgg-small-elu", 16),
    ("vgg-small-elu", "wrn-10-1", 16),
    ("plain-cnn-w32", "plain-cnn-w16", 8),
    ("mobilenet-v2", "resnet-18-w16", 16),
    ("shufflenet-v2-x0.5", "shufflenet-v2-x0.5", 16),
    ("resnet-18-w16", "mobilenet-v2", 16),
    ("preact-resnet-18-w16", "resnet-18-w16", 16),
    ("resnext-29-1x64d", "wrn-10-1", 8),
    ("torchvision-resnet18", "torchvision-resnet18", 32),
]


def network(name: str, size: int, seed: int) -> StagedClassifier:
    torch.manual_seed(seed)
    return build(ArchitectureSpec(name, CLASSES, size))


def suspect(name: str, size: int) -> StagedClassifier:
    """With statistics of the images: without, deep networks answer 10^14 in eval mode."""
    built = network(name, size, 0)
    norms = [module for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        built.train()((images(size) / 255 - 0.5) / 0.25)
    return built.eval()


def images(size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (len(LABELS), 3, size, size), generator=generator, dtype=torch.uint8)


def make_task(teacher: str, student: str, size: int) -> FeatureTask:
    classifier = PixelClassifier(suspect(teacher, size), NORMALIZATION).requires_grad_(False)
    batches = LabelledBatches(
        classifier, images(size), LABELS, batch_size=8, crop_padding=0, horizontal_flip=False, seed=0
    )
    return FeatureTask(classifier, network(student, size, 1), batches, FeatureRecipe(), steps=4, seed=0)


@pytest.mark.parametrize(("teacher", "student", "size"), PAIRS)
def test_losses_are_finite_and_every_layer_fits(teacher: str, student: str, size: int) -> None:
    task = make_task(teacher, student, size)
    check_stages(task.teacher, task.student, size)
    x, _ = task.batches(0)
    targets = task._targets(x)
    stages = task.student.forward_stages(x).stages
    connected = task.connectors([task.student.prerelu(index, stage) for index, stage in enumerate(stages)])
    assert [feature.shape for feature in connected] == [target.shape for target in targets]
    given = [(m, len(target[0])) for m, target in zip(task.margins, targets, strict=True) if m is not None]
    assert all(len(margin) == channels and (margin <= 0).all() for margin, channels in given)
    before = {name: buffer.clone() for name, buffer in task.teacher.named_buffers()}
    losses = [task.step(index) for index in range(2)]
    norms = [module for module in task.student.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    # The forward pass above is the first, each step is one more.
    assert {int(norm.num_batches_tracked) for norm in norms if norm.num_batches_tracked is not None} == {3}, (
        "trap 42"
    )
    assert all(torch.isfinite(value) for step in losses for value in step.values())
    assert losses[0]["feature_loss"] > 0.0
    assert all(torch.equal(buffer, before[name]) for name, buffer in task.teacher.named_buffers()), "trap 21"


@pytest.mark.parametrize(
    ("teacher", "student", "size"),
    [
        ("wrn-10-2", "resnet-20", 8),
        ("pyramidnet-110-84", "wrn-10-1", 8),
        ("vgg-small-elu", "wrn-10-1", 16),
        ("mobilenet-v2", "resnet-18-w16", 16),
        ("shufflenet-v2-x0.5", "shufflenet-v2-x0.5", 8),
    ],
)
def test_robustkd_runs(teacher: str, student: str, size: int) -> None:
    audited = Teacher(suspect(teacher, size), NORMALIZATION, ArchitectureSpec(teacher, CLASSES, size))
    made = distill_robustkd(
        audited, network(student, size, 1), images(size), LABELS, RECIPE, seed=0, monitor=SilentMonitor()
    )
    assert abs(made.final["loss"]) < 1e4


def test_trap_38_behind_a_relu_zero_margins_change_nothing() -> None:
    task = make_task("shufflenet-v2-x0.5", "shufflenet-v2-x0.5", 16)
    target = task._targets(task.batches(0)[0])[0]
    assert task.margins[0].eq(0).all()
    off = target == 0
    assert partial_l2(torch.where(off, -3.0, target), target) == 0.0


@pytest.mark.parametrize("name", ["wrn-10-2", "pyramidnet-110-84", "resnet-20", "mobilenet-v2"])
def test_edited_features_feed_the_next_stage_and_are_the_targets(name: str) -> None:
    """The published PyramidNet hands the student its unedited features: the last edit then does nothing."""
    task = make_task(name, "wrn-10-1" if name != "mobilenet-v2" else "resnet-18-w16", 8)
    x, _ = task.batches(0)
    plain = task._targets(x)
    for edited in (0, len(plain) - 1):
        task.edit = lambda index, feature, edited=edited: feature * 0.5 if index == edited else feature
        changed = [not torch.equal(one, other) for one, other in zip(task._targets(x), plain, strict=True)]
        assert changed == [index >= edited for index in range(len(plain))]


@pytest.mark.parametrize(
    ("name", "size"), [(name, size) for name, _, size in PAIRS if not name.startswith(("wrn", "preact"))]
)
def test_what_the_distance_ignores_is_what_the_network_ignores(name: str, size: int) -> None:
    """Negative responses may go their own way only where a ReLU follows."""
    task = make_task(name, name, size)
    x, _ = task.batches(0)
    plain = task.teacher.forward_stages(x)
    for index, stage in enumerate(plain.stages):
        if task.teacher.prerelu(index, stage) is not stage:  # another BatchNorm stands before its ReLU
            continue

        def deepen(at: int, feature: torch.Tensor, edited: int = index) -> torch.Tensor:
            return torch.where(feature < 0, 1.5 * feature, feature) if at == edited else feature

        moved = task.teacher.forward_stages(x, deepen).logits
        assert moved.allclose(plain.logits) == (task.margins[index] is not None), index
