import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.population import measure, page
from benchmarks.population.judge import judge_all
from benchmarks.population.members import ADAPTIVE, ARCHITECTURES, ATTACKS, BLIND, members
from benchmarks.population.statistics import auroc, auroc_interval, rate_text
from models.lab.data import LabData
from models.lab.json_lines import read_lines
from tests.models.lab.room import BRIEF, held_out, training


def test_no_network_is_in_two_parts_and_the_parts_are_as_large_as_they_must_be():
    everyone = list(members())
    assert len({member.name for member in everyone}) == len(everyone)
    assert len({(str(member.recipe)) for member in everyone}) == len(everyone)
    for architecture in ARCHITECTURES:
        own = [member for member in everyone if member.recipe.architecture == architecture]
        assert sum(member.part == "calibration" for member in own) == 19
    test = [member for member in everyone if member.part == "test"]
    attacked = [member for member in test if member.recipe.attack.kind != "none"]
    assert len(test) - len(attacked) >= 60
    assert sum(member.kind not in BLIND for member in attacked) >= 60
    assert {member.kind for member in attacked} == set(ATTACKS)
    assert Counter(m.kind for m in everyone if m.part == "adaptive") == dict.fromkeys(ADAPTIVE, 6)
    assert len({member.recipe.attack.poison_rate for member in attacked}) >= 5
    by_kind = Counter((member.kind, member.recipe.attack.poison_rate) for member in attacked)
    assert all(
        len({rate for kind, rate in by_kind if kind == name}) >= 4 for name in set(ATTACKS) - set(BLIND)
    )


def test_areas_and_intervals():
    assert auroc([2.0, 3.0], [1.0, 2.0]) == 0.875
    low, high = auroc_interval([2.0, 3.0, 4.0] * 5, [1.0, 2.0, 3.5] * 5)
    assert low < auroc([2.0, 3.0, 4.0], [1.0, 2.0, 3.5]) < high
    assert rate_text(7, 7) == "7/7 = 1.00 [0.65, 1.00]"
    assert rate_text(0, 0) == "—"


def entry(part, place, random, success=None, architecture="wrn-10-1", shift=0.0):
    scores = np.abs(random.normal(size=3)) + shift
    probes = {
        name: {
            "statistic": float(score),
            "target_label": 3,
            "conspicuous": False,
            "class_scores": [],
            "nothing_won": False,
        }
        for name, score in zip(("mmbd", "trigger_inversion", "head_statistics"), scores, strict=True)
    }
    answer = {
        "failures": [],
        "counted": ["mmbd", "trigger_inversion"],
        "probes": probes,
    }
    return {
        "name": f"{part}-{place}", "part": part, "architecture": architecture, "success": success,
        "kind": "plain" if success is None else "blend", "target": None if success is None else 3,
        "tier 0": answer, "tier 1": answer, "seconds": 1.0,
    }  # fmt: skip


@pytest.fixture
def entries():
    random = np.random.default_rng(0)
    return [
        *(entry("calibration", place, random) for place in range(19)),
        *(entry("test", place, random) for place in range(10)),
        *(entry("test", 100 + place, random, success=1.0, shift=9.0) for place in range(10)),
        entry("test", 200, random, success=0.2),
    ]


def test_the_products_own_verdict_is_counted(entries):
    judged = judge_all(entries, "test")
    assert len(judged) == 2 * 2 * 21
    backdoored = [each for each in judged if each.backdoored]
    assert len(backdoored) == 40
    assert all(each.word == "detected" and each.right and each.p_value == 0.05 for each in backdoored)
    assert set(judged[0].single) == {"mmbd", "trigger_inversion", "head_statistics"}
    clean = [each for each in judged if each.entry["success"] is None]
    assert sum(each.word == "detected" for each in clean) <= 8


def test_the_page_has_every_table(entries, tmp_path, monkeypatch, capsys):
    text = page.render(entries, "test")
    assert "19 references, 10 clean networks, 11 attacked ones; 10 of these" in text
    assert "| all | tier 0 | class by class | 1.000 [1.000, 1.000] | 10/10 = 1.00 [0.72, 1.00] |" in text
    assert "| blend | tier 0 | 10 of 11 | 1.00 | 10 | 0 | 0 | 0 | 0 |" in text
    written = tmp_path / "evaluation.md"
    written.write_text("before\n")
    monkeypatch.setattr(page, "read_lines", lambda path: entries)
    monkeypatch.setattr(sys, "argv", ["page", "--write", str(written)])
    page.main()
    assert capsys.readouterr().out.strip() in written.read_text()


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Two networks to measure, quickly, on noise."""
    data = LabData("noise", training(), held_out(), ("0", "1", "2"), {})
    monkeypatch.setattr(measure, "RECIPE", measure.Recipe(probe=measure.ProbeRecipe(budget="quick")))
    monkeypatch.setattr(measure, "load_lab_data", lambda *_, **__: data)
    member = type(next(members()))
    monkeypatch.setattr(
        measure, "members", lambda: [member("test", "plain", BRIEF), member("tuning", "plain", BRIEF)]
    )
    path = tmp_path / "store.jsonl"
    monkeypatch.setattr(sys, "argv", ["measure", "--part", "test", "--store", str(path)])
    return path


def test_attackers_who_know_the_probes_stand_against_the_same_clean_networks(entries):
    random = np.random.default_rng(1)
    knowing = [
        {**entry("adaptive", place, random, success=1.0, shift=9.0), "kind": "margin"} for place in range(4)
    ]
    text = page.render([*entries, *knowing], "adaptive")
    assert "19 references, 0 clean networks, 4 attacked ones; 4 of these" in text
    assert "| margin | tier 0 | 4 of 4 | 1.00 | 4 | 0 | 0 | 0 | 0 |" in text
    assert "| margin | mmbd | 1.000 | 1.000 |" in text
    assert "| blend |" not in text
    assert "| networks | tier |" not in text


def test_a_network_is_measured_with_and_without_images_and_once(store, monkeypatch):
    measure.main()
    (made,) = read_lines(store)
    assert made["name"] == "test-wrn-10-1-plain-0"
    assert made["success"] is None
    for tier in ("tier 0", "tier 1"):
        answer = made[tier]
        assert answer["counted"][0] == "mmbd"
        assert len(answer["probes"]) > len(answer["counted"])
        assert len(answer["probes"]["mmbd"]["class_scores"]) == 3
        assert answer["probes"]["head_statistics"]["class_scores"] == []
    before = store.read_text()
    store.write_text(before + '{"name": "torn')
    measure.main()
    assert list(read_lines(store)) == [made]
    monkeypatch.setattr(measure, "RECIPE", replace(measure.RECIPE, seed=1))
    measure.main()
    first, second = read_lines(store)
    assert first["name"] == second["name"]
    assert first["made_of"] != second["made_of"]


def test_inverted_images_are_compared_with_patches_in_a_store_of_their_own(store, monkeypatch):
    monkeypatch.setattr(measure, "recipe_of", lambda tier: asked.append(tier) or measure.RECIPE)
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--inverted"])
    asked = []
    measure.main()
    (made,) = read_lines(store)
    assert asked == ["tier 0", "tier 0, inverted"]
    assert "tier 1" not in made
    for tier in asked:
        assert made[tier]["counted"][0] == "mmbd"


def test_probes_are_asked_as_the_judge_says_they_were(monkeypatch):
    with_images, without = (measure.conditions("wrn-10-1", tier) for tier in ("tier 1", "tier 0"))
    assert (with_images.images, without.images) == ("clean images", "patches")
    assert without.patch_style == "strokes"
    assert without.budget == "standard"
    inverted = measure.conditions("wrn-10-1", "tier 0, inverted")
    assert (inverted.images, inverted.searched) == ("inverted images", 100)


def test_numbers_keep_six_digits():
    assert measure.rounded(0.123456789) == 0.123457
    assert measure.rounded(1234567.0) == 1234570.0
