import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

from models.recipes.architecture import Normalization
from models.report import render_html
from models.report.html import HAZARD_WORDS, hazard_sentence
from models.results.calibration import CalibrationResult
from models.results.teacher_check import LabelCheck, NormalizationCheck, NormalizationTrial, TeacherCheck
from models.results.trigger_effect import ClassMovement, TriggerEffect
from tests.models.report.sample import audit, document, rate


class References(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.urls: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.urls += [value for name, value in attrs if name in {"src", "href", "xlink:href"} and value]


def parsed(html: str) -> References:
    parser = References()
    parser.feed(html)
    return parser


@cache
def sample_page() -> str:
    return render_html(document())


def test_the_page_is_self_contained():
    found = parsed(sample_page())
    assert not found.tags & {"script", "link", "iframe", "object", "embed"}
    assert all(url.startswith(("data:image/png;base64,", "#")) for url in found.urls)


def test_the_page_forbids_what_it_does_not_need():
    assert "default-src &#39;none&#39;" in sample_page() or "default-src 'none'" in sample_page()


def test_what_is_folded_on_the_screen_is_printed_whole():
    """A PDF of the page lacked the recipe; ``display`` alone does not open what is closed."""
    page = render_html(document())
    assert "<details>" in page
    printed = page.split("@media print", 1)[1].split("\n", 1)[0]
    assert "details::details-content { content-visibility:visible;" in printed


def test_hostile_names_are_escaped():
    html = render_html(document('"><script>alert(1)</script>.pt'))
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_hostile_trigger_names_are_escaped_in_figures_too():
    hostile = replace(audit(), transfers=(replace(audit().transfers[0], trigger="<script>x</script>"),))
    assert "<script" not in render_html(replace(document(), audit=hostile))


def test_verdict_and_acceptance_come_first():
    html = sample_page()
    text = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    assert text.index("Backdoor detected") < text.index("Student accepted") < text.index("Not tested")


def test_the_control_is_called_one_and_not_to_be_deployed():
    """Of two students the report showed figures and hashes, and did not say which of them may be used."""
    told = "<code>student-undefended.safetensors</code>, is the control"
    assert told in sample_page()
    verification = document().verification
    teacher, alone, _ = verification.networks
    single = replace(document(), verification=replace(verification, networks=(teacher, alone)))
    assert told not in render_html(single)


def test_every_rate_carries_interval_and_n():
    assert "97.0% (94.0% to 100.0%, n\u00a0=\u00a0500)" in sample_page()


def test_times_are_written_to_the_minute_in_utc():
    assert "2026-01-01 10:00 UTC" in sample_page()


def test_an_audit_alone_renders():
    html = render_html(replace(document(), distillation=None, verification=None, pictures=()))
    assert "Student accepted" not in html
    assert "Backdoor detected" in html


def test_a_distillation_alone_renders():
    html = render_html(replace(document(), audit=None))
    assert "Why this verdict" not in html
    assert "Student accepted" in html


def test_the_same_document_gives_the_same_bytes():
    assert render_html(document()) == sample_page()


def test_json_carries_schema_and_results_but_no_pictures():
    content = json.loads(json.dumps(document().to_json()))
    assert (content["schema"], content["schema_version"]) == ("proctor.report", 2)
    assert content["verification"]["networks"][2]["attacks"][0]["rate"]["value"] == 0.03
    assert "pictures" not in content


def test_what_does_not_fit_is_said_before_everything_else():
    rates = rate(0.1), rate(0.9)
    labels = LabelCheck(rates[0], (), ((2, 3), (3, 2)), True, rates[1], "cat <is> dog.", True)
    trial = NormalizationTrial("the declared normalization", Normalization(), rates[0], None)
    check = TeacherCheck(
        500,
        labels,
        NormalizationCheck((trial,), None, False, Normalization(), "Nothing is better."),
        ("cat <is> dog.",),
    )
    page = render_html(replace(document(), audit=replace(audit(), teacher_check=check)))
    assert page.index("Teacher and images may not fit") < page.index("What to do next")
    assert "cat &lt;is&gt; dog." in page
    assert "cat &lt;is&gt; dog. Nothing is better." in page
    assert "Teacher and images may not fit" not in sample_page()


def test_a_p_value_of_no_references_is_called_no_rate_of_false_alarms():
    assert "p = 0.001 by the probe&#39;s own formula" in sample_page().replace("'", "&#39;")
    found = replace(audit(), probes=(replace(audit().probes[0], calibration_references=19),))
    page = render_html(replace(document(), audit=found))
    assert "p = 0.001, calibrated against 19 clean networks" in page


def test_advice_sets_words_as_code_and_stays_escaped():
    advice = ("Beside 19 `detected` is said; `<script>x</script>` and a lone ` are text.",)
    found = replace(audit(), advice=advice)
    page = render_html(replace(document(), audit=found))
    assert "Beside 19 <code>detected</code> is said; <code>&lt;script&gt;x&lt;/script&gt;</code>" in page
    assert "and a lone ` are text." in page
    assert replace(document(), audit=found).to_json()["audit"]["advice"] == advice


def test_warnings_about_images_are_shown():
    sample = document()
    facts = replace(sample.provenance.datasets[0], warnings=("The same 3x3 patch is in 20 images.",))
    page = render_html(replace(sample, provenance=replace(sample.provenance, datasets=(facts,))))
    assert "The images as uploaded" in page
    assert "The same 3x3 patch is in 20 images." in page
    assert "The images as uploaded" not in render_html(sample)


def test_the_reference_set_is_named_with_its_band() -> None:
    calibration = CalibrationResult(
        "Of 19 clean reference networks none score as high in all (maximum margin): p = 0.050.",
        0.05, "wrn-cifar", "f" * 64, 19, ("mmbd",), ("mmbd",), 0.05, (0.0027, 0.1459),
    )  # fmt: skip
    whole = document()
    assert whole.audit is not None
    text = render_html(replace(whole, audit=replace(whole.audit, calibration=calibration)))
    assert "none score as high" in text
    assert "f" * 64 in text
    assert "lies between 0.3" in text


def test_classes_are_drawn_over_the_band_of_the_references() -> None:
    shown = document()
    probe = replace(
        shown.audit.probes[0],
        target_label=2,
        class_profile=(0.0, -0.2, 1.1, 0.1),
        class_band=((-0.2, 0.2), (-0.3, 0.1), (-0.1, 0.3), (-0.2, 0.4)),
    )
    page = render_html(replace(shown, audit=replace(shown.audit, probes=(probe,))))
    assert "nine of ten clean reference networks" in page
    assert "nine of ten clean reference networks" not in render_html(shown)


EFFECT = TriggerEffect(
    trigger="<i>corner</i>",
    target_label=3,
    kind="source_specific",
    proven=True,
    sentence="<i>corner</i> sends images of some classes alone to its target, class 3 (1 to 3).",
    changed=rate(0.2),
    control_changed=rate(0.04),
    movements=(
        ClassMovement(1, 3, rate(0.95, 40), rate(0.02, 40), True),
        ClassMovement(2, 5, rate(0.07, 30), rate(0.06, 30), False),
    ),
    unjudged=8,
    image_source="clean images",
)


def test_what_a_trigger_does_class_by_class_is_a_table_of_those_that_move():
    html = render_html(replace(document(), audit=replace(audit(), effects=(EFFECT,))))
    section = html.split("class by class</h3>")[1].split("<h3>Does it move")[0]
    assert "<td>class 1</td><td>class 3</td><td>95.0%" in section
    assert "class 5" not in section
    assert "8 classes had too few images" in section
    assert "with shuffled pixels 4.0%" in section
    assert "<i>corner" not in section


def test_without_such_a_trigger_there_is_no_such_table():
    assert "class by class</h3>" not in sample_page()


def test_a_student_that_was_trained_is_not_called_untested():
    """A table of its numbers stands right below."""
    moved = replace(audit().transfers[0], student_success=rate(0.02), hazard="not_tested")
    weak = replace(audit(), hazard="not_tested", transfers=(moved,))
    assert "could not be told: the student learned too little of its teacher. Raise" in hazard_sentence(weak)
    begun = replace(weak, transfers=(replace(moved, student_success=rate(0.3)),))
    assert hazard_sentence(begun).startswith("A trigger began to move into a throw-away student")
    both = replace(moved, student_success=rate(0.97), control_success=rate(0.97))
    assert "could not be told: the numbers below" in hazard_sentence(replace(weak, transfers=(both,)))
    assert hazard_sentence(replace(weak, transfers=())) == HAZARD_WORDS["not_tested"]
    assert HAZARD_WORDS["high"] in sample_page()
