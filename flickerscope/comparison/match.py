"""Brings two videos to one rate and one segment length, and measures them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from fractions import Fraction
from typing import Final

from flickerscope.comparison.carry import carry
from flickerscope.comparison.paired import PairedReading, read_pair
from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.source import Source, VideoInfo
from flickerscope.kernel import Workers
from flickerscope.measure import measure as measure_video
from flickerscope.measure import unit_of
from flickerscope.measurement import Measurement, require_same_settings
from flickerscope.motion import CarriedReading
from flickerscope.repeats import Held
from flickerscope.rungs import headline_band
from flickerscope.settings import LADDER, Settings
from flickerscope.spectrum import Transform, make_transform
from flickerscope.tracks import Tracks
from flickerscope.units import CODE, Unit

__all__ = ["Keeper", "Match", "Progress", "Side", "frame_counter"]

Progress = Callable[[str, int, int | None], None]
"""Called with the video's name, the frames read so far and the frames to expect."""

SAME_RATE: Final = Fraction(1, 100)


def frame_counter(progress: Progress | None, source: Source) -> Callable[[int], None] | None:
    """The progress of one video."""
    if progress is None:
        return None
    name, promised = source.info.path, source.info.promised_frames
    return lambda frames: progress(name, frames, promised)


def _size(info: VideoInfo) -> tuple[int, int, float]:
    return info.width, info.height, info.aspect


class Keeper:
    """A video with its measurements: each is made once, however many others it is held against.

    A failure is kept likewise.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.held: Held | None = None
        """Frames that it holds, once it has been read as it is."""
        self._is_read = False
        self._made: dict[Hashable, tuple[Measurement, Tracks | None]] = {}
        self._failed: dict[Hashable, InputError] = {}

    def measure(
        self,
        settings: Settings,
        workers: Workers,
        *,
        segment: int,
        rate: Fraction | None,
        unit: Unit,
        held: Held | None,
        keep_tracks: bool,
        progress: Progress | None,
    ) -> tuple[Measurement, Tracks | None]:
        """As `flickerscope.measure.measure`; the small pictures stay open until `close`."""
        wanted = settings, segment, rate, unit, held
        if wanted in self._failed:
            raise self._failed[wanted]
        made = self._made.get(wanted)
        if made is None or (keep_tracks and made[1] is None):
            try:
                made = self._made[wanted] = measure_video(
                    self.source, settings, workers, segment=segment, rate=rate, unit=unit,
                    held=held, keep_tracks=keep_tracks,
                    progress=frame_counter(progress, self.source),
                )  # fmt: skip
            except InputError as error:
                self._failed[wanted] = error
                raise
            if rate is None and held is None:
                self._is_read, self.held = True, made[0].clips[0].held
        return made

    def find_held(self, settings: Settings, workers: Workers, progress: Progress | None) -> None:
        """Read it as it is, unless that has been done, to know what it holds."""
        if self._is_read:
            return
        light = Settings(
            motion=False, scales=("global",), frames=settings.frames, crop=settings.crop,
            planes=settings.planes, latent=settings.latent,
        )  # fmt: skip
        self.measure(
            light, workers, segment=LADDER[-1], rate=None, unit=unit_of(self.source), held=None,
            keep_tracks=False, progress=progress,
        )  # fmt: skip

    def close(self) -> None:
        """Give temporary files back."""
        for _, tracks in self._made.values():
            if tracks is not None:
                tracks.close()


Side = Measurement | Source | Keeper
"""What can be compared: a `Keeper` may be compared again."""


def _info(side: Measurement | Source) -> VideoInfo:
    return side.clips[0].info if isinstance(side, Measurement) else side.info


class Match:
    """Two videos to compare: measured at one rate and one segment length."""

    def __init__(
        self,
        settings: Settings,
        pred: Side,
        ref: Side,
        workers: Workers,
        progress: Progress | None,
    ) -> None:
        self.settings, self.workers, self.progress = settings, workers, progress
        given = {"pred": pred, "ref": ref}
        self.sides: dict[str, Measurement | Source] = {
            name: side.source if isinstance(side, Keeper) else side for name, side in given.items()
        }
        self._own = {
            name: Keeper(side)
            for name, side in given.items()
            if not isinstance(side, Measurement | Keeper)
        }
        self._keepers = self._own | {
            name: side for name, side in given.items() if isinstance(side, Keeper)
        }
        self.held: dict[str, Held] = {}
        """Frames that are left out of each."""
        self.tracks: dict[str, Tracks] = {}
        self._check_latents()
        self.unit = self._common_unit()
        self._agree()
        if self.rate is not None:  # what a faster one holds does not show once it is decimated
            for name, keeper in self._keepers.items():
                if self._own_rate(name) != self.rate:
                    keeper.find_held(self.settings, workers, progress)
            if self._leave_out():
                self._agree()

    def close(self) -> None:
        """Give temporary files back."""
        for keeper in self._own.values():
            keeper.close()

    def measure(self) -> tuple[Measurement, Measurement, int]:
        """Prediction, reference, and the longest segment length that both have."""
        pred, ref, segment = self._measure_both()
        while self._leave_out():
            self._agree()
            pred, ref, segment = self._measure_both()
        require_same_settings(pred, ref)
        return pred, ref, segment

    def _agree(self) -> None:
        """Find a rate for both."""
        self.notes: list[str] = []
        self.rate = self._common_rate()
        self.of_video = self._settings_of_video()
        self.reason = self._why_not_paired()

    def _leave_out(self) -> bool:
        """Leave out what is known by now to be held; says whether there is more of it."""
        if self.settings.repeats == "keep" or self.settings.paired:
            return False
        before = len(self.held)
        for name in ("pred", "ref"):
            keeper = self._keepers.get(name)
            if keeper is not None and keeper.held is not None and self._may_slow_down(name):
                self.held[name] = keeper.held
        return len(self.held) > before

    def _may_slow_down(self, name: str) -> bool:
        """Whether a side may be measured at the rate of its new frames.

        Not a reference below the prediction's rate: to decimate the prediction would hide what
        flickers in it. Nor a prediction below the rate of a saved reference, which stays.
        """
        keeper, other = self._keepers[name], "ref" if name == "pred" else "pred"
        own, theirs = self._own_rate(name), self._own_rate(other)
        if self.settings.axis != "auto" or own is None or theirs is None or keeper.held is None:
            return True
        if name in self.held or (name == "pred" and other in self._keepers):
            return True
        return own * keeper.held.ratio >= theirs * (1 - SAME_RATE)

    def read_pair(self, transform: Transform) -> tuple[PairedReading | None, str | None]:
        """What both read in step, or why that cannot be said."""
        if self.reason is not None:
            return None, self.reason
        forced = bool(self.settings.paired)
        reading = read_pair(
            self.tracks["pred"],
            self.tracks["ref"],
            transform,
            lag=self.settings.lag,
            force=forced,
        )
        if isinstance(reading, PairedReading):
            return reading, None
        if forced:
            raise InputError(f"paired readings need videos that match: {reading}")
        return None, reading

    def carry(self, paired: PairedReading | None) -> CarriedReading | None:
        """Both along the motion of the reference, where they are in step."""
        if paired is None or not self.settings.motion:
            return None
        return carry(
            self.tracks["pred"], self.tracks["ref"], paired.lag, self.settings, self.workers
        )

    def _check_latents(self) -> None:
        """Refuse latents of different kinds, and a latent beside a video."""
        saved = [side for side in self.sides.values() if isinstance(side, Measurement)]
        if any(side.settings.latent != self.settings.latent for side in saved):
            raise SettingsError("a latent can be compared with a latent only, not with a video")
        infos = [_info(side) for side in self.sides.values()]
        if infos[0].channels != infos[1].channels:
            counts = " and ".join(f"{info.channels} ({info.path})" for info in infos)
            raise InputError(
                f"latents of different channels: {counts}; compare those of one autoencoder"
            )

    def _common_unit(self) -> Unit:
        """Code values, or what the reference's standard deviation makes of its latent units."""
        pred, ref = self.sides["pred"], self.sides["ref"]
        if isinstance(ref, Measurement):
            unit = ref.unit
        elif ref.info.channels is None:
            unit = CODE
        else:
            unit = Unit.of_latents(ref.info.deviation or _info(pred).deviation or 0.0)
        if isinstance(pred, Measurement) and pred.unit != unit:
            raise SettingsError(
                "a saved measurement of a latent can only be the reference: the edges of the "
                "histograms are relative to the reference's standard deviation"
            )
        return unit

    def _own_rate(self, name: str) -> Fraction | None:
        side = self.sides[name]
        if isinstance(side, Measurement):
            return side.rate
        rate = side.info.rate
        if rate is None:
            return None
        held = self.held.get(name)
        return rate / self.settings.frame_range.step * (1 if held is None else held.ratio)

    def _common_rate(self) -> Fraction | None:
        """The rate to decimate to, if one of the sides has to be."""
        rates = {name: self._own_rate(name) for name in self.sides}
        pred, ref = rates["pred"], rates["ref"]
        if pred is None or ref is None:
            if self.settings.axis == "hz":
                raise SettingsError("axis hz needs the frame rates of both videos: give fps")
            if pred is not ref:
                unknown = "pred" if pred is None else "ref"
                self.notes.append(
                    f"the frame rate of {unknown} is not known: compared in cycles/frame"
                )
            return None
        if abs(pred - ref) <= SAME_RATE * max(pred, ref):
            return None
        ours, theirs = float(pred), float(ref)
        if self.settings.axis != "auto":
            self.notes.append(
                f"{ours:.6g} and {theirs:.6g} frames/s, each at its own rate: segments of as many "
                "frames last differently long, and their bins differ in width"
            )
            return None
        faster = "pred" if pred > ref else "ref"
        if isinstance(self.sides[faster], Measurement):
            raise SettingsError(
                f"the saved measurement has {max(ours, theirs):.6g} frames/s, the video "
                f"{min(ours, theirs):.6g}: measure at the lower rate, or use axis frame"
            )
        self.notes.append(
            f"{ours:.6g} and {theirs:.6g} frames/s: the faster one was decimated to "
            f"{min(ours, theirs):.6g} by nearest timestamp"
        )
        return min(pred, ref)

    def _settings_of_video(self) -> Settings:
        """Along an axis in Hz, bands of cycles/frame become bands in Hz at the lower rate."""
        chosen = self.settings
        if chosen.axis != "hz":
            return chosen
        if chosen.in_hertz:
            return self._with_one_headline(chosen)
        lower = float(min(rate for name in self.sides if (rate := self._own_rate(name))))
        bands = ", ".join(
            f"{band.name}:{'' if band.low is None else repr(band.low * lower)}"
            f"-{band.high * lower!r}Hz"
            for band in chosen.band_ranges
        )
        return self._with_one_headline(chosen.with_changes(bands=bands))

    def _with_one_headline(self, chosen: Settings) -> Settings:
        """At different rates each side alone might pick another band for its map and floor."""
        if any(isinstance(side, Measurement) for side in self.sides.values()):
            return chosen
        frames = chosen.segment or LADDER[0]
        transforms = [make_transform(frames, chosen, self._own_rate(n)) for n in self.sides]
        band = headline_band(chosen, *transforms)
        return chosen.with_changes(primary=transforms[0].bands[band].name)

    def _why_not_paired(self) -> str | None:
        """A reason known before any frame is read."""
        pred, ref = self.sides["pred"], self.sides["ref"]
        if self.settings.paired is False:
            return "switched off"
        reason = None
        if isinstance(pred, Measurement) or isinstance(ref, Measurement):
            reason = "a saved measurement has no frames"
        elif _size(pred.info) != _size(ref.info):
            reason = "different sizes"
        elif self.rate is not None or not self._same_rate():
            reason = "different frame rates"
        if reason is not None and self.settings.paired:
            raise InputError(f"paired readings need videos that match: {reason}")
        return reason

    def _same_rate(self) -> bool:
        pred, ref = self._own_rate("pred"), self._own_rate("ref")
        if pred is None or ref is None:
            return True  # in step frame by frame, as far as anyone can tell
        return abs(pred - ref) <= SAME_RATE * max(pred, ref)

    def _measure_both(self) -> tuple[Measurement, Measurement, int]:
        """Both at one segment length: the longest that both have."""
        done: dict[str, Measurement] = {
            name: side for name, side in self.sides.items() if isinstance(side, Measurement)
        }
        fresh = sorted(
            (name for name in self.sides if name not in done),
            key=lambda name: self._promised(name) or LADDER[0],
        )
        for name in fresh:
            done[name] = self._measure(name, self._fit(done, self.settings.segment or LADDER[0]))
        segment = min(done[name].segment for name in fresh) if fresh else 0
        if fresh and any(segment not in m.rungs for m in done.values()):
            segment = self._fit(done, segment)
            for name in fresh:
                if segment not in done[name].rungs:
                    done[name] = self._measure(name, segment)
        common = [n for n in done["pred"].rungs if n in done["ref"].rungs and n <= (segment or n)]
        if not common:
            raise SettingsError(
                f"no segment length in common: pred has {list(done['pred'].rungs)}, ref "
                f"{list(done['ref'].rungs)} frames; measure with ladder=True"
            )
        return done["pred"], done["ref"], max(common)

    def _fit(self, done: dict[str, Measurement], wanted: int) -> int:
        """The longest segment up to ``wanted`` that every saved measurement holds."""
        saved = [set(m.rungs) for name, m in done.items() if self.sides[name] is m]
        fresh = [m.segment for name, m in done.items() if self.sides[name] is not m]
        wanted = min([wanted, *fresh])
        if not saved:
            return wanted
        fitting = [n for n in set.intersection(*saved) if n <= wanted]
        if not fitting:
            raise SettingsError(
                f"the saved measurement has segments of {sorted(set.union(*saved))} frames, "
                f"{wanted} are needed: measure it again with ladder=True"
            )
        return max(fitting)

    def _promised(self, name: str) -> int | None:
        side = self.sides[name]
        return None if isinstance(side, Measurement) else side.info.promised_frames

    def _measure(self, name: str, segment: int) -> Measurement:
        measurement, tracks = self._keepers[name].measure(
            self.of_video,
            self.workers,
            segment=segment,
            rate=self.rate,
            unit=self.unit,
            held=self.held.get(name),
            keep_tracks=self.reason is None,
            progress=self.progress,
        )
        if tracks is not None:
            self.tracks[name] = tracks
        return measurement
