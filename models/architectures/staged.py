"""The shape every classifier here shares: a stem, a few stages, a head.

Distillation from features, detoxification masks and the Shuffling Vaccine all need to look at, or change,
what a stage hands to the next. Forward hooks that stay would do it too, but they are copied along with the
network and see post-ReLU values when the next layer works in place (algorithms.md 8, items 25, 26 and 42);
the explicit ``stage`` call of networks that are written here has neither trouble. Networks of other libraries
(``architectures.library``) have no such call: theirs is a ``StagedClassifier`` and no ``ChainedClassifier``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from models.architectures.clipped_norm import ClippedBatchNorm2d
from models.errors import RecipeError

StageEdit = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class StageOutputs:
    """What one forward pass produced on its way.

    ``logits`` is (N, K), ``stages`` holds one (N, C_i, H_i, W_i) map per stage before the ReLU that follows
    it, ``pooled`` is the (N, D) input of the last linear layer.
    """

    logits: Tensor
    stages: tuple[Tensor, ...]
    pooled: Tensor


def running_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Apply a BatchNorm with its running statistics and bounds, as a function: its buffers do not move.

    Args:
        norm: Of C channels, in any mode.
        x: (N, C, H, W); so is what is returned.
    """
    output = functional.batch_norm(
        x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
    )
    return norm.bound(output) if isinstance(norm, ClippedBatchNorm2d) else output


def no_margins(reason: str) -> RecipeError:
    """Make the error of a network whose stages no single BatchNorm describes.

    Args:
        reason: Why, as the end of a sentence.
    """
    return RecipeError(
        f"Feature distillation reads a teacher's margins from its BatchNorm: {reason}.",
        code="stages_incompatible",
        hint="Choose method vanilla or ood.",
    )


class StagedClassifier(nn.Module, ABC):
    """A classifier of normalized (N, 3, H, W) images whose stages can be read and edited."""

    stage_channels: tuple[int, ...]

    @abstractmethod
    def margin_norm(self, index: int) -> nn.BatchNorm2d | None:
        """Return the BatchNorm whose gamma and beta describe stage ``index`` before its ReLU.

        It gives the margins of the overhaul distillation (Heo et al., ICCV 2019, section 3.1). None says that
        the stage ends behind its ReLU: nothing there is negative, so its margins are zero.

        Raises:
            RecipeError: ``stages_incompatible`` if the network has none there.
        """

    @abstractmethod
    def stage_convolutions(self, index: int) -> Sequence[nn.Conv2d | nn.Linear]:
        """List the convolutions of stage ``index``, 1x1 shortcuts included, in registration order.

        Of a stage without any, as in a transformer, the linear layers: 1x1 convolutions of tokens.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to logits (N, K)."""

    @abstractmethod
    def forward_stages(self, x: Tensor, edit: StageEdit | None = None) -> StageOutputs:
        """Run forward and keep every stage's output.

        Args:
            x: Normalized images, (N, 3, H, W).
            edit: Replaces the raw output of stage i; the replacement feeds the next stage and is returned.
        """

    @property
    def feature_channels(self) -> tuple[int, ...]:
        """Channels of what ``prerelu`` returns for each stage: the stage's own, unless a network reads on."""
        return self.stage_channels

    def prerelu(self, index: int, stage_output: Tensor) -> Tensor:
        """Return the feature that the next ReLU will see, (N, feature_channels[index], H_i, W_i).

        Networks that normalize before the next ReLU override this; for the others a stage already ends there.
        """
        del index
        return stage_output

    def is_rectified(self, index: int) -> bool:
        """Whether a ReLU, or what passes nothing below zero either, reads what ``prerelu`` returns.

        Where none does, the negative responses of stage ``index`` matter as much as the positive ones.
        """
        del index
        return True


class ChainedClassifier(StagedClassifier):
    """A network that is a chain of calls: stem, stages, head."""

    @abstractmethod
    def stem(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to the input of stage 0."""

    @abstractmethod
    def stage(self, index: int, x: Tensor) -> Tensor:
        """Run stage ``index``; returns (N, stage_channels[index], H_i, W_i)."""

    @abstractmethod
    def head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map the last stage's output to ``(logits, pooled)``, (N, K) and (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to logits (N, K)."""
        x = self.stem(x)
        for index in range(len(self.stage_channels)):
            x = self.stage(index, x)
        return self.head(x)[0]

    def forward_stages(self, x: Tensor, edit: StageEdit | None = None) -> StageOutputs:
        """Run forward and keep every stage's output."""
        x = self.stem(x)
        stages = []
        for index in range(len(self.stage_channels)):
            x = self.stage(index, x)
            if edit is not None:
                x = edit(index, x)
            stages.append(x)
        logits, pooled = self.head(x)
        return StageOutputs(logits, tuple(stages), pooled)
