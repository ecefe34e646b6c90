"""The names a pickle may mention. Anything else is refused, and named.

Three closed lists: what makes tensors, what real training scripts save beside them (inert: never a weight,
always dropped), and torch's own kinds of tensor that are harmless but not accepted.
"""

from __future__ import annotations

from models.checkpoints.codes import printable, rejection
from models.checkpoints.pickle_values import Global
from models.checkpoints.tensor_spec import DTYPES, DType

#: Storage classes of the accepted data types.
STORAGES: dict[str, DType] = {
    f"torch.{name}Storage": DTYPES[tag]
    for name, tag in {
        "Half": "F16",
        "BFloat16": "BF16",
        "Float": "F32",
        "Double": "F64",
        "Long": "I64",
        "Int": "I32",
        "Byte": "U8",
        "Bool": "BOOL",
    }.items()
}

#: Callables that ``pickle_calls`` knows how to imitate.
CALLS = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_parameter_with_state",
    }
)

#: What makes bytes or text of anything: pickle writes bytes so in protocol 2.
BYTES = frozenset({"_codecs.encode", "builtins.bytes", "__builtin__.bytes"})
#: What makes a NumPy scalar of its bytes.
SCALARS = frozenset({"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
#: What makes a NumPy array of a buffer: pickle writes arrays so in protocol 5.
BUFFERS = frozenset({"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"})

_BUILTINS = (
    "bool",
    "bytearray",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "range",
)
_NUMPY_DTYPES = ("Bool", "Float16", "Float32", "Float64", "Int8", "Int16", "Int32", "Int64", "UInt8", "Str")
_TORCH_DTYPES = (
    "bfloat16",
    "bool",
    "float16",
    "float32",
    "float64",
    "int16",
    "int32",
    "int64",
    "int8",
    "uint8",
)

#: Seen beside the weights of honest checkpoints: arguments, paths, counters, NumPy scalars and their types.
INERT = frozenset(
    {
        *BYTES,
        *SCALARS,
        *BUFFERS,
        "argparse.Namespace",
        "collections.Counter",
        "collections.defaultdict",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.timedelta",
        "numpy.core.multiarray._reconstruct",
        "numpy._core.multiarray._reconstruct",
        "numpy.dtype",
        "numpy.ndarray",
        "pathlib.Path",
        "pathlib.PosixPath",
        "pathlib.PurePath",
        "pathlib.PurePosixPath",
        "pathlib.PureWindowsPath",
        "pathlib.WindowsPath",
        "torch.Size",
        "torch.device",
        "types.SimpleNamespace",
        *(
            f"{module}.{name}"
            for module in ("builtins", "__builtin__")
            for name in (*_BUILTINS, "set", "slice", "str", "tuple")
        ),
        *(f"numpy.dtypes.{name}DType" for name in _NUMPY_DTYPES),
        *(f"numpy.{name}" for name in ("bool_", "float16", "float32", "float64", "int32", "int64", "uint8")),
        *(f"torch.{name}" for name in _TORCH_DTYPES),
    }
)

#: torch's own names for what is a tensor but not a plain dense one.
_UNSUPPORTED_TENSORS = frozenset(
    f"torch._utils.{name}"
    for name in (
        "_rebuild_device_tensor_from_numpy",
        "_rebuild_meta_tensor_no_storage",
        "_rebuild_nested_tensor",
        "_rebuild_qtensor",
        "_rebuild_sparse_csr_tensor",
        "_rebuild_sparse_tensor",
        "_rebuild_tensor_v3",
        "_rebuild_wrapper_subclass",
    )
) | {"torch._tensor._rebuild_from_type_v2"}

_UNSUPPORTED_STORAGES = frozenset(
    f"torch.{name}Storage"
    for name in (
        "Char",
        "Short",
        "ComplexFloat",
        "ComplexDouble",
        "QInt8",
        "QInt32",
        "QUInt8",
        "QUInt4x2",
        "QUInt2x4",
        "Untyped",
    )
)

#: What pickle.dump and joblib.dump write where torch.save refers to storages.
_PLAIN_PICKLE = ("torch.storage._load_from_bytes", "joblib.", "sklearn.", "xgboost.", "lightgbm.")


def resolve_global(module: str, name: str, *, looks_like_module: bool) -> Global:
    """Look a name up in the allow-list. Module and name are compared whole: no attribute paths, no aliases.

    Args:
        module: As the pickle gives it.
        name: As the pickle gives it.
        looks_like_module: Whether the same pickle mentions the attributes of an ``nn.Module``.

    Raises:
        CheckpointRejected: ``code_in_checkpoint``, ``whole_module``, ``unsupported_format``,
            ``tensor_kind_unsupported`` or ``dtype_unsupported``, naming the global.
    """
    full = f"{module}.{name}"
    if "." not in name and (full in STORAGES or full in CALLS or full in INERT):
        return Global(full)
    shown = printable(full)
    if full in _UNSUPPORTED_TENSORS:
        raise rejection(
            "tensor_kind_unsupported", f"The file holds a tensor of a kind that is not accepted: {shown}."
        )
    if full in _UNSUPPORTED_STORAGES:
        raise rejection(
            "dtype_unsupported", f"The file holds a tensor of a data type that is not accepted: {shown}."
        )
    if full.startswith(_PLAIN_PICKLE):
        raise rejection(
            "unsupported_format", f"The file is a plain pickle (pickle.dump or joblib), holding {shown}."
        )
    if looks_like_module or module.startswith("torch.nn.modules."):
        raise rejection("whole_module", f"The file is a pickled module: loading it would run {shown}.")
    raise rejection("code_in_checkpoint", f"The file asks to call {shown}, which makes no tensors.")
