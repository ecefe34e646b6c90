"""Layer lists of the networks in ``described_networks``, and the words to write them with."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def conv(name: str, out: int, kernel: int | list[int] = 3, **more: Any) -> Json:
    return {"type": "conv", "name": name, "out": out, "kernel": kernel, **more}


def norm(name: str) -> Json:
    return {"type": "batch_norm", "name": name}


def linear(name: str, out: int) -> Json:
    return {"type": "linear", "name": name, "out": out}


def kind(name: str) -> Json:
    return {"type": name}


RELU, STAGE, FLATTEN = kind("relu"), kind("stage"), kind("flatten")


GLOBAL = [kind("adaptive_avg_pool"), FLATTEN]


def listed(size: int, *layers: Json) -> Json:
    return {"layer_list": 1, "input_size": size, "layers": list(layers)}


TANH, HALVE = kind("tanh"), {"type": "avg_pool", "kernel": 2}


LENET = listed(
    28,
    *(conv("conv1", 6, 5, padding=2), TANH, HALVE, conv("conv2", 16, 5), TANH, HALVE, FLATTEN),
    *(linear("fc1", 120), TANH, linear("fc2", 84), TANH, linear("fc3", 10)),
)


def _basic_block(name: str, out: int, stride: int) -> Json:
    options = {"padding": 1, "bias": False}
    body = [
        *(conv(f"{name}.c1", out, stride=stride, **options), norm(f"{name}.n1"), RELU),
        *(conv(f"{name}.c2", out, **options), norm(f"{name}.n2")),
    ]
    if stride == 1:
        return {"type": "residual", "body": body}
    shortcut = [conv(f"{name}.skip.0", out, 1, stride=stride, bias=False), norm(f"{name}.skip.1")]
    return {"type": "residual", "body": body, "shortcut": shortcut}


RESIDUAL = listed(
    16,
    *(conv("stem.0", 8, padding=1, bias=False), norm("stem.1"), RELU),
    *(_basic_block("stage.0", 8, 1), STAGE, RELU),
    *(_basic_block("stage.1", 16, 2), STAGE, RELU),
    *(_basic_block("stage.2", 32, 2), STAGE, RELU),
    *(*GLOBAL, linear("head", 4)),
)


def _preact(name: str, out: int, stride: int) -> tuple[Json, ...]:
    options = {"padding": 1, "bias": False}
    body = [
        *(conv(f"{name}.conv1", out, stride=stride, **options), norm(f"{name}.bn2"), RELU),
        conv(f"{name}.conv2", out, **options),
    ]
    shortcut = [conv(f"{name}.proj", out, 1, stride=stride, bias=False)]
    block = {"type": "residual", "body": body, "shortcut": shortcut}
    return (norm(f"{name}.bn1"), RELU, block, STAGE)


PREACTIVATED = listed(
    16,
    *(conv("conv", 8, padding=1, bias=False), *_preact("units.0", 8, 1), *_preact("units.1", 16, 2)),
    *(*_preact("units.2", 32, 2), norm("bn"), RELU, *GLOBAL, linear("fc", 4)),
)


INCEPTION = listed(
    32,
    *(conv("first", 8, stride=2, padding=1), {"type": "leaky_relu", "slope": 0.2}),
    {"type": "max_pool", "kernel": 3, "stride": 2, "ceil_mode": True},
    {
        "type": "concat",
        "branches": [
            [conv("b1", 4, 1)],
            [conv("b2.0", 4, 1), RELU, conv("b2.2", 6, [1, 5], padding=[0, 2])],
            [conv("b3", 4, padding="same", dilation=2)],
            [{"type": "avg_pool", "kernel": 3, "stride": 1, "padding": 1}],
        ],
    },
    {
        "type": "concat",
        "branches": [[], [norm("dense.0"), RELU, conv("dense.2", 10, padding=1, bias=False)]],
    },
    *(norm("bn"), {"type": "elu", "alpha": 0.5}, conv("classifier", 5, 1)),
    *(kind("adaptive_max_pool"), FLATTEN),
)


SQUEEZE = listed(
    24,
    *(conv("stem.0", 8, stride=2, padding=1, bias=False), norm("stem.1"), kind("hardswish")),
    {
        "type": "residual",
        "body": [
            *(conv("expand.0", 24, 1, bias=False), norm("expand.1"), kind("relu6")),
            conv("depthwise.0", 24, padding=1, groups=24, bias=False),
            *(norm("depthwise.1"), kind("silu")),
            {
                "type": "scale",
                "gate": [*GLOBAL, linear("se1", 6), RELU, linear("se2", 24), kind("sigmoid")],
            },
            *(conv("project.0", 8, 1, bias=False), norm("project.1")),
        ],
    },
    *(conv("last", 16, groups=2), *GLOBAL, norm("norm"), kind("dropout"), linear("fc", 6)),
)


MODERN = listed(
    32,
    conv("patches", 12, 4, stride=4),
    {
        "type": "residual",
        "body": [
            conv("mix", 12, 7, padding=3, groups=12),
            {"type": "layer_norm", "name": "ln", "eps": 1e-6},
            *(conv("up", 48, 1), {"type": "gelu", "approximate": "tanh"}, conv("down", 12, 1)),
        ],
    },
    *({"type": "group_norm", "name": "gn", "groups": 3}, kind("hardsigmoid"), *GLOBAL),
    *({"type": "layer_norm", "name": "final"}, linear("head", 3)),
)
