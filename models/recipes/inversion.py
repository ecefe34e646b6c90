"""Kinds of fields that the two methods of model inversion share."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

Weight = Annotated[float, Interval(ge=0.0, le=1e4)]
Rate = Annotated[float, Interval(gt=0.0, le=1.0)]
BatchNormDistance = Literal["relative", "raw"]
