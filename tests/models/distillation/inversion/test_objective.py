import pytest
import torch

from models.distillation.defense import NoDefense
from models.distillation.inversion.objective import InversionObjective, InversionWeights, adversarial_term
from models.distillation.losses import sample_divergence
from models.engine.frozen import frozen
from tests.models.distillation.small import CLASSES, SIZE, network, weights

X = torch.randn(6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(6) % CLASSES


class Rewarding(NoDefense):
    """Adds three times the sum of the images."""

    def generator_term(self, x: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
        return 3.0 * x.sum()


def test_the_adversarial_term_is_a_mean_over_all_images_of_sums_over_classes() -> None:
    # Traps 13 and 18.
    teacher = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 2.0], [2.0, 0.0, 0.0]])
    student = torch.tensor([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    # Images 0 and 3 agree, and 3 has no divergence at all: one of four counts, divided by four.
    expected = -sample_divergence(teacher[:1], student[:1]).sum() / 4
    assert adversarial_term(teacher, student).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_student_is_asked_in_eval_mode_and_left_as_it_was() -> None:  # trap 23
    teacher, student = network("wrn-10-1", 0), network()
    with torch.no_grad():  # running statistics far from the batch's, so that the modes differ
        for name, buffer in student.named_buffers():
            if name.endswith("running_mean"):
                buffer.fill_(0.7)
    before = weights(student).clone()
    with frozen(teacher):
        objective = InversionObjective(teacher, student, InversionWeights(0.0, 0.0, 1.0))
        objective.fast = False
        x = X.clone().requires_grad_(True)
        found = objective(x, LABELS, NoDefense())
        found.loss.backward()
        expected = adversarial_term(teacher(X), student.eval()(X))
    assert found.parts["adversarial_loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert torch.equal(weights(student), before)
    assert all(p.grad is None and p.requires_grad for p in student.parameters())
    assert x.grad is not None


def test_the_terms_are_summed_with_their_weights_and_the_defenses_own() -> None:
    teacher, student = network("wrn-10-1", 0), network()
    with frozen(teacher):
        objective = InversionObjective(teacher, student, InversionWeights(2.0, 3.0, 5.0))
        found = objective(X, LABELS, Rewarding())
    parts = {name: value.item() for name, value in found.parts.items()}
    assert parts["vaccine_term"] == pytest.approx(3.0 * X.sum().item(), rel=1e-4)
    expected = (
        2.0 * parts["statistics_loss"]
        + 3.0 * parts["one_hot_loss"]
        + 5.0 * parts["adversarial_loss"]
        + parts["vaccine_term"]
    )
    assert found.loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("relative", [False, True])
def test_the_distance_of_statistics_is_the_one_that_is_asked_for(relative: bool) -> None:
    """The paper's taught students of a small VGG nothing: channels of large numbers outweighed all others."""
    teacher, student = network("wrn-10-1", 0), network()
    with frozen(teacher):
        objective = InversionObjective(teacher, student, InversionWeights(1.0, 0.0, 0.0, relative=relative))
        objective.fast = False
        reader = objective.reader
        found = objective(X, LABELS, NoDefense()).parts["statistics_loss"].item()
        raw, behind = (
            each(reader.read(X).moments).item() for each in (reader.distance, reader.distance_behind)
        )
    assert found == pytest.approx(behind if relative else raw, rel=1e-4)
    assert raw != pytest.approx(behind, rel=0.1)


def test_in_a_warm_up_the_student_is_not_asked() -> None:
    teacher, student = network("wrn-10-1", 0), network()
    with frozen(teacher):
        objective = InversionObjective(teacher, student, InversionWeights(1.0, 1.0, 1.0))
        parts = objective(X, LABELS, NoDefense(), adversarial=False).parts
    assert "adversarial_loss" not in parts
