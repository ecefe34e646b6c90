"""ABD around a data-free method: main run, late checkpoint, retrospection, choice.

The main run is the method's own with the vaccine. Its state shortly before the end is kept; if retrospection
is wanted, the student goes back there and learns the last stretch again with retrospection and a fresh
optimizer whose rate falls to 0 over what is left (algorithms.md 1.4 and 8, item 47). So both students have
learned for equally many steps, and equally many as an undefended one. The images of the second stretch are
new ones, and a generator learns them as in the first: its rates move on by the stretch. What the vaccine
decided stands, also if the state that is gone back to is older than the decision. Source: algorithms.md 1.8.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from models.architectures import StagedClassifier
from models.distillation.abd.choice import StudentSignals, choose_student, judge, wants_retrospection
from models.distillation.abd.defense import AbdDefense
from models.distillation.data_free import DataFreeTask
from models.engine.loop import Finished, LoopResult, run_loop
from models.engine.monitor import Monitor, ResumeState
from models.engine.resume import pack, unpack
from models.engine.seed import derive_seed
from models.recipes.abd import AbdRecipe
from models.results.training import Decision

_JUDGED_IMAGES = 640


def run_data_free(
    task: DataFreeTask,
    defense: AbdRecipe | None,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> tuple[LoopResult, tuple[Decision, ...]]:
    """Train ``task.student`` with ABD, or without where ``defense`` is None; arguments as of ``run_abd``."""
    if defense is not None:
        return run_abd(task, defense, seed=seed, monitor=monitor, resume=resume)
    stream = derive_seed(seed, "dropout")
    return run_loop(task, steps=task.steps, monitor=monitor, resume=resume, seed=stream), ()


def run_abd(
    task: DataFreeTask,
    recipe: AbdRecipe,
    *,
    seed: int,
    monitor: Monitor,
    resume: ResumeState | None = None,
) -> tuple[LoopResult, tuple[Decision, ...]]:
    """Train ``task.student`` with ABD; leaves the chosen student's weights in it.

    Args:
        task: A method with its teacher frozen; its defense is replaced.
        recipe: Both halves' settings.
        seed: Of everything the defense draws.
        monitor: Told of both stretches as one run.
        resume: A state that the monitor was offered by a run of the same arguments.

    Returns:
        Both stretches' curve, with the final numbers of the student that was chosen; and all decisions.
    """
    whole = AbdTask(task, recipe, seed)
    result = run_loop(
        whole, steps=whole.steps, monitor=monitor, resume=resume, seed=derive_seed(seed, "dropout")
    )
    decisions = whole.conclude()
    if whole.turned_down:
        main = [point for point in result.curve if point.step <= task.steps]
        result = replace(result, final=main[-1].values)
    return result, decisions


class AbdTask:
    """The method's steps, then the last of them again with retrospection."""

    def __init__(self, task: DataFreeTask, recipe: AbdRecipe, seed: int) -> None:
        """Give ``task`` its defense and plan both stretches."""
        self.task, self.recipe, self.seed = task, recipe, seed
        self.defense = AbdDefense(task.teacher, task.student, recipe, seed=seed, steps=task.steps)
        task.defense = self.defense
        self.again = max(1, round(recipe.retrospection.share * task.steps))
        if recipe.retrospection.run == "never":
            self.again = 0
        self.steps = task.steps + self.again
        self.late: ResumeState | None = None
        self.main_student: dict[str, Tensor] | None = None
        self.turned_down = False  # whether the second stretch's student was not kept

    def step(self, index: int) -> Mapping[str, Tensor]:
        """Take a step of the method; between the stretches, decide whether there is a second one."""
        if self.again and index == self.task.steps - self.again:
            # Not the defense's, which is never gone back to: it has several copies of the teacher.
            kept = self.task.state_dict()
            self.late = pack({name: kept[name] for name in kept if name != "defense"})
        if index == self.task.steps:
            self._turn_back(index)
        return self.task.step(index)

    def conclude(self) -> tuple[Decision, ...]:
        """Choose between the students, load the chosen one, and return all decisions."""
        if self.main_student is not None:
            before = copy.deepcopy(self.task.student)
            before.load_state_dict(self.main_student)
            was, now = self._judge(before, self.task.student)
            decision = choose_student(was, now, self.recipe.retrospection, step=self.steps)
            self.defense.decisions.append(decision)
            self.turned_down = not decision.values["retrospected"]
            if self.turned_down:
                self.task.student.load_state_dict(self.main_student)
        return tuple(self.defense.decisions)

    def _turn_back(self, index: int) -> None:
        settings = self.recipe.retrospection
        (signals,) = self._judge(self.task.student)
        decision = wants_retrospection(signals, settings, vaccinated=self.defense.vaccinated, step=index)
        self.defense.decisions.append(decision)
        if not decision.values["run"] or self.late is None:
            raise Finished
        self.main_student = {name: t.clone() for name, t in self.task.student.state_dict().items()}
        self.task.load_state_dict({**unpack(self.late), "defense": self.defense.state_dict()})
        self.late = None
        self.defense.retrospecting = True
        self.task.postpone(self.again)
        # Adam, whatever the method learns with: the rate is Adam's, and SGD at .002 would hardly move.
        self.task.optimizer.plan(settings.learning_rate, "cosine", index, self.again, kind="adam")

    def _judge(self, *students: StagedClassifier) -> tuple[StudentSignals, ...]:
        """Judge students on the same images; a generator of another moment would make others."""
        x = self.task.pseudo_images(_JUDGED_IMAGES, "judging")
        return judge(self.task.teacher, students, x, self.recipe.retrospection, seed=self.seed)

    def state_dict(self) -> dict[str, Any]:
        """Return the method's state, and what the first stretch left for the second."""
        late = None if self.late is None else unpack(self.late)
        return {
            "task": self.task.state_dict(),
            "late": late,
            "main_student": self.main_student,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        self.task.load_state_dict(state["task"])
        self.late = None if state["late"] is None else pack(state["late"])
        self.main_student = state["main_student"]
