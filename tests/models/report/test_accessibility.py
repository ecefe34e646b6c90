"""What a reader needs who sees no colors, no pictures, a small screen or paper."""

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

from matplotlib.colors import to_rgb

from models.report import render_html
from models.report.figures import LONGEST_NAME, ROLE_COLOR, student_bars
from models.report.probe_figures import SCORE_AXES, class_bars, profile_bars
from models.results.audit import ProbeResult
from tests.models.report.sample import audit, document, measurement, rate


@cache
def page() -> str:
    return render_html(document())


class Outline(HTMLParser):
    """Collects levels of headings and what figures and pictures are called."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.unnamed: list[str] = []
        self.headers: list[str | None] = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if (tag == "img" and not found.get("alt")) or (tag == "svg" and not found.get("aria-label")):
            self.unnamed.append(tag)
        if tag == "th":
            self.headers.append(found.get("scope"))


@cache
def outline() -> Outline:
    parser = Outline()
    parser.feed(page())
    return parser


def words(svg: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", svg)


def test_every_figure_and_picture_has_a_name_for_who_cannot_see_it():
    assert outline().unnamed == []
    assert "class 3 has 21.4; the others lie between 7.7 and 9.9" in page()
    assert 'alt="ring: the trigger"' in page()


def test_no_level_of_headings_is_skipped():
    """What to do next stood at level 3 under level 1."""
    levels = outline().levels
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_table_heading_says_what_it_heads():
    assert set(outline().headers) == {"col", "row"}


def test_roles_are_told_apart_in_gray_and_without_colors():
    """Red and green of equal lightness looked alike to the color-blind and on paper."""
    weights = (0.2126, 0.7152, 0.0722)
    lightness = sorted(
        sum(w * part for w, part in zip(weights, to_rgb(color), strict=True)) for color in ROLE_COLOR.values()
    )
    assert all(b - a > 0.1 for a, b in pairwise(lightness))
    written = words(student_bars(document().verification.networks))
    assert sum("undefended" in text for text in written) == 2


def test_a_long_name_leaves_room_for_the_bars_and_is_no_formula():
    """A name of 64 letters squeezed the bars to nothing; a broken formula in one broke the report."""
    for name in ("x" * 64, "$\\frac$"):
        networks = [measurement(role, 0.9, 0.5, 1_000) for role in ("teacher", "defended")]
        renamed = [replace(n, attacks=(replace(n.attacks[0], trigger=name),)) for n in networks]
        written = words(student_bars(renamed))
        assert any(name[: LONGEST_NAME - 1] in text for text in written)
        assert max(map(len, written)) < 40


def test_every_probe_says_what_its_scores_count():
    for name, axis in SCORE_AXES.items():
        svg = class_bars(replace(audit().probes[0], probe=name))
        assert axis.split("\n")[0] in words(svg)


def test_of_a_hundred_classes_the_one_that_stands_out_is_named():
    scores = (1.0,) * 73 + (9.0,) + (1.0,) * 26
    probe = ProbeResult("mmbd", "", 73, 1.0, True, scores)
    assert "class 73" in words(class_bars(probe))
    compared = replace(
        probe, class_profile=(0.1,) * 73 + (2.0,) + (0.1,) * 26, class_band=((0.0, 0.2),) * 100
    )
    assert "class 73" in words(profile_bars(compared))


def test_probes_are_called_as_in_the_evidence_and_say_what_they_ask():
    assert "<h4>Maximum margin</h4>" in page()
    assert "Can one class be driven to a far larger margin" in page()


def test_what_has_no_part_in_the_verdict_says_so_and_points_at_nothing():
    """Beside a verdict on class 0 the report said that feature_variance *points at class 5*."""
    other = replace(audit().probes[0], probe="feature_variance", target_label=5, conspicuous=False)
    text = render_html(replace(document(), audit=replace(audit(), probes=(*audit().probes, other))))
    section = text.split("<h4>Feature variance</h4>")[1]
    assert "reported only, without a part in the verdict" in section
    assert "as one class must; that alone means nothing" in section
    assert "points at class" not in text


def test_what_a_student_does_without_the_trigger_stands_beside_its_success():
    """98 % success, a transfer index of .99 and *not tested* contradicted each other without it."""
    moved = replace(
        audit().transfers[0], hazard="not_tested", student_success=rate(0.98), student_clean_rate=rate(0.975)
    )
    text = render_html(replace(document(), audit=replace(audit(), hazard="not_tested", transfers=(moved,))))
    row = text.split("there without it</th>")[1].split("</table>")[0]
    assert "<td>97.5%</td>" in row
    assert "<td>no answer</td>" in row
    assert "not_tested" not in row


def test_the_head_names_the_bytes_that_were_audited():
    head = page().split("</header>")[0]
    assert document().inspection.sha256 in head


def test_no_answer_does_not_look_like_nothing_found():
    """Both stood in the same gray panel, and until it is settled the network is not to be deployed."""
    told = render_html(replace(document(), audit=replace(audit(), verdict="inconclusive")))
    assert '<section class="panel warn"><b class="word">Inconclusive about a backdoor</b>' in told
    told = render_html(replace(document(), audit=replace(audit(), verdict="not_detected")))
    assert '<section class="panel calm"><b class="word">No backdoor detected</b>' in told


def test_the_page_of_a_clean_job_does_not_call_the_network_clean():
    assert document().job.kind == "clean"
    assert "clean report" not in page()
    assert "Proctor report: audit of a network, and a student distilled from it" in page()
