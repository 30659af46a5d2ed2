"""Runs a function over many jobs in processes of their own, of which any may die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Literal, Protocol

from flickerscope.errors import DeviceError, InputError, SettingsError, TooShortError

__all__ = ["Engine", "Outcome", "Pool", "run_here", "run_jobs"]

PATIENCE: Final = 5.0
"""Seconds that a process gets to end when it is asked to."""
STARTED: Final = "started"
PART: Final = "part"
BUG: Final = "bug"
DIED: Final = "died"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one job, or a part of what it is to give."""

    index: int
    """Of the job."""
    status: Literal["part", "ok", "not measurable", "failed"]
    value: Any = None
    """What the function returned, or yielded for a part; ``None`` where it yields."""
    part: int = 0
    """Number of the part."""
    reason: str | None = None
    """Why there is no value."""
    crashed: bool = False
    """Whether the process died, took too long or ran out of memory: another attempt may go well."""


class Engine(Protocol):
    """What does jobs, such as `Pool.run`: shaped like ``map``."""

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any], /) -> Iterator[Outcome]:
        """The outcome of ``function(job)`` for every job, in any order.

        Of a function that yields, before it what comes of a job as *parts*, in their order; a job
        that is done again gives them again.
        """


Function = Callable[[Any], Any]


class Pool:
    """Processes that do jobs; started when they are first needed, and ended by `close`.

    A job is handed out only when a process is free for it, so that memory does not grow with their
    number. A process that dies (out of memory, a crash inside a decoder) takes its one job with it
    and is replaced.
    """

    def __init__(self, workers: int) -> None:
        """``workers``: processes, 1 or more."""
        if workers < 1:
            raise SettingsError(f"workers: 1 or more, got {workers}")
        self.workers = workers
        self._idle: list[_Worker] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._idle.pop().stop()

    def run(
        self,
        function: Function,
        jobs: Sequence[Any],
        *,
        limit: Callable[[Any], float | None] | None = None,
    ) -> Iterator[Outcome]:
        """Call ``function(job)`` for every job; yields outcomes as they come, each job's once, and
        before it what the function yields, if it does.

        Args:
            function: named at the top of a module, as are the classes of jobs and results: they
                travel between processes. `TooShortError` makes a job *not measurable*;
                `InputError`, `SettingsError` and `MemoryError` make it *failed*; anything else is
                raised here.
            jobs: one for each outcome.
            limit: seconds that a job may take, if there is a limit.

        Raises:
            RuntimeError: a bug in ``function``, with its traceback.
            DeviceError: no process can be started.
        """
        waiting = iter(enumerate(jobs))
        busy: dict[Any, _Worker] = {}  # by connection

        def hand(worker: _Worker, index: int, job: Any) -> None:
            busy[worker.connection] = worker  # first: whatever happens, it will be stopped
            worker.give(index, function, job, limit(job) if limit else None)

        try:
            for index, job in islice(waiting, self.workers):
                hand(self._idle.pop() if self._idle else _Worker(), index, job)
            while busy:
                for worker in _ready(busy):
                    outcome = worker.receive()
                    if outcome is None:
                        continue
                    if outcome.status == PART:
                        yield outcome
                        continue
                    del busy[worker.connection]
                    if worker.is_whole:
                        self._idle.append(worker)
                    following = next(waiting, None)
                    if following is not None:
                        hand(self._idle.pop() if self._idle else _Worker(), *following)
                    yield outcome
        finally:
            for worker in busy.values():
                worker.stop()


def run_jobs(function: Function, jobs: Sequence[Any], *, workers: int) -> Iterator[Outcome]:
    """`Pool.run` with processes of its own, which end with it."""
    with Pool(workers) as pool:
        yield from pool.run(function, jobs)


def run_here(function: Function, jobs: Sequence[Any]) -> Iterator[Outcome]:
    """The same in this process, one after the other: nothing shields it from a crash."""
    for index, job in enumerate(jobs):
        for status, value, reason in _attempt(function, job):
            if status == BUG:
                raise RuntimeError(f"a bug:\n{reason}")
            yield _outcome(index, status, value, reason)


def _ready(busy: dict[Any, _Worker]) -> list[_Worker]:
    """Those that have something to say, or whose time is up."""
    ends = [worker.deadline for worker in busy.values() if worker.deadline is not None]
    patience = max(0.0, min(ends) - time.monotonic()) if ends else None
    ready = [busy[connection] for connection in wait(list(busy), patience)]
    return ready or [worker for worker in busy.values() if worker.is_late]


def _outcome(index: int, status: Any, value: Any, reason: str | None) -> Outcome:
    if status == DIED:
        return Outcome(index=index, status="failed", reason=reason, crashed=True)
    if status == PART:
        number, item = value
        return Outcome(index=index, status=status, value=item, part=number)
    return Outcome(index=index, status=status, value=value, reason=reason)


class _Worker:
    """A process that does one job at a time."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads and GPUs do not survive a fork
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # so that its death is seen here as the end of what it sends
        self.index = -1
        self.has_started = False
        self.is_whole = True
        """Whether it can take another job."""
        self.limit: float | None = None
        self.deadline: float | None = None
        """When its job must be done, by the monotonic clock."""

    @property
    def is_late(self) -> bool:
        """Whether its job took too long."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def give(self, index: int, function: Function, job: Any, limit: float | None) -> None:
        """Hand it a job; ``limit``: seconds it may take."""
        self.index, self.limit = index, limit
        if self.has_started:
            self._start_clock()
        try:
            self.connection.send((function, job))
        except OSError:  # dead already: the next receive finds that out
            self.is_whole = False

    def _start_clock(self) -> None:
        self.deadline = None if self.limit is None else time.monotonic() + self.limit

    def receive(self) -> Outcome | None:
        """What it has to say: the outcome of its job, a part, or ``None``, that it has started.

        Raises what is no fault of the job.
        """
        if self.is_late and not self.connection.poll():
            self.is_whole = False
            self.stop()
            return _outcome(self.index, DIED, None, f"took longer than {self.limit:g} s")
        try:
            status, value, reason = self.connection.recv()
        except (EOFError, OSError) as error:
            self.is_whole = False
            self.process.join(PATIENCE)  # its end was seen before its exit code is known
            self.stop()
            if not self.has_started:
                raise DeviceError(f"a worker process cannot start: {self._cause()}") from error
            return _outcome(self.index, DIED, None, self._cause())
        if status == STARTED:
            self.has_started = True
            self._start_clock()
            return None
        if status == BUG:
            raise RuntimeError(f"a bug in a worker process:\n{reason}")
        if status != PART:
            self.deadline = None
        return _outcome(self.index, status, value, reason)

    def stop(self) -> None:
        """End it: at once where it is at work."""
        self.connection.close()
        self.process.terminate()
        self.process.join(PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _cause(self) -> str:
        code = self.process.exitcode or 0
        if code >= 0:
            return f"its worker process ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        memory = ", as when memory runs out" if name == "SIGKILL" else ""
        return f"its worker process was ended by {name}{memory}"


def _serve(connection: Connection) -> None:
    """Life of a worker process: until the other end is gone, however that came about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of whoever started it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    has_started = False
    try:
        while True:
            function, job = connection.recv()
            if not has_started:  # all that it takes is there: what fails from now on is the job
                connection.send((STARTED, None, None))
                has_started = True
            for answer in _attempt(function, job):
                try:
                    connection.send(answer)
                except (pickle.PicklingError, AttributeError, TypeError):  # before a byte is sent
                    connection.send((BUG, None, traceback.format_exc()))
                    break
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    """End this process with the one that started it, also in the middle of a job."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _attempt(function: Callable[[Any], Any], job: Any) -> Iterator[tuple[str, Any, str | None]]:
    """What comes of a job: its parts, where the function yields, and how it ends."""
    end: tuple[str, Any, str | None]
    try:
        value = function(job)
        if isinstance(value, Iterator):
            for part in enumerate(value):
                yield PART, part, None
            value = None
        end = "ok", value, None
    except TooShortError as error:
        end = "not measurable", None, str(error)
    except (InputError, SettingsError) as error:
        end = "failed", None, str(error)
    except MemoryError:
        end = DIED, None, "out of memory"
    except Exception:  # noqa: BLE001 - it is raised where it can be seen
        end = BUG, None, traceback.format_exc()
    yield end
