"""How much more predictions flicker than their references, as `compare` reads it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor

from flickerscope.comparison import Comparison, analyze, compare
from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.rate import FrameRate
from flickerscope.measurement import Measurement
from flickerscope.metrics.base import ClipMetric, OnError, measurements, pooled
from flickerscope.metrics.records import Record, light, unpack
from flickerscope.metrics.summary import pair_reading, summarize_pairs, summarize_sets
from flickerscope.settings import LADDER, Settings

__all__ = ["ExcessFlicker"]


class ExcessFlicker(ClipMetric):
    """How much more predicted clips flicker than their references.

    Paired, every prediction is held against its own reference by `compare`, and the medians over
    the pairs are returned. Else two sets of clips without correspondence are held against each
    other: generated clips against real ones. Then every clip is read by itself, and what else
    differs between the sets counts too, motion and sharpness in the energy above all.

    `compute` returns scalars; where `_low`, `_high` and `_p` are named, they are the ends of the
    exact 95 % interval, and the p-value of the one-sided test that predictions flicker more:

    | name | unit | |
    |---|---|---|
    | `flicker_db`, `_low`, `_high`, `_p` | dB | motion-compensated flicker against the reference |
    | `energy_db`, `_low`, `_high`, `_p` | dB | high-frequency energy, motion included |
    | `unexplained_db` | dB | energy that does not follow the reference, against the reference's |
    | `flickers_more` | 0 or 1 | the batch rule, 1 too for *incoherent*; NaN where it cannot tell |
    | `more`, `less` | count | pairs whose verdict is *flickers more* or *flickers less* |
    | `incoherent` | count | pairs whose prediction is drawn anew where the reference moves |
    | `pairs` | count | all that were given |
    | `measured` | count | those behind `flicker_db`, the incoherent ones included |
    | `in_step` | count | those behind `unexplained_db` |
    | `not_measurable` | count | those whose motion cannot be followed: energy alone |
    | `failed` | count | those that could not be measured at all |

    Values are medians over the pairs (Wilcoxon's signed-rank test), NaN where there is none. A
    pair that is incoherent counts as above every number, as in a scan (`place_in_batch`), so that
    a median or the end of an interval may be infinite. The batch rule tells nothing of fewer than
    5 pairs, nor where it finds nothing and less than half of the pairs are measured. With
    `paired=False` they are Hodges-Lehmann shifts (Mann-Whitney's test), where clips without a
    reading whose picture is redrawn count as above every number too, and what stands below
    `energy_db` gives way to the counts `preds`, `preds_measured`, `refs`, `refs_measured` and
    `failed`.

    Pairs are taken for independent: where clips share a prompt or a reference, intervals and
    p-values are too good.

    Args:
        paired: whether the n-th clip of `target` is the reference of the n-th of `preds`.
        reference: the references of unpaired predictions, measured before, such as a set that was
            saved; `update` then takes no target.
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
        SettingsError: for a layout, a range, a rate or another choice that makes no sense.
    """

    def __init__(
        self,
        *,
        paired: bool = True,
        reference: Measurement | None = None,
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
        if reference is not None and settings is None:
            settings = reference.settings
        super().__init__(
            fps=fps, layout=layout, value_range=value_range, clamp=clamp, on_error=on_error,
            settings=settings, threads=threads, memory=memory, **kwargs,
        )  # fmt: skip
        self.paired, self.reference = paired, reference
        if reference is not None:
            self._check_reference(reference)

    def update(self, preds: Tensor | None = None, target: Tensor | None = None) -> None:
        """Measure a batch of predictions, and of their references.

        Unpaired, the two may differ in everything but their layout, and one may be missing.

        Raises:
            InputError: a batch has not the layout, two batches do not pair, or a clip cannot be
                measured.
        """
        sides = {"preds": preds, "target": target}
        clips = {n: self._clips(batch, n) for n, batch in sides.items() if batch is not None}
        if self.reference is not None and target is not None:
            raise InputError("target is given, and so was a reference that was measured before")
        if not self.paired:
            self._keep(
                [
                    self._record(f"{side}[{i}]", partial(self._measure, side, clip))
                    for side, batch in clips.items()
                    for i, clip in enumerate(batch)
                ]
            )
            return
        if len(clips) < 2 or len(clips["preds"]) != len(clips["target"]):
            counts = ", ".join(f"{len(batch)} in {side}" for side, batch in clips.items())
            raise InputError(f"paired clips need as many in preds as in target, got {counts or 0}")
        pairs = zip(clips["preds"], clips["target"], strict=True)
        self._keep(
            [
                self._record(f"preds[{i}], target[{i}]", partial(self._compare, *pair))
                for i, pair in enumerate(pairs)
            ]
        )

    def compute(self) -> dict[str, Tensor]:
        """All clips so far, as above."""
        records = unpack(self.records)
        failed = sum(record["kind"] == "failed" for record in records)
        if self.paired:
            readings = [record for record in records if record["kind"] == "pair"]
            return self._values(summarize_pairs(readings, failed))
        pred, ref = self._sides(records)
        pool = None
        if pred and ref:
            try:
                pool = compare(pooled(pred), pooled(ref), settings=self.settings)
            except SettingsError as error:
                warnings.warn(f"energy_db was not measured: {error}", stacklevel=2)
        return self._values(summarize_sets(pred, ref, pool, failed))

    def comparison(self) -> Comparison:
        """All predictions so far against all references, pooled, as `compare` returns it.

        In a distributed run, on every process.

        Raises:
            InputError: there is nothing to compare.
            SettingsError: the clips have no segment length in common.
        """
        pred, ref = self._sides(self._gathered())
        return compare(pooled(pred), pooled(ref), settings=self.settings)

    def _result(self) -> Comparison:
        return self.comparison()

    def _sides(self, records: list[Record]) -> tuple[list[Measurement], list[Measurement]]:
        ref = measurements(records, "target")
        return measurements(records, "preds"), ref if self.reference is None else [self.reference]

    def _compare(self, pred: Tensor, ref: Tensor) -> Record:
        result = compare(pred, ref, **self._form(pred))
        return {
            "kind": "pair",
            **pair_reading(result),
            "preds": light(result.pred).to_dict(),
            "target": light(result.ref).to_dict(),
        }

    def _measure(self, side: str, clip: Tensor) -> Record:
        form = self._form(clip)
        if self.reference is not None:
            frames = clip.shape[self.layout.replace("B", "").index("T")]
            form["settings"] = self._fitting(self.reference, frames)
        return {"kind": side, side: light(analyze(clip, **form)).to_dict()}

    def _fitting(self, reference: Measurement, frames: int) -> Settings:
        """Segments as long as the reference has them and a clip of so many frames allows."""
        most = self.settings.segment or min(LADDER[0], frames)
        fitting = [n for n in reference.rungs if n <= most]
        return replace(self.settings, segment=max(fitting, default=None))

    def _check_reference(self, reference: Measurement) -> None:
        if self.paired:
            raise SettingsError("a reference that was measured before needs paired=False")
        if reference.settings.of_one_video != self.settings.of_one_video:
            raise SettingsError("settings: other than those of the reference; leave them out")
        if None not in (self.fps, reference.rate) and self.fps != reference.rate:
            raise SettingsError(
                f"fps is {self.fps}, that of the reference {reference.rate}: they must be the same"
            )

    def _further(self) -> list[Any]:
        return [self.paired]
