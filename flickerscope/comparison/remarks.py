"""Says what makes the numbers of a comparison doubtful, and what was done about it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from flickerscope.comparison.excess import BandExcess, MotionExcess, PictureChange
from flickerscope.comparison.judge import THRESHOLD_DB, Ruling, percent, signed
from flickerscope.comparison.pulse import Pulse
from flickerscope.measurement import Measurement
from flickerscope.settings import ALL_CHANNELS, Settings
from flickerscope.spectrum import SECOND_DIFFERENCE

__all__ = [
    "by_role",
    "channel_warnings",
    "codec_warnings",
    "colour_warnings",
    "comparison_warnings",
    "difference_notes",
    "made_reference_warnings",
    "motion_warnings",
    "swap_warnings",
    "transfer_warnings",
    "unmeasured_warnings",
]

DIFFERENT_SHARE: Final = 0.3
LEAST_POP: Final = 16.0
"""Squared step of the quiet tiles from which on it is worth a word, code^2."""
POP_RATIO: Final = 10.0
"""The same over the reference's: fast motion raises it, too."""
BLUR_DB: Final = -1.0

MADE: Final = frozenset(
    [
        "fake",
        "gen",
        "generated",
        "output",
        "pred",
        "prediction",
        "predictions",
        "preds",
        "recon",
        "reconstructed",
        "reconstruction",
        "sample",
        "samples",
    ]
)
GIVEN: Final = frozenset(
    ["groundtruth", "gt", "orig", "original", "real", "ref", "reference", "target", "truth"]
)
"""Words in the names of what a model made, and of what it is held against."""


def by_role(pred: Measurement, ref: Measurement, kind: Literal["notes", "warnings"]) -> list[str]:
    """Texts of both, with a word on which video they are about; what both have is said once."""
    ours, theirs = (
        list(dict.fromkeys(text for clip in side.clips for text in getattr(clip, kind)))
        for side in (pred, ref)
    )
    return [
        *(f"pred and ref: {text}" for text in ours if text in theirs),
        *(f"pred: {text}" for text in ours if text not in theirs),
        *(f"ref: {text}" for text in theirs if text not in ours),
    ]


def colour_warnings(table: tuple[BandExcess, ...], headline: BandExcess) -> list[str]:
    """A sentence for each chroma plane that the verdict, which is about luma, leaves out."""
    return [
        f"{row.plane.capitalize()} has {row.excess_db:+.1f} dB more in {row.band}: the colour "
        "flickers or moves more, the verdict is about luma"
        for row in table
        if row.plane in ("cb", "cr")
        and (row.scale, row.band) == (headline.scale, headline.band)
        and row.excess_db >= THRESHOLD_DB
    ]


def channel_warnings(table: tuple[BandExcess, ...], headline: BandExcess) -> list[str]:
    """A sentence for channels of a latent that have more, where all together do not."""
    if headline.plane != ALL_CHANNELS or headline.excess_db >= THRESHOLD_DB:
        return []
    more = [
        row
        for row in table
        if row.plane != ALL_CHANNELS
        and (row.scale, row.band) == (headline.scale, headline.band)
        and row.excess_db >= THRESHOLD_DB
    ]
    if not more:
        return []
    most = max(more, key=lambda row: row.excess_db)
    count = "one channel has" if len(more) == 1 else f"{len(more)} channels have"
    text = (
        f"{count} {THRESHOLD_DB:g} dB or more in {headline.band}, {most.plane} the most with "
        f"{signed(most.excess_db)} dB, which the others outweigh"
    )
    return [text]


def swap_warnings(pred: str, ref: str) -> list[str]:
    """A hint where the paths say that prediction and reference have changed places.

    Words that both paths have, such as those of a common folder, say nothing.
    """
    ours, theirs = (set(re.findall("[a-z]+", path.lower())) for path in (pred, ref))
    ours, theirs = ours - theirs, theirs - ours
    if not (ours & GIVEN and theirs & MADE) or ours & MADE or theirs & GIVEN:
        return []
    text = (
        f"the names look swapped: the prediction is called {min(ours & GIVEN)!r}, the reference "
        f"{min(theirs & MADE)!r}; the video to judge comes first"
    )
    return [text]


def made_reference_warnings(pulses: Sequence[Pulse]) -> list[str]:
    """A hint where the reference, and not the prediction, pulses as what a model made does.

    ``pulses``: of the reference, over those of the prediction.
    """
    made = [replace(pulse, excess_db=None) for pulse in pulses if pulse.kind != "key frames"]
    return [
        f"the reference looks like the generated one: it {pulse.text}; the video to judge comes "
        "first"
        for pulse in made[:1]
    ]


def transfer_warnings(pred: Measurement, ref: Measurement) -> list[str]:
    """A sentence where code values do not mean the same light on both sides."""
    found = []
    for name in ("transfer", "matrix"):
        kinds = {getattr(c.info, name) for side in (pred, ref) for c in side.clips} - {None}
        if len(kinds) > 1:
            found.append(
                f"different {name} ({', '.join(sorted(kinds))}): code values do not mean the same"
            )
    return found


def unmeasured_warnings(pred: Measurement, ref: Measurement) -> list[str]:
    """A sentence for a side of several videos of which some have no motion-compensated flicker."""
    return [
        f"{role}: {len(side.clips) - found} of {len(side.clips)} videos have no motion-compensated "
        "flicker and are not in its median"
        for role, side in (("pred", pred), ("ref", ref))
        if 0 < (found := sum(clip.motion is not None for clip in side.clips)) < len(side.clips)
    ]


def codec_warnings(pred: Measurement, ref: Measurement) -> list[str]:
    """A sentence where the videos were not compressed alike."""
    codecs = sorted({c.info.codec for side in (pred, ref) for c in side.clips if c.info.codec})
    if len(codecs) < 2:
        return []
    return [f"different codecs ({', '.join(codecs)}) add flicker of their own: compare under one"]


def motion_warnings(motion: MotionExcess | None, ruling: Ruling, settings: Settings) -> list[str]:
    """How the motion of both differs, and what the verdict leaves out."""
    if motion is None:
        return []
    pred, ref, limit = motion.pred, motion.ref, settings.min_excess
    warnings = []
    speeds = sorted((pred.speed, ref.speed))
    if speeds[1] > 1.5 * speeds[0] + settings.still_speed or (
        abs(pred.moving_share - ref.moving_share) >= DIFFERENT_SHARE
    ):
        warnings.append(
            f"the motion differs: median speed {pred.speed:.2f} and {ref.speed:.2f} pixels/frame "
            f"of 72 rows, {percent(pred.moving_share)} and {percent(ref.moving_share)} of the "
            "picture moves"
        )
    if pred.coverage < settings.min_coverage and ruling.ground == "motion":
        warnings.append(
            f"the motion can be followed in only {percent(pred.coverage)} of the prediction"
        )
    if pred.pop is not None and pred.pop >= max(LEAST_POP, POP_RATIO * (ref.pop or 0.0)):
        warnings.append(
            f"a single step or flash of {math.sqrt(pred.pop):.1f} code values in the quiet part of "
            f"the prediction, {math.sqrt(max(ref.pop or 0.0, 0.0)):.1f} at the most in the "
            "reference: no flicker, but look at it"
        )
    if ruling.verdict == "flickers more":
        return warnings
    if motion.excess_db >= limit > motion.usual_db and pred.flicker >= settings.min_flicker:
        warnings.append(
            f"motion-compensated flicker {signed(motion.excess_db)} dB for a part of the time only "
            f"(by the median over time {signed(motion.usual_db)} dB)"
        )
    found = (
        ("moving", "where the picture moves against the rest", motion.moving_db),
        ("cb", "in Cb", motion.cb_db),
        ("cr", "in Cr", motion.cr_db),
    )
    for name, where, value in found:
        if value is not None and value >= limit and getattr(pred, name) >= settings.min_flicker:
            warnings.append(f"motion-compensated flicker {signed(value)} dB {where}")
    if motion.texture_db is not None and motion.texture_db >= limit:
        warnings.append(
            f"the fine detail is renewed {signed(motion.texture_db)} dB more in each frame "
            f"({percent(max(pred.texture or 0, 0))}, {percent(max(ref.texture or 0, 0))} in the "
            "reference): boiling"
        )
    return warnings


def difference_notes(pred: Measurement, ref: Measurement) -> list[str]:
    """How sizes and lengths differ, and what that means."""
    notes = []
    ours, theirs = pred.clips[0], ref.clips[0]
    sizes = [f"{clip.info.width}x{clip.info.height}" for clip in (ours, theirs)]
    if sizes[0] != sizes[1]:
        notes.append(
            f"sizes differ ({sizes[0]} and {sizes[1]}): compare at block and global scale, "
            "which do not depend on it"
        )
    if ours.frames != theirs.frames:
        notes.append(
            f"lengths differ ({ours.frames} and {theirs.frames} frames): powers are means "
            "over segments"
        )
    return notes


def comparison_warnings(
    headline: BandExcess,
    floor_db: float | None,
    change: PictureChange,
    segment: int,
    settings: Settings,
) -> list[str]:
    """What makes the headline doubtful."""
    warnings = []
    if headline.band == SECOND_DIFFERENCE:
        warnings.append(
            f"segments of {segment} frames have no spectrum: the energy is the second difference's"
        )
    elif headline.band != settings.primary_band:
        warnings.append(
            f"segments of {segment} frames at this rate do not show {settings.primary_band} "
            f"apart from slow change: the energy is that of {headline.band}"
        )
    elif not headline.reliable:
        warnings.append(
            f"{headline.band} is not reliable in segments of {segment} frames: slow change "
            "leaks into it"
        )
    if floor_db is not None and headline.excess_db < THRESHOLD_DB <= floor_db:
        warnings.append(
            f"the calmest tenth of the picture has {floor_db:+.1f} dB more energy, which the rest "
            "of it outweighs"
        )
    if change.sharpness_db is not None and change.sharpness_db < BLUR_DB:
        warnings.append(
            f"the prediction is less sharp by {-change.sharpness_db:.1f} dB: blur hides flicker"
        )
    return warnings
