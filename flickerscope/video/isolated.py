"""Videos decoded in another process, which a crash or a hang of the decoder ends alone."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import IO, Any, Final

import torch

from flickerscope.errors import InputError
from flickerscope.inputs.images import ImageSequence, is_image_sequence
from flickerscope.inputs.rate import FrameRate
from flickerscope.inputs.source import Described, FileOptions, Frame, Plane, VideoInfo
from flickerscope.settings import Planes
from flickerscope.video.reader import VideoFile

__all__ = ["IsolatedFile", "end_all", "idle", "serve"]

AHEAD: Final = 4
"""Frames asked for before they are needed, so that decoding goes on while others are measured."""

START: Final = 120.0
"""Seconds that the process may take to load its libraries."""

COMMAND: Final = (
    sys.executable,
    "-P",  # nothing from the folder it is started in
    "-c",
    "from flickerscope.video.isolated import serve; serve()",
)


class IsolatedFile(Described):
    """A `VideoFile`, or an `ImageSequence`, whose decoder runs in another process.

    The processes stay warm: one serves file after file. Where one dies or takes too long, the file
    it read is refused with `InputError`, and the next file gets a new one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        fps: FrameRate | None = None,
        planes: Planes = "y",
        threads: int | None = None,
        options: FileOptions | None = None,
    ) -> None:
        options = options or FileOptions()
        self._job = _Job(os.fsdecode(path), fps, planes, threads, options)
        self._damage: tuple[tuple[str, ...], int | None] = (), None
        with _Loan(self._job) as child:
            opened: tuple[VideoInfo, tuple[Plane, ...]] = child.ask("open", self._job)
            self._info, self._planes = opened

    def frames(self) -> Iterator[Frame]:
        """All frames in the order of their presentation; their memory is their own."""
        with _Loan(self._job) as child:
            child.ask("start", self._job)
            try:
                for _ in range(AHEAD):
                    child.send("next")
                while (reply := child.receive()) is not None:
                    child.send("next")
                    time_, key, samples = reply
                    yield Frame(time_, self._tensors(samples), key)
            finally:
                # An error under way comes first; an interrupt has reached the child as well.
                with suppress(InputError) if sys.exc_info()[0] else nullcontext():
                    while child.owed:
                        child.receive()
                    if child.alive:
                        self._damage = child.ask("damage")

    def problems(self) -> tuple[str, ...]:
        """What went wrong in the last reading, one sentence each."""
        return self._damage[0]

    def lost(self) -> int | None:
        """Frames that damage took from the last reading; ``None``: it is not damaged."""
        return self._damage[1]

    def _tensors(self, samples: tuple[bytearray, ...]) -> tuple[torch.Tensor, ...]:
        return tuple(
            torch.frombuffer(data, dtype=plane.dtype).view(plane.height, plane.width)
            for data, plane in zip(samples, self._planes, strict=True)
        )


@dataclass(frozen=True, slots=True)
class _Job:
    """What to open, and how."""

    path: str
    fps: FrameRate | None
    """Of pictures."""
    planes: Planes
    threads: int | None
    options: FileOptions


class _Child:
    """A process that answers every command with one reply, in order."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.alive = True
        self.owed = 0
        self.path = ""
        self.limit: float | None = START
        self.left: float | None = START
        self.ask("ready")

    def lend(self, job: _Job) -> None:
        """Serve this file from now on, within its time."""
        self.path, self.limit = job.path, job.options.timeout
        self.left = self.limit

    def ask(self, command: str, *arguments: Any) -> Any:
        """Send a command, wait for its reply."""
        self.send(command, *arguments)
        return self.receive()

    def send(self, command: str, *arguments: Any) -> None:
        """Send a command."""
        self.owed += 1
        try:
            pickle.dump((command, *arguments), self._pipe(self._process.stdin))
            self._pipe(self._process.stdin).flush()
        except OSError:  # it is gone: `receive` says so
            pass

    def receive(self) -> Any:
        """The next reply; only the time spent waiting counts."""
        since = time.monotonic()
        try:
            kind, value = self._replies.get(timeout=self.left)
        except queue.Empty:
            self.close()
            raise InputError(
                f"{self.path}: the decoder took over {self.limit:g} s and was stopped; "
                "raise the time limit, or convert the video"
            ) from None
        if self.left is not None:
            self.left = max(0.001, self.left - (time.monotonic() - since))
        self.owed -= 1
        if kind == "gone":
            self.close()
            code = self._process.returncode
            raise InputError(
                f"{self.path}: the decoder crashed (its process ended with {code}); "
                "the video may be damaged: convert it"
            )
        if kind == "error":
            raise value
        return value

    def close(self) -> None:
        """End the process."""
        self.alive, self.owed = False, 0
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was still to be written has no reader
                self._pipe(pipe).close()

    def _read(self) -> None:
        pipe = self._pipe(self._process.stdout)
        try:
            while True:
                self._replies.put(pickle.load(pipe))
        except Exception:  # noqa: BLE001 - whatever it left half-written as it died
            self._replies.put(("gone", None))

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise RuntimeError("the process was started without pipes")
        return pipe


_IDLE: deque[_Child] = deque()


class _Loan:
    """A child for one reading, given back where it is sound."""

    def __init__(self, job: _Job) -> None:
        self._job = job

    def __enter__(self) -> _Child:
        try:
            self._child = _IDLE.pop()
        except IndexError:
            self._child = _Child()
        self._child.lend(self._job)
        return self._child

    def __exit__(self, *_: object) -> None:
        if self._child.alive and not self._child.owed:
            _IDLE.append(self._child)
        else:
            self._child.close()


def idle() -> tuple[object, ...]:
    """The processes that wait for a file."""
    return tuple(_IDLE)


@atexit.register
def end_all() -> None:
    """End the processes that wait for a file."""
    while _IDLE:
        _IDLE.pop().close()


def serve() -> None:
    """Be the child: answer the commands on standard input until it ends."""
    inlet, outlet = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not fall among the replies
    server = _Server()
    while True:
        try:
            command, *arguments = pickle.load(inlet)
        except EOFError:
            return
        try:
            reply = "value", getattr(server, command)(*arguments)
        except Exception as error:  # noqa: BLE001 - raised again by the parent
            reply = "error", error
        pickle.dump(reply, outlet, protocol=pickle.HIGHEST_PROTOCOL)
        outlet.flush()


class _Server:
    """The commands."""

    def __init__(self) -> None:
        self._opened: tuple[_Job, VideoFile | ImageSequence] | None = None
        self._frames: Iterator[Frame] = iter(())

    def ready(self) -> None:
        """All libraries are loaded."""

    def open(self, job: _Job) -> tuple[VideoInfo, tuple[Plane, ...]]:
        """Open a file, or a folder of pictures."""
        source: VideoFile | ImageSequence
        if is_image_sequence(job.path):
            source = ImageSequence(job.path, fps=job.fps, planes=job.planes, options=job.options)
        else:
            options = job.options
            source = VideoFile(job.path, planes=job.planes, threads=job.threads, options=options)
        self._opened = job, source
        return source.info, source.planes

    def start(self, job: _Job) -> None:
        """Read the file from its start."""
        if self._opened is None or self._opened[0] != job:
            self.open(job)
        self._frames = self._source().frames()

    def next(self) -> tuple[Any, bool, tuple[bytearray, ...]] | None:
        """Time, key flag and samples of the next frame; nothing after the last one."""
        frame = next(self._frames, None)
        if frame is None:
            return None
        samples = tuple(bytearray(plane.numpy().tobytes()) for plane in frame.planes)
        return frame.time, frame.key, samples

    def damage(self) -> tuple[tuple[str, ...], int | None]:
        """What went wrong so far."""
        source = self._source()
        self._frames = iter(())
        return source.problems(), source.lost()

    def _source(self) -> VideoFile | ImageSequence:
        if self._opened is None:
            raise RuntimeError("no file is open")
        return self._opened[1]
