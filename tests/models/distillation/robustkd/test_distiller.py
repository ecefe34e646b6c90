import json
from dataclasses import replace

import pytest
import torch

from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.distillation.distilled import Distilled
from models.distillation.feature import distill_feature
from models.distillation.robustkd.distiller import distill_robustkd
from models.engine.monitor import Monitor, ResumeState, SilentMonitor
from models.errors import Interrupted, RecipeError
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.feature import FeatureRecipe
from models.recipes.robustkd import RobustKDRecipe
from models.triggers import Trigger, make_trigger

SIZE = 8
FEATURE = FeatureRecipe(epochs=2, batch_size=16)
RECIPE = RobustKDRecipe(
    thresholds=(0.6, 0.2),
    canaries=0,
    rounds=1,
    mask_batch_size=16,
    mean_images=8,
    max_accuracy_drop=1.0,
    feature=FEATURE,
)


def network(name: str, seed: int) -> StagedClassifier:
    torch.manual_seed(seed)
    return build(ArchitectureSpec(name, 4, SIZE))


def teacher() -> Teacher:
    built = network("wrn-10-2", 0).eval()
    return Teacher(built, Normalization((0.5,) * 3, (0.25,) * 3), ArchitectureSpec("wrn-10-2", 4, SIZE))


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (40, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8), torch.arange(
        40
    ) % 4


def one_trigger_per_class() -> tuple[Trigger, ...]:
    """At least one of them works on any network: it names some class for images of others."""
    return tuple(make_trigger("badnets_square", SIZE, target) for target in range(4))


def robustkd(
    recipe: RobustKDRecipe = RECIPE,
    monitor: Monitor | None = None,
    resume: ResumeState | None = None,
    triggers: tuple[Trigger, ...] = (),
    suspect: Teacher | None = None,
) -> Distilled:
    return distill_robustkd(
        suspect or teacher(),
        network("wrn-10-1", 1),
        *images(),
        recipe,
        seed=5,
        monitor=monitor or SilentMonitor(),
        resume=resume,
        recovered_triggers=triggers,
    )


class StopAfter(SilentMonitor):
    """Keeps every state, through JSON as a worker does, and stops when so many steps were asked about."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.state: ResumeState | None = None
        self.progressed: list[tuple[int, int]] = []

    def wants_checkpoint(self) -> bool:
        return True

    def checkpoint(self, state: ResumeState) -> None:
        tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
        self.state = ResumeState(tensors, json.loads(json.dumps(dict(state.values))))

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self.progressed.append((done, total))

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_first_acceptable_threshold_ends_the_search() -> None:
    decision = robustkd().decisions[0]
    assert decision.name == "mask_threshold"
    assert decision.values["threshold"] == 0.6
    assert "threshold_0.2_accuracy_drop" not in decision.values


def test_recovered_trigger_that_still_works_keeps_the_search_going() -> None:
    recipe = replace(RECIPE, max_trigger_success=0.0)
    decision = robustkd(recipe, triggers=one_trigger_per_class()).decisions[0]
    assert decision.values["threshold_0.6_trigger_success"] > 0.0
    assert "threshold_0.2_trigger_success" in decision.values


def test_trap_21_teacher_is_the_same_afterwards() -> None:
    suspect = teacher()
    before = {name: value.clone() for name, value in suspect.network.state_dict().items()}
    robustkd(suspect=suspect)
    assert all(torch.equal(value, before[name]) for name, value in suspect.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in suspect.network.parameters())


def test_control_sees_as_many_images_in_as_many_steps() -> None:
    defended = robustkd()
    control = distill_feature(
        teacher(), network("wrn-10-1", 1), *images(), FEATURE, seed=5, monitor=SilentMonitor()
    )
    assert (control.images_seen, control.steps) == (defended.images_seen, 4) == (64, defended.steps)


def test_same_seed_gives_the_same_student() -> None:
    one, two = robustkd().network.state_dict(), robustkd().network.state_dict()
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_resumed_run_ends_in_the_same_student(steps: int) -> None:
    whole = robustkd()
    monitor = StopAfter(steps)
    with pytest.raises(Interrupted):
        robustkd(monitor=monitor)
    assert monitor.state is not None
    resumed = robustkd(resume=monitor.state)
    again = resumed.network.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.network.state_dict().items())
    assert resumed.decisions == whole.decisions


@pytest.mark.parametrize("steps", [2, 4, 6, 9])
def test_resumed_run_with_canaries_ends_in_the_same_student(steps: int) -> None:
    recipe = replace(RECIPE, canaries=1, canary_steps=3)
    whole = robustkd(recipe)
    monitor = StopAfter(steps)
    with pytest.raises(Interrupted):
        robustkd(recipe, monitor=monitor)
    assert monitor.state is not None
    resumed = robustkd(recipe, resume=monitor.state)
    again = resumed.network.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.network.state_dict().items())
    assert resumed.decisions == whole.decisions
    assert "canary_patch_planted" in whole.decisions[0].values


def test_progress_runs_over_search_and_distillation_as_one() -> None:
    monitor = StopAfter(1_000)
    robustkd(monitor=monitor)
    done = [step for step, _ in monitor.progressed]
    assert done == sorted(done)
    assert monitor.progressed[-1][0] == monitor.progressed[-1][1]


def test_images_without_a_held_out_share_are_refused() -> None:
    pixels, _ = images()
    with pytest.raises(RecipeError) as caught:
        distill_robustkd(
            teacher(),
            network("wrn-10-1", 1),
            pixels[:4],
            torch.arange(4),
            RECIPE,
            seed=0,
            monitor=SilentMonitor(),
        )
    assert caught.value.code == "too_few_images"
