"""Measures flicker along the motion while a video runs, in a bounded number of frames."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final

import torch

from flickerscope.kernel import Job, Workers
from flickerscope.motion.estimate import MIN_FRAMES, MIN_SIDE, run_moments, run_motion
from flickerscope.motion.field import motion_field
from flickerscope.motion.flow import Motion, MotionField
from flickerscope.motion.incoherence import CoarseChange, coarse_change, read_incoherence
from flickerscope.motion.moments import TileMoments
from flickerscope.motion.pictures import (
    DETAIL,
    ROWS,
    picture_scale,
    picture_shape,
    shrink,
)
from flickerscope.motion.reading import FrameFlicker, MotionReading, frame_flicker, read_motion
from flickerscope.motion.score import tile_flicker
from flickerscope.planes import PlaneBuffers
from flickerscope.repeats import REACH, find_repeats
from flickerscope.resources import plain_arithmetic
from flickerscope.settings import Settings
from flickerscope.tracks import KeptMotion

__all__ = ["MotionStream", "open_stream"]

CHUNK: Final = 32
"""Frames that are measured at once: the two at each end are measured by the next ones again, and
what all take should fit the second-level cache."""
DEVICE_CHUNK: Final = 64
REACHED: Final = 2
"""Frames on each side that a frame is held against."""
COARSE_CHUNK: Final = 32
COARSE_EVERY: Final = 4
"""The coarse motion is looked at in each fourth frame: it only says why something is lost."""
BLOCK: Final = 1024
"""Frames whose moments are held before they are scored."""
MARGIN: Final = 32
"""Frames on each side that the running means and the single events reach, with room to spare."""


def open_stream(
    planes: list[PlaneBuffers], settings: Settings, workers: Workers
) -> MotionStream | str:
    """Where the motion of a video is to be measured, or why it is not.

    Args:
        planes: of the video; they are told to make small pictures.
        settings: what to measure.
        workers: where to compute.

    Raises:
        SettingsError: what shall find the motion is not there.
    """
    if not settings.motion:
        return "switched off"
    if settings.latent:
        return "the channels of a latent are no pictures whose motion could be followed"
    luma, *chroma = planes
    height, width = luma.shape
    if min(height, width) < MIN_SIDE:
        return f"a picture of {width}x{height}, {MIN_SIDE} pixels are needed"
    field = motion_field(settings.flow, workers.resources.device)
    wanted = max(field.rows, DETAIL if settings.texture else ROWS)
    aspect = luma.plane.aspect
    scale = picture_scale(height, int(width * aspect), wanted)
    luma.make_small(picture_shape(height, width, scale, aspect=aspect))
    shape = picture_shape(height, width, aspect=aspect)
    for plane in chroma:
        plane.make_small(shape)
    return MotionStream(field, workers, shape=shape, scale=scale, texture=settings.texture)


class MotionStream:
    """Takes the small pictures of a video one by one; minds cuts, leaves repeated frames out."""

    def __init__(
        self,
        field: MotionField,
        workers: Workers,
        *,
        shape: tuple[int, int],
        scale: int,
        texture: bool,
    ) -> None:
        """Prepare.

        Args:
            field: finds the motion.
            workers: where to compute.
            shape: rows and columns of the pictures on which flicker is measured.
            scale: how much larger those are that come in; see `picture_shape`.
            texture: measure the texture too.
        """
        self.field, self.workers = field, workers
        self.shape, self.scale, self.texture = shape, scale, texture and scale > 1
        self.chunk = CHUNK if workers.resources.device.type == "cpu" else DEVICE_CHUNK
        self.kept: KeptMotion | None = None
        """Where the motion of small pictures is to be kept."""
        self._scored: list[FrameFlicker] = []
        self._frames: list[int] = []
        self._waiting: deque[_Picture] = deque()
        """Not known yet whether they repeat the one before."""
        self._changes: list[float] = []
        """Of the shot's frames."""
        self._shot_start = self._next = self._longest = 0
        self._run: list[_Picture] = []
        """Frames that are not measured yet, after those that they are held against."""
        self._jobs: deque[Job[Any]] = deque()
        self._coarse: list[torch.Tensor] = []
        """Pictures whose coarse motion is not known yet, after those that it is taken from."""
        self._changed: list[CoarseChange] = []
        self._shot = _Shot(self._scored, self._frames)

    def take(self, planes: list[PlaneBuffers], change: float) -> torch.Tensor:
        """Take a frame from its planes; returns the luma that flicker is measured on.

        Args:
            planes: they hold the frame.
            change: mean absolute difference to the frame before.
        """
        luma, *chroma = (plane.small_picture() for plane in planes)
        return self.push(luma, torch.stack(chroma) if chroma else None, change)

    def push(self, luma: torch.Tensor, chroma: torch.Tensor | None, change: float) -> torch.Tensor:
        """Take the next frame; returns the luma that flicker is measured on.

        Args:
            luma: (rows, columns), code values; it must not change any more.
            chroma: Cb and Cr, (2, h, w), likewise.
            change: mean absolute difference to the frame before.
        """
        small = shrink(luma, self.scale)
        self._waiting.append(_Picture(self._next, luma, small, chroma))
        self._changes.append(change)
        self._next += 1
        return small

    def advance(self, settled: int) -> None:
        """Measure what can be, given that no cut will turn up before frame ``settled``."""
        stop = settled - REACH
        if self._waiting and stop - self._waiting[0].frame >= self.chunk:
            self._take(stop, settled)

    def end_shot(self, stop: int) -> None:
        """Measure the rest of a shot: there is a cut, a gap or the end before frame ``stop``."""
        self._take(stop, stop)
        if len(self._run) >= 3:
            self._start(self._run, last=True)
        if len(self._coarse) >= 3:
            self._start_coarse()
        self._collect()
        self._shot.finish()
        self._longest = max(self._longest, self._shot.length)
        del self._changes[: stop - self._shot_start]
        self._shot_start = stop
        self._run, self._coarse = [], []
        self._shot = _Shot(self._scored, self._frames)

    def reading(self) -> MotionReading | str:
        """Of all shots, or why there is none."""
        if not self._scored:
            return f"{self._longest} frames without a cut, {MIN_FRAMES} are needed"
        reading = read_motion(self._scored, self._frames, read_incoherence(self._changed))
        return reading or "the picture is black or clipped, or moves out of itself"

    def _take(self, stop: int, known: int) -> None:
        """Pass the waiting frames before ``stop`` on, but for those that repeat the one before.

        ``known``: frames from there on may belong to another shot, and have no say.
        """
        if not self._waiting or self._waiting[0].frame >= stop:
            return
        # Only what is within reach has a say; the first frame of a shot has none before it.
        low = max(self._shot_start + 1, self._waiting[0].frame - REACH)
        near = self._changes[low - self._shot_start : known - self._shot_start]
        repeated = find_repeats(near)
        while self._waiting and self._waiting[0].frame < stop:
            picture = self._waiting.popleft()
            if picture.frame >= low and repeated[picture.frame - low]:
                continue
            self._run.append(picture)
            self._coarse.append(picture.small)
            self._shot.length += 1
            if len(self._run) == self.chunk + 2 * REACHED:
                self._start(self._run, last=False)
                self._run = self._run[self.chunk :]
            if len(self._coarse) == COARSE_CHUNK + 2:
                self._start_coarse()

    def _start(self, run: list[_Picture], *, last: bool) -> None:
        """Measure a run of frames in the background.

        Frames are held against those two away as well, so that of the frames next to its ends
        only those of the shot's ends are taken from it.
        """
        first = run[0].frame == self._shot_start
        start, stop = 0 if first else 1, len(run) - (2 if last else 3)
        chroma = [picture.chroma for picture in run if picture.chroma is not None]

        def measure() -> tuple[TileMoments, Motion | None]:
            small = pictures = torch.stack([picture.small for picture in run])
            if self.scale > 1:
                pictures = torch.stack([picture.luma for picture in run])
            motion = run_motion(pictures, small, self.field)
            moments = run_moments(
                small,
                motion,
                detail=shrink(pictures, self.scale // 2) if self.texture else None,
                chroma=torch.stack(chroma) if chroma else None,
            )
            # Only of what tracks hold: small pictures in single precision.
            keep = self.kept and self.field.rows == ROWS and small.dtype == torch.float32
            return moments.between(start, stop), motion if keep else None

        frames = [picture.frame for picture in run]

        def take(done: tuple[TileMoments, Motion | None]) -> None:
            moments, motion = done
            self._shot.add(moments, frames[1:-1][start:stop])
            if self.kept and motion:
                self.kept.add(frames, *motion)

        self._jobs.append(Job(self.workers, measure, take))
        self._collect(down_to=2 * self.workers.count)

    def _start_coarse(self) -> None:
        """Follow the coarse picture of the frames held for that, in the background."""
        pictures, self._coarse = self._coarse, self._coarse[-2:]

        def change() -> CoarseChange:
            return coarse_change(torch.stack(pictures), every=COARSE_EVERY)

        self._jobs.append(Job(self.workers, change, self._changed.append))

    def _collect(self, *, down_to: int = 0) -> None:
        """Wait for the oldest jobs, in their order, until so many are left."""
        while len(self._jobs) > down_to:
            self._jobs.popleft().finish()


@dataclass(frozen=True, slots=True)
class _Picture:
    frame: int
    luma: torch.Tensor
    small: torch.Tensor
    chroma: torch.Tensor | None


class _Shot:
    """Scores the moments of one shot as they come, in blocks of a bounded size."""

    def __init__(self, scored: list[FrameFlicker], frames: list[int]) -> None:
        """``scored`` and ``frames``: where what is scored goes."""
        self.length = 0
        """Frames so far, repeated ones left out."""
        self._all_scored, self._all_frames = scored, frames
        self._runs: list[TileMoments] = []
        self._frames: list[int] = []
        self._scored = 0
        """How many of the frames held are scored: they are there for the running means."""

    def add(self, moments: TileMoments, frames: list[int]) -> None:
        """The moments of the next frames."""
        self._runs.append(moments)
        self._frames += frames
        if len(self._frames) >= BLOCK + 2 * MARGIN:
            self._score(len(self._frames) - MARGIN)

    def finish(self) -> None:
        """Score the rest, unless the shot is too short."""
        if self._frames and self.length >= MIN_FRAMES:
            self._score(len(self._frames))

    def _score(self, stop: int) -> None:
        """Score the frames held before ``stop``, and keep what the next ones need of them."""
        host = torch.device("cpu")
        moments = TileMoments.join(self._runs).to(host)
        with plain_arithmetic(host):
            tiles = tile_flicker(moments).between(self._scored, stop)
            self._all_scored.append(frame_flicker(tiles))
        self._all_frames += self._frames[self._scored : stop]
        keep = max(0, stop - MARGIN)
        self._runs = [moments.between(keep, len(moments))]
        self._frames = self._frames[keep:]
        self._scored = stop - keep
