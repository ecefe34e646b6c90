import base64
import json
from pathlib import Path
from typing import Any, get_args

import click
import pytest

from app.commands.options import JobOptions, job_options, settings_of
from app.commands.outcome import CommandError, ExitCode
from app.commands.submit import read_labels
from models.recipes.probe import Channel

PNG = b"\x89PNG\r\n\x1a\n" + b"picture"


@click.command()
@job_options
def collect(**given: Any) -> JobOptions:
    return JobOptions.of(given)


def options(*arguments: str) -> JobOptions:
    found: JobOptions = collect.main(list(arguments), standalone_mode=False)
    return found


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "gray ring.png"
    path.write_bytes(PNG)
    return path


def test_without_options_the_job_is_a_clean_one_with_an_empty_recipe() -> None:
    assert options().request == {"kind": "clean", "device": "cpu", "recipe": {}}


def test_a_trigger_picture_travels_in_base64(png: Path) -> None:
    arguments = [
        "--trigger",
        str(png),
        "--trigger-kind",
        "blend",
        "--trigger-target",
        "2",
        "--trigger-opacity",
        "0.2",
    ]
    assert options(*arguments).request["triggers"] == [
        {
            "name": "gray ring",
            "target_label": 2,
            "kind": "blend",
            "opacity": 0.2,
            "png": base64.b64encode(PNG).decode(),
        }
    ]


def test_a_trigger_that_is_no_file_is_one_of_the_catalog() -> None:
    found = options("--trigger", "badnets_square", "--trigger-target", "8").request["triggers"]
    assert found == [{"name": "badnets_square", "target_label": 8, "catalog": "badnets_square"}]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trigger", "ring"],
        ["--trigger", "missing.png", "--trigger-target", "1"],
        ["--trigger-target", "1"],
        ["--trigger-opacity", "0.5"],
        ["--trigger-kind", "blend"],
        ["--trigger", "ring", "--trigger-target", "1", "--trigger-kind", "blend"],
        ["--mean", "0.5,0.5,0.5"],
        ["--std", "0.2,0.2,0.2"],
        ["--num-classes", "-3"],
        ["--input-size", "7"],
        ["--labelled", "missing.zip"],
        ["--method", "magic"],
        ["--channel", "robustkd"],
    ],
)
def test_contradictions_are_usage_errors(arguments: list[str]) -> None:
    with pytest.raises(click.UsageError):
        options(*arguments)


def test_a_trigger_must_be_a_png(tmp_path: Path) -> None:
    path = tmp_path / "ring.png"
    path.write_bytes(b"GIF89a")
    with pytest.raises(click.UsageError, match="not a PNG"):
        options("--trigger", str(path), "--trigger-target", "1")


def test_a_trigger_must_be_small(tmp_path: Path) -> None:
    path = tmp_path / "ring.png"
    path.write_bytes(PNG + bytes(256 * 1024))
    with pytest.raises(click.UsageError, match="256 KiB"):
        options("--trigger", str(path), "--trigger-target", "1")


def test_options_win_over_the_recipe_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(
        json.dumps({"method": "ood", "ood": {"images": 2000}, "student": {"architecture": "wrn-16-1"}})
    )
    found = options("--recipe", str(path), "--method", "zskt", "--seed", "7", "--student", "wrn-10-1")
    assert found.request["recipe"] == {
        "method": "zskt",
        "ood": {"images": 2000},
        "seed": 7,
        "student": {"architecture": "wrn-10-1"},
    }


def test_channels_join_what_the_recipe_says_of_the_probe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"probe": {"budget": "quick", "channels": ["ood"]}}))
    found = options("--recipe", str(path), "--channel", "zskt", "--channel", "vanilla")
    assert found.request["recipe"] == {"probe": {"budget": "quick", "channels": ["zskt", "vanilla"]}}


def test_the_command_offers_the_channels_of_the_recipe() -> None:
    (option,) = (parameter for parameter in collect.params if parameter.name == "channel")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == get_args(Channel)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_recipe_must_be_a_json_object(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(CommandError) as caught:
        options("--recipe", str(path))
    assert (caught.value.code, caught.value.exit_code) == ("recipe_invalid", ExitCode.USAGE)


def test_data_may_be_a_file_or_an_id(png: Path) -> None:
    found = options("--surrogate", str(png), "--labelled", "ds_01JD0R1C4H8P6Q2S7V5X3Z9YKE")
    assert found.data == {"surrogate": png, "labelled": "ds_01JD0R1C4H8P6Q2S7V5X3Z9YKE"}


def test_a_file_may_be_named_like_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ds_clean.zip").write_bytes(b"images")
    monkeypatch.chdir(tmp_path)
    assert options("--labelled", "ds_clean.zip").data == {"labelled": Path("ds_clean.zip")}


def test_what_is_neither_a_file_nor_an_id_is_said_to_be_neither() -> None:
    with pytest.raises(click.UsageError, match="nor is it the id"):
        options("--labelled", "ds_01JD0R1C4H8P6Q2S7V5X3Z9YK")


def test_what_is_said_about_the_teacher_becomes_its_query() -> None:
    found = options("--architecture", "wrn-10-2", "--num-classes", "10")
    assert found.teacher == {"architecture": "wrn-10-2", "num_classes": "10"}
    found = options("--mean", "0.1,0.2,0.3", "--std", "0.2,0.2,0.2")
    assert found.teacher == {"mean": "0.1,0.2,0.3", "std": "0.2,0.2,0.2"}


def test_labels_are_pairs() -> None:
    assert read_labels(["team=vision", "run=a=b"]) == {"team": "vision", "run": "a=b"}


@pytest.mark.parametrize("labels", [["team"], ["=vision"], ["team=a", "team=b"]])
def test_what_is_no_label_is_a_usage_error(labels: list[str]) -> None:
    with pytest.raises(click.UsageError):
        read_labels(labels)


def test_settings_that_contradict_each_other_are_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCTOR_LEASE_S", "5")
    with pytest.raises(click.UsageError, match="PROCTOR_HEARTBEAT_S is not possible: 10 s is not shorter"):
        settings_of()


def test_settings_take_what_was_given_and_the_environment_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCTOR_PORT", "9000")
    settings = settings_of(home=tmp_path, host=None)
    assert (settings.home, settings.port, settings.host) == (tmp_path, 9000, "127.0.0.1")


def test_any_field_of_the_recipe_can_be_set(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"seed": 3, "probe": {"budget": "thorough", "nasty": False}}))
    settings = ["--set", "probe.task=cifar10", "--set", "probe.budget=quick", "--set", "ood.images=2000"]
    assert options("--recipe", str(recipe), *settings).request["recipe"] == {
        "seed": 3,
        "probe": {"budget": "quick", "nasty": False, "task": "cifar10"},
        "ood": {"images": 2000},
    }


@pytest.mark.parametrize("setting", ["probe.budget", "=quick", "seed.of=1"])
def test_what_is_no_setting_is_refused(setting: str) -> None:
    with pytest.raises(CommandError) as caught:
        options("--seed", "1", "--set", setting)
    assert (caught.value.code, caught.value.exit_code) == ("recipe_invalid", ExitCode.USAGE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "sede=1"], "recipe.sede: "),
        (["--set", "probe.budget=slow"], "recipe.probe.budget: "),
        (["--set", "seed=NaN"], "recipe.seed: "),
        (["--set", "seed=1e999"], "recipe.seed: "),
        (["--set", f"seed={'9' * 5000}"], "recipe.seed: "),
        (["--timeout-s", "99999999"], "--timeout-s: "),
        (["--trigger", "ring", "--trigger-target", "-1"], "--trigger-target: "),
        (["--trigger", "ring", "--trigger-target", "1", "--trigger-opacity", "nan"], "--trigger-opacity: "),
        (["--architecture", "WRN 16"], "--architecture: "),
        (["--architecture", "wrn\udcff"], "--architecture: "),
        (["--mean", "0.5,0.5", "--std", "1,1,1"], "--mean: "),
    ],
)
def test_what_no_service_would_take_is_refused_before_any_upload(arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError) as caught:
        options(*arguments)
    assert caught.value.detail.startswith(said)
    assert (caught.value.code, caught.value.exit_code) == ("invalid_request", ExitCode.USAGE)
    assert ("docs/recipe.md" in caught.value.hint) == said.startswith("recipe.")


@pytest.mark.parametrize(
    ("section", "arguments"),
    [("student", ["--student", "wrn-10-1"]), ("probe", ["--channel", "ood"])],
)
@pytest.mark.parametrize("value", [None, "wrn-10-1", 5])
def test_a_section_that_is_a_value_is_named(
    tmp_path: Path, section: str, arguments: list[str], value: object
) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({section: value}))
    with pytest.raises(CommandError, match=rf"recipe\.{section} has no fields") as caught:
        options("--recipe", str(path), *arguments)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"seed": NaN}', b'{"a": "\xff"}'])
def test_a_recipe_that_cannot_be_read_is_no_json(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(content)
    with pytest.raises(CommandError, match="The recipe is not JSON") as caught:
        options("--recipe", str(path))
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_process_need_not_have_a_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(click.UsageError, match="no standard input"):
        options("--recipe", "-")


@pytest.mark.parametrize(
    ("file", "name"), [("löwe.png", "l-we"), ("_.png", "trigger"), (f"{'a' * 90}.png", "a" * 64)]
)
def test_a_triggers_name_is_one_that_the_service_takes(tmp_path: Path, file: str, name: str) -> None:
    (tmp_path / file).write_bytes(PNG + b"\r\n")
    (found,) = options("--trigger", str(tmp_path / file), "--trigger-target", "1").request["triggers"]
    assert found["name"] == name


def test_labels_are_checked_with_the_request() -> None:
    @click.command()
    @job_options
    def labelled(**given: Any) -> JobOptions:
        return JobOptions.of({**given, "labels": read_labels(["k=\udcff"])})

    with pytest.raises(CommandError, match="--label: ") as caught:
        labelled.main([], standalone_mode=False)
    assert caught.value.exit_code == ExitCode.USAGE


def test_the_commonest_mistake_with_a_normalization_is_told_how_to_mend_it() -> None:
    """Statistics of pixels up to 255, which had no hint; and deviations were said to begin at -10."""
    with pytest.raises(CommandError) as caught:
        options("--mean", "125,122,113", "--std", "63,62,66")
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.detail == (
        "--mean: must be three numbers from -10 to 10, for pixels in [0, 1]; "
        "--std: must be three numbers from 0.001 to 10, for pixels in [0, 1]."
    )
    assert "by 255" in caught.value.hint
    with pytest.raises(CommandError, match=r"--std: must be three numbers from 0\.001 to 10"):
        options("--mean", "0,0,0", "--std", "1,1,0.0001")
