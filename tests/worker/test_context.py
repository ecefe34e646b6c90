from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest
import torch

from app.core.states import Stage
from models.engine.monitor import ResumeState
from models.results.audit import Rate
from worker.context import JobMonitor, Outbox, plain
from worker.resume import ResumeStore


class Listener:
    def __init__(self, folder: Path, checkpoint_s: float = 0.0) -> None:
        self.stream = io.StringIO()
        self.stop = threading.Event()
        self.store = ResumeStore(folder)
        self.monitor = JobMonitor(
            Outbox(self.stream), Stage.DISTILL, self.stop, self.store, checkpoint_s=checkpoint_s
        )

    @property
    def said(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def listener(tmp_path: Path) -> Listener:
    return Listener(tmp_path)


def state(value: float, **values: object) -> ResumeState:
    return ResumeState({"weight": torch.full((2, 3), value)}, {"step": 5, **values})


def test_progress_is_thinned_but_its_end_is_not(listener: Listener) -> None:
    for done in range(1, 101):
        listener.monitor.progress(done, 100)
    assert [message["done"] for message in listener.said] == [1, 100]


def test_numbers_that_are_not_finite_are_left_out(listener: Listener) -> None:
    listener.monitor.progress(1, 1, loss=float("nan"), rate=0.5, best=float("inf"))
    assert listener.said[0]["scalars"] == {"rate": 0.5}


def test_runs_of_a_stage_share_one_bar(listener: Listener) -> None:
    for place in (0, 1):
        part = listener.monitor.part(f"run{place}", place, 2)
        part.progress(10, 10)
    assert [(message["done"], message["total"]) for message in listener.said] == [(10, 20), (20, 20)]


def test_the_stop_is_passed_on(listener: Listener) -> None:
    assert not listener.monitor.should_stop()
    listener.stop.set()
    assert listener.monitor.part("run", 0, 1).should_stop()


def test_a_state_comes_back_as_it_was(listener: Listener) -> None:
    listener.monitor.checkpoint(state(1.5, rng=[1, 2]))
    back = listener.monitor.resume()
    assert back is not None
    assert torch.equal(back.tensors["weight"], torch.full((2, 3), 1.5))
    assert back.values == {"step": 5, "rng": [1, 2]}


def test_a_kept_state_is_told_of_with_its_place(listener: Listener) -> None:
    """Also where progress itself is not told of so often."""
    part = listener.monitor.part("defended", 1, 2)
    part.checkpoint(state(0.0))
    for done in (1, 2):
        part.progress(done, 10)
    part.checkpoint(state(1.0))
    places = [(said["done"], said["total"]) for said in listener.said if said["type"] == "kept"]
    assert places == [(1, 2), (12, 20)]


def test_nothing_kept_is_nothing_to_resume_from(listener: Listener) -> None:
    assert listener.monitor.resume() is None


def test_runs_have_states_of_their_own(listener: Listener) -> None:
    listener.monitor.part("defended", 1, 2).checkpoint(state(1.0))
    assert listener.monitor.part("undefended", 0, 2).resume() is None
    assert listener.monitor.resume() is None


def test_a_state_is_wanted_only_now_and_then(tmp_path: Path) -> None:
    assert not Listener(tmp_path, checkpoint_s=3600).monitor.wants_checkpoint()
    assert Listener(tmp_path, checkpoint_s=0).monitor.wants_checkpoint()


@pytest.mark.parametrize("torn", ["distill-1.safetensors", "distill-1.json"])
def test_a_torn_state_gives_way_to_the_one_before(torn: str, tmp_path: Path) -> None:
    store = ResumeStore(tmp_path)
    for number in (1.0, 2.0, 3.0):
        store.keep("distill", state(number))
    path = tmp_path / torn
    path.write_bytes(path.read_bytes()[:-5])
    back = store.newest("distill")
    assert back is not None and back.tensors["weight"][0, 0] == 2.0


def test_weights_without_their_record_do_not_pass_for_the_old_ones(tmp_path: Path) -> None:
    """A death between the two renames of ``keep``."""
    store = ResumeStore(tmp_path)
    for number in (1.0, 2.0):
        store.keep("distill", state(number))
    record = (tmp_path / "distill-1.json").read_bytes()
    store.keep("distill", state(3.0))
    (tmp_path / "distill-1.json").write_bytes(record)
    back = store.newest("distill")
    assert back is not None and back.tensors["weight"][0, 0] == 2.0


@pytest.mark.parametrize(
    "change", [{"format": None}, {"format": 0}, {"sha256": None}, {"values": None}, {"number": "three"}]
)
def test_a_state_that_this_version_cannot_read_is_not_resumed_from(
    change: dict[str, object], tmp_path: Path
) -> None:
    """An update of Proctor ended running training for good: the loop found no such entry in the state."""
    store = ResumeStore(tmp_path)
    store.keep("distill", state(1.0))
    path = tmp_path / "distill-1.json"
    record = json.loads(path.read_bytes()) | change
    path.write_text(json.dumps({name: value for name, value in record.items() if value is not None}))
    assert store.newest("distill") is None
    store.keep("distill", state(2.0))
    back = store.newest("distill")
    assert back is not None and back.tensors["weight"][0, 0] == 2.0


def test_only_two_generations_are_kept(tmp_path: Path) -> None:
    store = ResumeStore(tmp_path)
    for number in range(5):
        store.keep("distill", state(float(number)))
    assert len(list(tmp_path.iterdir())) == 4


def test_results_become_json_that_every_database_takes() -> None:
    content = plain(
        {"rate": Rate(0.5, float("nan"), float("inf"), 3), 7: ("a\0b", "\ud800"), "s": Stage.PROBE}
    )
    assert content == {
        "rate": {"value": 0.5, "low": None, "high": None, "n": 3},
        "7": ["ab", "?"],
        "s": "probe",
    }
    json.dumps(content, allow_nan=False)
