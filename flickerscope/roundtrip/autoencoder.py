"""Autoencoders of diffusers, loaded from this machine alone and never unpickled."""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch.nn import functional

from flickerscope.errors import DeviceError, InputError, SettingsError

__all__ = ["FAMILIES", "Autoencoder", "Kind"]

Kind = Literal["image", "temporal decoder", "video"]
"""Whether it sees single frames, sees single frames but decodes them together, or sees clips."""

FAMILIES: Final[dict[str, Kind]] = {
    "AutoencoderKL": "image",
    "AutoencoderTiny": "image",
    "AutoencoderKLTemporalDecoder": "temporal decoder",
    "AutoencoderKLCogVideoX": "video",
    "AutoencoderKLHunyuanVideo": "video",
    "AutoencoderKLLTXVideo": "video",
    "AutoencoderKLWan": "video",
}
"""The classes of diffusers that can be run, by the ``_class_name`` of their configuration."""

DTYPES: Final = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}

CONFIG: Final = "config.json"
WEIGHTS: Final = "diffusion_pytorch_model"
_SAVED: Final = re.compile(
    rf"{WEIGHTS}(?:\.(?P<variant>\w+))?(?:-\d+-of-\d+)?\.safetensors", re.ASCII
)
"""A file of weights: perhaps of a variant such as fp16, perhaps one of several parts."""

AT_ONCE: Final[dict[Kind, int | None]] = {"image": 4, "temporal decoder": 14, "video": None}
"""Frames that go through together; none: all. 14 are those of the training of Stable Video
Diffusion, whose autoencoder has the temporal decoder."""


@dataclass(frozen=True, slots=True, eq=False)
class Autoencoder:
    """An autoencoder that frames can be sent through."""

    network: Any
    """Of diffusers."""
    name: str
    """Of its class."""
    kind: Kind
    device: torch.device
    dtype: torch.dtype
    stride: int
    """Rows and columns of the picture must be multiples of it."""
    temporal_stride: int
    """It takes a multiple of this many frames, and one."""

    @classmethod
    def load(
        cls,
        path: str,
        *,
        config: str | None = None,
        device: torch.device | None = None,
        dtype: str = "float32",
    ) -> Autoencoder:
        """Read an autoencoder from the disk; nothing is downloaded or unpickled.

        Args:
            path: the folder of an autoencoder or of a whole pipeline, as diffusers saves it, or a
                ``.safetensors`` file, also in the format of the original code.
            config: folder with the ``config.json`` of such a file; default: where the file is.
            device: where to compute; default: the CPU.
            dtype: in which to compute: ``float32``, ``float16`` or ``bfloat16``.

        Raises:
            DeviceError: diffusers is not installed.
            InputError: there is no autoencoder, or one that cannot be run or read.
            SettingsError: another dtype.
        """
        if dtype not in DTYPES:
            raise SettingsError(f"dtype: one of {', '.join(DTYPES)}, got {dtype!r}")
        precision = DTYPES[dtype]
        place = Path(path)
        if not place.exists():
            raise InputError(f"{path}: no such file or folder")
        single = place.is_file()
        if single and place.suffix.lower() != ".safetensors":
            raise InputError(
                f"{path}: is no .safetensors file; others may run code when they are read: convert "
                "it first"
            )
        folder = _folder(place, config)
        name = _class_name(folder)
        where = device or torch.device("cpu")
        if single and _SAVED.fullmatch(place.name) is None:
            load = partial(_from_file, place, folder, precision)
        else:
            load = partial(_from_folder, folder, _variant(place, folder), precision)
        with _quiet():
            network = _loaded(path, name, load).to(where).eval().requires_grad_(False)
        return cls(
            network=network,
            name=name,
            kind=FAMILIES[name],
            device=where,
            dtype=precision,
            stride=_stride(network),
            temporal_stride=_temporal_stride(network) if FAMILIES[name] == "video" else 1,
        )

    @property
    def at_once(self) -> int | None:
        """Frames that go through together unless it is said otherwise; none: all of them."""
        return AT_ONCE[self.kind]

    @torch.inference_mode()
    def run(self, frames: torch.Tensor, noise: torch.Generator | None = None) -> torch.Tensor:
        """Encode and decode frames, (frames, 3, height, width) in 0..1, to float32 on the host.

        Sizes that the network does not take are padded by repeating the edges and the last frame,
        and cropped again.

        Args:
            frames: single frames, or the clip, as the kind says.
            noise: draws the latents from their distribution; without it they are its means. It
                is drawn on the host, frame by frame: neither device nor batch changes it.

        Raises:
            InputError: what comes out is not finite.
            SettingsError: latents without a distribution to draw from.
            DeviceError: out of memory, or an operation that the device lacks.
        """
        count, _, height, width = frames.shape
        around = (0, -width % self.stride, 0, -height % self.stride)
        x = functional.pad(frames, around, mode="replicate") if any(around) else frames
        if self.kind == "video":
            more = -(count - 1) % self.temporal_stride
            x = torch.cat([x, x[-1:].expand(more, -1, -1, -1)]).transpose(0, 1)[None]
        try:
            y = self._decode(self._encode(x.to(self.device, self.dtype) * 2 - 1, noise), count)
        except RuntimeError as error:
            raise DeviceError(self._trouble(str(error))) from error
        if self.kind == "video":
            y = y[0].transpose(0, 1)[:count]
        y = y[..., :height, :width].to("cpu", torch.float32)
        if not y.isfinite().all():
            narrow = self.dtype != torch.float32
            hint = f" in {str(self.dtype).removeprefix('torch.')}: try float32" if narrow else ""
            raise InputError(f"{self.name}: what it decodes is not finite{hint}")
        return y.add(1).div(2).clamp(0, 1)

    def _trouble(self, text: str) -> str:
        """What to say of an error of torch."""
        if "memory" in text or "alloc" in text:
            return (
                f"out of memory in {self.name}: take a smaller size, fewer frames at once or fewer "
                "frames"
            )
        dtype = str(self.dtype).removeprefix("torch.")
        line = " ".join(text.split())[:200]
        return f"{self.name} cannot be run in {dtype} on {self.device}: {line}"

    def _encode(self, x: torch.Tensor, noise: torch.Generator | None) -> torch.Tensor:
        encoded = self.network.encode(x)
        found = getattr(encoded, "latent_dist", None)
        if found is None:
            if noise is not None:
                raise SettingsError(f"{self.name} has no distribution of latents to draw from")
            return torch.as_tensor(encoded.latents)
        mean: torch.Tensor = found.mean
        if noise is None:
            return mean
        draws = [torch.randn(one.shape, generator=noise) for one in mean]
        std: torch.Tensor = found.std
        return mean + std * torch.stack(draws).to(mean)

    def _decode(self, latents: torch.Tensor, count: int) -> torch.Tensor:
        extra = {"num_frames": count} if self.kind == "temporal decoder" else {}
        return torch.as_tensor(self.network.decode(latents, **extra).sample)


def _builder(name: str, path: str) -> Any:
    """The class of diffusers."""
    try:
        library = import_module("diffusers")
    except (ImportError, RuntimeError) as error:  # the latter: made for another torch
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DeviceError(
            f"autoencoders need diffusers, which cannot be imported ({line}): "
            "pip install 'flickerscope[diffusers]'"
        ) from error
    builder = getattr(library, name, None)
    if builder is None:
        raise InputError(f"{path}: is of {name}, which diffusers {library.__version__} lacks")
    return builder


@contextmanager
def _quiet() -> Iterator[None]:
    """No advice of diffusers about its own future on a user's terminal."""
    logger = logging.getLogger("diffusers")
    before = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


def _folder(place: Path, config: str | None) -> Path:
    """Where the configuration lies."""
    if config is not None:
        if place.is_dir():
            raise SettingsError("a configuration is for a single file; a folder has its own")
        named = Path(config)
        return named.parent if named.name == CONFIG else named
    if place.is_file():
        return place.parent
    is_pipeline = not (place / CONFIG).is_file() and (place / "vae" / CONFIG).is_file()
    return place / "vae" if is_pipeline else place


def _class_name(folder: Path) -> str:
    """Of the autoencoder in a folder, if it is one that can be run."""
    path = folder / CONFIG
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no {CONFIG} of an autoencoder, as diffusers saves it; for a single "
            "file put it beside the file, or say where it is"
        )
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a configuration") from error
    name = plain.get("_class_name") if isinstance(plain, dict) else None
    if not isinstance(name, str) or name not in FAMILIES:
        raise InputError(
            f"{path}: is of {name or 'no class'}; the autoencoders that can be run are "
            f"{', '.join(FAMILIES)}"
        )
    return name


def _variant(place: Path, folder: Path) -> str | None:
    """Which weights to take, such as fp16; none: the usual ones."""
    names = [place.name] if place.is_file() else [path.name for path in folder.iterdir()]
    variants = {found["variant"] for name in names if (found := _SAVED.fullmatch(name))}
    if not variants:
        raise InputError(
            f"{folder}: holds no {WEIGHTS}.safetensors; files of other kinds may run code when "
            "they are read: convert them first"
        )
    return None if None in variants else min(variants)


def _loaded(path: str, name: str, load: Callable[[Any], tuple[Any, Sequence[str]]]) -> Any:
    """The network, whole; what goes wrong in diffusers in one line."""
    builder = _builder(name, path)
    try:
        network, missing = load(builder)
    except InputError:
        raise
    except Exception as error:  # of a foreign library, on a foreign file
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{path}: cannot be loaded by diffusers: {text}") from error
    if missing:
        raise InputError(
            f"{path}: lacks {len(missing)} of the weights of {name}, such as {min(missing)}"
        )
    settings = network.config
    colours = settings.get("in_channels", 3)
    if colours not in (3, 3 * (settings.get("patch_size") or 1) ** 2):
        raise InputError(f"{path}: takes {colours} channels, not the 3 of RGB")
    if settings.get("timestep_conditioning"):
        raise InputError(
            f"{path}: its decoder wants the time step of a sampler, which is not there"
        )
    return network


def _from_folder(
    folder: Path, variant: str | None, dtype: torch.dtype, builder: Any
) -> tuple[Any, Sequence[str]]:
    """Of weights as diffusers saves them, whole or in parts; and which are missing."""
    network, told = builder.from_pretrained(
        str(folder), torch_dtype=dtype, variant=variant, use_safetensors=True,
        local_files_only=True, low_cpu_mem_usage=False, output_loading_info=True,
    )  # fmt: skip
    return network, told["missing_keys"]


def _from_file(
    place: Path, folder: Path, dtype: torch.dtype, builder: Any
) -> tuple[Any, Sequence[str]]:
    """Of one file, also with the names of the original code; and which weights are missing."""
    if not hasattr(builder, "from_single_file"):
        raise InputError(
            f"{place}: {builder.__name__} is read from a folder, where its weights are called "
            f"{WEIGHTS}.safetensors"
        )
    missing: list[str] = []

    class Watched(builder):  # type: ignore[misc]
        """Where weights are missing, diffusers would leave random ones and say nothing."""

        def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
            told = super().load_state_dict(*args, **kwargs)
            missing.extend(told.missing_keys)
            return told

    network = Watched.from_single_file(
        str(place), config=str(folder), torch_dtype=dtype, local_files_only=True,
        low_cpu_mem_usage=False,
    )  # fmt: skip
    return network, missing


def _stride(network: Any) -> int:
    config = network.config
    for name in ("scale_factor_spatial", "spatial_compression_ratio"):
        found = config.get(name) or vars(network).get(name)
        if found:
            return int(found)
    blocks = config.get("block_out_channels") or config["encoder_block_out_channels"]
    return int(2 ** (len(blocks) - 1))


def _temporal_stride(network: Any) -> int:
    config = network.config
    names = "scale_factor_temporal", "temporal_compression_ratio"
    found = [config.get(name) or vars(network).get(name) for name in names]
    return int(next((value for value in found if value), 1))
