"""What the metrics share: how a batch comes apart into clips, and where the records are kept."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torchmetrics import Metric

from flickerscope.comparison import Comparison
from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.arrays import parse_range
from flickerscope.inputs.layout import check_layout
from flickerscope.inputs.rate import FrameRate, rate_of
from flickerscope.measurement import Measurement
from flickerscope.metrics.records import Record, pack, unpack
from flickerscope.settings import Settings

__all__ = ["ClipMetric", "OnError", "measurements", "pooled"]

OnError = Literal["raise", "count"]


class ClipMetric(Metric):
    """Measures each clip of each batch by itself, where it is; the base of the metrics here.

    Args:
        fps: frames a second; without it there are cycles/frame, but no Hz.
        layout: the axes of a batch: BTCHW, BCTHW, or without channels BTHW; in any order.
        value_range: black and white, such as ``"-1..1"`` or ``(-1, 1)``; default 0..1 of floats,
            and all of uint8 and uint16.
        clamp: bring floats beyond black and white back to them, instead of refusing them.
        on_error: what to do with a clip that cannot be measured (no finite values, too few
            frames): ``raise``, or ``count`` it as failed.
        settings: what to measure (see `Settings`).
        threads, memory: worker threads and megabytes, as in `analyze`.
        kwargs: as `torchmetrics.Metric` takes them.

    Raises:
        SettingsError: for a layout, a range, a rate or an ``on_error`` that makes no sense.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = False
    records: list[Tensor]

    def __init__(
        self,
        *,
        fps: FrameRate | None = None,
        layout: str = "BTCHW",
        value_range: str | tuple[float, float] | None = None,
        clamp: bool = False,
        on_error: OnError = "raise",
        settings: Settings | None = None,
        threads: int | None = None,
        memory: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.layout = check_layout(layout)
        if "B" not in self.layout:
            raise SettingsError(f"layout is {layout!r}; a batch needs B, as in BTCHW or BCTHW")
        if on_error not in get_args(OnError):
            raise SettingsError(f"on_error: one of {get_args(OnError)}, got {on_error!r}")
        self.fps = rate_of(fps)
        self.value_range = parse_range(value_range)
        self.clamp, self.on_error = clamp, on_error
        self.settings = settings or Settings()
        self.threads, self.memory = threads, memory
        self.add_state("records", default=[], dist_reduce_fx="cat")

    @property
    def failures(self) -> list[str]:
        """Why clips of this process could not be measured, a sentence each."""
        return [record["reason"] for record in unpack(self.records) if record["kind"] == "failed"]

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """As in torchmetrics, but a process that has seen no clip joins in too."""
        if not self.records:
            # Without anything torchmetrics sends floats, which do not go with the others' bytes.
            self.records = [torch.zeros(0, dtype=torch.uint8, device=self.device)]
        super().sync(*args, **kwargs)

    def plot(self, val: object = None, ax: object = None) -> tuple[Any, list[Any]]:
        """Draw the report's figure of all clips so far; in a distributed run, on every process.

        Args:
            val: not used: it is drawn from the clips.
            ax: not allowed: the figure is a page of its own.

        Returns:
            A matplotlib figure and its axes.
        """
        del val
        if ax is not None:
            raise SettingsError("the figure is a page of its own and takes no axes")
        from flickerscope.report.figure import figure

        drawn = figure(self._result())
        drawn.set_dpi(150)  # for loggers that take it as it is: at 100 its type is coarse
        return drawn, drawn.axes

    def _result(self) -> Comparison | Measurement:
        """All clips so far, of all processes, as one result to be drawn."""
        raise NotImplementedError

    def _clips(self, batch: Tensor, name: str) -> list[Tensor]:
        """The clips of a batch, with the axes of `_form`'s layout."""
        if not isinstance(batch, Tensor):
            raise InputError(f"{name}: got {type(batch).__name__}; a tensor is needed")
        shape, axes = tuple(batch.shape), self.layout
        if len(shape) != len(axes) or 0 in shape:
            raise InputError(f"{name}: got shape {shape}; allowed is layout {axes}")
        if not self.settings.latent and "C" in axes and shape[axes.index("C")] not in (1, 3):
            raise InputError(
                f"{name}: got shape {shape} as {axes}; C must be 1 (gray) or 3 (RGB): say another "
                "layout, decode latents, or measure them by Settings(latent=True)"
            )
        batch = batch.detach()
        if self.clamp and batch.is_floating_point():
            batch = batch.clamp(*(self.value_range or (0.0, 1.0)))
        return list(batch.unbind(axes.index("B")))

    def _form(self, clip: Tensor) -> dict[str, Any]:
        """How `analyze` and `compare` are to read a clip, and where."""
        device = clip.device
        return {
            "fps": self.fps,
            "layout": self.layout.replace("B", ""),
            "value_range": self.value_range,
            "settings": self.settings,
            "device": device.type if device.type == "mps" else str(device),
            "threads": self.threads,
            "memory": self.memory,
        }

    def _record(self, name: str, measure: Callable[[], Record]) -> Record:
        """What `measure` returns, or why it could not."""
        try:
            return measure()
        except InputError as error:
            if self.on_error == "raise":
                raise type(error)(f"{name}: {error}") from error
            return {"kind": "failed", "reason": f"{name}: {error}"}

    def _keep(self, records: list[Record]) -> None:
        """Add what was measured of a batch: all of it, or an error came before."""
        # Metrics that were set up otherwise have other states, even where they read the same: a
        # MetricCollection must not let one stand for the other.
        form = self.layout, str(self.fps), self.value_range, self.clamp, self.on_error
        asked = json.dumps([*form, self.settings.to_dict(), *self._further()])
        self.records += [pack({**record, "asked": asked}, self.device) for record in records]

    def _further(self) -> list[Any]:
        """What else tells metrics apart."""
        return []

    def _gathered(self) -> list[Record]:
        """The records of all processes."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return unpack(self.records)

    def _values(self, numbers: Mapping[str, float]) -> dict[str, Tensor]:
        """Scalars on the device of the metric; float64 where it has that."""
        dtype = torch.float32 if self.device.type == "mps" else torch.float64
        return {
            name: torch.tensor(value, dtype=dtype, device=self.device)
            for name, value in numbers.items()
        }


def measurements(records: Iterable[Record], name: str) -> list[Measurement]:
    """Those of one name in all records that have it."""
    return [Measurement.from_dict(record[name]) for record in records if name in record]


def pooled(measurements: list[Measurement]) -> Measurement:
    """The sum; raises `InputError` where there is nothing to add."""
    if not measurements:
        raise InputError("no clip has been measured so far")
    return reduce(operator.add, measurements)
