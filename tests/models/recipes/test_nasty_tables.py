from collections import Counter

import pytest

from models.recipes.architecture_catalog import validate_name
from models.recipes.nasty_tables import NASTY_EXPERIMENTS, NastyExperiment
from models.recipes.protect import check_protection

EACH = pytest.mark.parametrize("experiment", NASTY_EXPERIMENTS, ids=lambda experiment: experiment.name)


def named(name: str) -> NastyExperiment:
    return next(experiment for experiment in NASTY_EXPERIMENTS if experiment.name == name)


def test_every_cell_of_the_tables_is_there_once() -> None:
    assert Counter(experiment.table for experiment in NASTY_EXPERIMENTS) == {
        "cifar-10": 4, "cifar-100": 11, "tiny-imagenet": 11, "adversary": 8, "data-free": 2,
    }  # fmt: skip
    assert len({experiment.name for experiment in NASTY_EXPERIMENTS}) == len(NASTY_EXPERIMENTS)


@EACH
def test_networks_and_recipe_exist(experiment: NastyExperiment) -> None:
    for name in (experiment.teacher, experiment.adversary):
        validate_name(name)
    assert experiment.recipe.harm.architecture == experiment.student
    check_protection(experiment.recipe, labelled=True)


@EACH
def test_the_papers_nasty_teachers_harm_their_students(experiment: NastyExperiment) -> None:
    """Shares, in the right columns: the teacher loses three points at most, each student more than one."""
    paper = experiment.paper
    assert 0.5 < paper.teacher_normal < 1.0
    assert 0.0 <= paper.teacher_normal - paper.teacher_nasty < 0.03
    assert paper.student_normal is not None and paper.student_normal - paper.student_nasty > 0.01
    if paper.student_labels is not None:
        assert paper.student_labels - paper.student_nasty > 0.01


def test_a_cell_of_each_table_is_the_papers() -> None:
    plain = named("cifar-10-resnet-18-to-plain-cnn-w32")
    assert (plain.paper.student_labels, plain.paper.student_nasty) == (0.8664, 0.8246)
    assert (plain.recipe.temperature, plain.recipe.harm.optimizer) == (4.0, "adam")
    own = named("cifar-100-resnet-50-to-resnet-50")
    assert (own.paper.student_normal, own.paper.student_nasty, own.paper.student_labels) == (
        0.8002,
        0.7503,
        0.7812,
    )
    mobile = named("tiny-imagenet-resnext-29-4x64d-to-mobilenet-v2")
    assert (mobile.paper.student_nasty, mobile.recipe.omega) == (0.0109, 0.01)
    other = named("adversary-cifar-10-resnet-18-against-plain-cnn-w32-to-resnet-20")
    assert (other.paper.teacher_nasty, other.paper.student_nasty) == (0.9382, 0.8832)
    free = named("data-free-cifar-100-resnet-34-to-resnet-18")
    assert (free.data_free, free.paper.student_nasty) == (True, 0.6567)


def test_what_differs_from_the_paper_is_said() -> None:
    assert any("plain CNN" in line for line in named("cifar-10-resnet-18-to-plain-cnn-w32").departures)
    assert any("DAFL" in line for line in named("data-free-cifar-10-resnet-34-to-resnet-18").departures)
    assert named("cifar-10-resnet-18-to-resnet-20").departures == ()
