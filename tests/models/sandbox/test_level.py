"""What a machine is said to support, and what follows when it is not enough."""

from __future__ import annotations

import subprocess

import pytest

from models.sandbox import level, profiles
from models.sandbox.bounds import Bounds
from models.sandbox.level import Level, level_of, sandbox_level
from models.sandbox.profiles import PARSE, SandboxUnavailable, confine, require, seal


def test_this_machine_has_an_answer() -> None:
    found = sandbox_level()
    assert found.level == ("degraded" if found.missing else "full")
    assert "landlock" in found.missing or found.landlock_version >= 1


def test_a_process_that_cannot_answer_has_nothing(monkeypatch) -> None:
    def fail(*_args, **_kwargs):
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(subprocess, "run", fail)
    assert sandbox_level.__wrapped__().missing == ("no_new_privs", "landlock", "seccomp")


def test_a_primitive_without_effect_is_missing(monkeypatch) -> None:
    for name in ("confine", "seal"):
        monkeypatch.setattr(level, name, lambda *_args, **_kwargs: ())
    assert level._try_it()["missing"] == ["landlock", "seccomp"]


def test_it_is_said_in_words() -> None:
    assert str(level_of(())) == "full"
    assert str(level_of(("landlock", "seccomp"))) == "degraded (no landlock, no seccomp)"
    assert level_of(("landlock",)) == Level("degraded", ("landlock",))


def test_what_is_required_must_be_there() -> None:
    require("required", ())
    require("degraded", ("landlock",))
    with pytest.raises(SandboxUnavailable, match="no landlock") as caught:
        require("required", ("landlock",))
    assert caught.value.code == "sandbox_unavailable"
    assert "PROCTOR_SANDBOX=degraded" in caught.value.hint


def refuse(*_args, **_kwargs):
    raise OSError("not here")


def test_without_landlock_the_rest_is_used(monkeypatch) -> None:
    monkeypatch.setattr(profiles.kernel, "forbid_new_privileges", lambda: None)
    monkeypatch.setattr(profiles.kernel, "drop_capabilities", lambda _number: None)
    monkeypatch.setattr(profiles.landlock, "restrict", refuse)
    monkeypatch.setattr(profiles, "_threads", lambda: 1)
    assert confine() == ("landlock",)


def test_landlock_that_would_miss_a_thread_does_not_count(monkeypatch) -> None:
    monkeypatch.setattr(profiles.kernel, "forbid_new_privileges", lambda: None)
    monkeypatch.setattr(profiles.kernel, "drop_capabilities", lambda _number: None)
    monkeypatch.setattr(profiles, "_threads", lambda: 2)
    assert confine() == ("landlock",)


def test_without_no_new_privs_there_is_nothing(monkeypatch) -> None:
    monkeypatch.setattr(profiles.kernel, "forbid_new_privileges", refuse)
    assert confine() == ("no_new_privs", "landlock")


def test_on_an_unknown_machine_no_call_is_filtered(monkeypatch) -> None:
    monkeypatch.setattr(Bounds, "apply", lambda self: None)
    monkeypatch.setattr(profiles, "this_machine", lambda: None)
    assert seal(PARSE, Bounds(file_bytes=1, open_files=1)) == ("seccomp",)
