"""The flicker of clips by themselves, as `analyze` reads it."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from flickerscope.comparison import analyze
from flickerscope.measurement import Measurement
from flickerscope.metrics.base import ClipMetric, measurements, pooled
from flickerscope.metrics.records import Record, light, unpack
from flickerscope.metrics.summary import summarize_clips

__all__ = ["Flicker"]


class Flicker(ClipMetric):
    """Flicker of clips without a reference: what `analyze` reads of each, and medians over all.

    Levels, held against nothing: for a reference of each clip, or a set of real clips, take
    `ExcessFlicker`, paired or with ``paired=False``. Arguments as there, without those about
    references.

    `compute` returns scalars:

    | name | unit | |
    |---|---|---|
    | `flicker_rms` | code values | root of `flicker`, not below 0 |
    | `flicker` | code² | motion-compensated flicker |
    | `area` | 0..1 | share of the picture and the time that flickers |
    | `texture` | 0..1 | share of the fine detail that is renewed in each frame |
    | `pop` | code² | largest single step |
    | `coverage` | 0..1 | share in which the motion can be followed |
    | `speed` | px/frame | of a picture of 72 rows |
    | `energy_rms` | code values | high-frequency energy, motion included |
    | `clips` | count | all that were given |
    | `measured` | count | those behind the medians, except that of the energy |
    | `not_measurable` | count | those whose motion cannot be followed: energy alone |
    | `failed` | count | those that could not be measured at all |

    Medians are over the measured clips; NaN where there is none.
    """

    def update(self, preds: Tensor) -> None:
        """Measure a batch of clips.

        Raises:
            InputError: the batch has not the layout, or a clip cannot be measured.
        """
        clips = self._clips(preds, "preds")
        self._keep(
            [self._record(f"preds[{i}]", partial(self._measure, x)) for i, x in enumerate(clips)]
        )

    def compute(self) -> dict[str, Tensor]:
        """All clips so far, as above."""
        records = unpack(self.records)
        failed = sum(record["kind"] == "failed" for record in records)
        return self._values(summarize_clips(measurements(records, "clip"), failed))

    def measurement(self) -> Measurement:
        """All clips so far as one, for a figure or to `save`; on every process of a run.

        Raises:
            InputError: no clip has been measured.
        """
        return pooled(measurements(self._gathered(), "clip"))

    def _result(self) -> Measurement:
        return self.measurement()

    def _measure(self, clip: Tensor) -> Record:
        return {"kind": "clip", "clip": light(analyze(clip, **self._form(clip))).to_dict()}
