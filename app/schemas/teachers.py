"""Teachers on the wire."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from app.schemas.base import NO_NUL, Wire
from app.schemas.layers import read_layer_list
from app.schemas.uploads import Links, Upload
from models.recipes.architecture import MAX_INPUT_SIZE
from models.recipes.architecture_catalog import validate_name
from models.recipes.layer_list.identity import document
from models.recipes.layer_list.refusals import refused
from models.recipes.layer_list.vocabulary import LayerList
from models.results.inspection import CheckpointInspection


def _three(text: str, lowest: float = -10.0) -> tuple[float, float, float]:
    try:
        red, green, blue = (float(channel) for channel in text.split(","))
    except ValueError:
        raise ValueError("must be three numbers separated by commas") from None
    if not all(lowest <= channel <= 10.0 for channel in (red, green, blue)):
        raise ValueError(f"must be three numbers from {lowest:g} to 10, for pixels in [0, 1]")
    return red, green, blue


class TeacherQuery(Wire):
    """What the uploader declares, as query parameters; everything is optional."""

    architecture: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$", examples=["wrn-16-2"])
    """Registry name; inferred from names and shapes when absent. See ``GET /v1/architectures``."""
    state_dict_key: str | None = Field(None, min_length=1, max_length=256, pattern=NO_NUL)
    """Which mapping in the file is the model, where there are several."""
    num_classes: int | None = Field(None, ge=2, le=1000)
    """Number of classes; read from the last layer when absent."""
    input_size: int | None = Field(None, ge=8, le=MAX_INPUT_SIZE)
    """Side of the square input in pixels; when absent and not fixed by the weights, what the architecture is
    usually given: 32, or 224 for torchvision's."""
    mean: str | None = Field(None, max_length=100, examples=["0.4914,0.4822,0.4465"])
    """Channel means that the network expects to be subtracted, for pixels in [0, 1]; red,green,blue."""
    std: str | None = Field(None, max_length=100, examples=["0.2470,0.2435,0.2616"])
    """Channel deviations that the network expects to be divided by; red,green,blue."""
    layers: str | None = Field(None, json_schema_extra={"contentMediaType": "application/json"})
    """Layer list of a network that is not of the registry, as JSON; see ``GET /v1/schemas/layer-list``."""

    @field_validator("mean")
    @classmethod
    def _is_mean(cls, text: str | None) -> str | None:
        if text is not None:
            _three(text)
        return text

    @field_validator("std")
    @classmethod
    def _is_std(cls, text: str | None) -> str | None:
        if text is not None:
            _three(text, lowest=1e-3)
        return text

    def declared(self) -> dict[str, Any]:
        """Return the declarations as plain values, None where there are none.

        Raises:
            CheckpointRejected: If the layer list is refused, with one of its codes.
            RecipeError: ``architecture_unknown``, if no network has the declared name.
        """
        values = self.model_dump()
        if self.architecture is not None and self.layers is None:
            validate_name(self.architecture)
        if self.layers is not None:
            values["layers"] = document(self._layers_alone(self.layers))
        return values | {
            name: list(_three(values[name])) for name in ("mean", "std") if values[name] is not None
        }

    def _layers_alone(self, text: str) -> LayerList:
        if self.architecture is not None:
            raise refused("layers_invalid", "Both a layer list and an architecture's name were declared.")
        return read_layer_list(text)


class TeacherOptions(Wire):
    """What the uploader declared; null where nothing was."""

    architecture: str | None = None
    state_dict_key: str | None = None
    num_classes: int | None = None
    input_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    layers: LayerList | None = None


class Teacher(Upload):
    """An uploaded teacher and what the inspection found in it."""

    object: Literal["teacher"] = "teacher"
    declared: TeacherOptions
    """What the uploader declared."""
    inspection: CheckpointInspection | None
    """Null until the status is ``ready``."""
    links: Links
