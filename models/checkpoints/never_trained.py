"""Whether training ever touched a network's BatchNorms. NumPy only.

A network that was never trained is unlike every reference network, and so may come out of an audit as
``detected``. Its weights are noise of no telling shape, but its BatchNorms still have the running statistics
that every new one has: mean 0, variance 1 and no batch counted.
"""

from __future__ import annotations

import numpy as np

from models.checkpoints.infer_architecture import InferredArchitecture
from models.checkpoints.layouts.layout import COUNTER
from models.checkpoints.scan import ScannedCheckpoint
from models.checkpoints.tensor_spec import Array
from models.checkpoints.weights import WeightTensor

#: The number 1 as bfloat16, which NumPy holds as its bits.
_BFLOAT16_ONE = 0x3F80

_WARNING = (
    "All {count} BatchNorms have the running statistics of a new network (mean 0, variance 1): it was never "
    "trained, or these statistics were reset or left out of training. What is found in a network that was "
    "never trained means nothing, not even that it is unlike the reference networks."
)


def never_trained_remark(scanned: ScannedCheckpoint, inferred: InferredArchitecture) -> tuple[str, ...]:
    """Return a warning if every BatchNorm still has its first statistics; nothing for a network without any.

    Counters that are not in the file say nothing either way.
    """
    stored = {
        name: scanned.tensors[source] for name, source in inferred.key_map.items() if source is not None
    }
    means = [weight for name, weight in stored.items() if name.endswith("running_mean")]
    variances = [weight for name, weight in stored.items() if name.endswith("running_var")]
    counters = [weight.array for name, weight in stored.items() if name.endswith(COUNTER)]
    new = (
        bool(means)
        and not any(counter.any() for counter in counters)
        and all(_is_everywhere(weight, 0) for weight in means)
        and all(_is_everywhere(weight, 1) for weight in variances)
    )
    return (_WARNING.format(count=len(means)),) if new else ()


def _is_everywhere(weight: WeightTensor, value: int) -> bool:
    wanted = _BFLOAT16_ONE if value and weight.dtype.tag == "BF16" else value
    array: Array = weight.array
    return bool(np.all(array == wanted))
