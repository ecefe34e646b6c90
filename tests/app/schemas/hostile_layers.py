"""Layer lists that nobody means well with, each with its code and words of the sentence that refuses it."""

from __future__ import annotations

import json
from typing import Any

from models.recipes.layer_list.limits import MAX_TEXT_BYTES
from tests.layer_lists import FLATTEN, GLOBAL, RELU, STAGE, Json, conv, kind, linear, listed, norm

INVALID, LIMIT, SHAPE = "layers_invalid", "layers_limit_exceeded", "layers_shape_mismatch"
END = (*GLOBAL, linear("fc", 10))


def only(*layers: Any, size: int = 32) -> str:
    return json.dumps(listed(size, *layers), separators=(",", ": "))


def around(*layers: Json, size: int = 32) -> str:
    """A good beginning and a good end with these layers between."""
    return only(conv("first", 8, padding=1), *layers, *END, size=size)


def blocks(depth: int, inner: Json) -> Json:
    for _ in range(depth):
        inner = {"type": "residual", "body": [inner]}
    return inner


def first(**changes: Any) -> str:
    return only(conv("first", 8, padding=1) | changes, *END)


def sides(left: list[Json], right: list[Json]) -> Json:
    return {"type": "concat", "branches": [left, right]}


def pool(**more: Any) -> Json:
    return {"type": "max_pool", "kernel": 2, **more}


WIDE = conv("a", 16_384, 1)
#: What is tried, the text, the code, and words of the sentence.
HOSTILE: list[tuple[str, str, str, str]] = [
    ("no JSON", "import os", INVALID, "cannot be read as JSON"),
    ("no object", "[]", INVALID, "object"),
    ("cut off", around()[:-2], INVALID, "cannot be read as JSON"),
    ("two documents", around() + around(), INVALID, "Extra data"),
    ("brackets alone", "[" * 10_000, LIMIT, "nested too deep"),
    ("10,000 deep", '{"layers": ' + "[" * 10_000 + "]" * 10_000 + "}", LIMIT, "nested too deep"),
    ("blocks 100 deep", around(blocks(100, RELU)), LIMIT, "nested too deep"),
    ("blocks 60 deep", around(blocks(60, RELU)), LIMIT, "layers[1]" + ".body[0]" * 8 + " lies deeper"),
    ("blocks 9 deep", around(blocks(9, RELU)), LIMIT, "lies deeper than the 8 blocks"),
    ("a long text", around() + " " * MAX_TEXT_BYTES, LIMIT, "bytes"),
    ("1,500 layers", around(*[RELU] * 1_500), INVALID, "layers is wrong"),
    ("many layers in blocks", around(*[sides([RELU] * 256, [RELU] * 256)] * 3), LIMIT, "1,024 layers"),
    ("a number of 5,000 digits", around().replace("32", "3" * 5_000), INVALID, "digits"),
    ("NaN", first(stride=float("nan")), INVALID, "NaN"),
    ("infinity", first(stride=float("inf")), INVALID, "Infinity"),
    ("NaN as a slope", around({"type": "leaky_relu", "slope": float("nan")}), INVALID, "NaN"),
    ("infinity by exponent", around({"type": "elu", "alpha": 9}).replace("9}", "1e999}"), INVALID, "alpha"),
    ("a slope in quotes", around({"type": "leaky_relu", "slope": "0.1"}), INVALID, "layers[1].slope"),
    (
        "a negative slope",
        around({"type": "leaky_relu", "slope": -5.0}),
        INVALID,
        "greater than or equal to 0",
    ),
    ("a field twice", around().replace('"type": "conv"', '"type": "conv", "type": "conv"'), INVALID, "twice"),
    ("an unknown field", first(weights="http://example.org/"), INVALID, "layers[0].weights is not a field"),
    ("an unknown type", around(kind("lambda")), INVALID, "layers[1] has the type 'lambda'"),
    ("a dunder as type", around(kind("__class__")), INVALID, "which there is not"),
    ("no type", around({"name": "x"}), INVALID, "layers[1] has no type"),
    ("a list as type", around({"type": ["conv"]}), INVALID, "layers[1]"),
    ("a number as a layer", only(3, *END), INVALID, "layers[0] should be an object"),
    (
        "another version",
        around().replace('"layer_list": 1', '"layer_list": 2'),
        INVALID,
        "layer_list should be",
    ),
    ("true as version", around().replace('"layer_list": 1', '"layer_list": true'), INVALID, "layer_list"),
    ("no version", around().replace('"layer_list": 1,', ""), INVALID, "layer_list is missing"),
    ("a huge image", around(size=100_000), INVALID, "input_size should be less"),
    ("no layers", only(), INVALID, "layers is wrong"),
    ("true as a kernel", first(kernel=True), INVALID, "layers[0].kernel should be a valid integer"),
    ("a fraction as a kernel", first(kernel=3.5), INVALID, "layers[0].kernel"),
    ("1 for true", first(bias=1), INVALID, "layers[0].bias should be a valid boolean"),
    ("a huge kernel", first(kernel=10**6), INVALID, "less than or equal to 31"),
    ("a huge side of a kernel", first(kernel=[1, 10**6]), INVALID, "layers[0].kernel[1]"),
    ("three sides", first(kernel=[1, 1, 1]), INVALID, "layers[0].kernel"),
    ("no stride", first(stride=0), INVALID, "layers[0].stride"),
    ("negative padding", first(padding=-1), INVALID, "layers[0].padding"),
    ("another padding", first(padding="valid"), INVALID, "should be 'same'"),
    ("no channels", first(out=0), INVALID, "layers[0].out"),
    ("channels of 10^30", first(out=10**30), INVALID, "layers[0].out"),
    ("no groups", first(groups=0), INVALID, "layers[0].groups"),
    ("no epsilon", around({"type": "batch_norm", "name": "n", "eps": 0.0}), INVALID, "layers[1].eps"),
    ("an empty body", around({"type": "residual", "body": []}), INVALID, "layers[1].body"),
    ("one branch", around({"type": "concat", "branches": [[RELU]]}), INVALID, "layers[1].branches"),
    ("a softmax", only(conv("a", 8), *END, kind("softmax")), INVALID, "'softmax'"),
    ("a ReLU at the end", only(conv("a", 8), *END, RELU), INVALID, "last layer is a relu"),
    ("no convolution", only(FLATTEN, linear("fc", 10), size=8), INVALID, "has no convolution"),
    (
        "a stage without convolution",
        around(STAGE, RELU, STAGE),
        INVALID,
        "layers[3] ends a stage that has no",
    ),
    ("channels that explode", around(WIDE, conv("b", 16_384, 1), size=8), LIMIT, "layers[2] makes it"),
    ("a huge map", around(conv("a", 4_096, 1), size=256), LIMIT, "values that one layer may give"),
    ("many maps", around(*[conv(f"c{i}", 60, 1) for i in range(60)], size=256), LIMIT, "all layers may give"),
    (
        "much to compute",
        around(*[conv(f"c{i}", 64, 7, padding=3) for i in range(9)], size=256),
        LIMIT,
        "operations",
    ),
    (
        "a slow pooling",
        around(pool(kernel=255, stride=1, padding=127), size=256),
        LIMIT,
        "layers[1] makes it",
    ),
    (
        "a huge linear layer",
        only(conv("a", 32, 1), FLATTEN, linear("b", 4_096), linear("c", 2), size=64),
        LIMIT,
        "layers[2]",
    ),
    (
        "a huge adaptive pooling",
        around({"type": "adaptive_avg_pool", "size": 256}, conv("a", 99, 1)),
        LIMIT,
        "layers[2]",
    ),
    (
        "a kernel larger than the map",
        first(kernel=31, padding=0).replace("32", "8"),
        SHAPE,
        "layers[0] has a window",
    ),
    ("a pooling larger than the map", around(pool(kernel=64)), SHAPE, "layers[1] has a window of 64 x 64"),
    ("a pooling padded too much", around(pool(padding=2)), SHAPE, "more than half"),
    ("same padding that strides", first(padding="same", stride=2), SHAPE, "needs stride 1"),
    ("groups that do not divide", around(conv("a", 8, groups=3)), SHAPE, "3 groups, which do not divide"),
    (
        "a group norm that does not",
        around({"type": "group_norm", "name": "g", "groups": 3}),
        SHAPE,
        "layers[1]",
    ),
    ("no flatten", only(conv("a", 8), linear("fc", 10)), SHAPE, "put a flatten before it"),
    ("a map at the end", only(conv("a", 8)), SHAPE, "The last layer gives 8 x 30 x 30"),
    ("one class", only(conv("a", 8), *GLOBAL, linear("fc", 1)), SHAPE, "between 2 and 1000"),
    ("2,000 classes", only(conv("a", 8), *GLOBAL, linear("fc", 2000)), SHAPE, "1000 logits"),
    ("a convolution of features", only(conv("a", 8), *GLOBAL, conv("b", 8)), SHAPE, "takes a map"),
    ("a pooling of features", only(conv("a", 8), FLATTEN, pool()), SHAPE, "layers[2] is a pooling"),
    ("a stage of features", only(conv("a", 8), FLATTEN, STAGE), SHAPE, "layers[2] is the end of a stage"),
    ("a stage in a block", around({"type": "residual", "body": [STAGE]}), SHAPE, "layers[1].body[0] marks"),
    (
        "branches of two sizes",
        around(sides([], [pool()])),
        SHAPE,
        "layers[1] joins branches of 8 x 32 x 32, 8 x 16 x 16",
    ),
    ("a map joined to features", around(sides([], [FLATTEN])), SHAPE, "layers[1] joins"),
    (
        "a sum of two widths",
        around({"type": "residual", "body": [conv("a", 9, 1)]}),
        SHAPE,
        "layers[1] adds 9 x 32 x 32 and 8 x 32 x 32",
    ),
    (
        "a gate of two numbers",
        around({"type": "scale", "gate": [*GLOBAL, linear("a", 2)]}),
        SHAPE,
        "its gate gives 2 features",
    ),
    (
        "one name for two layers",
        around(norm("first")),
        "layers_name_repeated",
        "layers[0] and layers[1] are both",
    ),
    (
        "the same in two branches",
        around(sides([norm("n")], [norm("n")])),
        "layers_name_repeated",
        "layers[1].branches[1][0]",
    ),
    ("a name in Unicode", first(name="conv\u0131"), "layers_name_invalid", "layers[0] has a name"),
    ("a control character", first(name="a\n"), "layers_name_invalid", "'a\\n'"),
    ("a surrogate", first(name="\ud800"), INVALID, "hex escape"),
    ("a path", first(name="../weights"), "layers_name_invalid", "layers[0]"),
    ("a dot at the end", first(name="features.0."), "layers_name_invalid", "layers[0]"),
    ("two dots", first(name="a..b"), "layers_name_invalid", "layers[0]"),
    ("an empty name", first(name=""), INVALID, "layers[0].name"),
    ("a long name", first(name="a" * 201), INVALID, "layers[0].name"),
    ("no name", only({"type": "conv", "out": 8, "kernel": 3}, *END), INVALID, "layers[0].name is missing"),
]
