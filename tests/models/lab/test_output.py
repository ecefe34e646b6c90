import json
from dataclasses import asdict

import pytest
import torch

from models.checkpoints.inspect import InspectOptions, inspect_checkpoint
from models.checkpoints.load import load_teacher
from models.lab.data import LabData
from models.lab.output import write_teacher
from models.recipes.from_document import recipe_from
from models.recipes.lab import TeacherRecipe
from models.triggers import load_trigger_png
from tests.models.attacks.small import weights
from tests.models.lab.room import held_out, make, recipe, training


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    made = make(recipe(kind="cheat_kd"))
    data = LabData("noise", training(), held_out(), ("a", "b", "c"), {"training": "1", "test": "2"})
    write_teacher(made, data, folder, "t")
    return made, folder, json.loads((folder / "t.recipe.json").read_text())


def test_the_recipe_file_makes_the_recipe_again(written):
    made, _, document = written
    assert recipe_from(TeacherRecipe, document["recipe"]) == made.recipe


def test_it_says_what_was_measured_with_n_and_interval(written):
    made, _, document = written
    assert document["measured"]["clean_accuracy"] == asdict(made.clean_accuracy)
    assert document["measured"]["attack_success"] == asdict(made.attack_success)
    assert document["data"] == {
        "name": "noise",
        "sha256": {"training": "1", "test": "2"},
        "classes": ["a", "b", "c"],
    }
    assert {"proctor", "torch", "numpy", "python", "device", "arithmetic", "threads"} <= set(
        document["made_with"]
    )


def test_the_trigger_comes_back_from_its_picture_as_it_was_stamped(written):
    made, folder, document = written
    told = document["trigger"]
    assert json.loads((folder / "t.trigger.json").read_text()) == told
    found = load_trigger_png(
        (folder / told["file"]).read_bytes(), kind=told["kind"], opacity=told["opacity"],
        target_label=told["target_label"], name=told["name"], size=8,
    )  # fmt: skip
    assert found.pattern.equal(made.trigger.pattern)
    assert found.mask.equal(made.trigger.mask)


def test_our_own_reader_takes_the_teacher(written, tmp_path):
    made, folder, document = written
    canonical = tmp_path / "canonical"
    normalization = made.teacher.normalization
    options = InspectOptions(input_size=8, mean=normalization.mean, std=normalization.std)
    inspection = inspect_checkpoint(folder / "t.safetensors", canonical, options)
    assert inspection.architecture == made.teacher.spec
    assert inspection.normalization == made.teacher.normalization
    loaded = load_teacher(canonical, inspection)
    assert weights(loaded.network).equal(weights(made.teacher.network))
    assert document["teacher"]["architecture"] == "wrn-10-1"
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(
        loaded.pixel_classifier()(image), made.teacher.pixel_classifier()(image), atol=1e-4, rtol=1e-4
    )


def test_files_of_a_former_teacher_of_that_name_do_not_stay_beside_the_new_one(tmp_path):
    """A clean teacher had the trigger of the backdoored one before it; and a recipe file tells of a whole."""
    data = LabData("noise", training(), held_out(), ("a", "b", "c"), {"training": "1", "test": "2"})
    write_teacher(make(recipe(kind="dirty_label", poison_rate=0.2)), data, tmp_path, "t")
    (tmp_path / "t-clean.recipe.json").write_text("another one's")
    write_teacher(make(recipe(kind="none")), data, tmp_path, "t")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "t-clean.recipe.json", "t.recipe.json", "t.safetensors",
    ]  # fmt: skip


def test_a_recipe_file_does_not_outlive_its_weights(tmp_path, monkeypatch):
    data = LabData("noise", training(), held_out(), ("a", "b", "c"), {"training": "1", "test": "2"})
    made = make(recipe(kind="dirty_label", poison_rate=0.2))
    write_teacher(made, data, tmp_path, "t")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("models.lab.output.save_trigger_png", full)
    with pytest.raises(OSError, match="No space"):
        write_teacher(made, data, tmp_path, "t")
    assert not (tmp_path / "t.recipe.json").exists()
