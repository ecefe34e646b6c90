from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.architectures import PixelClassifier, build
from models.attacks.teacher import TeacherTraining, train_teacher
from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.data.digits import DigitsSplit, load_digits
from models.data.labelled import LabelledImages
from models.data.normalize import measure_normalization
from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.protection import protect
from models.engine.frozen import frozen
from models.engine.monitor import SilentMonitor
from models.errors import TrainingFailed
from models.metrics import predict
from models.probes.probe_images import probe_images
from models.probes.undistillable import questions
from models.probes.undistillable.questions import ask_undistillable
from models.recipes.architecture import ArchitectureSpec
from models.recipes.probe import Budget
from models.recipes.protect import ProtectRecipe
from models.results.undistillable import LabelsOf, UndistillableResult
from tests.models.distillation.small import CLASSES, images, teacher
from tests.models.probes.undistillable.test_judgment import paired

SIZE = 16


def ask(suspect: Teacher, data: AuditData, budget: Budget = "quick") -> UndistillableResult:
    size = suspect.spec.input_size
    searched = probe_images(data, size=size, patches=60, style="smooth", seed=0)
    with frozen(suspect.pixel_classifier()):
        return ask_undistillable(suspect, data, searched, budget, seed=0, monitor=SilentMonitor())


def labelled(count: int) -> AuditData:
    return AuditData(images(count), torch.arange(count) % CLASSES)


@pytest.mark.parametrize("budget", ["quick", "standard"])
def test_only_a_thorough_audit_trains_students_and_the_others_say_so(budget: Budget) -> None:
    result = ask(teacher(), labelled(200), budget)
    assert result.students is None
    assert any(f"budget {budget}" in line for line in result.not_tested)
    assert result.advice == ("To know whether students suffer, take budget thorough.",)
    assert [found.temperature for found in result.peaks] == [4.0, 20.0]


@pytest.mark.parametrize(
    "data, reason",
    [(AuditData(), "that takes clean images"), (AuditData(images(199)), "199 clean images were given")],
)
def test_students_need_enough_images(data: AuditData, reason: str) -> None:
    result = ask(teacher(), data, "thorough")
    assert result.students is None
    assert any(reason in line for line in result.not_tested)
    assert result.advice == ("To know whether students suffer, give at least 200 clean images.",)


@pytest.fixture
def given_to_students(monkeypatch: pytest.MonkeyPatch) -> list[tuple[LabelledImages, LabelsOf]]:
    """Watch what students are to learn from; none is trained."""
    given = []

    def watched(_: Teacher, data: LabelledImages, *__: object, labels_of: LabelsOf, **___: object) -> None:
        given.append((data, labels_of))
        raise TrainingFailed("Watched.", code="non_finite")

    monkeypatch.setattr(questions, "paired_students", watched)
    return given


@pytest.mark.parametrize(
    "labels", [None, torch.arange(200) % (CLASSES + 1)], ids=["no labels", "labels of other classes"]
)
def test_without_labels_of_its_classes_students_learn_those_that_the_network_names(
    labels: torch.Tensor | None, given_to_students: list[tuple[LabelledImages, LabelsOf]]
) -> None:
    suspect = teacher()
    ask(suspect, AuditData(images(200), labels), "thorough")
    ((data, labels_of),) = given_to_students
    assert labels_of == "network"
    assert torch.equal(data.labels, predict(suspect.pixel_classifier(), data.images))


def test_labels_of_its_classes_are_what_students_learn(
    given_to_students: list[tuple[LabelledImages, LabelsOf]],
) -> None:
    ask(teacher(), labelled(200), "thorough")
    ((data, labels_of),) = given_to_students
    assert labels_of == "data"
    assert data.labels.bincount().tolist() == labelled(200).labels.bincount().tolist()


def test_students_that_only_name_the_commonest_class_give_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the twins named it alike, and that was taken for a network that harms nobody."""
    idle = paired(*[0.0] * 5, error=0.0, images=0.0, teacher=930, labels=930)
    monkeypatch.setattr(questions, "paired_students", lambda *_, **__: idle)
    lopsided = AuditData(images(200), (torch.arange(200) >= 190).long())
    assert ask(teacher(), lopsided, "thorough").word == "inconclusive"
    assert ask(teacher(), labelled(200), "thorough").word == "not_detected"


def test_images_of_one_class_teach_nothing() -> None:
    result = ask(teacher(), AuditData(images(200), torch.zeros(200, dtype=torch.int64)), "thorough")
    assert result.students is None
    assert any("all images are of one class" in line for line in result.not_tested)


def test_one_image_a_class_leaves_none_to_measure_on() -> None:
    """The students were trained, and the audit ended in a RuntimeError."""
    spec = ArchitectureSpec("wrn-10-1", 200, 8)
    suspect = replace(teacher(), network=build(spec).eval(), spec=spec)
    result = ask(suspect, AuditData(images(200), torch.arange(200)), "thorough")
    assert result.students is None
    assert any("none would be left to measure on" in line for line in result.not_tested)


def test_students_of_large_inputs_are_not_trained() -> None:
    suspect = teacher()
    large = replace(suspect, spec=replace(suspect.spec, input_size=96))
    with frozen(suspect.pixel_classifier()):
        data = labelled(200)
        searched = probe_images(data, size=8, patches=60, style="smooth", seed=0)
        result = ask_undistillable(large, data, searched, "thorough", seed=0, monitor=SilentMonitor())
    assert any("64 pixels" in line for line in result.not_tested)
    assert result.advice == ()


def test_students_that_break_are_no_reason_to_say_that_nothing_was_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaking(*_: object, **__: object) -> None:
        raise TrainingFailed("A student's loss is nan at step 3.", code="non_finite")

    monkeypatch.setattr(questions, "paired_students", breaking)
    result = ask(teacher(), labelled(200), "thorough")
    assert result.word == "inconclusive"
    assert "training broke" in result.sentence
    assert "The students broke off (N4, N5): A student's loss is nan at step 3." in result.not_tested
    assert result.peaks


def test_damaged_weights_are_inconclusive() -> None:
    suspect = teacher()
    with torch.no_grad():
        next(suspect.network.parameters()).fill_(float("nan"))
    result = ask(suspect, labelled(200), "thorough")
    assert result.word == "inconclusive"
    assert "not finite" in result.sentence


def test_patches_stand_in_where_there_are_no_images() -> None:
    result = ask(teacher(), AuditData())
    assert (result.image_source, result.images, result.word) == ("surrogate patches", 60, "inconclusive")


@pytest.fixture(scope="module")
def digits() -> DigitsSplit:
    return load_digits(SIZE, 0)


@pytest.fixture(scope="module")
def normal(digits: DigitsSplit) -> Teacher:
    normalization = measure_normalization(digits.train_images)
    spec = ArchitectureSpec("wrn-10-1", 10, SIZE)
    torch.manual_seed(0)
    network = build(spec)
    train_teacher(
        PixelClassifier(network, normalization),
        digits.train_images,
        digits.train_labels,
        TeacherTraining(epochs=8),
        seed=0,
        monitor=SilentMonitor(),
    )
    return Teacher(network.eval(), normalization, spec)


@pytest.fixture(scope="module")
def nasty(digits: DigitsSplit, normal: Teacher) -> Teacher:
    owned = ProtectionSplit(digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)
    recipe = ProtectRecipe(omega=0.04, max_images=12_000)
    made = protect(normal, owned, recipe, seed=0, monitor=SilentMonitor())
    return replace(normal, network=made.network)


@pytest.mark.slow
def test_a_nasty_teacher_of_digits_is_detected_and_its_original_is_not(
    digits: DigitsSplit, normal: Teacher, nasty: Teacher
) -> None:
    """Trained here, omega .04; students learn from the images that both teachers know."""
    data = AuditData(digits.train_images, digits.train_labels)
    of_normal, of_nasty = ask(normal, data, "thorough"), ask(nasty, data, "thorough")
    assert (of_normal.word, of_nasty.word) == ("not_detected", "detected")
    without = [ask(each, AuditData(digits.train_images), "thorough") for each in (normal, nasty)]
    assert [result.word for result in without] == ["not_detected", "detected"]
    assert of_normal.refit is not None and of_nasty.refit is not None
    assert of_nasty.refit.divergence > 3 * of_normal.refit.divergence
