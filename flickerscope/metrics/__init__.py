"""Flicker as torchmetrics: the readings of `analyze` and `compare` in a validation loop."""

try:
    import torchmetrics  # noqa: F401 - before what needs it, to say how to get it
except ImportError as error:
    raise ImportError(
        f"flickerscope.metrics needs torchmetrics ({error}): pip install 'flickerscope[metrics]'"
    ) from error

from flickerscope.metrics.excess import ExcessFlicker
from flickerscope.metrics.flicker import Flicker

__all__ = ["ExcessFlicker", "Flicker"]
