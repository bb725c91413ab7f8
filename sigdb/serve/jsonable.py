"""Values of an atlas as JSON has them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

__all__ = ["jsonable"]


def jsonable(value: Any) -> Any:
    """A value of Arrow as JSON has it. The keys of a map are texts, and so is everything that JSON does not know."""
    if isinstance(value, list) and value and all(isinstance(each, tuple) for each in value):
        return {str(key): jsonable(each) for key, each in value}
    if isinstance(value, list):
        return [jsonable(each) for each in value]
    if isinstance(value, dict):
        return {key: jsonable(each) for key, each in value.items()}
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)
