import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.population import measure, nasty
from models.data.labelled import LabelledImages
from models.lab.data import LabData
from models.lab.json_lines import read_lines
from models.probes.undistillable.paired_students import STUDENT_EFFORTS, StudentEffort
from models.recipes.lab import AttackRecipe
from models.recipes.protect import ProtectRecipe
from tests.benchmarks.test_population import entry
from tests.models.attacks.small import SIZE, data, weights
from tests.models.lab.room import BRIEF, held_out

BACKDOOR = AttackRecipe(kind="dirty_label", trigger="badnets_square", target_label=1, poison_rate=0.2)
BRIEFLY = ProtectRecipe(omega=0.04, max_images=100, batch_size=20)


@pytest.fixture
def room(monkeypatch):
    """Two kinds of networks of colored noise; three short students answer for each."""
    found = LabData("noise", LabelledImages(*data(240)), held_out(), ("0", "1", "2"), {})
    monkeypatch.setattr(nasty, "load_lab_data", lambda *_, **__: found)
    monkeypatch.setattr(measure, "SIDE", SIZE)
    monkeypatch.setattr(measure, "RECIPE", measure.Recipe(probe=measure.ProbeRecipe(budget="quick")))
    monkeypatch.setattr(nasty, "SEEDS", range(2))
    backdoored = replace(BRIEF, attack=BACKDOOR)
    monkeypatch.setattr(nasty, "KINDS", {"plain": nasty.Kind(BRIEF), "both": nasty.Kind(backdoored, BRIEFLY)})
    monkeypatch.setattr(nasty, "EFFORT", StudentEffort((20.0,), 20.0, 3, 64))
    return found


def test_both_questions_are_asked_of_every_network_once(room, monkeypatch, tmp_path, capsys):
    store = tmp_path / "store.jsonl"
    monkeypatch.setattr(sys, "argv", ["nasty", "--store", str(store), "--only", "-0"])
    nasty.main()
    nasty.main()
    plain, both = read_lines(store)
    assert (plain["kind"], both["kind"], both["target"]) == ("plain", "both", 1)
    assert plain["success"] is None
    assert 0.0 <= both["success"] <= 1.0
    assert plain["word"] in {"detected", "not_detected", "inconclusive"}
    assert plain["gain"]["temperature"] == plain["against_honest"]["temperature"] == 20.0
    assert isinstance(plain["harms_students"], bool)
    assert plain["tier 1"]["counted"][0] == "mmbd"
    assert plain["made_of"] != both["made_of"]
    assert capsys.readouterr().out.count(" s\n") == 2


def test_the_students_are_those_of_an_audit():
    thorough = STUDENT_EFFORTS["thorough"]
    assert replace(nasty.EFFORT, temperatures=thorough.temperatures) == thorough


def test_the_nasty_twin_is_another_network_and_its_original_stays(room):
    original = nasty.make(nasty.Kind(BRIEF), 0, room)
    twin = nasty.make(nasty.Kind(BRIEF, BRIEFLY), 0, room)
    again = nasty.make(nasty.Kind(BRIEF), 0, room)
    assert not weights(twin.network).equal(weights(original.network))
    assert weights(again.network).equal(weights(original.network))


def test_a_backdoor_that_is_to_stay_is_protected_on_poisoned_images(room, monkeypatch):
    owned = []
    protect = nasty.protect

    def told(teacher, split, *others, **named):
        owned.append(split)
        return protect(teacher, split, *others, **named)

    monkeypatch.setattr(nasty, "protect", told)
    recipe = replace(BRIEF, attack=BACKDOOR)
    for poisoned in (False, True):
        nasty.make(nasty.Kind(recipe, BRIEFLY, poisoned=poisoned), 0, room)
    clean, stamped = owned
    assert clean.labels.equal(room.training.labels)
    changed = (stamped.images != clean.images).flatten(1).any(dim=1)
    assert int(changed.sum()) == round(0.2 * len(clean.images))
    assert (stamped.labels[changed] == 1).all()


def test_the_table_counts_both_flags_by_kind(monkeypatch, tmp_path, capsys):
    random = np.random.default_rng(0)
    references = [entry("calibration", place, random) for place in range(19)]
    asked = []
    for kind, word, gain, shift in (
        ("plain", "not_detected", 0.01, 0.0),
        ("nasty_04", "detected", -0.3, 9.0),
        ("backdoored", "not_detected", 0.0, 9.0),
    ):
        for place in range(2):
            made = entry("test", place, random, shift=shift)
            asked.append(
                {
                    **made, "kind": kind, "word": word, "accuracy": 0.9 + 0.05 * place, "target": 3,
                    "success": 0.9 if kind == "backdoored" else None, "divergence": 0.1,
                    "gain": {"mean": gain}, "against_honest": {"mean": gain / 2}, "harms_students": gain < 0,
                }
            )  # fmt: skip
    text = nasty.render(asked, references)
    assert "| plain | 0.900 to 0.950 | 0/2 = 0.00 [0.00, 0.66] |" in text
    assert "| nasty_04 | 0.900 to 0.950 | 2/2 = 1.00 [0.34, 1.00] | 0/2" in text
    # Both are unlike the references, and neither is called backdoored for it.
    assert (
        "| -30.0 to -30.0 | -15.0 to -15.0 | 0.100 to 0.100 | — | 2/2 = 1.00 [0.34, 1.00] | 0/2 = 0.00"
        in text
    )
    (backdoored,) = (line for line in text.splitlines() if line.startswith("| backdoored |"))
    assert backdoored.endswith("| 0.900 to 0.900 | 2/2 = 1.00 [0.34, 1.00] | 2/2 = 1.00 [0.34, 1.00] |")
    written, stores = tmp_path / "page.md", iter([asked, references])
    written.write_text("before\n")
    monkeypatch.setattr(nasty, "read_lines", lambda path: next(stores))
    monkeypatch.setattr(sys, "argv", ["nasty", "--write", str(written)])
    nasty.main()
    assert capsys.readouterr().out.strip() in written.read_text()
