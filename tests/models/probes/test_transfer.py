from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError
from models.metrics import wilson
from models.probes import transfer, transfer_channels
from models.probes.probe_images import ProbeImages
from models.probes.transfer import Suspicion, transfer_probe
from models.probes.transfer_control import matched_control
from models.probes.transfer_hazard import Learned, Successes, judge_hazard, transfer_index
from models.probes.trigger_measuring import trigger_norm
from models.recipes.architecture import ArchitectureSpec
from models.recipes.job import Recipe
from models.recipes.ood import OodRecipe
from models.recipes.probe import ProbeRecipe
from models.recipes.student import StudentRecipe
from models.results.audit import TransferResult
from tests.models.probes.planted import QuadrantNetwork, checkerboard, planted_teacher, quadrant_images

RECIPE = Recipe(student=StudentRecipe(architecture="wrn-10-1"), ood=OodRecipe(batch_size=64))


def successes(*, teacher: int, student: int, control: int, clean: int = 0) -> Successes:
    return Successes(*(wilson(hits, 100) for hits in (teacher, student, clean, control)))


def probe_set() -> ProbeImages:
    search, _ = quadrant_images(64, seed=0)
    held_out, labels = quadrant_images(200, seed=1)
    return ProbeImages(search, held_out, labels, "clean images")


def probe(strength: float, *, most_images: int, monitor=None, channels=("ood",)) -> TransferResult:
    matrix = transfer_probe(
        planted_teacher(strength=strength),
        [Suspicion(checkerboard(2), control_label=0)],
        probe_set(),
        AuditData(),
        replace(RECIPE, probe=ProbeRecipe(channels=channels)),
        most_images=most_images,
        monitor=monitor or SilentMonitor(),
    )
    return matrix.cells[0]


def test_index_is_the_share_of_the_advantage_that_moved() -> None:
    assert transfer_index(successes(teacher=90, student=50, control=10)) == pytest.approx(0.5)


def test_trigger_that_is_dormant_in_the_teacher_has_index_one() -> None:
    asleep = successes(teacher=0, student=90, control=5)
    assert transfer_index(asleep) == 1.0
    assert judge_hazard(asleep, Learned(0.8, 0.1)) == "high"


def test_trigger_that_moves_no_better_than_its_control_is_neither_hazard_nor_harmless() -> None:
    """It works on nine images in ten. "low" would say that it does not move, and nothing shows that."""
    assert judge_hazard(successes(teacher=100, student=90, control=90), Learned(0.8, 0.1)) == "not_tested"
    assert judge_hazard(successes(teacher=100, student=95, control=91), Learned(0.8, 0.1)) == "not_tested"


def test_low_wants_the_upper_bound_of_the_success_or_of_the_index_below_its_mark() -> None:
    learned = Learned(0.8, 0.1)
    assert judge_hazard(successes(teacher=100, student=45, control=40), learned) == "low"
    assert judge_hazard(successes(teacher=100, student=45, control=2), learned) == "not_tested"
    assert judge_hazard(successes(teacher=100, student=15, control=2), learned) == "low"


def test_a_trigger_that_has_begun_to_move_is_not_called_low() -> None:
    """A picture worked on .35 of the images after 40,000 patches, and on .90 after 96,000."""
    learned = Learned(0.81, 0.1)
    assert judge_hazard(successes(teacher=100, student=35, control=0), learned) == "not_tested"
    assert judge_hazard(successes(teacher=100, student=35, control=0, clean=30), learned) == "low"


def test_a_control_that_works_nearly_as_well_leaves_no_hazard_whatever_the_index() -> None:
    near = successes(teacher=95, student=95, control=91)
    assert transfer_index(near) >= 0.5
    assert judge_hazard(near, Learned(0.8, 0.1)) == "not_tested"
    assert judge_hazard(successes(teacher=95, student=95, control=71), Learned(0.8, 0.1)) == "high"


def test_collapsed_student_is_no_hazard_trap_11() -> None:
    """It names the target for everything, with and without the trigger."""
    assert (
        judge_hazard(successes(teacher=100, student=100, control=0, clean=100), Learned(0.25, 0.1))
        == "not_tested"
    )


def test_student_that_learned_nothing_proves_nothing_trap_11() -> None:
    resisting = successes(teacher=100, student=5, control=5)
    assert judge_hazard(resisting, Learned(0.9, 0.1)) == "low"
    assert judge_hazard(resisting, Learned(0.3, 0.1)) == "not_tested"


@pytest.mark.parametrize(
    ("agreement", "largest_share", "hazard"),
    [
        (0.9, 0.9, "not_tested"),
        (0.91, 0.9, "not_tested"),
        (0.93, 0.9, "low"),
        (0.6, 0.45, "low"),
        (0.6, 0.55, "not_tested"),
        (0.55, 0.1, "not_tested"),
        (1.0, 1.0, "not_tested"),
    ],
)
def test_student_that_names_one_class_of_an_uneven_teacher_proves_nothing_trap_11(
    agreement: float, largest_share: float, hazard: str
) -> None:
    resisting = successes(teacher=100, student=0, control=0)
    assert judge_hazard(resisting, Learned(agreement, largest_share)) == hazard


def test_control_has_the_norm_the_pixels_and_another_class() -> None:
    trigger, images = checkerboard(2), probe_set()
    control = matched_control(
        QuadrantNetwork(strength=60.0),
        trigger,
        images,
        0,
        generator=torch.Generator().manual_seed(0),
        monitor=SilentMonitor(),
    )
    assert control.target_label == 0
    assert control.pattern[:, :-3].abs().sum() == 0
    assert control.pattern.norm().item() == pytest.approx(trigger_norm(trigger, images.search), rel=0.1)


def test_backdoor_is_followed_to_the_student() -> None:
    result = probe(strength=60.0, most_images=6_000)
    assert result.teacher_success.value == 1.0
    assert len(result.curve) >= 2
    assert result.curve[-1][0] == result.images_seen <= 6_000
    assert result.student_clean_rate is not None
    assert result.student_success.n == 200 - int((probe_set().labels == 2).sum())


def test_request_to_stop_is_obeyed_and_not_mistaken_for_a_clear_answer() -> None:
    class StoppingLate(SilentMonitor):
        asked = 0

        def should_stop(self) -> bool:
            self.asked += 1
            return self.asked > 60

    with pytest.raises(Interrupted):
        probe(strength=60.0, most_images=6_000, monitor=StoppingLate())


def test_student_is_never_defended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe asks what would happen without a defense."""
    seen: list[object] = []

    def watching(*args: object, **kwargs: object) -> None:
        seen.append(kwargs["defense"])

    for method in ("distill_ood", "distill_zskt", "distill_by_inversion"):
        monkeypatch.setattr(transfer_channels, method, watching)
    probe(strength=60.0, most_images=1_000, channels=("ood", "zskt", "cmi", "fast"))
    assert seen == [None] * 4


def test_a_teacher_without_a_smaller_network_leaves_its_channels_untested(monkeypatch) -> None:
    """The whole probe failed then, and ``not_detected`` became ``inconclusive``."""

    def none_smaller(spec: ArchitectureSpec) -> str:
        raise RecipeError("There is no network smaller.", code="student_not_smaller", hint="Name one.")

    monkeypatch.setattr(transfer, "smaller", none_smaller)
    matrix = transfer_probe(
        planted_teacher(strength=60.0),
        [Suspicion(checkerboard(2), control_label=0)],
        probe_set(),
        AuditData(),
        replace(RECIPE, student=StudentRecipe()),
        most_images=64,
        monitor=SilentMonitor(),
    )
    (channel,) = matrix.channels
    assert matrix.cells == ()
    assert (channel.hazard, channel.failed, channel.reason) == (
        "not_tested", False, "There is no network smaller.",
    )  # fmt: skip
