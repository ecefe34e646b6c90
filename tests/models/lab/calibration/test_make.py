import signal
from collections import Counter
from dataclasses import replace

import pytest
import torch

from models.checkpoints.inspect import InspectOptions
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.lab import make_teacher
from models.lab.calibration import folder as folder_module
from models.lab.calibration import make as make_module
from models.lab.calibration.folder import Calibration
from models.lab.calibration.make import make_references
from models.lab.calibration.variants import variants
from models.lab.data import LabData
from models.lab.output import teacher_document, write_teacher
from models.lab.watcher import Watcher
from models.probes.calibration.score import Scores
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from tests.models.distillation.small import StoppingMonitor
from tests.models.lab.room import BRIEF, held_out, recipe, training

DATA = LabData("noise", training(), held_out(), ("0", "1", "2"), {"training": "a", "test": "b"})


class Watch:
    """Counts trainings."""

    def __init__(self, monitor=None):
        self.names, self.monitor = [], monitor or SilentMonitor()

    def __call__(self, name, made_of):
        self.names.append(name)
        return self.monitor, None


def make(folder, count, watch, **changes):
    wanted = list(variants(replace(BRIEF, **changes), count))
    return make_references(folder, wanted, DATA, watch=watch, device="cpu")


def test_every_run_of_fourteen_has_all_kinds_and_seeds_of_its_own():
    made = list(variants(replace(BRIEF, epochs=10, crop_padding=2), 28, first_seed=7))
    assert [variant.recipe.seed for variant in made] == list(range(7, 35))
    kinds = Counter(variant.kind for variant in made)
    assert kinds.pop("plain") == 16
    assert set(kinds.values()) == {2}
    assert {"fine-tuned", "pruned", "adversarially-trained", "label-smoothed", "long-tailed"} <= set(kinds)
    assert {variant.recipe.attack.kind for variant in made} == {"none"}
    different = {str(replace(variant.recipe, seed=0)) for variant in made}
    assert len(different) == 13


def test_what_is_made_is_not_made_again_unless_it_would_differ(tmp_path):
    first, second, third = Watch(), Watch(), Watch()
    paths = make(tmp_path, 2, first)
    assert make(tmp_path, 3, second)[:2] == paths
    make(tmp_path, 2, third, learning_rate=0.05)
    assert (len(first.names), len(second.names), len(third.names)) == (2, 1, 2)
    assert len(set(first.names + second.names + third.names)) == 5
    assert [path.parent.name for path in paths] == ["plain", "label-smoothed"]


def test_a_stopped_training_leaves_no_network(tmp_path):
    with pytest.raises(Interrupted):
        make(tmp_path, 1, Watch(StoppingMonitor(2)))
    assert not list(tmp_path.rglob("*.recipe.json"))


def test_networks_that_were_made_before_an_interruption_leave_no_state(tmp_path, monkeypatch):
    """They are not watched by the command that goes on, so nobody deleted theirs."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    wanted = list(variants(BRIEF, 2))
    watcher = Watcher(tmp_path, "x", torch.device("cpu"))
    make_one = make_module.make_teacher

    def interrupted(recipe, *rest, **options):
        if recipe == wanted[1].recipe:
            options["monitor"].stopping = True
        return make_one(recipe, *rest, **options)

    monkeypatch.setattr(make_module, "make_teacher", interrupted)
    with pytest.raises(Interrupted):
        make_references(tmp_path, wanted, DATA, watch=watcher.watch, device="cpu")
    assert not list(tmp_path.glob("*-0000-*.resume"))
    for number, handler in kept.items():
        signal.signal(number, handler)


def calibration(folder, monkeypatch, seen):
    def score(teacher, data, recipe, monitor):
        seen.append(teacher.normalization.mean)
        return Scores({"mmbd": 0.1}, {})

    monkeypatch.setattr(folder_module, "score_teacher", score)
    return Calibration(
        folder=folder,
        output=folder.parent / "noise.json",
        recipe=Recipe(probe=ProbeRecipe(budget="quick")),
        declared=InspectOptions(),
        images=None,
        device="cpu",
        sandbox="degraded",
        monitor=SilentMonitor(),
    )


def test_made_networks_are_scored_with_their_own_normalization(tmp_path, monkeypatch):
    paths, seen = make(tmp_path / "made", 2, Watch()), []
    run = calibration(tmp_path / "made", monkeypatch, seen)
    references = run.run().references
    assert run.left_out == []
    assert {round(mean[0], 4) for mean in seen} == {
        round(teacher_document(path)["teacher"]["mean"][0], 4) for path in paths
    }
    assert {reference.kind for reference in references} == {"plain", "label-smoothed"}
    assert all("test accuracy 0." in reference.note or "1.000" in reference.note for reference in references)


def test_what_the_lab_poisoned_is_no_reference(tmp_path, monkeypatch):
    make(tmp_path / "made", 1, Watch())
    poisoned = make_teacher(
        recipe(kind="dirty_label", poison_rate=0.2), training(), held_out(), monitor=SilentMonitor()
    )
    write_teacher(poisoned, DATA, tmp_path / "made", "poisoned")
    run = calibration(tmp_path / "made", monkeypatch, [])
    assert len(run.run().references) == 1
    assert run.left_out == [("poisoned.safetensors", "The lab made it with a backdoor.")]


def test_a_recipe_file_says_nothing_about_another_checkpoint(tmp_path):
    first, second = make(tmp_path, 2, Watch())
    assert teacher_document(first)["recipe"]["seed"] == 0
    first.write_bytes(second.read_bytes())
    assert teacher_document(first) is None
    assert teacher_document(tmp_path / "none.safetensors") is None
