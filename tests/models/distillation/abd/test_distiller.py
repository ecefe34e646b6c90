from dataclasses import replace

import pytest
import torch

from models.distillation.abd.distiller import AbdTask, run_abd
from models.distillation.out_of_distribution import OodTask
from models.engine.frozen import frozen
from models.engine.loop import LoopResult
from models.engine.monitor import SilentMonitor
from models.recipes.abd import AbdRecipe, RetrospectionRecipe, VaccineRecipe
from models.recipes.ood import OodRecipe
from models.results.training import Decision
from tests.models.distillation.small import images, network, teacher, weights

SUSPECT = teacher()
VACCINE = VaccineRecipe(members=1, selection_batches=4, selection_skip=1, selection_trials=2)
RETROSPECTION = RetrospectionRecipe(run="always", share=0.25, images=16, rounds=1, sweeps=2)


def ood_task() -> OodTask:
    recipe = OodRecipe(images=16 * 16, batch_size=16)
    return OodTask(SUSPECT, network(), images(), recipe, seed=0)


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


@pytest.mark.parametrize("keep", [True, False])
def test_the_chosen_students_weights_are_left_in_the_network(keep: bool) -> None:
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
        assert whole.signals is not None
        # Force both outcomes: a main run's student that is flipped always, or never.
        whole.signals = replace(whole.signals, flip_rate=1.0 if keep else -1.0)
        decision = whole.conclude()[-1]
    assert bool(decision.values["retrospected"]) == keep
    assert torch.equal(weights(task.student), after if keep else main)


def test_equal_seeds_start_defended_and_undefended_from_equal_batches() -> None:
    with frozen(SUSPECT.network):
        assert torch.equal(ood_task()._batch(8, "batch 3"), ood_task()._batch(8, "batch 3"))
