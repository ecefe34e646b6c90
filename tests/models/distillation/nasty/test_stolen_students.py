import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cross_entropy

from models.distillation.nasty.owner_images import ProtectionSplit
from models.distillation.nasty.stolen_students import SOURCES, StolenStudentsTask, student_loss
from models.engine.frozen import frozen
from models.engine.loop import run_loop
from models.engine.monitor import SilentMonitor
from models.errors import Interrupted
from models.recipes.protect import HarmRecipe, ProtectRecipe
from tests.models.distillation.small import CLASSES, StoppingMonitor, images, network, teacher, weights

HARM = HarmRecipe(architecture="wrn-10-1", repetitions=2, epochs=1, batch_size=16)
LABELS = torch.arange(48) % CLASSES
SPLIT = ProtectionSplit(images(), LABELS, images(), LABELS)


def make(harm=HARM, sources=SOURCES, **changes):
    twin = replace(teacher(), network=network(seed=5).eval())
    recipe = ProtectRecipe(harm=harm, **changes)
    return StolenStudentsTask(teacher(), twin, SPLIT, recipe, seed=3, sources=sources)


def run(harm=HARM, monitor=None, resume=None):
    task = make(harm)
    run_loop(task, steps=task.steps, monitor=monitor or SilentMonitor(), resume=resume)
    return task


def test_two_classes_by_hand() -> None:
    """Traps 13 and 14: alpha T squared times the divergence per image, the rest of alpha for the labels."""
    target = torch.tensor([[2 * math.log(3.0), 0.0]])
    logits = torch.zeros(1, 2)
    loss = student_loss(logits, torch.tensor([0]), target, temperature=2.0, weight=0.9)
    divergence = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss.item() == pytest.approx(0.9 * 4 * divergence + 0.1 * math.log(2.0), rel=1e-5)


def test_a_student_of_the_labels_alone_has_the_whole_cross_entropy() -> None:
    logits, labels = torch.randn(5, 3), torch.tensor([0, 1, 2, 0, 1])
    loss = student_loss(logits, labels, None, temperature=4.0, weight=0.9)
    assert loss.item() == pytest.approx(cross_entropy(logits, labels).item())


@pytest.mark.parametrize("architecture", ["wrn-10-1", "vgg-small-elu"])
def test_students_who_ignore_their_teachers_end_as_one(architecture: str) -> None:
    """Same weights, batches and dropout: what differs between them, they owe to whom they learned from."""
    task = run(replace(HARM, architecture=architecture, distillation_weight=0.0))
    ends = [weights(task.students[source]) for source in SOURCES]
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_students_who_listen_end_apart() -> None:
    ends = [weights(run().students[source]) for source in SOURCES]
    assert not torch.equal(ends[0], ends[1]) and not torch.equal(ends[1], ends[2])


def test_leaving_some_out_changes_nothing_for_the_others() -> None:
    """Also where they drop units out."""
    harm = replace(HARM, architecture="vgg-small-elu")
    alone = make(harm, sources=("nasty",))
    run_loop(alone, steps=3, monitor=SilentMonitor())
    together = make(harm)
    run_loop(together, steps=3, monitor=SilentMonitor())
    assert torch.equal(weights(alone.students["nasty"]), weights(together.students["nasty"]))


def test_every_repetition_has_first_weights_and_answers_of_its_own() -> None:
    task = make()
    first = weights(task.students["labels"]).clone()
    run_loop(task, steps=task.steps, monitor=SilentMonitor())
    assert set(task.answers) == {f"{index} {source}" for index in (0, 1) for source in SOURCES}
    task._begin(1)
    assert not torch.equal(weights(task.students["labels"]), first)


@pytest.mark.parametrize("stop_after", [2, 3, 4])
def test_an_interrupted_run_gives_the_same_answers(stop_after: int) -> None:
    """Within a repetition, at its end, and in the next one; there are three steps in each."""
    assert make().each == 3
    monitor = StoppingMonitor(stop_after)
    with pytest.raises(Interrupted):
        run(monitor=monitor)
    resumed, whole = run(resume=monitor.states[-1]), run()
    assert resumed.answers.keys() == whole.answers.keys()
    assert all(torch.equal(resumed.answers[key], whole.answers[key]) for key in whole.answers)
    assert torch.equal(weights(resumed.students["nasty"]), weights(whole.students["nasty"]))


def test_teachers_only_answer() -> None:
    """Trap 21: both teachers are evaluated, and neither moves."""
    task = make()
    before = {name: weights(net).clone() for name, net in task.teachers.items()}
    with frozen(task.teachers["original"]), frozen(task.teachers["nasty"]):
        task.step(0)
    assert all(torch.equal(weights(net), before[name]) for name, net in task.teachers.items())


def test_students_distill_at_the_protections_temperature_unless_told_otherwise() -> None:
    assert make(temperature=7.0).temperature == 7.0
    assert make(replace(HARM, temperature=1.0), temperature=7.0).temperature == 1.0


def test_either_optimizer_can_be_had() -> None:
    for name, kind in (("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)):
        assert isinstance(make(replace(HARM, optimizer=name)).optimizers["labels"], kind)
