from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.architectures import PixelClassifier, build
from models.data.bundle import AuditData
from models.engine.monitor import Monitor, SilentMonitor
from models.errors import Interrupted, RecipeError
from models.probes import student_rescan
from models.probes.audit import run_audit
from models.probes.effort import EFFORTS
from models.probes.probe_images import probe_images
from models.probes.student_rescan import dormant_classes, rescan_students
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.job import Recipe
from models.recipes.probe import ProbeRecipe
from models.results.audit import AuditResult
from models.results.rescan import ClassScan, DormantClass, StudentRescan
from models.verification import Candidate, Role
from tests.models.probes.planted import planted_teacher, quadrant_images

RECIPE = Recipe(probe=ProbeRecipe(budget="quick", transfer=False, nasty=False))
BENIGN, BACKDOORED = 0.0, 60.0


def candidate(role: Role, strength: float) -> Candidate:
    made = planted_teacher(strength=strength)
    return Candidate(role, made.pixel_classifier(), made.spec)


def labelled() -> AuditData:
    images, labels = quadrant_images(100)
    return AuditData(images=images, labels=labels)


def rescan(
    teacher: float,
    *students: Candidate,
    audit: AuditResult | None = None,
    recipe: Recipe = RECIPE,
    monitor: Monitor | None = None,
) -> StudentRescan:
    subject = planted_teacher(strength=teacher)
    candidates = [Candidate("teacher", subject.pixel_classifier(), subject.spec), *students]
    return rescan_students(subject, candidates, labelled(), recipe, monitor or SilentMonitor(), audit=audit)


def audited(strength: float) -> AuditResult:
    return run_audit(planted_teacher(strength=strength), labelled(), (), RECIPE, SilentMonitor()).result


class Unasked(PixelClassifier):
    """A network that must not be computed with."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the teacher was scanned again")


def test_a_backdoor_that_only_the_defended_student_shows_is_a_warning() -> None:
    found = rescan(BENIGN, candidate("undefended", BENIGN), candidate("defended", BACKDOORED))
    assert [(entry.role, entry.target_label) for entry in found.dormant] == [("defended", 2)]
    assert "class 2 in the defended student" in found.sentence
    (warning,) = found.warnings
    assert warning.startswith("Class 2 stands out in the defended student")
    assert "learned briefly" in warning


def test_a_teacher_with_logits_of_any_size_is_compared_by_patch() -> None:
    """Times 1e20 it looked flat by patch, so that whatever a student showed had risen by as much."""
    subject = planted_teacher(strength=BACKDOORED)
    with torch.no_grad():
        subject.network.scale.fill_(1e20)
    candidates = [
        Candidate("teacher", subject.pixel_classifier(), subject.spec),
        candidate("defended", BENIGN),
    ]
    scans = rescan_students(subject, candidates, labelled(), RECIPE, SilentMonitor()).scans
    own = [(scan.target_label, scan.conspicuous) for scan in scans if scan.role == "teacher"]
    assert own == [(2, True)] * 2


def test_a_backdoor_that_the_teacher_shows_too_was_not_dormant() -> None:
    found = rescan(BACKDOORED, candidate("undefended", BACKDOORED), candidate("defended", BENIGN))
    assert any(scan.conspicuous for scan in found.scans if scan.role == "undefended")
    assert (found.dormant, found.warnings) == ((), ())


def test_a_collapsed_student_raises_no_warning_of_a_backdoor() -> None:
    """Its only class stood out by both probes, and was called dormant in the teacher."""
    spec = ArchitectureSpec("wrn-10-1", 4, 16)
    network = build(spec).eval()
    with torch.no_grad():
        network.fc.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 100.0]))
    collapsed = Candidate("defended", PixelClassifier(network, Normalization()), spec)
    found = rescan(BENIGN, candidate("undefended", BENIGN), collapsed)
    assert (found.dormant, found.warnings) == ((), ())
    assert "The defended student tells nothing. Without any trigger 100%" in found.sentence


def test_what_only_the_control_shows_is_told_and_warns_of_nothing() -> None:
    found = rescan(BENIGN, candidate("undefended", BACKDOORED), candidate("defended", BENIGN))
    assert [entry.role for entry in found.dormant] == ["undefended"]
    assert found.warnings == ()


def test_the_student_to_be_accepted_is_warned_of_without_a_defense_too() -> None:
    assert len(rescan(BENIGN, candidate("undefended", BACKDOORED)).warnings) == 1


def test_benign_students_of_a_benign_teacher_show_nothing() -> None:
    found = rescan(BENIGN, candidate("undefended", BENIGN), candidate("defended", BENIGN))
    assert found.dormant == ()
    assert "No class stands out in a student" in found.sentence
    assert [scan.role for scan in found.scans] == ["teacher"] * 2 + ["undefended"] * 2 + ["defended"] * 2


def test_equal_networks_get_equal_scores() -> None:
    """Same images and same starts: what differs is the network."""
    found = rescan(BACKDOORED, candidate("defended", BACKDOORED))
    scores = {role: [s.statistic for s in found.scans if s.role == role] for role in ("teacher", "defended")}
    assert scores["teacher"] == scores["defended"]


def test_an_audit_of_the_same_effort_spares_the_teacher() -> None:
    student, audit = candidate("defended", BACKDOORED), audited(BENIGN)
    subject = planted_teacher(strength=BENIGN)
    unasked = Candidate("teacher", Unasked(subject.network, subject.normalization), subject.spec)
    spared = rescan_students(subject, [unasked, student], labelled(), RECIPE, SilentMonitor(), audit=audit)
    again = rescan(BENIGN, student)
    for one, other in zip(spared.scans, again.scans, strict=True):
        assert (one.role, one.probe, one.target_label) == (other.role, other.probe, other.target_label)
        assert one.statistic == pytest.approx(other.statistic)


def test_students_are_scanned_on_images_inverted_from_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the audit had, so that its scores may stand in for the teacher's."""
    asked: list[tuple[object, str]] = []

    def images_for(classifier, spec, data, recipe, *, patches, monitor):
        asked.append((classifier, recipe.probe.surrogates))
        monitor.progress(1, 1)
        return probe_images(data, size=spec.input_size, patches=patches, style="photo", seed=0)

    class Told(SilentMonitor):
        def progress(self, done: int, total: int, **scalars: float) -> None:
            told.append(done / total)

    told: list[float] = []
    monkeypatch.setattr(student_rescan, "images_for", images_for)
    subject, student = planted_teacher(strength=BENIGN), candidate("defended", BENIGN)
    teacher = Candidate("teacher", subject.pixel_classifier(), subject.spec)
    recipe = replace(RECIPE, probe=replace(RECIPE.probe, surrogates="inverted"))
    rescan_students(subject, [teacher, student], AuditData(), recipe, Told())
    assert asked == [(teacher.classifier, "inverted")]
    assert told[0] == pytest.approx(0.3)
    assert told == sorted(told)


def test_an_audit_of_more_effort_does_not_stand_in_for_the_teacher() -> None:
    """Like is compared with like: scores depend on the effort."""
    standard = replace(RECIPE, probe=replace(RECIPE.probe, budget="standard"))
    subject = planted_teacher(strength=BENIGN)
    unasked = Candidate("teacher", Unasked(subject.network, subject.normalization), subject.spec)
    with pytest.raises(AssertionError, match="scanned again"):
        rescan_students(
            subject,
            [unasked, candidate("defended", BENIGN)],
            labelled(),
            standard,
            SilentMonitor(),
            audit=audited(BENIGN),
        )


def test_thorough_audits_have_thorough_scans() -> None:
    budgets = ("quick", "standard", "thorough")
    recipes = [replace(RECIPE, probe=replace(RECIPE.probe, budget=budget)) for budget in budgets]
    assert [student_rescan.rescan_budget(recipe) for recipe in recipes] == ["quick", "quick", "thorough"]


def test_a_class_that_the_audit_points_at_was_not_dormant() -> None:
    """By a given trigger, a longer search or clean references, which the scans do not have."""
    audit = replace(audited(BENIGN), verdict="detected", target_label=2)
    assert rescan(BENIGN, candidate("defended", BACKDOORED), audit=audit).dormant == ()


@pytest.mark.parametrize(
    "in_teacher, dormant", [(0.33, ()), (0.1, (DormantClass("defended", 3, ("mmbd",)),))]
)
def test_crossing_the_mark_by_a_hair_is_no_difference(
    in_teacher: float, dormant: tuple[DormantClass, ...]
) -> None:
    scans = [
        ClassScan("teacher", "mmbd", 3, in_teacher, False, in_teacher),
        ClassScan("defended", "mmbd", 3, 0.34, True, in_teacher),
    ]
    assert dormant_classes(scans, set()) == dormant


def test_a_student_that_cannot_be_scanned_is_named_and_the_others_are_compared() -> None:
    damaged = candidate("undefended", BENIGN)
    with torch.no_grad():
        damaged.classifier.network.scale.fill_(float("nan"))
    found = rescan(BENIGN, damaged, candidate("defended", BACKDOORED))
    assert ["undefended student" in line for line in found.failures] == [True]
    assert len(found.warnings) == 1


def test_without_the_teachers_scores_nothing_is_compared() -> None:
    found = rescan(float("nan"), candidate("defended", BACKDOORED))
    assert (found.scans, found.dormant) == ((), ())
    assert "could not be compared" in found.sentence


def test_of_many_classes_all_networks_compare_the_same_few(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {**EFFORTS, "quick": replace(EFFORTS["quick"], scanned_classes=2)}
    monkeypatch.setattr(student_rescan, "EFFORTS", few)
    found = rescan(BENIGN, candidate("defended", BACKDOORED), audit=audited(BENIGN))
    assert found.classes == 2
    assert {scan.probe for scan in found.scans} == {"mmbd", "trigger_inversion"}
    assert [(entry.role, entry.target_label) for entry in found.dormant] == [("defended", 2)]


def test_progress_never_runs_backwards_and_ends() -> None:
    class Recording(SilentMonitor):
        def __init__(self) -> None:
            self.seen: list[float] = []

        def progress(self, done: int, total: int, **scalars: float) -> None:
            self.seen.append(done / total)

    monitor = Recording()
    rescan(BENIGN, candidate("defended", BENIGN), monitor=monitor)
    assert monitor.seen == sorted(monitor.seen)
    assert monitor.seen[-1] == 1.0


def test_a_rescan_stops_when_asked() -> None:
    class Stopping(SilentMonitor):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(Interrupted):
        rescan(BENIGN, candidate("defended", BENIGN), monitor=Stopping())


def test_a_teacher_must_come_first() -> None:
    subject = planted_teacher(strength=BENIGN)
    with pytest.raises(RecipeError):
        rescan_students(subject, [candidate("defended", BENIGN)] * 2, AuditData(), RECIPE, SilentMonitor())


def test_one_probe_alone_is_told_and_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(student_rescan._MARKS, "trigger_inversion", 99.0)
    found = rescan(BENIGN, candidate("defended", BACKDOORED))
    assert [(entry.target_label, entry.probes) for entry in found.dormant] == [(2, ("mmbd",))]
    assert "One probe alone points at it" in found.sentence
    assert found.warnings == ()
