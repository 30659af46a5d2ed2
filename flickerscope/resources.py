"""What a run may use: device, threads and memory. None of it changes a number."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch

from flickerscope.errors import DeviceError, SettingsError

__all__ = ["Resources", "exact_products", "pick_device", "pick_resources", "plain_arithmetic"]

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run may use."""

    device: torch.device
    threads: int
    """Worker threads for decoding, and for measuring on the CPU."""
    memory: int
    """Bytes that buffers of frames and tiles may take."""


def pick_resources(
    device: str = "auto", *, threads: int | None = None, memory: float | None = None
) -> Resources:
    """Resolve what the user asked for.

    Args:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        threads: default: the cores this process may run on.
        memory: megabytes for buffers; default: half of the machine's memory.

    Raises:
        DeviceError: the machine has no such device.
        SettingsError: no such kind of device, or a number that is not positive.
    """
    if threads is not None and threads < 1:
        raise SettingsError(f"threads: at least 1, got {threads}")
    if memory is not None and not 0 < memory < math.inf:
        raise SettingsError(f"memory: a positive number of megabytes, got {memory}")
    return Resources(
        device=pick_device(device),
        threads=threads or _cores(),
        memory=round(memory * MEGABYTE) if memory else _machine_memory() // 2,
    )


def pick_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` takes CUDA, then MPS, then the CPU."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise SettingsError(f"device: auto, cpu, cuda, cuda:N or mps, got {name!r}")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            raise DeviceError(f"device {name}: this machine has {count} CUDA devices for torch")
        return torch.device(f"cuda:{number or 0}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("device mps: this machine has none that torch can use")
    return torch.device(kind)


@contextmanager
def exact_products() -> Iterator[None]:
    """Full float32 products, whatever the caller asked of torch; for the whole process."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients and no automatic half precision, in this thread."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1


def _machine_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 8192 * MEGABYTE
