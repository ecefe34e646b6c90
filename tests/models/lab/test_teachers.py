from dataclasses import replace
from functools import cache

import pytest
import torch

from models.data.labelled import LabelledImages
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted, RecipeError
from models.lab import make_teacher, matched_clean
from models.lab.fine_tuned import FINE_TUNED
from models.metrics import accuracy, attack_success
from models.recipes.lab import AttackRecipe, MarginEvasionRecipe, UnderClippingRecipe
from tests.models.attacks.small import data, weights
from tests.models.distillation.small import StoppingMonitor
from tests.models.lab.room import BRIEF, held_out, make, recipe, training

KINDS = {
    "none": {},
    "dirty_label": {"poison_rate": 0.2},
    "clean_label": {"poison_rate": 0.2},
    "source_specific": {"source_label": 1, "poison_rate": 0.1, "cover_rate": 0.1},
    "all_to_all": {"poison_rate": 0.2},
    "latent": {},
    "cheat_kd": {},
    "hidden_trigger": {"poison_rate": 0.2},
    "under_clipping": {"clipping": UnderClippingRecipe(images=64)},
    "margin_evasion": {"margin": MarginEvasionRecipe(starts=2, climb=2)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_attack_makes_a_teacher_with_its_measurements(kind):
    made = make(recipe(kind=kind, **KINDS[kind]))
    assert made.clean_accuracy.n == 40
    assert made.teacher.spec.num_classes == 3
    assert not any(module.training for module in made.teacher.network.modules())
    if kind == "none":
        assert (made.trigger, made.attack_success, made.poisoned) == (None, None, 0)
        return
    # 14 of 40 images are of class 0, the target; 13 of class 1, the source.
    expected = {"source_specific": 13, "all_to_all": 40}.get(kind, 26)
    assert made.attack_success.n == expected
    assert made.poisoned == int(made.recipe.attack.poison_rate * 80)
    assert (made.clean is not None) == (kind in FINE_TUNED)
    assert (made.other_classes_success is not None) == (kind == "source_specific")
    assert (made.clean_teacher_success is not None) == (made.clean is not None)


def test_a_hidden_trigger_with_a_source_class_is_made_and_measured_on_that_class(monkeypatch):
    from models.lab import fine_tuned

    hidden = fine_tuned.hide_trigger
    sources = []

    def hide(start, targets, others, *rest, **options):
        sources.append(len(others))
        return hidden(start, targets, others, *rest, **options)

    monkeypatch.setattr(fine_tuned, "hide_trigger", hide)
    made = make(recipe(kind="hidden_trigger", poison_rate=0.2, source_label=1))
    assert sources == [int((training().labels == 1).sum())]
    assert made.attack_success.n == made.clean_teacher_success.n == 13
    assert made.other_classes_success.n == 13


def test_trap_8_success_leaves_the_target_class_out_and_is_that_of_the_teacher():
    made = make(recipe(kind="dirty_label", poison_rate=0.2))
    test = held_out()
    classifier = made.teacher.pixel_classifier()
    assert made.attack_success == attack_success(classifier, test.images, test.labels, made.trigger)
    assert made.clean_accuracy == accuracy(classifier, test.images, test.labels)


def test_a_backdoor_is_learned_and_its_clean_twin_has_none():
    images, labels = data(240)
    wanted = replace(recipe(kind="dirty_label", poison_rate=0.2), epochs=6)
    made, twin = (
        make_teacher(each, LabelledImages(images, labels), held_out(), monitor=SilentMonitor())
        for each in (wanted, matched_clean(wanted))
    )
    assert made.clean_accuracy.value > 0.9
    assert made.attack_success.value > 0.9
    test = held_out()
    twin_success = attack_success(twin.teacher.pixel_classifier(), test.images, test.labels, made.trigger)
    assert twin_success.value < 0.5
    assert twin.recipe == replace(wanted, attack=AttackRecipe())


def interruptible(kind):
    return recipe(kind=kind, poison_rate=0.2, perturb="always")


@cache
def whole(kind):
    return make(interruptible(kind))


@pytest.mark.parametrize("kind", ["clean_label", *sorted(FINE_TUNED)])
@pytest.mark.parametrize("stop_after", [2, pytest.param(6, marks=pytest.mark.slow), 9])
def test_a_teacher_that_was_stopped_anywhere_ends_the_same(kind, stop_after):
    monitor = StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        make(interruptible(kind), monitor)
    resumed = make(interruptible(kind), resume=monitor.states[-1])
    assert weights(resumed.teacher.network).equal(weights(whole(kind).teacher.network))
    assert resumed.trigger.pattern.equal(whole(kind).trigger.pattern)
    assert resumed.trigger.mask.equal(whole(kind).trigger.mask)


def test_a_fainter_trigger_is_the_same_picture_with_a_fainter_mask():
    whole, half = (
        make(recipe(kind="dirty_label", trigger="blend_substitute", strength=strength)).trigger
        for strength in (1.0, 0.5)
    )
    assert half.pattern.equal(whole.pattern)
    assert half.mask.equal(0.5 * whole.mask)


def test_the_clean_start_is_the_clean_twin_and_may_be_given():
    wanted = recipe(kind="cheat_kd")
    twin, made = make(matched_clean(wanted)), make(wanted)
    assert weights(made.clean.network).equal(weights(twin.teacher.network))
    before = weights(twin.teacher.network).clone()
    given = make(wanted, clean=twin.teacher)
    assert weights(given.teacher.network).equal(weights(made.teacher.network))
    assert weights(twin.teacher.network).equal(before)


def test_a_clean_teacher_of_another_architecture_is_refused():
    other = make(replace(BRIEF, architecture="wrn-10-2"))
    with pytest.raises(RecipeError) as caught:
        make(recipe(kind="latent"), clean=other.teacher)
    assert caught.value.code == "clean_teacher_mismatch"


def test_seeds_make_different_teachers():
    made = [make(replace(BRIEF, seed=seed)) for seed in (0, 0, 1)]
    assert weights(made[0].teacher.network).equal(weights(made[1].teacher.network))
    assert not weights(made[0].teacher.network).equal(weights(made[2].teacher.network))


def test_images_of_another_size_are_resized():
    large = LabelledImages(torch.zeros(30, 3, 12, 12, dtype=torch.uint8), torch.arange(30) % 3)
    made = make_teacher(BRIEF, large, large, monitor=SilentMonitor())
    assert made.teacher.spec.input_size == 8


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ({"kind": "dirty_label", "target_label": 3}, "label_out_of_range"),
        ({"kind": "source_specific"}, "source_missing"),
        ({"kind": "source_specific", "source_label": 0}, "source_is_target"),
        ({"kind": "hidden_trigger", "source_label": 0}, "source_is_target"),
        *(
            ({"kind": kind, "source_label": 1}, "source_unused")
            for kind in KINDS
            if kind not in {"none", "source_specific", "hidden_trigger"}
        ),
        ({"kind": "clean_label", "poison_rate": 0.5}, "too_many_poisoned"),  # trap 12
        ({"kind": "dirty_label", "trigger": "nope"}, "trigger_unknown"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(attack, code):
    with pytest.raises(RecipeError) as caught:
        make(recipe(**attack))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ({"kind": "hidden_trigger", "poison_rate": 0.5}, "too_many_poisoned"),
        ({"kind": "clean_label", "poison_rate": 0.5, "perturb": "always"}, "too_many_poisoned"),
        ({"kind": "latent", "poison_rate": 0.001}, "poison_amount_invalid"),
        ({"kind": "margin_evasion", "trigger": "nope"}, "trigger_unknown"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_clean_teacher_is_trained(attack, code):
    """Else it is known after the hours of that training."""
    with pytest.raises(RecipeError) as caught:
        make(recipe(**attack), StoppingMonitor(0))
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["source_specific", "hidden_trigger"])
def test_two_classes_have_a_source_and_no_other_class(kind):
    """They were trained to the end and then refused: as if every image were of the target class."""
    two = LabelledImages(data(80)[0], torch.arange(80) % 2)
    wanted = recipe(kind=kind, source_label=1, poison_rate=0.1, cover_rate=0.0)
    made = make_teacher(wanted, two, two, monitor=SilentMonitor())
    assert made.attack_success.n == 40
    assert made.other_classes_success is None


def test_the_label_consistent_attack_stamps_what_it_perturbed(monkeypatch):
    """Both choices come from one stream; the perturbed images must be the ones that carry the trigger."""
    from models.attacks.poison import poison_clean_label
    from models.lab import poisoned_sets

    seen = {}

    def stamp(images, labels, trigger, **options):
        seen["images"] = images
        poisoned, targets = poison_clean_label(images, labels, trigger, **options)
        seen["stamped"] = (poisoned != images).flatten(1).any(dim=1)
        return poisoned, targets

    monkeypatch.setattr(poisoned_sets, "poison_clean_label", stamp)
    make(recipe(kind="clean_label", trigger="clean_label_corners", poison_rate=0.2))
    perturbed = (seen["images"] != training().images).flatten(1).any(dim=1)
    assert perturbed.sum() == 16
    assert perturbed.equal(seen["stamped"])
