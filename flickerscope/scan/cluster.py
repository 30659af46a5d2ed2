"""A Ray cluster as the engine of a scan."""

from __future__ import annotations

import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from flickerscope import __version__
from flickerscope.errors import DeviceError, SettingsError
from flickerscope.scan.local import WORKERS_A_GPU, Computing, limit_of
from flickerscope.scan.pool import Outcome, Pool

__all__ = ["ray_engine"]

JOBS_A_TASK: Final = 16
"""At most: neighbours in the pairing go to one process, one after the other."""
TASKS_A_SLOT: Final = 2
"""Handed to the cluster for each that it can do at a time: one at work and one to follow."""
ATTEMPTS: Final = 4
"""With a job that each time was at work when its node or its process was lost."""
POLL: Final = 5.0
"""Seconds after which the cluster is looked at when nothing comes."""
PATIENCE: Final = 600.0
"""Seconds that a cluster may have nothing to compute with, as while nodes are replaced."""
CONNECTING: Final = 10.0
"""Seconds that the head of a cluster has to answer."""


@contextmanager
def ray_engine(
    *,
    address: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
) -> Iterator[Computing]:
    """A Ray cluster, connected to until the block ends.

    Each task measures some neighbouring pairs in a process that stays for the following ones, and
    sends every result as it is there. What was at work on a node that is lost is done again
    elsewhere. All nodes must see the files under the same paths, and have the same flickerscope.

    Args:
        address: ``HOST:PORT`` of the head, or ``auto`` for that of this machine; default: that of
            the environment's ``RAY_ADDRESS``, else a cluster of this machine alone.
        device: ``auto`` (GPUs where the cluster has any), ``cpu`` or ``cuda``.
        workers: tasks at a time; default: as many as the cluster has room for.
        threads: of every task, and the CPUs that it takes; default 1.
        timeout: seconds that reading and measuring a clip may take.

    Raises:
        SettingsError: Ray is not installed, or the options make no sense.
        DeviceError: the cluster cannot be reached, or has no such device.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"device: Ray says which, so auto, cpu or cuda, got {device!r}")
    if workers is not None and workers < 1:
        raise SettingsError(f"workers: 1 or more, got {workers}")
    cpus = 1 if threads is None else threads
    if cpus < 1:
        raise SettingsError(f"threads: 1 or more, got {threads}")
    limit_of(timeout)  # complains before anything is started
    with _connected(address) as ray:
        kind = _pick_kind(ray, device)
        need = {"CPU": float(cpus)} | ({"GPU": 1 / WORKERS_A_GPU} if kind == "cuda" else {})
        cluster = _Cluster(ray, need, workers, timeout)
        try:
            yield Computing(
                engine=cluster.run, devices=(kind,), workers=cluster.slots() or 1, threads=cpus
            )
        finally:
            cluster.close()


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """The module of Ray, connected."""
    try:
        import ray
    except ImportError as error:
        raise SettingsError("the engine ray needs Ray: pip install 'flickerscope[ray]'") from error
    if address is None and ray.is_initialized():  # by whoever called us, and to be ended by them
        yield ray
        return
    target = address or os.environ.get("RAY_ADDRESS") or "local"
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if target == "local":
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet["include_dashboard"] = False
    else:
        _check_reachable(target)
    try:
        ray.init(address=target, **quiet)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise DeviceError(f"{target}: no Ray cluster can be connected to: {reason}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise now what Ray would say after a minute; `SettingsError` for what is no address."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not (host and port.isdecimal() and int(port) < 1 << 16):
        raise SettingsError(f"address: HOST:PORT of the cluster's head, or auto, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECTING).close()
    except OSError as error:
        raise DeviceError(
            f"{address}: no Ray cluster answers there: {error.strerror or error}"
        ) from error


def _pick_kind(ray: Any, device: str) -> str:
    has_gpu = ray.cluster_resources().get("GPU", 0) > 0
    if device == "cuda" and not has_gpu:
        raise DeviceError("cuda: the Ray cluster has no GPU")
    return "cuda" if has_gpu and device != "cpu" else "cpu"


class _Cluster:
    """What does jobs as tasks of a cluster."""

    def __init__(
        self, ray: Any, need: dict[str, float], workers: int | None, timeout: float | None
    ) -> None:
        self.ray, self._need, self._workers, self._timeout = ray, need, workers, timeout
        self._running: list[_Tasks] = []
        self._work = ray.remote(
            num_cpus=need["CPU"],
            num_gpus=need.get("GPU", 0),
            max_retries=0,  # what was lost is told apart from what killed its process
            max_calls=0,  # the process stays, with all that it has imported
            num_returns="streaming",
        )(_work)

    def slots(self) -> int:
        """Tasks that the cluster can do at a time."""
        has = self.ray.cluster_resources()
        room = min(int(has.get(name, 0) / amount) for name, amount in self._need.items())
        return room if self._workers is None else min(room, self._workers)

    def most(self, slots: int) -> int:
        """Tasks to hand out at a time."""
        return self._workers or max(1, TASKS_A_SLOT * slots)

    def start(self, function: Callable[[Any], Any], jobs: list[Any]) -> Any:
        """A task that does jobs, as Ray's generator of their outcomes."""
        return self._work.remote(function, jobs, self._timeout, __version__)

    def run(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Outcome]:
        """As `flickerscope.scan.pool.Pool.run`."""
        tasks = _Tasks(self, function, jobs)
        self._running.append(tasks)
        try:
            while tasks.waiting or tasks.busy:
                tasks.hand_out()
                for task in tasks.wait():
                    outcome = tasks.receive(task)
                    if outcome is not None:
                        yield outcome
        finally:
            tasks.cancel()

    def close(self) -> None:
        """Cancel what is at work; a run that was interrupted may end only after the connection."""
        while self._running:
            self._running.pop().cancel()


class _Tasks:
    """The jobs of one run: still to be handed out, and owed by tasks."""

    def __init__(
        self, cluster: _Cluster, function: Callable[[Any], Any], jobs: Sequence[Any]
    ) -> None:
        self._cluster, self._function, self._jobs = cluster, function, jobs
        size = max(1, min(JOBS_A_TASK, len(jobs) // (4 * max(1, cluster.slots()))))
        starts = range(0, len(jobs), size)
        self.waiting = deque(deque(range(i, min(i + size, len(jobs)))) for i in starts)
        self.busy: dict[Any, deque[int]] = {}
        self._losses: Counter[int] = Counter()
        self._seen = time.monotonic()
        """When there was last something to compute with."""

    def hand_out(self) -> None:
        """Start as many tasks as the cluster has room for."""
        slots = self._cluster.slots()
        if slots:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > PATIENCE:
            raise DeviceError("the Ray cluster has nothing left to compute with")
        while self.waiting and len(self.busy) < self._cluster.most(slots):
            owed = self.waiting.popleft()
            task = self._cluster.start(self._function, [self._jobs[i] for i in owed])
            self.busy[task] = owed

    def wait(self) -> list[Any]:
        """Tasks that have something to say, after a while none."""
        ready: list[Any]
        ready, _ = self._cluster.ray.wait(
            list(self.busy), num_returns=1, timeout=POLL, fetch_local=False
        )
        return ready

    def receive(self, task: Any) -> Outcome | None:
        """The next outcome of a task; none if it has ended or is lost with what it still owed."""
        owed = self.busy[task]
        answer = _answer(self._cluster.ray, task)
        if answer is not None:
            return replace(answer, index=owed[0] if answer.status == "part" else owed.popleft())
        del self.busy[task]
        outcome = None
        if owed:  # the first of them was at work
            self._losses[owed[0]] += 1
            if self._losses[owed[0]] == ATTEMPTS:
                reason = f"its node was lost {ATTEMPTS} times"
                outcome = Outcome(
                    index=owed.popleft(), status="failed", reason=reason, crashed=True
                )
        if owed:
            self.waiting.appendleft(owed)
        return outcome

    def cancel(self) -> None:
        """Have nothing more done."""
        while self.busy:
            self._cluster.ray.cancel(self.busy.popitem()[0])


def _answer(ray: Any, task: Any) -> Outcome | None:
    """The next outcome of a task, or none if it has ended or is lost; raises what is a bug."""
    errors = ray.exceptions
    try:
        outcome: Outcome = ray.get(next(task))
    except StopIteration:
        return None
    except errors.RayTaskError as error:
        if isinstance(error.cause, DeviceError):
            raise DeviceError(str(error.cause)) from error
        last = str(error).strip().rpartition("\n")[2]
        if "No module named" in last:
            raise DeviceError(f"a node of the Ray cluster lacks a package: {last}") from error
        raise RuntimeError(f"a bug in a task of Ray:\n{error}") from error
    except (errors.RaySystemError, errors.LocalRayletDiedError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise DeviceError(f"the Ray cluster is gone: {reason}") from error
    except errors.RayError:  # the node, the process or the object is lost
        return None
    return outcome


_pools: dict[str, Pool] = {}
"""In a process of Ray: the one that measures, by the GPUs that it was given."""


def _work(
    function: Callable[[Any], Any], jobs: Sequence[Any], timeout: float | None, version: str
) -> Iterator[Outcome]:
    """The outcome of every job, in their order; life of a task.

    The jobs are done by a child of Ray's process: as on one machine, what kills it takes one job.
    """
    if version != __version__:
        raise DeviceError(
            f"a node of the Ray cluster has flickerscope {__version__}, and this one {version}"
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if visible not in _pools:
        while _pools:
            _pools.popitem()[1].close()
        _pools[visible] = Pool(1)
    yield from _pools[visible].run(function, jobs, limit=limit_of(timeout))
