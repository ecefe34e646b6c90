import json
import os

import pytest
import torch
from safetensors.torch import save_file

from models.engine.monitor import ResumeState
from models.lab import monitor as lab_monitor
from models.lab.monitor import FileMonitor

STATE = ResumeState({"w": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}, {"tree": [1, {"a": None}]})


def test_a_state_comes_back_for_the_same_work_only(tmp_path):
    monitor = FileMonitor(tmp_path / "r", "a")
    assert monitor.resume() is None
    monitor.checkpoint(STATE)
    found = FileMonitor(tmp_path / "r", "a").resume()
    assert found is not None
    assert found.values == STATE.values
    assert all(found.tensors[name].equal(tensor) for name, tensor in STATE.tensors.items())
    assert FileMonitor(tmp_path / "r", "b").resume() is None


def test_a_state_that_another_version_kept_otherwise_is_no_beginning(tmp_path, monkeypatch):
    FileMonitor(tmp_path / "r", "a").checkpoint(STATE)
    monkeypatch.setattr(lab_monitor, "RESUME_FORMAT", lab_monitor.RESUME_FORMAT + 1)
    assert FileMonitor(tmp_path / "r", "a").resume() is None


def test_a_state_from_before_its_format_was_written_is_no_beginning(tmp_path):
    named = {"fingerprint": "a", "values": json.dumps(STATE.values)}
    save_file(dict(STATE.tensors), tmp_path / "r", metadata=named)
    assert FileMonitor(tmp_path / "r", "a").resume() is None


def test_a_torn_write_leaves_the_former_state(tmp_path):
    monitor = FileMonitor(tmp_path / "r", "a")
    monitor.checkpoint(STATE)
    (tmp_path / "r.partial").write_bytes(b"torn")
    assert FileMonitor(tmp_path / "r", "a").resume() is not None


def test_two_processes_may_keep_the_same_state_at_once(tmp_path, monkeypatch):
    """Two of `proctor reproduce` that share a folder begin with the same teacher; one of them ended here."""
    own, save = os.getpid(), lab_monitor.save_file

    def while_another_does(*arguments, **options):
        save(*arguments, **options)
        with monkeypatch.context() as patched:
            patched.setattr(lab_monitor, "save_file", save)
            patched.setattr(os, "getpid", lambda: own + 1)
            FileMonitor(tmp_path / "r", "a").checkpoint(STATE)

    monkeypatch.setattr(lab_monitor, "save_file", while_another_does)
    FileMonitor(tmp_path / "r", "a").checkpoint(STATE)
    assert FileMonitor(tmp_path / "r", "a").resume() is not None
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("content", [b"", b"no state", (2).to_bytes(8, "little") + b"{}"])
def test_a_file_that_holds_no_state_is_no_beginning(tmp_path, content):
    (tmp_path / "r").write_bytes(content)
    monitor = FileMonitor(tmp_path / "r", "a")
    assert monitor.resume() is None
    monitor.checkpoint(STATE)
    assert monitor.resume() is not None


def test_a_state_is_wanted_when_the_last_is_old_or_the_end_is_near(tmp_path):
    assert FileMonitor(tmp_path / "r", "a", every_s=0.0).wants_checkpoint()
    monitor = FileMonitor(tmp_path / "r", "a", every_s=1e6)
    assert not monitor.wants_checkpoint()
    assert not monitor.should_stop()
    monitor.stopping = True
    assert monitor.wants_checkpoint()
    assert monitor.should_stop()
