import pytest

from models.data.bundle import AuditData
from models.probes.advice import give_advice
from models.recipes.probe import ProbeRecipe
from models.results.audit import BackdoorVerdict, Hazard


@pytest.mark.parametrize(
    ("verdict", "hazard", "first"),
    [
        ("detected", "high", "Do not deploy this network"),
        ("suspected", "low", "Do not deploy this network"),
        ("inconclusive", "low", "Until this is settled, do not deploy this network"),
        ("not_detected", "high", "Distill from this network only with a defense"),
        ("not_detected", "low", "Give at least"),
    ],
)
def test_what_to_do_comes_before_what_to_give(verdict: BackdoorVerdict, hazard: Hazard, first: str) -> None:
    advice = give_advice(verdict, hazard, AuditData(), ProbeRecipe(), trigger_given=False)
    assert advice[0].startswith(first)
    assert any("clean images" in line for line in advice)
