"""What torch does with an argument or an attribute counts, also where the reader has no use for it."""

from __future__ import annotations

import io
import time
from collections import OrderedDict

import pytest
import torch

from models.checkpoints.pickle_globals import CALLS
from models.checkpoints.scan import scan_checkpoint
from tests.hostile.craft import ORDERED_DICT, A, torch_zip

HOOKED = b"}" + A.text("hook") + b"Ns"
SEVEN = b"}" + A.text("real") + b"G" + b"\x40\x1c" + bytes(6) + b"s"
OTHER_WEIGHTS = b"}" + A.text("data") + A.tensor((4,), (0,)) + b"s"


def parameter(
    *more: bytes, name: str = "_rebuild_parameter_with_state", hooks: bytes = ORDERED_DICT
) -> bytes:
    arguments = A.tensor() + b"\x89" + hooks + b"".join(more)
    return f"ctorch._utils\n{name}\n(".encode() + arguments + b"tR"


def tensor(hooks: bytes, *more: bytes) -> bytes:
    view = A.storage() + A.number(0) + A.numbers((4,)) + A.numbers((1,))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + view + b"\x89" + hooks + b"".join(more) + b"tR"


@pytest.mark.parametrize(
    "state",
    [OTHER_WEIGHTS, SEVEN, b"N" + SEVEN + b"\x86", SEVEN + b"N\x86", b"}NNs", b"N\x85", b"]", b"K\x01"],
    ids=["data", "real", "slots", "attributes", "odd_key", "single", "list", "number"],
)
def test_a_parameter_with_attributes_is_refused(state: bytes, refused) -> None:
    error = refused(torch_zip(A.state(("w", parameter(state)))))
    assert error.code == "tensor_kind_unsupported"
    assert "attributes" in error.detail


@pytest.mark.parametrize("state", [b"N", b"}", ORDERED_DICT, b"NN\x86", b"}}\x86", b"}N\x86"])
def test_a_parameter_without_attributes_is_read(state: bytes, write) -> None:
    scanned = scan_checkpoint(write(torch_zip(A.state(("w", parameter(state))))))
    assert scanned.tensors["w"].array.tolist() == [1, 1, 1, 1]


def test_torch_itself_writes_the_attributes_that_are_refused(refused) -> None:
    """A state dict of ``keep_vars`` whose parameters carry marks, as of parallel training."""
    marked = torch.nn.Parameter(torch.ones(2))
    marked.real_owner = "me"
    out = io.BytesIO()
    torch.save({"w": marked}, out)
    assert refused(out.getvalue()).code == "tensor_kind_unsupported"


@pytest.mark.parametrize(
    "called",
    [
        parameter(),
        parameter(b"N", b"N"),
        parameter(b"N", name="_rebuild_parameter"),
        parameter(name="_rebuild_parameter", hooks=HOOKED),
        parameter(b"N", hooks=HOOKED),
        parameter(b"N", hooks=b"}NNs"),
        parameter(b"]", b"N", b"]"),
        tensor(HOOKED),
        tensor(HOOKED, b"N"),
        tensor(HOOKED, b"}"),
        tensor(b"}NNs"),
        tensor(b"}", b"]"),
    ],
)
def test_other_arguments_than_torch_writes_are_refused(called: bytes, refused) -> None:
    assert refused(torch_zip(A.state(("w", called)))).code == "pickle_malformed"


@pytest.mark.parametrize("metadata", [b"N", b"}"])
def test_a_tensor_may_come_with_nothing_else_to_tell(metadata: bytes, write) -> None:
    assert scan_checkpoint(write(torch_zip(A.state(("w", tensor(b"}", metadata)))))).tensors


@pytest.mark.parametrize("metadata", [HOOKED, b"}NNs"])
def test_a_view_that_torch_would_negate_is_refused(metadata: bytes, refused) -> None:
    error = refused(torch_zip(A.state(("w", tensor(b"}", metadata)))))
    assert error.code == "tensor_kind_unsupported"


@pytest.mark.parametrize(
    "attributes",
    [
        b"}" + A.text("items") + b"ccollections\nOrderedDict\ns",
        b"}" + A.text("_metadata") + b"}s" + A.text("keys") + b"Ns",
        b"}NNs",
        b"N",
        b"NN\x86",
    ],
)
def test_a_dict_whose_methods_may_be_hidden_is_refused(attributes: bytes, refused) -> None:
    entries = ORDERED_DICT + A.text("w") + A.tensor() + b"s"
    assert refused(torch_zip(b"\x80\x02" + entries + attributes + b"b.")).code == "pickle_malformed"


def with_metadata(module: bytes) -> bytes:
    """A dict whose ``_metadata`` holds this of one module."""
    metadata = ORDERED_DICT + A.text("layer") + module + b"s"
    entries = ORDERED_DICT + A.text("w") + A.tensor() + b"s"
    return torch_zip(b"\x80\x02" + entries + b"}" + A.text("_metadata") + metadata + b"sb.")


VERSION = b"}" + A.text("version") + b"K\x02s"


@pytest.mark.parametrize(
    "module",
    [
        VERSION + A.text("assign_to_params_buffers") + b"\x88s",
        VERSION + A.text("assign_to_params_buffers") + b"\x89s",
        VERSION + b"NNs",
        b"}" + A.text("version") + b"\x88s",
        b"}" + A.text("version") + b"Ns",
        b"}" + A.text("version") + b"cargparse\nNamespace\n)Rs",
        b"}" + A.text("spectral_norm") + b"K\x01s",
        b"}" + A.text("spectral_norm") + b"}" + A.text("w") + A.tensor() + b"ss",
        b"}"
        + A.text("spectral_norm")
        + b"}("
        + b"".join(A.text(str(n)) + b"K\x01" for n in range(17))
        + b"us",
        b"K\x02",
        b"N",
        b"ccollections\nCounter\n)R",
    ],
)
def test_metadata_that_loading_could_act_on_are_refused(module: bytes, refused) -> None:
    error = refused(with_metadata(module))
    assert error.code == "pickle_malformed"
    assert "_metadata" in error.detail


@pytest.mark.parametrize("metadata", [b"N", b"]", b"}NVERSIONs".replace(b"VERSION", VERSION), b"K\x01"])
def test_metadata_are_of_modules_by_name(metadata: bytes, refused) -> None:
    entries = ORDERED_DICT + A.text("w") + A.tensor() + b"s"
    pickled = b"\x80\x02" + entries + b"}" + A.text("_metadata") + metadata + b"sb."
    assert refused(torch_zip(pickled)).code == "pickle_malformed"


@pytest.mark.parametrize("module", [VERSION, b"}", b"}" + A.text("spectral_norm") + VERSION + b"s"])
def test_metadata_of_versions_are_read(module: bytes, write) -> None:
    assert scan_checkpoint(write(with_metadata(module))).tensors


MODULES = b"".join(A.text(str(n)) + b"}" for n in range(40_000))


@pytest.mark.parametrize(
    "repeated",
    [
        # a call of 95,000 arguments, made 33,000 times
        b"(" + b"N" * 95_000 + b"tq\x01cbuiltins\nobject\nq\x02(" + b"h\x02h\x01R" * 33_000 + b"t",
        # metadata of 40,000 modules, set 26,000 times
        b"}" + A.text("_metadata") + b"}(" + MODULES + b"usq\x01(" + b"}h\x01b" * 26_000 + b"t",
    ],
    ids=["arguments", "metadata"],
)
def test_what_is_looked_at_again_and_again_counts_every_time(repeated: bytes, refused) -> None:
    """Both took billions of steps for less than 200,000 instructions, and the reader's ten seconds."""
    began = time.process_time()
    pickled = b"\x80\x02}" + A.text("w") + A.tensor() + b"s" + A.text("x") + repeated + b"s."
    assert refused(torch_zip(pickled)).code == "limit_exceeded"
    assert time.process_time() - began < 5  # .4 alone, 2.3 where coverage is traced on a busy machine


def test_what_assignment_leaves_in_the_metadata_is_refused(refused) -> None:
    """With it, tensors that share a storage would stay tied wherever the file is loaded."""
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    state = network.state_dict()
    network.load_state_dict(state, assign=True)
    out = io.BytesIO()
    torch.save(state, out)
    assert "assign" in refused(out.getvalue()).detail


@pytest.mark.parametrize("legacy", [False, True])
def test_the_metadata_of_any_network_are_read(legacy: bool, write) -> None:
    network = torch.nn.Sequential(
        torch.nn.utils.spectral_norm(torch.nn.Conv2d(3, 2, 1)), torch.nn.BatchNorm2d(2), torch.nn.ReLU()
    )
    out = io.BytesIO()
    torch.save(network.state_dict(), out, _use_new_zipfile_serialization=not legacy)
    assert scan_checkpoint(write(out.getvalue())).tensors.keys() == network.state_dict().keys()


def test_a_state_dicts_own_attribute_is_no_fault(write) -> None:
    out = io.BytesIO()
    state = torch.nn.BatchNorm2d(2).state_dict()
    assert isinstance(state, OrderedDict) and state._metadata
    torch.save({"model": state, "optimizer": OrderedDict(lr=0.1)}, out)
    assert scan_checkpoint(write(out.getvalue())).tensors.keys() == state.keys()


@pytest.mark.parametrize("arguments", [b"]\x85", b"N\x85", b"}\x85", b"NNN\x87", A.tensor() + b"\x85"])
@pytest.mark.parametrize("name", sorted(CALLS))
def test_nothing_is_made_from_arguments_without_a_call(name: str, arguments: bytes, refused) -> None:
    """OrderedDict.__new__ ignores them: torch makes an empty one, where a call makes one of pairs."""
    module, _, function = name.rpartition(".")
    pickled = b"\x80\x02}" + A.text("w") + f"c{module}\n{function}\n".encode() + arguments + b"\x81s."
    error = refused(torch_zip(pickled))
    assert error.code == "pickle_malformed"
    assert name in error.detail


def test_pairs_are_read_from_a_call_alone(write, refused) -> None:
    pairs = b"\x80\x02ccollections\nOrderedDict\n](" + A.text("w") + A.tensor() + b"\x86e\x85"
    assert scan_checkpoint(write(torch_zip(pairs + b"R."))).tensors
    assert refused(torch_zip(pairs + b"\x81.")).code == "pickle_malformed"


def test_an_empty_dict_may_be_made_without_a_call(write) -> None:
    made = b"\x80\x02ccollections\nOrderedDict\n)\x81" + A.text("w") + A.tensor() + b"s."
    assert scan_checkpoint(write(torch_zip(made))).tensors


@pytest.mark.parametrize("attributes", [b"}b", b"Nb"])
def test_attributes_of_what_is_dropped_do_not_matter(attributes: bytes, write) -> None:
    beside = b"cargparse\nNamespace\n)\x81" + attributes
    entry = b"}" + A.text("w") + A.tensor() + b"s"
    assert scan_checkpoint(write(torch_zip(A.state(("model", entry), ("args", beside))))).tensors


@pytest.mark.parametrize("attributes", [b"}", b"(" + A.storage() + b"K\x00K\x04\x85K\x00\x85t"])
def test_a_tensor_that_is_changed_after_it_was_made_is_refused(attributes: bytes, refused) -> None:
    pickled = A.state(("w", A.tensor() + attributes + b"b"))
    assert refused(torch_zip(pickled)).code == "pickle_malformed"


def test_a_pair_without_an_order_is_refused(refused) -> None:
    pair = b"\x8f(" + A.text("w") + A.text("v") + b"\x90"
    pickled = b"\x80\x04ccollections\nOrderedDict\n]" + pair + b"a\x85R."
    assert refused(torch_zip(pickled, {})).code == "pickle_malformed"
