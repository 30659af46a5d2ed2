"""Runs a function over many jobs in processes of their own, of which any may die."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Final, Literal

from flickerscope.errors import InputError, SettingsError, TooShortError

__all__ = ["Outcome", "run_jobs"]

PATIENCE: Final = 5.0
"""Seconds that a process gets to end when it is asked to."""
STARTED: Final = "started"
BUG: Final = "bug"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one job."""

    index: int
    """Of the job."""
    status: Literal["ok", "not measurable", "failed"]
    value: Any = None
    """What the function returned."""
    reason: str | None = None
    """Why there is no value."""


def run_jobs(
    function: Callable[[Any], Any], jobs: Sequence[Any], *, workers: int
) -> Iterator[Outcome]:
    """Call ``function(job)`` for every job; yields outcomes as they come, each job's once.

    The processes are started once and serve many jobs; a job is handed out only when a process is
    free for it, so that memory does not grow with their number. A process that dies (out of memory,
    a crash inside a decoder) takes its one job with it and is replaced.

    Args:
        function: named at the top of a module, as are the classes of jobs and results: they travel
            between processes. `TooShortError` makes a job *not measurable*; `InputError`,
            `SettingsError` and `MemoryError` make it *failed*; anything else is raised here.
        jobs: one for each outcome.
        workers: processes, 1 or more.

    Raises:
        RuntimeError: a bug in ``function``, with its traceback; or no process can be started.
    """
    if workers < 1:
        raise SettingsError(f"workers: 1 or more, got {workers}")
    waiting = iter(enumerate(jobs))
    busy: dict[Any, _Worker] = {}  # by connection
    try:
        for index, job in waiting:
            _hand(_Worker(function), index, job, busy)
            if len(busy) == workers:
                break
        while busy:
            for ready in wait(list(busy)):
                worker = busy[ready]
                outcome = worker.receive()
                if outcome is None:
                    continue
                del busy[ready]
                following = next(waiting, None)
                if following is None:
                    worker.stop()
                else:
                    alive = worker if worker.is_whole else _Worker(function)
                    _hand(alive, *following, busy)
                yield outcome
    finally:
        for worker in busy.values():
            worker.stop()


def _hand(worker: _Worker, index: int, job: Any, busy: dict[Any, _Worker]) -> None:
    busy[worker.connection] = worker  # first: whatever happens, it will be stopped
    worker.give(index, job)


class _Worker:
    """A process that does one job at a time."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("spawn")  # threads and GPUs do not survive a fork
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, function), daemon=True
        )
        self.process.start()
        theirs.close()  # so that its death is seen here as the end of what it sends
        self.index = -1
        self.has_started = False
        self.is_whole = True
        """Whether it can take another job."""

    def give(self, index: int, job: Any) -> None:
        self.index = index
        try:
            self.connection.send(job)
        except OSError:  # dead already: the next receive finds that out
            self.is_whole = False

    def receive(self) -> Outcome | None:
        """What it has to say: the outcome of its job, or ``None``, that it has started.

        Raises what is no fault of the job.
        """
        try:
            status, value, reason = self.connection.recv()
        except (EOFError, OSError) as error:
            self.is_whole = False
            self.process.join(PATIENCE)  # its end was seen before its exit code is known
            self.stop()
            if not self.has_started:
                raise RuntimeError(f"a worker process cannot start: {self._cause()}") from error
            return Outcome(index=self.index, status="failed", reason=self._cause())
        if status == STARTED:
            self.has_started = True
            return None
        if status == BUG:
            raise RuntimeError(f"a bug in a worker process:\n{reason}")
        return Outcome(index=self.index, status=status, value=value, reason=reason)

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


def _serve(connection: Connection, function: Callable[[Any], Any]) -> None:
    """Life of a worker process: until the other end is gone, however that came about."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of whoever started it
    try:
        connection.send((STARTED, None, None))
        while True:
            answer = _attempt(function, connection.recv())
            try:
                connection.send(answer)
            except (pickle.PicklingError, AttributeError, TypeError):  # before any byte is sent
                connection.send((BUG, None, traceback.format_exc()))
    except (EOFError, OSError):
        return


def _attempt(function: Callable[[Any], Any], job: Any) -> tuple[str, Any, str | None]:
    try:
        return "ok", function(job), None
    except TooShortError as error:
        return "not measurable", None, str(error)
    except (InputError, SettingsError) as error:
        return "failed", None, str(error)
    except MemoryError:
        return "failed", None, "out of memory"
    except Exception:  # noqa: BLE001 - it is raised where it can be seen
        return BUG, None, traceback.format_exc()
