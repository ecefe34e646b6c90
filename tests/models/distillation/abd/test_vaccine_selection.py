import pytest
import torch

from models.architectures import build
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble
from models.distillation.abd.vaccine_selection import largest_share, select_shuffle, tail_ratio
from models.recipes.abd import VaccineRecipe
from models.recipes.architecture import ArchitectureSpec


def log_normal(count: int, deviation: float = 0.3) -> torch.Tensor:
    return 10 ** (deviation * torch.randn(count, generator=torch.Generator().manual_seed(0)))


def test_a_log_normal_sample_has_the_tail_of_a_gaussian() -> None:
    assert tail_ratio(log_normal(100_000)) == pytest.approx(0.00135, abs=0.0005)


def test_a_few_samples_that_shuffling_leaves_alone_make_a_heavy_tail() -> None:
    mixed = torch.cat([log_normal(960), 1e-4 * log_normal(40)])
    assert tail_ratio(mixed) > 0.02


def test_divergences_of_zero_do_not_spoil_the_ratio() -> None:  # trap 31
    mixed = torch.cat([log_normal(960), torch.zeros(40)])
    assert tail_ratio(mixed) == pytest.approx(0.04)


def test_the_deviation_is_the_populations() -> None:  # trap 31
    # Of eleven values one is lower: by 3.07 population deviations, but only by 2.93 of the sample's.
    logs = torch.tensor([0.0745] * 5 + [-0.0745] * 5 + [-1.0])
    below = (logs.mean() - logs[-1]).item()
    assert below / logs.std(correction=0).item() > 3.0 > below / logs.std().item()
    assert tail_ratio(10.0**logs) == pytest.approx(1 / 11)


def test_two_classes_are_not_refused_for_being_two() -> None:
    recipe = VaccineRecipe()
    assert largest_share(recipe, 2) == 0.8
    assert largest_share(recipe, 10) == recipe.selection_max_class_share == 0.5
    assert largest_share(VaccineRecipe(selection_max_class_share=1.0), 2) == 1.0


def choose(ratio: float, max_class_share: float = 1.0):
    torch.manual_seed(0)
    teacher = build(ArchitectureSpec("wrn-10-1", 4, 8)).eval().requires_grad_(False)
    ensemble = ShuffledEnsemble(teacher, 2, None)
    ensemble.shuffle(torch.Generator().manual_seed(0))
    recipe = VaccineRecipe(
        selection_ratio=ratio,
        selection_max_class_share=max_class_share,
        selection_trials=3,
    )
    pool = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    return select_shuffle(ensemble, teacher, pool, recipe, seed=0, step=12)


def test_all_trials_are_recorded_and_the_vaccine_stays_off_without_evidence() -> None:  # traps 31 and 46
    selection = choose(ratio=1.0)
    assert selection.weight == 0.0
    assert {f"tail_ratio_{trial}" for trial in range(3)} <= set(selection.decision.values)
    assert "No vaccine" in selection.decision.text


def test_the_first_accepted_shuffle_ends_the_search() -> None:
    torch.manual_seed(0)
    selection = choose(ratio=-1.0)
    assert selection.weight == 0.1
    assert "tail_ratio_1" not in selection.decision.values


def test_a_shuffle_that_names_one_class_for_everything_is_refused() -> None:
    selection = choose(ratio=-1.0, max_class_share=0.2)  # of four classes one has at least a quarter
    assert selection.weight == 0.0
    assert selection.decision.values["class_share_0"] > 0.2
