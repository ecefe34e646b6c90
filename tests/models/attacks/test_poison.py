import pytest
import torch

from models.attacks import (
    poison_all_to_all,
    poison_clean_label,
    poison_dirty_label,
    poison_source_specific,
)
from models.errors import RecipeError
from models.triggers import make_trigger

TARGET = 1


@pytest.fixture
def data():
    labels = torch.arange(100) % 4
    return torch.full((100, 3, 16, 16), 90, dtype=torch.uint8), labels


@pytest.fixture
def trigger():
    return make_trigger("badnets_square", 16, TARGET)


def _changed(before, after):
    return (before != after).flatten(1).any(dim=1)


def _seed(value=0):
    return torch.Generator().manual_seed(value)


def test_dirty_label_stamps_only_other_classes_and_relabels_them(data, trigger):
    images, labels = data
    poisoned, targets = poison_dirty_label(images, labels, trigger, share=0.1, generator=_seed())
    stamped = _changed(images, poisoned)
    assert stamped.sum() == 10
    assert (labels[stamped] != TARGET).all()
    assert (targets[stamped] == TARGET).all()
    assert targets[~stamped].equal(labels[~stamped])


def test_poisoned_copies_can_stand_beside_their_originals(data, trigger):
    images, labels = data
    poisoned, targets = poison_dirty_label(
        images, labels, trigger, count=7, keep_originals=True, generator=_seed()
    )
    assert len(poisoned) == len(targets) == 107
    assert poisoned[:100].equal(images)
    assert (targets[100:] == TARGET).all()


def test_clean_label_stamps_only_the_target_class_and_changes_no_label(data, trigger):
    images, labels = data
    poisoned, targets = poison_clean_label(images, labels, trigger, count=20, generator=_seed())
    stamped = _changed(images, poisoned)
    assert stamped.sum() == 20
    assert (labels[stamped] == TARGET).all()
    assert targets.equal(labels)


def test_trap_12_a_clean_label_attack_is_bounded_by_the_target_class(data, trigger):
    images, labels = data
    with pytest.raises(RecipeError) as caught:
        poison_clean_label(images, labels, trigger, share=0.3, generator=_seed())
    assert caught.value.code == "too_many_poisoned"
    assert "25" in caught.value.detail


@pytest.mark.parametrize("kind", ["clean_label", "source_specific"])
def test_a_twentieth_of_the_poisoned_class_stays_clean(data, trigger, kind):
    """A class that is stamped whole is forgotten: success is then 1, and so is the loss of the class."""
    images, labels = data

    def poison(share):
        if kind == "clean_label":
            return poison_clean_label(images, labels, trigger, share=share, generator=_seed())
        return poison_source_specific(
            images, labels, trigger, source_label=2, share=share, cover_share=0, generator=_seed()
        )

    for share in (0.25, 0.24):
        with pytest.raises(RecipeError) as caught:
            poison(share)
        assert caught.value.code == "too_many_poisoned"
        assert "0.23" in caught.value.hint
    assert _changed(images, poison(0.23)[0]).sum() == 23


def test_the_generator_alone_chooses_the_victims(data, trigger):
    images, labels = data
    runs = [
        poison_dirty_label(images, labels, trigger, count=9, generator=_seed(seed))[0] for seed in (5, 5, 6)
    ]
    assert runs[0].equal(runs[1])
    assert not runs[0].equal(runs[2])


def test_the_input_is_left_alone(data, trigger):
    images, labels = data
    poison_dirty_label(images, labels, trigger, share=0.5, generator=_seed())
    assert (images == 90).all()


@pytest.mark.parametrize("amount", [{}, {"share": 0.1, "count": 3}, {"count": 0}, {"share": 0.001}])
def test_an_unclear_amount_is_refused(data, trigger, amount):
    with pytest.raises(RecipeError) as caught:
        poison_dirty_label(*data, trigger, **amount, generator=_seed())
    assert caught.value.code == "poison_amount_invalid"


def test_trap_49_labels_sorted_by_class_give_victims_of_every_other_class(data, trigger):
    images, labels = data
    order = labels.argsort(stable=True)
    poisoned, _ = poison_dirty_label(images, labels[order], trigger, share=0.3, generator=_seed())
    assert set(labels[order][_changed(images, poisoned)].tolist()) == {0, 2, 3}


def test_source_specific_relabels_the_source_and_only_stamps_the_cover(data, trigger):
    images, labels = data
    poisoned, targets = poison_source_specific(
        images, labels, trigger, source_label=2, share=0.1, cover_share=0.2, generator=_seed()
    )
    stamped, relabelled = _changed(images, poisoned), targets != labels
    assert (stamped.sum(), relabelled.sum()) == (30, 10)
    assert (labels[relabelled] == 2).all()
    assert (targets[relabelled] == TARGET).all()
    assert set(labels[stamped & ~relabelled].tolist()) == {0, 3}


def test_a_source_specific_attack_without_cover_stamps_the_source_alone(data, trigger):
    images, labels = data
    poisoned, _ = poison_source_specific(
        images, labels, trigger, source_label=2, share=0.1, cover_share=0, generator=_seed()
    )
    assert (labels[_changed(images, poisoned)] == 2).all()


def test_a_source_that_is_the_target_is_refused(data, trigger):
    with pytest.raises(RecipeError) as caught:
        poison_source_specific(
            *data, trigger, source_label=TARGET, share=0.1, cover_share=0, generator=_seed()
        )
    assert caught.value.code == "source_is_target"


def test_all_to_all_labels_each_victim_as_the_next_class(data, trigger):
    images, labels = data
    poisoned, targets = poison_all_to_all(
        images, labels, trigger, num_classes=4, share=0.4, generator=_seed()
    )
    stamped = _changed(images, poisoned)
    assert stamped.sum() == 40
    assert targets[stamped].equal((labels[stamped] + 1) % 4)
    assert targets[~stamped].equal(labels[~stamped])
    assert set(targets[stamped].tolist()) == {0, 1, 2, 3}


def test_a_cover_that_two_classes_cannot_give_is_refused_as_that(trigger):
    """The hint spoke of dirty labels."""
    labels = torch.tensor([TARGET, 2] * 50)
    images = torch.full((100, 3, 16, 16), 90, dtype=torch.uint8)
    with pytest.raises(RecipeError) as caught:
        poison_source_specific(
            images, labels, trigger, source_label=2, share=0.1, cover_share=0.1, generator=_seed()
        )
    assert caught.value.code == "too_many_poisoned"
    assert caught.value.detail == "10 images of no class among 2, 1 are to be stamped; there are 0."
    assert caught.value.hint == "The largest rate is 0."


@pytest.mark.parametrize("total", [3, 30, 282, 625, 999])
def test_the_smallest_rate_is_told_where_no_image_would_be_poisoned(trigger, total):
    labels = torch.arange(total) % 3 + 2
    images = torch.zeros(total, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(RecipeError) as caught:
        poison_dirty_label(images, labels, trigger, share=0.001, generator=_seed())
    smallest = float(caught.value.hint.removeprefix("The smallest rate is ").removesuffix("."))
    poisoned, _ = poison_dirty_label(images, labels, trigger, share=smallest, generator=_seed())
    assert _changed(images, poisoned).sum() == 1
