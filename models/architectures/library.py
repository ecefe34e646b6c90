"""Networks of other libraries, with stages.

The network is the library's own, built without weights. Its tensors keep their names, so that a state dict
of the library loads as it is, and its forward is the library's, so that it answers as there. Stages are read
and edited by hooks that live as long as one call of ``forward_stages`` does; activations write to new
memory, because stages are read while later ones run (algorithms.md 8, items 25, 26 and 42).

A stage ends after its activation, so it has no margins, and feature distillation from these is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from models.architectures.stage_cut import FROM_MAP, TO_MAP, Stage
from models.architectures.staged import StagedClassifier, StageEdit, StageOutputs, no_margins

_INNER = "network."
_COUNTER = "num_batches_tracked"


class LibraryNetwork(StagedClassifier):
    """A network of another library."""

    def __init__(self, network: nn.Module, stages: tuple[Stage, ...], classifier: str) -> None:
        """Take over a network.

        Args:
            network: Maps normalized images (N, 3, H, W) to logits (N, K).
            stages: From ``stage_cut.cut``.
            classifier: Name of the last layer.
        """
        super().__init__()
        self.network = network
        self.cut = stages
        self.classifier = classifier
        self.stage_channels = tuple(stage.channels for stage in stages)
        for module in network.modules():
            if "inplace" in vars(module):
                vars(module)["inplace"] = False
        self.register_state_dict_post_hook(_hide_inner)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_show_inner)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Map normalized images (N, 3, H, W) to logits (N, K)."""
        return cast(Tensor, self.network(x))

    def forward_stages(self, x: Tensor, edit: StageEdit | None = None) -> StageOutputs:
        """Run forward and keep every stage's output; tokens are (N, C, T, 1)."""
        stages: list[Tensor] = []
        inputs: list[Tensor] = []

        def leave(form: Any) -> Callable[[nn.Module, object, Tensor], Tensor | None]:
            def keep(_: nn.Module, __: object, output: Tensor) -> Tensor | None:
                stage = TO_MAP[form](output)
                if edit is not None:
                    stage = edit(len(stages), stage)
                stages.append(stage)
                return None if edit is None else FROM_MAP[form](stage)

            return keep

        def enter(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            inputs.append(given[0])

        handles = [self.network.get_submodule(self.classifier).register_forward_pre_hook(enter)]
        for stage in self.cut:
            module = self.network.get_submodule(stage.modules[-1])
            handles.append(module.register_forward_hook(leave(stage.form)))
        try:
            logits = self.network(x)
        finally:
            for handle in handles:
                handle.remove()
        # A 1x1 convolution as classifier, as SqueezeNet's, sees a map that is pooled behind it.
        pooled = inputs[0] if inputs[0].ndim == 2 else TO_MAP[_form(inputs[0])](inputs[0]).mean(dim=(2, 3))
        return StageOutputs(logits, tuple(stages), pooled)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load tensors in the library's present layout.

        Networks whose layout has changed, such as MNASNet, ask for its version, which only a state dict has
        that was never a file of ours.
        """
        state = OrderedDict(state_dict)
        versions = {name: {"version": module._version} for name, module in self.named_modules()}
        state._metadata = versions  # type: ignore[attr-defined]
        return super().load_state_dict(state, strict, assign)

    def margin_norm(self, index: int) -> nn.BatchNorm2d:
        """Refuse: a stage ends after its activation.

        Raises:
            RecipeError: ``stages_incompatible``, always.
        """
        raise no_margins(f"stage {index} of this network ends after its activation")

    def stage_convolutions(self, index: int) -> Sequence[nn.Conv2d | nn.Linear]:
        """List the convolutions of the stage, or its linear layers if there are none."""
        modules = [
            module
            for name in self.cut[index].modules
            for module in self.network.get_submodule(name).modules()
        ]
        convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
        return convolutions or [module for module in modules if isinstance(module, nn.Linear)]


def constant_buffers(network: nn.Module) -> dict[str, Tensor]:
    """Return by name the integers of a network that no training writes, such as relative positions.

    They index other tensors. A stranger's must never be loaded: these belong in their place.
    """
    return {
        name: tensor
        for name, tensor in network.state_dict().items()
        if not tensor.is_floating_point() and not name.endswith(_COUNTER)
    }


def _form(x: Tensor) -> Any:
    return "tokens" if x.ndim == 3 else "map"


def _hide_inner(_: nn.Module, state: dict[str, Any], prefix: str, __: object) -> None:
    _rename(state, prefix + _INNER, prefix)


def _show_inner(_: nn.Module, state: dict[str, Any], prefix: str, *__: object) -> None:
    _rename(state, prefix, prefix + _INNER)


def _rename(state: dict[str, Any], before: str, after: str) -> None:
    for name in [name for name in state if name.startswith(before)]:
        state[after + name.removeprefix(before)] = state.pop(name)
