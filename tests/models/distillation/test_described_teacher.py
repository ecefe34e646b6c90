"""Every method and defense on a teacher of the user's own, which is no registry network."""

from __future__ import annotations

import pytest
import torch

from app.schemas.layers import LAYER_LIST
from models.architectures import PixelClassifier, build
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble
from models.distillation.students import StudentOrder, train_student
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.probes.audit import run_audit
from models.recipes.abd import AbdRecipe
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.feature import FeatureRecipe
from models.recipes.job import Recipe
from models.recipes.layer_list.identity import spec_of
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe
from models.recipes.robustkd import RobustKDRecipe
from models.recipes.vanilla import VanillaRecipe
from models.recipes.verify import VerifyRecipe
from models.recipes.zskt import ZsktRecipe
from models.triggers import make_trigger
from models.verification import Candidate, MeasuredTrigger, MeasuringImages, verify
from tests.described_networks import NETWORKS
from tests.layer_lists import STAGE
from tests.models.distillation.inversion.small_recipes import CMI, FAST

FEATURE = FeatureRecipe(epochs=1, batch_size=16)
RECIPE = Recipe(
    seed=1,
    ood=OodRecipe(images=64, batch_size=32, patches=64),
    zskt=ZsktRecipe(pseudo_batches=2, student_steps=1, batch_size=8, generator_width=8, attention_weight=1.0),
    cmi=CMI,
    fast=FAST,
    vanilla=VanillaRecipe(images=64, batch_size=32),
    robustkd=RobustKDRecipe(rounds=1, mask_batch_size=16, canaries=1, canary_steps=2, feature=FEATURE),
    probe=ProbeRecipe(budget="quick", transfer=False),
)


def teacher(name: str, *, marked: bool = True) -> Teacher:
    document = NETWORKS[name][1]
    if not marked:
        document = {**document, "layers": [layer for layer in document["layers"] if layer != STAGE]}
    spec = spec_of(LAYER_LIST.validate_python(document))
    torch.manual_seed(0)
    return Teacher(build(spec).eval(), Normalization((0.4, 0.5, 0.6), (0.25, 0.25, 0.25)), spec)


def labelled(suspect: Teacher, count: int = 48) -> AuditData:
    size, generator = suspect.spec.input_size, torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return AuditData(images=images, labels=torch.arange(count) % suspect.spec.num_classes)


def train(suspect: Teacher, method: str, defense: str = "none") -> float:
    """Train a student and return its last loss."""
    student = ArchitectureSpec("wrn-10-1", suspect.spec.num_classes, suspect.spec.input_size)
    order = StudentOrder("defended", method, defense, student)
    trained = train_student(suspect, labelled(suspect), RECIPE, order, SilentMonitor())
    return trained.result.final["loss"]


@pytest.mark.parametrize("method", ["ood", "zskt", "cmi", "fast", "vanilla", "feature", "robustkd"])
def test_every_method_learns_from_a_teacher_with_marked_stages(method: str) -> None:
    assert abs(train(teacher("residual"), method)) < 1e4


@pytest.mark.parametrize("name", ["squeeze", "modern"])
def test_abd_defends_against_depthwise_and_batchnorm_free_teachers(name: str) -> None:
    assert abs(train(teacher(name), "ood", "abd")) < 1e4


@pytest.mark.parametrize("method", ["feature", "robustkd"])
def test_without_marks_features_are_refused_in_a_sentence(method: str) -> None:
    with pytest.raises(RecipeError) as caught:
        train(teacher("residual", marked=False), method)
    assert caught.value.code == "stages_incompatible"
    assert "the layer list marks no stage" in caught.value.detail


def test_preactivated_stages_are_compared_as_well() -> None:
    assert abs(train(teacher("preactivated"), "robustkd")) < 1e4


@pytest.mark.parametrize("name", NETWORKS)
def test_the_vaccine_shuffles_the_last_stage(name: str) -> None:
    network = teacher(name).network
    ensemble = ShuffledEnsemble(network, 1, AbdRecipe().vaccine.layers)
    ensemble.shuffle(torch.Generator().manual_seed(0))
    intact = network.state_dict()
    shuffled = {key for key, value in ensemble.copies[0].state_dict().items() if not value.equal(intact[key])}
    last = network.stage_convolutions(len(network.stage_channels) - 1)
    weights = {key for key, value in network.named_parameters() if any(value is one.weight for one in last)}
    assert shuffled
    assert shuffled <= weights


def test_an_audit_and_a_verification_run() -> None:
    suspect = teacher("residual")
    data = labelled(suspect)
    trigger = make_trigger("badnets_square", suspect.spec.input_size, 1)
    audited = run_audit(suspect, data, (trigger,), RECIPE, SilentMonitor())
    assert {probe.probe for probe in audited.result.probes}
    spec = ArchitectureSpec("wrn-10-1", 4, 16)
    student = build(spec).eval()
    assert data.images is not None
    result = verify(
        [
            Candidate("teacher", suspect.pixel_classifier(), suspect.spec),
            Candidate("defended", PixelClassifier(student, suspect.normalization), spec),
        ],
        MeasuringImages(data.images, data.labels, "clean images"),
        [MeasuredTrigger(trigger, "given")],
        VerifyRecipe(),
        SilentMonitor(),
    )
    assert result.networks[0].architecture == suspect.spec.name
    assert result.networks[0].parameters == sum(one.numel() for one in suspect.network.parameters())
