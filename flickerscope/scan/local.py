"""Worker processes on this machine and its devices, as the engine of a scan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flickerscope.compiled.kept import MODULES, are_kept, load
from flickerscope.errors import DeviceError, SettingsError
from flickerscope.scan.pool import Outcome, Pool

__all__ = ["Computing", "limit_of", "local_engine"]

WORKERS_A_GPU: Final = 4
"""Decoding keeps a GPU waiting: several processes feed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Computing:
    """What a scan computes with."""

    engine: Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Outcome]]
    devices: tuple[str, ...]
    workers: int
    """That do a job each at a time."""
    threads: int
    """Of every worker."""


@contextmanager
def local_engine(
    *,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    timeout: float | None = None,
) -> Iterator[Computing]:
    """Processes that are started when they are first needed, and end with the block.

    Args:
        device: ``auto``, ``cpu``, ``mps``, ``cuda``, ``cuda:0`` or several as in ``cuda:0,1``.
        workers: processes; default: one a core, and no more than four a GPU.
        threads: of every process; default: the cores divided among them.
        timeout: seconds that reading and measuring a clip may take.

    Raises:
        SettingsError: no such kind of device, or numbers that make no sense.
        DeviceError: the machine has no such device.
    """
    limit = limit_of(timeout)
    cores = _cores()
    with Pool(cores if workers is None else workers) as pool:
        devices = _devices(pool, device)
        if "cpu" in devices and not are_kept():
            list(pool.run(load, MODULES))  # else every process does, in a clip's time
        gpus = [name for name in devices if name != "cpu"]
        if workers is None and gpus:
            pool.workers = min(cores, WORKERS_A_GPU * len(gpus))
        yield Computing(
            engine=partial(pool.run, limit=limit),
            devices=devices,
            workers=pool.workers,
            threads=threads or max(1, cores // pool.workers),
        )


def _devices(pool: Pool, device: str) -> tuple[str, ...]:
    """Names of single devices, asked of a worker: it needs torch, which takes seconds to load."""
    if device == "cpu":
        return ("cpu",)
    (outcome,) = pool.run(find_devices, [device])
    if outcome.status != "ok":
        raise SettingsError(str(outcome.reason))
    names, complaint = outcome.value
    if complaint is not None:
        raise DeviceError(complaint)
    return tuple(names)


def find_devices(text: str) -> tuple[list[str], str | None]:
    """The devices that a text names, or why they are not there; `SettingsError` for nonsense."""
    import torch

    from flickerscope.resources import pick_device

    kind, _, numbers = text.partition(":")
    if text == "auto" and torch.cuda.is_available():
        return [f"cuda:{number}" for number in range(torch.cuda.device_count())], None
    parts = numbers.split(",") if numbers else []
    names = [part if ":" in part else f"{kind}:{part}" for part in parts] or [text]
    try:
        return list(dict.fromkeys(str(pick_device(name)) for name in names)), None
    except DeviceError as error:
        return [], str(error)


def limit_of(timeout: float | None) -> Callable[[Any], float | None] | None:
    """Seconds for a job: the limit of a clip for each of its ``files``, and none for a job that has
    no such number; raises `SettingsError`.
    """
    if timeout is None:
        return None
    if not 0 < timeout < float("inf"):
        raise SettingsError(f"timeout: a positive number of seconds, got {timeout}")

    def seconds(job: Any) -> float | None:
        files = getattr(job, "files", None)
        return None if files is None else timeout * files

    return seconds


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1
