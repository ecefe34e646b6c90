from pathlib import Path

import click
import pytest

from app.commands.outcome import CommandError, ExitCode
from tests.app.commands.test_options import options


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--method", "robustkd"], "data_missing"),
        (["--method", "vanilla", "--kind", "distill"], "data_missing"),
        (["--kind", "protect"], "data_missing"),
        (["--student", "wrn-9-1"], "architecture_unknown"),
        (["--student", "timm-resnet18"], "recipe_invalid"),
        (["--architecture", "wrn-9-1"], "architecture_unknown"),
        (
            ["--kind", "protect", "--labelled", "IMAGES", "--trigger", "ring", "--trigger-target", "1"],
            "recipe_invalid",
        ),
    ],
)
def test_what_the_service_would_refuse_is_told_before_anything_is_uploaded(
    tmp_path: Path, arguments: list[str], code: str
) -> None:
    (images := tmp_path / "images.zip").touch()
    with pytest.raises(CommandError) as caught:
        options(*(str(images) if part == "IMAGES" else part for part in arguments))
    assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.USAGE)
    assert caught.value.hint


def test_the_images_that_a_recipe_needs_may_be_given_or_named(tmp_path: Path) -> None:
    (images := tmp_path / "images.zip").touch()
    for given in (str(images), "ds_01JD0R1C4H8P6Q2S7V5X3Z9YKE"):
        assert options("--method", "robustkd", "--labelled", given).data
        assert options("--method", "vanilla", "--unlabelled", given).data


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--trigger", "badnet_square", "--trigger-target", "1"], "neither a file nor a built-in trigger"),
        (["--trigger", "ring", "--trigger-target", "10", "--num-classes", "10"], "classes 0 to 9"),
    ],
)
def test_a_trigger_that_cannot_be_is_told_before_anything_is_uploaded(
    arguments: list[str], told: str
) -> None:
    with pytest.raises(click.UsageError, match=told):
        options(*arguments)
