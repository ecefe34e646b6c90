import pytest
from pydantic import ValidationError

from app.api.wire import _trigger
from app.schemas.triggers import Trigger


def test_a_built_in_trigger_brings_its_own_kind() -> None:
    with pytest.raises(ValidationError, match="a built-in trigger brings its own kind"):
        Trigger.model_validate({"name": "t", "target_label": 1, "catalog": "ring", "kind": "blend"})


def test_a_kind_that_was_never_used_is_not_shown() -> None:
    stored = {"name": "t", "target_label": 1, "catalog": "ring", "kind": "replace"}
    assert _trigger(stored).kind is None
    assert _trigger({"name": "t", "target_label": 1, "png": "x", "kind": "blend"}).kind == "blend"
