"""Motion by RAFT, a network of torchvision, in place of the built-in Lucas-Kanade."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import nn
from torch.nn import functional

from flickerscope.errors import DeviceError, SettingsError
from flickerscope.motion.pictures import shrink

__all__ = ["Raft", "RaftSize"]

RaftSize = Literal["large", "small"]

STRIDE: Final = 8
"""Sides must be multiples of it."""
MIN_SIDE: Final = 128
"""Pixels: the correlations at the coarsest of 4 levels need 2 x 2 places."""
PIXELS_AT_ONCE: Final = 1 << 18
"""Of pairs that are computed together, at about a kilobyte each; more are no faster on a CPU."""
DEVICE_PIXELS_AT_ONCE: Final = 1 << 21


@dataclass(frozen=True, slots=True, eq=False)
class Raft:
    """Recurrent all-pairs field transforms (Teed & Deng 2020), a `MotionField`.

    Computes where the network is, whatever device the frames are on. Threads may share it.
    """

    network: nn.Module
    """Called as ``network(image1, image2, num_flow_updates=n)`` with (N, 3, H, W) in -1..1, it
    gives a list whose last entry is the motion, (N, 2, H, W), pixels, columns first."""
    name: str = "raft"
    """For reports: the network and the file of its weights."""
    rows: int = 288
    """Short side of the pictures that it wants to see, pixels."""
    updates: int = 12
    """Of the motion; the network's own default."""
    _networks: _Networks = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Set the network up for inference."""
        self.network.eval().requires_grad_(False)
        object.__setattr__(self, "_networks", _Networks(self.network))

    @classmethod
    def load(
        cls,
        device: torch.device | None = None,
        *,
        size: RaftSize = "large",
        weights: str | os.PathLike[str] | None = None,
    ) -> Raft:
        """The network of torchvision with trained weights, which are never downloaded.

        Args:
            device: where to compute; default: the CPU.
            size: ``small`` takes less than half of the time, and is less exact.
            weights: file of the network's state; default: torchvision's own, where ``torch.hub``
                keeps its files.

        Raises:
            DeviceError: torchvision, or its weights, are not on this machine.
            SettingsError: ``weights`` cannot be read, or is not of this network.
        """
        try:
            models: Any = import_module("torchvision.models.optical_flow")
        except (ImportError, RuntimeError) as error:  # the latter: made for another torch
            raise DeviceError(
                f"RAFT needs torchvision, which cannot be imported ({_line(error)}): "
                "pip install 'flickerscope[raft]'"
            ) from error
        builders = {
            "large": (models.raft_large, models.Raft_Large_Weights),
            "small": (models.raft_small, models.Raft_Small_Weights),
        }
        if size not in builders:
            raise SettingsError(f"size: one of {', '.join(builders)}, got {size!r}")
        build, known = builders[size]
        path = _own_weights(known.DEFAULT.url) if weights is None else Path(weights)
        # On no device: neither memory nor random numbers for weights that are replaced at once.
        with torch.device("meta"):
            network: nn.Module = build(weights=None)
        try:
            network.load_state_dict(_read(path), assign=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise SettingsError(f"weights: {path} is not of raft_{size}") from error
        return cls(
            network.to(device or torch.device("cpu"), torch.float32), f"raft_{size} ({path.name})"
        )

    @torch.inference_mode()
    def __call__(self, anchors: torch.Tensor, neighbours: torch.Tensor) -> torch.Tensor:
        """See `MotionField`."""
        height, width = anchors.shape[-2:]
        times = -(-MIN_SIDE // min(height, width))
        device = next((x.device for x in self.network.parameters()), anchors.device)
        first, second = (
            x.reshape(-1, 1, height, width).to(device, torch.float32)
            for x in (anchors.expand_as(neighbours), neighbours)
        )
        most = PIXELS_AT_ONCE if device.type == "cpu" else DEVICE_PIXELS_AT_ONCE
        each = max(1, most // (times**2 * height * width))
        flow = torch.cat(
            [
                shrink(self._flow(a, b, times), times) / times
                for a, b in zip(torch.split(first, each), torch.split(second, each), strict=True)
            ]
        )
        return flow.view(*neighbours.shape[:2], *flow.shape[1:]).to(anchors)

    def _flow(self, first: torch.Tensor, second: torch.Tensor, times: int) -> torch.Tensor:
        """Of pairs of pictures, (N, 1, H, W), enlarged, to (N, 2, times H, times W)."""
        first, second = (_enlarged(x / 127.5 - 1, times) for x in (first, second))
        height, width = first.shape[-2:]
        top, left = (-height % STRIDE) // 2, (-width % STRIDE) // 2
        around = (left, -width % STRIDE - left, top, -height % STRIDE - top)
        first, second = (
            functional.pad(x, around, mode="replicate").expand(-1, 3, -1, -1)
            for x in (first, second)
        )
        flow: torch.Tensor = self._networks.own(first, second, num_flow_updates=self.updates)[-1]
        return flow[..., top : top + height, left : left + width]


class _Networks(threading.local):
    """A network for each thread, of the same weights: RAFT keeps what it computes in itself."""

    def __init__(self, network: nn.Module) -> None:
        """Called by each thread, when it first asks."""
        shared = {id(x): x for x in (*network.parameters(), *network.buffers())}
        self.own = copy.deepcopy(network, shared)


def _enlarged(x: torch.Tensor, times: int) -> torch.Tensor:
    if times == 1:
        return x
    return functional.interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)


def _own_weights(url: str) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.is_file():
        raise DeviceError(
            f"RAFT needs its weights {path.name}, which are not in {path.parent}: "
            f"put {url} there, or load them with flickerscope.motion.raft.Raft.load(weights=PATH)"
        )
    return path


def _read(path: Path) -> Any:
    try:
        # Nothing but tensors: a file of weights must not run code.
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SettingsError(f"weights: {path} cannot be read: {error.strerror}") from error
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise SettingsError(f"weights: {path} is damaged, or holds more than weights") from error


def _line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
