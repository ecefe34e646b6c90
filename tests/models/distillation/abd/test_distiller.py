from dataclasses import replace
from typing import Literal

import pytest
import torch

from models.architectures import StagedClassifier
from models.distillation.abd.choice import StudentSignals
from models.distillation.abd.distiller import AbdTask, run_abd
from models.distillation.out_of_distribution import OodTask, distill_ood
from models.distillation.zero_shot import ZsktTask, distill_zskt
from models.engine.frozen import frozen
from models.engine.loop import LoopResult
from models.engine.monitor import SilentMonitor
from models.errors import RecipeError
from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.ood import OodRecipe
from models.recipes.zskt import ZsktRecipe
from models.results.training import Decision
from tests.models.distillation.small import images, network, teacher, weights

SUSPECT = teacher()
VACCINE = VaccineRecipe(members=1, selection_batches=4, selection_skip=1, selection_trials=2)
ZSKT = ZsktRecipe(
    pseudo_batches=8, student_steps=1, batch_size=8, noise_size=8, generator_width=4, compile="never"
)
RETROSPECTION = RetrospectionRecipe(run="always", share=0.25, images=16, rounds=1)


def ood_task() -> OodTask:
    recipe = OodRecipe(images=16 * 16, batch_size=16)
    return OodTask(SUSPECT, network(), images(), recipe, seed=0)


def zskt_task() -> ZsktTask:
    return ZsktTask(SUSPECT, network(), ZSKT, seed=0)


def run(task: OodTask, recipe: AbdRecipe) -> tuple[LoopResult, dict[str, Decision]]:
    with frozen(SUSPECT.network):
        result, decisions = run_abd(task, recipe, seed=0, monitor=SilentMonitor())
    return result, {decision.name: decision for decision in decisions}


def test_retrospection_repeats_the_last_share_and_says_what_it_decided() -> None:
    result, decisions = run(ood_task(), AbdRecipe(VACCINE, RETROSPECTION))
    assert result.steps == 16 + 4
    assert set(decisions) == {"vaccine_selection", "retrospection", "student_choice"}
    assert decisions["retrospection"].step == 16


def test_never_runs_the_main_run_alone() -> None:
    result, decisions = run(ood_task(), AbdRecipe(VACCINE, replace(RETROSPECTION, run="never")))
    assert result.steps == 16
    assert "student_choice" not in decisions


def test_lambda_is_zero_until_the_decision() -> None:  # algorithms.md 1.3
    accepting = replace(VACCINE, selection_ratio=-1.0, selection_max_class_share=1.0)
    result, _ = run(ood_task(), AbdRecipe(accepting, replace(RETROSPECTION, run="never")))
    weights_of_vaccine = [point.values["vaccine_weight"] for point in result.curve]
    assert weights_of_vaccine[:3] == [0.0, 0.0, 0.0]
    assert weights_of_vaccine[-1] == pytest.approx(VACCINE.weight)


@pytest.mark.parametrize("selection_batches", [0, 4])
def test_shuffling_no_layer_leaves_the_vaccine_out(selection_batches: int) -> None:
    """Intact copies agree on every image: the student was driven away from all the teacher says."""
    vaccine = replace(VACCINE, layers=0, selection_batches=selection_batches)
    result, decisions = run(ood_task(), AbdRecipe(vaccine, replace(RETROSPECTION, run="never")))
    assert result.final["vaccine_weight"] == 0.0
    assert result.final["loss"] > 0.0
    assert "vaccine_selection" not in decisions


def test_the_second_stretch_starts_at_the_late_checkpoint_with_a_fresh_rate() -> None:  # trap 47
    task = ood_task()
    with frozen(SUSPECT.network):
        whole = AbdTask(task, AbdRecipe(VACCINE, RETROSPECTION), seed=0)
        for index in range(12):
            whole.step(index)
        late = weights(task.student).clone()
        for index in range(12, 16):
            whole.step(index)
        assert not torch.equal(weights(task.student), late)
        whole._turn_back(16)
    assert torch.equal(weights(task.student), late)
    plan = task.optimizer
    assert (plan.start, plan.steps, plan.learning_rate) == (16, 4, RETROSPECTION.learning_rate)
    assert not plan.optimizer.state


def test_the_late_checkpoint_has_no_second_copies_of_the_teacher() -> None:
    """It had all that the vaccine shuffles once more, in memory and in every state that was kept."""
    with frozen(SUSPECT.network):
        whole = AbdTask(ood_task(), AbdRecipe(VACCINE, RETROSPECTION), seed=0)
        for index in range(13):
            whole.step(index)
    state = whole.state_dict()
    assert set(state["task"]) - set(state["late"]) == {"defense"}


@pytest.mark.parametrize("keep", [True, False])
def test_the_chosen_students_weights_are_left_in_the_network(
    keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ood_task()
    settings = replace(RETROSPECTION, max_agreement_loss=1.0 if keep else 0.0)
    with frozen(SUSPECT.network):
        whole = AbdTask(task, AbdRecipe(VACCINE, settings), seed=0)
        for index in range(16):
            whole.step(index)
        main = weights(task.student).clone()
        for index in range(16, 20):
            whole.step(index)
        after = weights(task.student).clone()
        # Force both outcomes: a main run's student that is flipped always, or never.
        judged = whole._judge

        def biased(*students: StagedClassifier) -> tuple[StudentSignals, ...]:
            before, last = judged(*students)
            return replace(before, flip_rate=1.0 if keep else -1.0), last

        monkeypatch.setattr(whole, "_judge", biased)
        decision = whole.conclude()[-1]
    assert bool(decision.values["retrospected"]) == keep
    assert torch.equal(weights(task.student), after if keep else main)


@pytest.mark.parametrize("keep", [True, False])
def test_the_final_numbers_are_those_of_the_student_that_is_kept(
    keep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = Decision(20, "student_choice", "", {"retrospected": float(keep)})
    monkeypatch.setattr("models.distillation.abd.distiller.choose_student", lambda *_, **__: chosen)
    result, _ = run(ood_task(), AbdRecipe(VACCINE, RETROSPECTION))
    assert len(result.curve) == result.steps == 20
    assert result.final == result.curve[-1 if keep else 15].values
    assert ("retrospection_loss" in result.final) == keep


def test_both_students_are_judged_on_the_same_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator of the second stretch is another than that of the first one's end."""
    task = zskt_task()
    asked: list[int] = []
    shown = task.pseudo_images
    monkeypatch.setattr(task, "pseudo_images", lambda *a: asked.append(a[0]) or shown(*a))
    with frozen(SUSPECT.network):
        whole = AbdTask(task, AbdRecipe(VACCINE, RETROSPECTION), seed=0)
        for index in range(whole.steps):
            whole.step(index)
        assert len(asked) == 1  # whether retrospection runs
        assert whole.main_student is not None
        whole.main_student = {name: t.clone() for name, t in task.student.state_dict().items()}
        decision = whole.conclude()[-1]
    assert len(asked) == 2
    assert decision.values["before_agreement"] == decision.values["after_agreement"]
    assert decision.values["before_flip_rate"] == decision.values["after_flip_rate"]


def test_the_generators_rate_falls_to_0_at_the_end_of_the_second_stretch() -> None:  # trap 47
    task = zskt_task()
    with frozen(SUSPECT.network):
        whole = AbdTask(task, AbdRecipe(VACCINE, RETROSPECTION), seed=0)
        rates = []
        for index in range(whole.steps):
            whole.step(index)
            rates.append(task.generator_optimizer.optimizer.param_groups[0]["lr"])
    again = whole.again
    assert rates[-again:] == rates[-2 * again : -again]
    assert rates[-again] > 0


def test_the_vaccines_decision_outlives_a_state_that_is_older() -> None:
    accepting = replace(VACCINE, selection_ratio=-1.0, selection_max_class_share=1.0)
    task = ood_task()
    with frozen(SUSPECT.network):
        whole = AbdTask(task, AbdRecipe(accepting, replace(RETROSPECTION, share=1.0)), seed=0)
        for index in range(17):
            whole.step(index)
    assert whole.defense.vaccine.weight == VACCINE.weight


@pytest.mark.parametrize("make", ["ood", "zskt"])
def test_images_seen_are_those_of_the_student_that_is_kept(make: str) -> None:
    recipe = AbdRecipe(VACCINE, RETROSPECTION)
    if make == "ood":
        ood = OodRecipe(images=16 * 16, batch_size=16)
        made = distill_ood(SUSPECT, network(), images(), ood, defense=recipe, seed=0, monitor=SilentMonitor())
        assert made.images_seen == 16 * 16
    else:
        made = distill_zskt(SUSPECT, network(), ZSKT, defense=recipe, seed=0, monitor=SilentMonitor())
        assert made.images_seen == ZSKT.pseudo_batches * ZSKT.batch_size * ZSKT.student_steps


def test_equal_seeds_start_defended_and_undefended_from_equal_batches() -> None:
    with frozen(SUSPECT.network):
        assert torch.equal(ood_task()._batch(8, "batch 3"), ood_task()._batch(8, "batch 3"))


class Normalized(torch.nn.Module):
    """Finite, as is its gradient; the gradient's own is not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.nn.functional.normalize(0.0 * x, dim=1)


@pytest.mark.parametrize("when", ["always", "auto", "never"])
def test_a_student_that_cannot_learn_by_retrospection_is_refused_in_the_first_step(
    when: Literal["always", "auto", "never"],
) -> None:
    task = ood_task()
    task.student.fc = torch.nn.Sequential(Normalized(), task.student.fc)
    with frozen(SUSPECT.network):
        whole = AbdTask(
            task, AbdRecipe(VACCINE, replace(RETROSPECTION, run=when, gradient="implicit")), seed=0
        )
        if when == "never":
            whole.step(0)
        else:
            with pytest.raises(RecipeError, match="differentiate the student twice"):
                whole.step(0)
