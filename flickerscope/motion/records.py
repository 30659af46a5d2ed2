"""Applies a function to all tensors of a record, and of the records in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, TypeVar

import torch

__all__ = ["map_records"]

Record = TypeVar("Record")


def map_records(function: Callable[..., torch.Tensor], *records: Record) -> Record:
    """A record of what the function makes of the tensors of one or more records of the same kind.

    ``None`` stays ``None``.
    """
    first: Any = records[0]

    def value(name: str) -> Any:
        parts = [getattr(record, name) for record in records]
        if parts[0] is None:
            return None
        return (partial(map_records, function) if is_dataclass(parts[0]) else function)(*parts)

    made: Record = type(first)(**{item.name: value(item.name) for item in fields(first)})
    return made
