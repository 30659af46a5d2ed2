"""Compares a prediction with its reference: the two public functions and what they return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flickerscope.comparison import excess, judge, remarks
from flickerscope.comparison.excess import BandExcess, Line, MotionExcess, PictureChange
from flickerscope.comparison.judge import Evidence, Ruling, Verdict, find_unfollowed
from flickerscope.comparison.match import Match, Progress, Side, frame_counter
from flickerscope.comparison.paired import PairedReading
from flickerscope.comparison.pulse import Pulse, find_pulses, pulse_evidence
from flickerscope.inputs import open_source, refuse_unused, taken_by
from flickerscope.inputs.rate import FrameRate
from flickerscope.inputs.source import MOST_PIXELS, FileOptions
from flickerscope.kernel import Workers
from flickerscope.measure import measure_new
from flickerscope.measurement import Measurement, Rung, key
from flickerscope.motion import CarriedReading
from flickerscope.resources import Resources, pick_resources
from flickerscope.rungs import headline_band
from flickerscope.settings import Settings
from flickerscope.spectrum import Transform

__all__ = ["Comparison", "Progress", "Verdict", "analyze", "compare", "compare_sides"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A prediction held against its reference."""

    settings: Settings
    """As they were asked for."""
    segment: int
    """Frames a segment, on both sides."""
    device: str
    """That computed it."""
    pred: Measurement
    ref: Measurement
    table: tuple[BandExcess, ...]
    """Every plane, scale and band."""
    headline: BandExcess
    """Excess of the luma, or of all channels of a latent, in the primary band at block scale."""
    floor_db: float | None
    """F: the same of the quietest tenth of the tiles, dB."""
    pred_share: float | None
    """Share of the prediction's power that lies in the headline band."""
    ref_share: float | None
    picture: PictureChange
    lines: tuple[Line, ...]
    """Single frequencies at which the prediction has power that the reference lacks."""
    paired: PairedReading | None
    """Frame-by-frame readings, where the videos match."""
    paired_reason: str | None
    """Why there are none."""
    motion: MotionExcess | None
    """Motion-compensated flicker of both."""
    motion_reason: str | None
    """Why there is none."""
    carried: CarriedReading | None
    """Both along the motion of the reference, where the videos match frame by frame."""
    pulses: tuple[Pulse, ...]
    """Regular pulsing of the prediction that the reference lacks."""
    ruling: Ruling
    """The verdict, and what it rests on."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """In words."""
        return self.ruling.verdict

    @property
    def basis(self) -> str:
        """What the verdict rests on, a sentence."""
        return self.ruling.basis

    @property
    def flicker_db(self) -> float | None:
        """Motion-compensated flicker against the reference, dB.

        ``None`` where it is not measured, or the motion of one of them cannot be followed.
        """
        if self.motion is None or find_unfollowed(self.motion, self.settings) is not None:
            return None
        return self.motion.excess_db

    @property
    def energy_db(self) -> float:
        """High-frequency energy, motion included, against the reference, dB."""
        return self.headline.excess_db

    @property
    def transform(self) -> Transform:
        """Behind the prediction's numbers."""
        return self.transforms[0]

    @property
    def transforms(self) -> tuple[Transform, Transform]:
        """Behind the numbers of the prediction and of the reference."""
        return _transforms(self.pred, self.ref, self.segment, self.settings)

    @property
    def pred_rung(self) -> Rung:
        """The prediction's sums at the segment length compared."""
        return self.pred.rungs[self.segment]

    @property
    def ref_rung(self) -> Rung:
        """The reference's sums at the segment length compared."""
        return self.ref.rungs[self.segment]


def analyze(
    video: Any,
    *,
    fps: FrameRate | None = None,
    layout: str | None = None,
    value_range: str | tuple[float, float] | None = None,
    key: str | None = None,
    settings: Settings | None = None,
    ladder: bool = False,
    device: str = "auto",
    threads: int | None = None,
    memory: float | None = None,
    stream: int = 0,
    max_pixels: int | None = None,
    strict: bool = False,
    isolate: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Measurement:
    """Measure the temporal spectrum of one video.

    Args:
        video: the path of a video, of a folder of pictures or of a file of arrays, a pattern such
            as ``frames/*.png``, or an array or tensor of shape (T, H, W) or (T, C, H, W) with one
            or three (RGB) channels, uint8, uint16 or float in 0..1; float64 is measured in double
            precision. With ``latent=True`` any number of channels and any finite floats.
        fps: frames a second of an array or of pictures; without it there are cycles/frame, but
            no Hz.
        layout: the axes of an array, such as ``THWC``; guessed of a file where only one fits.
        value_range: black and white of an array, such as ``"-1..1"`` or ``(-1, 1)``.
        key: name of the array in a file that holds several.
        settings: all settings at once; ``options`` change single ones (see `Settings`).
        ladder: measure at every segment length of 32, 25, 16, 14 and 8 frames that fits, so that
            the measurement, once saved, can be compared with videos of any length.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        threads: worker threads; default: the cores there are.
        memory: megabytes for buffers; default: half of the machine's memory.
        stream: which of a file's video streams, from 0 on.
        max_pixels: refuse files whose frames are larger; default 2^27 pixels.
        strict: raise where a file is damaged, instead of measuring what decodes.
        isolate: decode files in a process of its own, which a crash of a decoder cannot leave.
        timeout: seconds that decoding a file may take; implies ``isolate``.
        progress: called after every frame.

    Raises:
        InputError: the video cannot be measured.
        SettingsError: a setting makes no sense.
        DeviceError: there is no such device.
    """
    chosen = _settings(settings, options)
    resources = pick_resources(device, threads=threads, memory=memory)
    files = _file_options(stream, max_pixels, strict, isolate, timeout)
    refuse_unused(files.chosen, video)
    source = open_source(
        video, fps=fps, layout=layout, value_range=value_range, key=key,
        planes=chosen.planes, latent=chosen.latent, threads=resources.threads,
        memory=resources.memory, files=files,
    )  # fmt: skip
    with Workers.start(resources) as workers:
        measurement, _ = measure_new(
            source, chosen, workers, ladder=ladder, progress=frame_counter(progress, source)
        )
    return measurement


def compare(
    pred: Any,
    ref: Any,
    *,
    fps: FrameRate | None = None,
    layout: str | None = None,
    value_range: str | tuple[float, float] | None = None,
    key: str | None = None,
    settings: Settings | None = None,
    device: str = "auto",
    threads: int | None = None,
    memory: float | None = None,
    stream: int = 0,
    max_pixels: int | None = None,
    strict: bool = False,
    isolate: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Measure how much more high-frequency energy a prediction has than its reference.

    Sizes, rates and lengths may differ; what was done about it is said in ``notes``.

    Args:
        pred: the prediction: a path, array or tensor as in `analyze`, or a `Measurement`.
        ref: the reference, likewise. A `Measurement` made with ``ladder=True`` serves
            predictions of any length.
        fps: frames a second of arrays and pictures; a video brings its own.
        layout, value_range, key: as in `analyze`, for each side that they go with.
        settings, device, threads, memory, progress, options: as in `analyze`.
        stream, max_pixels, strict, isolate, timeout: as in `analyze`, for both videos.

    Raises:
        InputError: a video cannot be measured.
        SettingsError: a setting makes no sense, or does not agree with a measurement's.
        DeviceError: there is no such device.
    """
    saved = [side for side in (pred, ref) if isinstance(side, Measurement)]
    if settings is None and saved:
        settings = saved[0].settings
    chosen = _settings(settings, options)
    resources = pick_resources(device, threads=threads, memory=memory)
    files = _file_options(stream, max_pixels, strict, isolate, timeout)
    form = {"fps": fps, "layout": layout, "value_range": value_range, "key": key}
    sides = _open_sides(pred, ref, form, chosen, resources, files)
    with Workers.start(resources) as workers:
        return compare_sides(sides[0], sides[1], chosen, workers, progress=progress)


def compare_sides(
    pred: Side,
    ref: Side,
    settings: Settings,
    workers: Workers,
    *,
    progress: Progress | None = None,
) -> Comparison:
    """`compare` of what is open already; a `Keeper` is measured once for all its comparisons."""
    match = Match(settings, pred, ref, workers, progress)
    try:
        return _comparison(match)
    finally:
        match.close()


def _open_sides(
    pred: Any,
    ref: Any,
    form: dict[str, Any],
    settings: Settings,
    resources: Resources,
    files: FileOptions,
) -> list[Side]:
    """Each as it is or opened, with the options of ``form`` that go with it."""
    given = [side for side in (pred, ref) if not isinstance(side, Measurement)]
    refuse_unused(form | files.chosen, *given)
    return [
        side
        if isinstance(side, Measurement)
        else open_source(
            side,
            **{name: form[name] for name in taken_by(side)},
            planes=settings.planes,
            latent=settings.latent,
            threads=resources.threads,
            memory=resources.memory,
            files=files,
        )
        for side in (pred, ref)
    ]


def _file_options(
    stream: int, max_pixels: int | None, strict: bool, isolate: bool, timeout: float | None
) -> FileOptions:
    return FileOptions(
        stream=stream,
        max_pixels=MOST_PIXELS if max_pixels is None else max_pixels,
        strict=strict,
        isolate=isolate,
        timeout=timeout,
    )


def _settings(settings: Settings | None, options: dict[str, Any]) -> Settings:
    return (settings or Settings()).with_changes(**options)


def _comparison(match: Match) -> Comparison:
    pred, ref, segment = match.measure()
    settings = match.settings
    transforms = _transforms(pred, ref, segment, settings)
    sides = judge.sides(pred, ref, segment, transforms)
    table = tuple(row for name in sides for row in excess.band_excess(name, *sides[name]))
    band = headline_band(settings, *transforms)
    plane, scale = settings.main_plane, settings.main_scale
    headline = judge.pick_headline(table, plane, scale, transforms[0].bands[band].name)
    main = sides[key(plane, scale)]
    change = excess.picture_change(pred.clips, ref.clips, pred.unit)
    floor_db = judge.floor_change(pred, ref, segment)
    speed = _speed(pred, ref, settings)
    lines = tuple(line for n in sides for line in excess.find_lines(n, *sides[n], speed=speed))
    paired, reason = match.read_pair(transforms[0])
    carried = match.carry(paired)
    paces = (
        judge.pace(pred, segment, scale, headline.pred_power, transforms[0]),
        judge.pace(ref, segment, scale, headline.ref_power, transforms[1]),
    )
    motion, motion_reason = _motion(pred, ref)
    pulses, their_pulses = _pulses(pred, ref, segment, transforms)
    ruling = judge.judge(
        Evidence(
            settings=settings,
            headline=headline,
            table=table,
            pred_pace=paces[0],
            ref_pace=paces[1],
            motion=motion,
            motion_reason=motion_reason,
            carried=carried,
        )
    )
    return Comparison(
        settings=settings,
        segment=segment,
        device=str(match.workers.resources.device),
        pred=pred,
        ref=ref,
        table=table,
        headline=headline,
        floor_db=floor_db,
        pred_share=excess.high_share(*main[0], band),
        ref_share=excess.high_share(*main[1], band),
        picture=change,
        lines=lines,
        paired=paired,
        paired_reason=reason,
        motion=motion,
        motion_reason=motion_reason,
        carried=carried,
        pulses=pulses,
        ruling=ruling,
        notes=(
            *match.notes,
            *remarks.difference_notes(pred, ref),
            *remarks.by_role(pred, ref, "notes"),
        ),
        warnings=(
            *remarks.swap_warnings(pred.clips[0].info.path, ref.clips[0].info.path),
            *remarks.made_reference_warnings(their_pulses),
            *remarks.motion_warnings(motion, ruling, settings),
            *remarks.comparison_warnings(headline, floor_db, change, segment, settings),
            *remarks.colour_warnings(table, headline),
            *remarks.channel_warnings(table, headline),
            *remarks.unmeasured_warnings(pred, ref),
            *remarks.codec_warnings(pred, ref),
            *remarks.transfer_warnings(pred, ref),
            *remarks.by_role(pred, ref, "warnings"),
        ),
    )


def _pulses(
    pred: Measurement, ref: Measurement, segment: int, transforms: tuple[Transform, Transform]
) -> tuple[tuple[Pulse, ...], tuple[Pulse, ...]]:
    """Of the prediction over the reference, and of the reference over the prediction.

    Of single videos, as pulses do not add, and no latents; see `own_pulses`.
    """
    if len(pred.clips) > 1 or len(ref.clips) > 1 or pred.settings.latent:
        return (), ()
    ours = pulse_evidence(pred, segment, transforms[0])
    theirs = pulse_evidence(ref, segment, transforms[1])
    return tuple(find_pulses(ours, theirs)), tuple(find_pulses(theirs, ours))


def _motion(pred: Measurement, ref: Measurement) -> tuple[MotionExcess | None, str | None]:
    """The motion-compensated flicker of both, or why there is none."""
    ours, theirs = excess.summarize_motion(pred.clips), excess.summarize_motion(ref.clips)
    if ours is not None and theirs is not None:
        return excess.motion_excess(ours, theirs), None
    reasons = {
        role: next((clip.motion_reason for clip in side.clips if clip.motion_reason), None)
        for role, side, found in (("pred", pred, ours), ("ref", ref, theirs))
        if found is None
    }
    different = dict.fromkeys(reasons.values())
    if len(reasons) == len(different) == 1:
        role, reason = next(iter(reasons.items()))
        return None, f"{role}: {reason}"
    return None, "; ".join(str(reason) for reason in different)


def _transforms(
    pred: Measurement, ref: Measurement, segment: int, settings: Settings
) -> tuple[Transform, Transform]:
    """One for each side; along an axis in Hz every band is the same in both."""
    if settings.axis != "hz":
        return pred.transform(segment), ref.transform(segment)
    return (
        pred.transform(segment, beside=ref.rate),
        ref.transform(segment, beside=pred.rate),
    )


def _speed(pred: Measurement, ref: Measurement, settings: Settings) -> float:
    """Frames/s of the prediction over the reference's, where they are compared in Hz."""
    if settings.axis != "hz" or pred.rate is None or ref.rate is None:
        return 1.0
    return float(pred.rate / ref.rate)
