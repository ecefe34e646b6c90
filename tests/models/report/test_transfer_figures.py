import re
from dataclasses import replace
from itertools import pairwise

from models.report import render_html
from models.report.transfer_figures import HEAT, asked_channels, transfer_matrix
from models.results.audit import AuditResult, ChannelResult, TransferResult
from tests.models.report.sample import audit, document, rate

NO_IMAGES = "This channel needs 50 clean images, and none were given."


def cell(channel: str, trigger: str, success: float, control: float, hazard="high") -> TransferResult:
    return TransferResult(
        channel, trigger, 3, rate(0.996), rate(success), rate(control), 0.9, hazard, 0.8, 20_000,
        ((10_000, success / 2), (20_000, success)),
    )  # fmt: skip


def matrix() -> AuditResult:
    """Two triggers over all five channels: vanilla had no images, the student of cmi collapsed."""
    return replace(
        audit(),
        transfers=(
            cell("ood", "ring", 0.97, 0.11),
            cell("ood", "recovered patch to class 3", 0.64, 0.13),
            cell("zskt", "ring", 0.05, 0.02, "low"),
            cell("zskt", "recovered patch to class 3", 0.31, 0.04, "low"),
            cell("cmi", "ring", 0.88, 0.86, "not_tested"),
            cell("cmi", "recovered patch to class 3", 0.9, 0.85, "not_tested"),
            cell("fast", "ring", 0.23, 0.07, "low"),
            cell("fast", "recovered patch to class 3", 0.42, 0.09, "low"),
        ),
        channels=(
            ChannelResult("ood", "high", 31.0),
            ChannelResult("vanilla", "not_tested", 0.0, NO_IMAGES),
            ChannelResult("zskt", "low", 29.0),
            ChannelResult("cmi", "not_tested", 33.0),
            ChannelResult("fast", "low", 30.0),
        ),
    )


def words(svg: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", svg)


def test_cells_have_success_interval_hazard_and_control() -> None:
    found = words(transfer_matrix(matrix().transfers[:1], ("ood",)))
    assert [found.count(text) for text in ("97.0%", "94.0 to 100.0", "high", "11.0%")] == [1, 1, 1, 1]


def test_every_channel_that_was_asked_has_a_column() -> None:
    found = words(transfer_matrix(matrix().transfers, asked_channels(matrix())))
    assert [name for name in found if name in {"ood", "vanilla", "zskt", "cmi", "fast"}] == [
        "ood", "vanilla", "zskt", "cmi", "fast",
    ]  # fmt: skip
    # Two of vanilla, which did not run, and two of cmi, whose numbers are shown all the same.
    assert [found.count(word) for word in ("not tested", "no answer")] == [2, 2]
    assert "88.0%" in found


def test_a_cell_that_says_nothing_has_no_color() -> None:
    """The color of .97 in a cell would be read as a trigger that moves."""
    tested = cell("ood", "ring", 0.97, 0.97)
    dark = "#{:02x}{:02x}{:02x}".format(*(round(255 * part) for part in HEAT(0.97)[:3]))
    assert dark in transfer_matrix([tested], ("ood",))
    assert dark not in transfer_matrix([replace(tested, hazard="not_tested")], ("ood",))


def test_colors_read_in_gray() -> None:
    """Lightness falls all the way, by more than an eye needs from one tenth to the next."""
    grays = [
        sum(weight * part for weight, part in zip((0.3, 0.59, 0.11), HEAT(tenth / 10)[:3], strict=True))
        for tenth in range(11)
    ]
    assert all(lighter - darker > 0.03 for lighter, darker in pairwise(grays))


def test_a_name_is_no_formula() -> None:
    assert "$x_1$" in words(transfer_matrix([cell("ood", "$x_1$", 0.9, 0.1)], ("ood",)))[0]


def test_a_single_number_needs_no_matrix() -> None:
    heading = "Rows are triggers"
    assert heading not in render_html(document())
    assert heading in render_html(replace(document(), audit=matrix()))
    two = replace(audit(), transfers=matrix().transfers[:2])
    assert heading in render_html(replace(document(), audit=two))


def test_each_channel_has_its_curves_and_its_reason() -> None:
    page = render_html(replace(document(), audit=matrix()))
    assert page.count("A throw-away student, distilled without any defense") == 4
    assert "without any defense from images of a zero-shot generator (zskt)." in page
    assert "without any defense from clean images." not in page
    assert page.count(NO_IMAGES) == 1


def test_what_no_student_came_out_of_is_shown_without_a_figure() -> None:
    alone = ChannelResult("vanilla", "not_tested", 0.0, NO_IMAGES)
    page = render_html(replace(document(), audit=replace(audit(), transfers=(), channels=(alone,))))
    assert NO_IMAGES in page
    assert "Rows are triggers" not in page
