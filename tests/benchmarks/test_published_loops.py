"""The lean loops against the loops as published, on networks small enough for a step in milliseconds."""

import copy

import torch

from benchmarks.published.cmi import PublishedCmi
from benchmarks.published.ood import PublishedOod, as_files
from benchmarks.published.zskt import PublishedVaccine, PublishedZskt, attention, kl
from models.architectures import StagedClassifier, build
from models.checkpoints.load import Teacher
from models.distillation.abd.shuffling_vaccine import ShuffledEnsemble, ShufflingVaccine
from models.distillation.losses import attention_map, element_divergence
from models.distillation.zero_shot import ZsktTask
from models.engine.frozen import frozen
from models.recipes.abd import VaccineRecipe
from models.recipes.architecture import ArchitectureSpec, Normalization
from models.recipes.zskt import ZsktRecipe

SIDE = 16


def network(seed: int, name: str = "wrn-10-1", side: int = SIDE) -> StagedClassifier:
    torch.manual_seed(seed)
    return build(ArchitectureSpec(name, 10, side))


def difference(one: torch.nn.Module, other: torch.nn.Module) -> float:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def test_the_lean_zero_shot_loop_ends_in_the_student_of_the_published_loop() -> None:
    """Items 10 and 11 of algorithms.md 1.6: neither regenerating nor not detaching changes the student.

    Both run on the same kernels, ours: Adam divides each gradient by its own size, so that where the true
    gradient is zero another order of additions alone moves a weight by twice the learning rate, 4e-3, in the
    first step. So equal kernels, and equal bits come out. That formulas of both sides agree is shown below.
    """
    spec = ArchitectureSpec("wrn-10-2", 10, SIDE)
    suspect = Teacher(network(0, "wrn-10-2").eval(), Normalization(), spec)
    student = network(1)
    recipe = ZsktRecipe(pseudo_batches=3, batch_size=16, generator_width=128)
    task = ZsktTask(suspect, student, recipe, seed=7)
    task.fast = False
    reference = copy.deepcopy(student)
    published = PublishedZskt(
        copy.deepcopy(suspect.network), reference, copy.deepcopy(task.generator), pseudo_batches=3,
        divergence=element_divergence, attention_map=attention_map, fused=True,
    )  # fmt: skip
    before = copy.deepcopy(student)
    with frozen(suspect.network):
        for index in range(3):
            task.step(index)
            published.pseudo_batch(task._noise(16, f"noise {index}"))
    assert difference(student, before) > 1e-2  # both have moved, by a thousand times the tolerance
    assert difference(student, reference) <= 1e-5


def test_the_published_formulas_are_ours() -> None:
    logits = [torch.randn(8, 10, generator=torch.Generator().manual_seed(s)).requires_grad_() for s in (0, 1)]
    activation = torch.randn(8, 6, 4, 4).requires_grad_()
    for theirs, ours in [
        (kl(*logits), element_divergence(*logits)),
        (attention(activation).pow(3).sum(), attention_map(activation).pow(3).sum()),
    ]:
        leaves = [*logits, activation]
        gradients = [torch.autograd.grad(value, leaves, allow_unused=True) for value in (theirs, ours)]
        torch.testing.assert_close(theirs, ours)
        torch.testing.assert_close(gradients[0], gradients[1])


def test_the_published_vaccine_is_ours() -> None:
    suspect = network(0, "wrn-10-2").eval().requires_grad_(False)
    suspect.fc.bias[0] = 0.5  # so that shuffled and intact teacher often agree
    ours = ShuffledEnsemble(suspect, 3, None)
    theirs = PublishedVaccine(suspect)
    ours.fast = False
    for mine, other in zip(ours.copies, theirs.copies, strict=True):
        mine.load_state_dict(other.state_dict())
    x = torch.randn(16, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    outputs = suspect.forward_stages(x)
    terms = [
        theirs.regularizer(x, outputs.logits),
        ShufflingVaccine(ours, VaccineRecipe(), 0.1).generator_term(x, outputs.logits, outputs.stages),
    ]
    assert terms[0] < 0
    gradients = [torch.autograd.grad(term, x, retain_graph=True)[0] for term in terms]
    torch.testing.assert_close(terms[0], terms[1])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-3, atol=1e-8)


def test_the_published_patch_loop_learns() -> None:
    patches = torch.randint(0, 256, (8, 3, SIDE, SIDE), dtype=torch.uint8)
    teacher, student = network(0), network(1)
    loop = PublishedOod(teacher, student, as_files(patches), (0.5,) * 3, (0.25,) * 3, batch_size=8)
    before = copy.deepcopy(student)
    loop.step()
    assert difference(student, before) > 0


def test_the_published_inversion_moves_its_images_and_its_student() -> None:
    teacher, student = network(0), network(1)
    mean, std = torch.full((3,), 0.5), torch.full((3,), 0.25)
    loop = PublishedCmi(
        teacher,
        student,
        SIDE,
        mean,
        std,
        synthesis_batch=8,
        batch_size=8,
        vaccine=PublishedVaccine(teacher),
        bank=32,
    )
    noise, before = loop.noise.detach().clone(), copy.deepcopy(student)
    loop.synthesis_step()
    assert not torch.equal(loop.noise, noise)
    assert difference(student, before) == 0
    loop.distilling_step()
    assert difference(student, before) > 0
