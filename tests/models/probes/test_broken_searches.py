"""A network that answers with no numbers to what searches make of images has not withstood them."""

from __future__ import annotations

from models.checkpoints.load import Teacher
from models.data.bundle import AuditData
from models.engine.monitor import SilentMonitor
from models.probes.audit import run_audit
from models.probes.student_rescan import rescan_students
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.verification import Candidate
from tests.models.probes.planted import (
    NUM_CLASSES,
    SIZE,
    BreakingNetwork,
    StagedQuadrants,
    planted_teacher,
    quadrant_images,
)

RECIPE = Recipe(probe=ProbeRecipe(budget="quick", transfer=False, nasty=False))
DATA = AuditData(*quadrant_images(100))


def breaking_teacher() -> Teacher:
    network = StagedQuadrants(BreakingNetwork(strength=0.0)).eval()
    return Teacher(network, Normalization(), ArchitectureSpec("wrn-16-1", NUM_CLASSES, SIZE))


def test_nothing_found_by_broken_searches_is_no_answer() -> None:
    """Class 0 was suspected, which ``argmax`` makes of no numbers; or the audit ended with an odd error."""
    result = run_audit(breaking_teacher(), DATA, (), RECIPE, SilentMonitor()).result
    assert result.verdict == "inconclusive"
    assert "Trigger inversion could not run: On images that a search changed" in result.sentence
    assert not any(probe.probe == "trigger_inversion" for probe in result.probes)
    assert "Trigger inversion did not run: what stopped it is said above." in result.not_tested
    assert any(line.startswith("No blend could be recovered for class") for line in result.not_tested)


def test_a_student_that_breaks_a_search_is_named_among_those_not_scanned() -> None:
    teacher, broken = planted_teacher(strength=0.0), breaking_teacher()
    found = rescan_students(
        teacher,
        [
            Candidate("teacher", teacher.pixel_classifier(), teacher.spec),
            Candidate("defended", broken.pixel_classifier(), broken.spec),
        ],
        DATA,
        RECIPE,
        SilentMonitor(),
    )
    assert found.failures == (
        "The defended student broke a search: On images that a search changed, the network's answers are not "
        "finite.",
    )
    assert {scan.probe for scan in found.scans if scan.role == "defended"} == {"mmbd"}
