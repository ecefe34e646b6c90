import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import TypeAdapter

from models.recipes.job import Recipe

SCRIPTS = Path(__file__).parents[2] / "scripts"

PRINTED = """\
architecture   wrn-10-2, 10 classes, 16x16
mean           0.3131,0.3131,0.3131
std            0.3551,0.3551,0.3551
trigger        ring (additive), target label 0
clean accuracy 0.997  [0.984, 1.000]  n = 360
"""


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    spec = importlib.util.spec_from_file_location("proctor_demo", SCRIPTS / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def network(role: str, accuracy: float, success: float, parameters: int) -> dict:
    attacks = [
        {"origin": "given", "rate": {"value": success}},
        {"origin": "recovered", "rate": {"value": 1.0}},
    ]
    return {"role": role, "accuracy": {"value": accuracy}, "attacks": attacks, "parameters": parameters}


def job(
    *, undefended: float = 0.9, defended: float = 0.02, accuracy: float = 0.9, accepted: bool = True
) -> dict:
    networks = [
        network("teacher", 0.99, 1.0, 300),
        network("undefended", 0.92, undefended, 80),
        network("defended", accuracy, defended, 80),
    ]
    return {"accepted": accepted, "result": {"verify": {"networks": networks}}}


def test_a_good_job_holds_all_claims(demo: ModuleType) -> None:
    assert all(claim.holds for claim in demo.claims(job()))


@pytest.mark.parametrize(
    "weak",
    [
        {"accepted": False},
        {"undefended": 0.69},
        {"defended": 0.11},
        {"accuracy": 0.86},
        {"accuracy": 0.80},
    ],
)
def test_a_job_that_falls_short_is_not_shown_as_a_success(demo: ModuleType, weak: dict) -> None:
    assert not all(claim.holds for claim in demo.claims(job(**weak)))


def test_a_student_must_be_smaller(demo: ModuleType) -> None:
    finished = job()
    finished["result"]["verify"]["networks"][2]["parameters"] = 300
    assert [claim.text for claim in demo.claims(finished) if not claim.holds] == [
        "It is smaller: 300 < 300 parameters."
    ]


def test_what_the_teachers_script_prints_is_understood(demo: ModuleType) -> None:
    assert demo.teacher_facts(PRINTED) == {
        "mean": "0.3131,0.3131,0.3131",
        "std": "0.3551,0.3551,0.3551",
        "name": "ring",
        "kind": "additive",
        "target_label": 0,
    }


def test_other_output_of_the_teachers_script_ends_the_demo(demo: ModuleType) -> None:
    with pytest.raises(SystemExit):
        demo.teacher_facts("trained\n")


def test_the_demos_recipe_is_one() -> None:
    recipe = TypeAdapter(Recipe).validate_json((SCRIPTS / "demo_recipe.json").read_text())
    assert recipe.method in {"ood", "zskt"}, "the demo promises a data-free method"
    assert recipe.control, "without the undefended student nothing is compared"
