"""Shuffling Vaccine: distrust what the teacher still says after its last channels were shuffled.

A trigger is carried by a few channels, natural evidence by many. Permuting the *input* channels of the last
convolutions destroys the second and often spares the first, so an image on which shuffled and intact teacher
agree is suspicious. A generator is rewarded for leaving such images; a student learns less from them.

Source: Hong et al., ICML 2023, section 4; details after the code (algorithms.md 1.2). The code finds layers
by the name "conv" and takes the last five, which on its WRN-16-2 is the last stage; here a layer is what is
an ``nn.Conv2d``, and the default is the last stage of whatever the teacher is. A stage without any, as in a
transformer, has linear layers, which are 1x1 convolutions of tokens.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.architectures import StagedClassifier
from models.architectures.staged import ChainedClassifier
from models.distillation.losses import sample_divergence
from models.engine.precision import autocast, bfloat16_pays
from models.recipes.abd import Direction, VaccineRecipe


def permute_input_channels(convolution: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    """Permute a layer's input channels in place, the same way for all of its filters.

    The weight is (out, in / groups, kh, kw), or (out, in). In a grouped convolution the channels of each
    group are permuted among themselves; a depthwise one has a single channel per group, so its filters are
    permuted instead, which is a permutation of what precedes it (algorithms.md 8, item 27).
    """
    weight = convolution.weight
    groups = convolution.groups if isinstance(convolution, nn.Conv2d) else 1
    with torch.no_grad():
        if weight.shape[1] == 1 and groups > 1:
            weight.copy_(weight[torch.randperm(weight.shape[0], generator=generator)])
            return
        for rows in torch.tensor_split(weight, groups):
            rows.copy_(rows[:, torch.randperm(weight.shape[1], generator=generator)])


def shuffled_layers(network: StagedClassifier, layers: int | None) -> Sequence[nn.Conv2d | nn.Linear]:
    """List the layers to shuffle: the last ``layers``, the first when negative, the last stage if None.

    The stem, whose input channels are colors, only takes part when all convolutions are counted out to it, or
    the first ones are asked for.
    """
    last_stage = network.stage_convolutions(len(network.stage_channels) - 1)
    if layers is None:
        return last_stage
    kind = nn.Conv2d if isinstance(last_stage[-1], nn.Conv2d) else nn.Linear
    convolutions = [module for module in network.modules() if isinstance(module, kind)]
    if kind is nn.Linear:
        convolutions.pop()  # the classifier
    if layers < 0:
        return convolutions[:-layers]
    return convolutions[len(convolutions) - min(layers, len(convolutions)) :]


class ShuffledEnsemble:
    """Copies of a teacher with shuffled layers, whose *logits* are averaged.

    Where only the last stage is shuffled, the copies compute the same up to there, and so does the teacher:
    that part is computed once, and not at all where the caller has the teacher's stages at hand. On
    WRN-16-2 three copies then cost as much as one, with equal results.
    """

    def __init__(self, teacher: StagedClassifier, members: int, layers: int | None) -> None:
        """Copy the teacher, which must carry no hooks: they would be copied along (item 25)."""
        self.teacher = teacher
        self.layers = layers
        self.copies = [copy.deepcopy(teacher).requires_grad_(False).eval() for _ in range(members)]
        self.device = next(teacher.parameters()).device
        self.fast = bfloat16_pays(self.device)

    def shuffle(self, generator: torch.Generator) -> None:
        """Draw new permutations, independent across layers and copies, always from the intact teacher."""
        intact = self.teacher.state_dict()
        for member in self.copies:
            member.load_state_dict(intact)
            for convolution in shuffled_layers(member, self.layers):
                permute_input_channels(convolution, generator)

    def logits(self, x: Tensor, stages: Sequence[Tensor] = ()) -> Tensor:
        """Average the copies' logits (N, K), in float32; each is put into eval mode first.

        Args:
            x: Normalized (N, 3, H, W).
            stages: What the teacher's stages gave for ``x``, if known.
        """
        chains = [member for member in self.copies if isinstance(member, ChainedClassifier)]
        for member in self.copies:
            member.eval()
        with autocast(self.device, self.fast):
            if self.layers is None and chains:
                before, last = self._before_last_stage(chains[0], x, stages)
                outputs = [chain.head(chain.stage(last, before))[0].float() for chain in chains]
            else:
                outputs = [member(x).float() for member in self.copies]
        return torch.stack(outputs).mean(dim=0)

    @staticmethod
    def _before_last_stage(
        chain: ChainedClassifier, x: Tensor, stages: Sequence[Tensor]
    ) -> tuple[Tensor, int]:
        """Return the input of the last stage, and that stage's number.

        A copy computes it rather than the teacher, which may carry hooks by now (algorithms.md 8, item 26).
        """
        last = len(chain.stage_channels) - 1
        if len(stages) > last > 0:
            return stages[last - 1], last
        x = chain.stem(x)
        for index in range(last):
            x = chain.stage(index, x)
        return x, last

    def state_dict(self) -> dict[str, Any]:
        """Return the weights of all copies."""
        return {str(index): member.state_dict() for index, member in enumerate(self.copies)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state from ``state_dict``."""
        for index, member in enumerate(self.copies):
            member.load_state_dict(state[str(index)])


def suspicion_mask(teacher_logits: Tensor, shuffled_logits: Tensor) -> Tensor:
    """Mark the samples on which both name the same class; bool (N,)."""
    return teacher_logits.argmax(dim=1) == shuffled_logits.argmax(dim=1)


def shuffle_divergence(teacher_logits: Tensor, shuffled_logits: Tensor, direction: Direction) -> Tensor:
    """Measure how far shuffling moved each sample's prediction: KL / K at temperature 1, (N,)."""
    pair = (teacher_logits, shuffled_logits)
    reference, approximation = pair if direction == "teacher_reference" else pair[::-1]
    return sample_divergence(reference, approximation) / teacher_logits.shape[1]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Average ``values`` (N,) over ``mask`` (N,); a zero tensor, with a graph, when nothing is masked."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


class ShufflingVaccine:
    """The regularizer of a generator and the split loss of a student."""

    def __init__(self, ensemble: ShuffledEnsemble, recipe: VaccineRecipe, weight: float) -> None:
        """Join an ensemble with its weight lambda, which is 0 until a shuffle has been accepted."""
        self.ensemble = ensemble
        self.recipe = recipe
        self.weight = weight
        self.masked_share = torch.zeros(())

    def generator_term(self, x: Tensor, teacher_logits: Tensor, stages: Sequence[Tensor] = ()) -> Tensor:
        """Compute R = -lambda * mean of the divergence over suspicious samples, to be *added* to a loss.

        The loss is minimized, so suspicious samples are driven to where T and T~ differ.

        Args:
            x: Generated images, normalized (N, 3, H, W).
            teacher_logits: (N, K), with their graph into ``x``.
            stages: The teacher's stage outputs on ``x`` with their graph, if at hand.
        """
        if self.weight == 0.0:
            return x.new_zeros(())
        if self.recipe.gradient_through_shuffled:
            shuffled = self.ensemble.logits(x, stages)
        else:
            with torch.no_grad():
                shuffled = self.ensemble.logits(x, stages)
        mask = suspicion_mask(teacher_logits, shuffled)
        self.masked_share = mask.float().mean()
        divergence = shuffle_divergence(teacher_logits, shuffled, self.recipe.direction)
        return -self.weight * masked_mean(divergence, mask)

    def student_loss(
        self, x: Tensor, teacher_logits: Tensor, losses: Tensor, stages: Sequence[Tensor] = ()
    ) -> Tensor:
        """Reduce the student's losses (N,): mean over kept samples - lambda * mean over suspicious ones.

        The code's second term is unbounded, and the whole is NaN when nothing is kept (algorithms.md 8,
        item 19; on digits it cost .5 of accuracy). Here a sample stops being pushed away at
        ``split_bound``, and an empty mean is 0.
        """
        if self.weight == 0.0:
            return losses.mean()
        with torch.no_grad():
            mask = suspicion_mask(teacher_logits, self.ensemble.logits(x, stages))
        self.masked_share = mask.float().mean()
        pushed = losses.clamp(max=self.recipe.split_bound)
        return masked_mean(losses, ~mask) - self.weight * masked_mean(pushed, mask)
