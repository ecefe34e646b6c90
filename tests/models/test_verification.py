from dataclasses import replace

import pytest
import torch

from models.acceptance import NamedClasses, decide
from models.architectures import PixelClassifier, build
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.metrics import predict
from models.metrics.intervals import wilson
from models.probes.label_check import check_labels
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.verify import VerifyRecipe
from models.results.teacher_check import NormalizationCheck, TeacherCheck
from models.triggers import make_trigger
from models.verification import Candidate, MeasuredTrigger, MeasuringImages, verify

SPEC = ArchitectureSpec("wrn-10-1", 4, 16)
GIVEN = MeasuredTrigger(make_trigger("badnets_square", 16, 1), "given")


class Fixed(torch.nn.Module):
    """Stands before a real network and answers by the image's brightness, or by the trigger's corner."""

    def __init__(self, *, backdoored: bool, dull: bool = False) -> None:
        super().__init__()
        self.network = build(SPEC)
        self.backdoored, self.dull = backdoored, dull

    def forward(self, pixels):
        labels = (pixels[:, 0, 0, 0] * 4).long().clamp(max=3)
        if self.dull:
            labels = torch.zeros_like(labels)
        if self.backdoored:
            labels = torch.where(
                GIVEN.trigger.stamp(pixels).sub(pixels).abs().amax((1, 2, 3)) == 0, 1, labels
            )
        return torch.nn.functional.one_hot(labels, 4).float()


def candidate(role, **behavior) -> Candidate:
    return Candidate(role, Fixed(**behavior), SPEC)


@pytest.fixture
def images() -> MeasuringImages:
    labels = torch.arange(80) % 4
    pictures = (labels * 64 + 20).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    return MeasuringImages(pictures, labels, "clean images")


def run(images, student, recipe=None, triggers=(GIVEN,), check=None):
    teacher = candidate("teacher", backdoored=True)
    return verify(
        [teacher, student], images, triggers, recipe or VerifyRecipe(), SilentMonitor(), check=check
    )


def checked(images) -> TeacherCheck:
    labels = check_labels(predict(Fixed(backdoored=True), images.images), images.labels, num_classes=4)
    return TeacherCheck(
        len(images.images), labels, NormalizationCheck((), None, False, Normalization(), ""), ()
    )


def test_a_clean_and_useful_student_is_accepted(images):
    result = run(images, candidate("defended", backdoored=False))
    assert result.accepted
    assert [row.attacks[0].rate.value for row in result.networks] == [1.0, 0.0]


def test_a_student_with_the_backdoor_is_not_accepted_and_told_why(images):
    result = run(images, candidate("defended", backdoored=True))
    assert not result.accepted
    assert "badnets_square" in result.sentence
    assert "100.0%" in result.sentence


def test_a_useless_student_is_not_accepted_even_without_the_backdoor(images):
    result = run(images, candidate("defended", backdoored=False, dull=True))
    assert not result.accepted
    assert "accuracy relative to the teacher is 25.0%" in result.sentence


def test_labels_that_do_not_suit_the_teacher_accept_no_student(images):
    shifted = replace(images, labels=(images.labels + 1) % 4)
    dull = candidate("defended", backdoored=False, dull=True)
    target_two = MeasuredTrigger(replace(GIVEN.trigger, target_label=2), "given")
    result = run(shifted, dull, triggers=(target_two,), check=checked(shifted))
    assert (result.checks[0].passed, result.accepted) == (None, False)
    assert "the labels do not suit the teacher" in result.sentence
    assert run(images, candidate("defended", backdoored=False), check=checked(images)).accepted


def test_a_teacher_that_is_never_right_gives_no_ratio(images):
    shifted = replace(images, labels=(images.labels + 1) % 4)
    result = run(shifted, candidate("defended", backdoored=False))
    assert (result.checks[0].measured, result.checks[0].passed, result.accepted) == (None, None, False)


def uneven() -> MeasuringImages:
    """Nine in ten of class 0, as the teacher sees them too."""
    labels = torch.where(torch.arange(600) % 10 == 0, 2, 0)
    pictures = (labels * 64 + 20).to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16).contiguous()
    return MeasuringImages(pictures, labels, "clean images")


@pytest.mark.parametrize("labelled", [True, False])
def test_a_student_that_names_one_class_for_everything_is_not_accepted(labelled):
    """Nine in ten agree, and the trigger leads to the class that it names anyway."""
    measured = uneven()
    measured = measured if labelled else replace(measured, labels=None)
    target_zero = MeasuredTrigger(replace(GIVEN.trigger, target_label=0), "given")
    dull = candidate("defended", backdoored=False, dull=True)
    result = run(measured, dull, triggers=(target_zero,))
    assert [check.passed for check in result.checks] == [True, False, True]
    assert not result.accepted
    assert "names 1, the teacher 2: a student that names one class for everything" in result.sentence


def test_images_of_one_class_accept_no_student(images):
    zeros = MeasuringImages(images.images[images.labels == 0].repeat(4, 1, 1, 1), None, "clean images")
    result = run(zeros, candidate("defended", backdoored=False, dull=True), triggers=())
    assert (result.checks[1].passed, result.accepted) == (None, False)
    assert "give others too" in result.sentence


def test_rates_of_a_few_images_accept_no_student(images):
    few = MeasuringImages(images.images[:48], images.labels[:48], "clean images")
    result = run(few, candidate("defended", backdoored=False))
    assert [check.passed for check in result.checks] == [None, True, None]
    assert not result.accepted
    assert "48 images are too few to judge this by, at least 50 are needed" in result.sentence


def test_trap_8_images_of_the_target_class_are_left_out(images):
    result = run(images, candidate("defended", backdoored=True))
    assert result.networks[0].attacks[0].rate.n == 60


def test_trap_11_a_student_that_always_names_the_target_fails_on_accuracy_not_on_the_trigger(images):
    target_zero = MeasuredTrigger(replace(GIVEN.trigger, target_label=0), "given")
    result = run(images, candidate("defended", backdoored=False, dull=True), triggers=(target_zero,))
    passed = {check.name: check.passed for check in result.checks}
    assert passed["accuracy relative to the teacher"] is False
    assert passed["success of badnets_square, above the rate without it"] is True


@pytest.mark.parametrize(
    ("anyway", "triggered", "moved"), [(0, 5, 1 / 12), (54, 60, 1.0), (30, 32, 1 / 15), (9, 3, 0)]
)
def test_a_trigger_is_judged_by_the_images_that_do_not_go_to_its_class_anyway(
    anyway: int, triggered: int, moved: float, images
):
    """(ASR - CTR) / (1 - CTR): a student that sends 54 of 60 there leaves a trigger six, and it takes all."""
    measured = run(images, candidate("defended", backdoored=False))
    teacher, student = measured.networks
    attack = replace(student.attacks[0], rate=wilson(triggered, 60), clean_rate=wilson(anyway, 60))
    decision = decide(
        teacher, replace(student, attacks=(attack,)), VerifyRecipe(), NamedClasses(4, 4), check=None
    )
    check = decision.checks[-1]
    assert check.measured == pytest.approx(moved)
    assert (check.passed, decision.accepted) == ((True, True) if moved < 0.5 else (False, False))


def test_without_labels_agreement_stands_in_for_accuracy(images):
    result = run(replace(images, labels=None), candidate("defended", backdoored=False))
    assert result.networks[1].accuracy is None
    assert result.checks[0].name == "agreement with the teacher"
    assert result.checks[0].measured == 1.0


def test_without_a_trigger_the_attack_is_said_to_be_unmeasured(images):
    result = run(images, candidate("defended", backdoored=False), triggers=())
    assert result.accepted
    assert "Not measured for want of data: attack success" in result.sentence


def test_the_recipe_sets_the_limits(images):
    lenient = VerifyRecipe(max_attack_success_rate=1.0)
    assert run(images, candidate("defended", backdoored=True), lenient).accepted


def test_a_teacher_must_come_first(images):
    with pytest.raises(RecipeError):
        verify([candidate("defended", backdoored=False)], images, (), VerifyRecipe(), SilentMonitor())


def test_a_real_network_is_measured_with_its_cost(images):
    network = PixelClassifier(build(SPEC).eval(), Normalization())
    teacher = Candidate("teacher", network, SPEC)
    result = verify(
        [teacher, Candidate("undefended", network, SPEC)], images, (), VerifyRecipe(), SilentMonitor()
    )
    row = result.networks[1]
    assert (row.agreement.value, row.parameters) == (
        1.0,
        sum(p.numel() for p in network.network.parameters()),
    )
    assert row.macs > 0
    assert row.latency_ms > 0
