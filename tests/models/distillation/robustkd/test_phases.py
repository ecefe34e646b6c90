import json

import torch

from models.distillation.robustkd.feature_mask import FeatureMask
from models.distillation.robustkd.phases import PhaseMonitor, Search, state_of, unwrap, wrap
from models.distillation.robustkd.threshold_search import Candidate
from models.engine.monitor import ResumeState, SilentMonitor


class Listener(SilentMonitor):
    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []
        self.states: list[ResumeState] = []

    def progress(self, done: int, total: int, **scalars: float) -> None:
        self.heard.append((done, total))

    def checkpoint(self, state: ResumeState) -> None:
        self.states.append(state)


def searched() -> Search:
    search = Search()
    for threshold, success in ((0.4, None), (0.2, 0.5)):
        search.mask = mask_state(threshold)
        search.add(Candidate(threshold, 0.01, success, 0.3, {"canary_patch": success or 0.0}, 0.02))
    search.copy = {"fc.weight": torch.ones(3)}
    search.planted = {"canary_patch": 0.9}
    return search


def mask_state(threshold: float) -> dict[str, torch.Tensor]:
    return state_of(FeatureMask([torch.full((2, 1, 1), threshold)], threshold=threshold, mode="add"))


def test_wrapped_state_survives_json_and_comes_back_whole() -> None:
    search = searched()
    inner = ResumeState({"weight": torch.ones(2)}, {"step": 3})
    wrapped = wrap(inner, search)
    stored = ResumeState(wrapped.tensors, json.loads(json.dumps(dict(wrapped.values))))
    again, found = unwrap(stored)
    assert again.values == {"step": 3}
    assert torch.equal(again.tensors["weight"], torch.ones(2))
    assert found.candidates == search.candidates
    assert torch.equal(found.masks[1]["replacements.0"], search.masks[1]["replacements.0"])
    assert not found.finished


def test_search_interrupted_between_the_two_masks_of_a_threshold_comes_back() -> None:
    search = searched()
    search.mask = mask_state(0.1)
    _, found = unwrap(wrap(ResumeState({}, {}), search))
    assert len(found.masks) == 2
    assert torch.equal(found.mask["masks.0"], search.mask["masks.0"])
    assert torch.equal(found.copy["fc.weight"], torch.ones(3))
    assert found.planted == {"canary_patch": 0.9}


def test_copy_with_the_canaries_is_kept_only_while_thresholds_are_tried() -> None:
    search = searched()
    search.finished = True
    _, found = unwrap(wrap(ResumeState({}, {}), search))
    assert not found.copy
    assert found.planted == {"canary_patch": 0.9}


def test_kept_mask_is_a_copy() -> None:
    mask = FeatureMask([torch.zeros(2, 1, 1)], threshold=0.3, mode="add")
    search = Search(mask=state_of(mask))
    candidate = Candidate(0.3, 0.0, None, 1.0)
    search.add(candidate)
    with torch.no_grad():
        mask.masks[0].zero_()
    assert search.mask_of(candidate)["masks.0"].unique().tolist() == [torch.tensor(0.3).item()]
    assert not search.mask


def test_phase_reports_where_it_lies_in_the_whole_run() -> None:
    listener = Listener()
    PhaseMonitor(listener, Search(), before=100, after=40).progress(5, 10)
    assert listener.heard == [(105, 150)]


def test_phase_offers_states_with_the_finished_phases() -> None:
    listener = Listener()
    search = searched()
    PhaseMonitor(listener, search, before=0, after=0).checkpoint(ResumeState({}, {"step": 1}))
    assert unwrap(listener.states[0])[1].candidates == search.candidates
