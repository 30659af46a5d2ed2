"""What a run may use: device, threads and memory. None of it changes a number."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from flickerscope.errors import DeviceError, SettingsError

__all__ = [
    "Resources",
    "pick_device",
    "pick_resources",
    "plain_arithmetic",
    "repeatable",
    "torch_to_ourselves",
]

MEGABYTE = 1 << 20
MOST_THREADS = 256
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
FIXED_WORKSPACES = ":4096:8", ":16:8"
"""With which cuBLAS repeats its sums."""


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
        memory: megabytes for buffers; default: half of the memory of the machine or the GPU.

    Raises:
        DeviceError: the machine has no such device.
        SettingsError: no such kind of device, or a number that is not positive.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise SettingsError(f"threads: 1 to {MOST_THREADS}, got {threads}")
    if memory is not None and not 0 < memory < math.inf:
        raise SettingsError(f"memory: a positive number of megabytes, got {memory}")
    chosen = pick_device(device)
    return Resources(
        device=chosen,
        threads=threads or min(_cores(), MOST_THREADS),
        memory=round(memory * MEGABYTE) if memory else _memory_of(chosen) // 2,
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


class _TorchState:
    """What torch keeps for the whole process: saved by the first run, set back by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._threads = 1
        self._restore_precision: Callable[[], None] = _nothing

    def enter(self) -> None:
        with self._lock:
            if not self._runs:
                self._threads = torch.get_num_threads()
                self._restore_precision = _set_full_precision()
            self._runs += 1
        torch.set_num_threads(1)

    def leave(self) -> None:
        torch.set_num_threads(self._threads)
        with self._lock:
            self._runs -= 1
            if not self._runs:
                self._restore_precision()


def _nothing() -> None:
    """Nothing to set back."""


def _set_full_precision() -> Callable[[], None]:
    """Full float32 products; returns what sets torch back to what it was."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:
        return _set_full_precision_by_place()
    torch.set_float32_matmul_precision("highest")
    return lambda: torch.set_float32_matmul_precision(before)


def _set_full_precision_by_place() -> Callable[[], None]:
    """The same by torch's newer interface, where the caller uses that: it allows no mixture."""
    backends: list[Any] = [torch.backends.cuda, torch.backends.mkldnn]
    places = [place for backend in backends if (place := getattr(backend, "matmul", None))]
    saved = [(p, p.fp32_precision) for p in places if hasattr(p, "fp32_precision")]

    def set_all(values: list[tuple[Any, str]]) -> None:
        for place, value in values:
            place.fp32_precision = value

    set_all([(place, "ieee") for place, _ in saved])
    return lambda: set_all(saved)


_TORCH = _TorchState()


@contextmanager
def torch_to_ourselves() -> Iterator[None]:
    """Full float32 products and one torch thread, whatever the caller asked of torch."""
    _TORCH.enter()
    try:
        yield
    finally:
        _TORCH.leave()


@contextmanager
def plain_arithmetic(device: torch.device) -> Iterator[None]:
    """No gradients and no automatic half precision, in this thread."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        for kind in {"cpu", device.type}:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Sums in the same order each time on a CUDA GPU, for all of the process; then as it was.

    Torch warns of an operation that it cannot repeat. cuBLAS takes its workspace from the
    environment when a process first uses it: what used it before may have taken another one. Other
    devices repeat what they do with one thread.
    """
    if device.type != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    choices = cudnn.deterministic, cudnn.benchmark
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    workspace = os.environ.get(WORKSPACE)
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        cudnn.deterministic, cudnn.benchmark = True, False
        if workspace not in FIXED_WORKSPACES:
            os.environ[WORKSPACE] = FIXED_WORKSPACES[0]
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        cudnn.deterministic, cudnn.benchmark = choices
        if workspace is None:
            os.environ.pop(WORKSPACE, None)
        else:
            os.environ[WORKSPACE] = workspace


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS or Windows
        return os.cpu_count() or 1


def _memory_of(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 8192 * MEGABYTE
