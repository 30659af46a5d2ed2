"""Files of arrays (.npy, .npz, .pt, .safetensors), mapped rather than loaded, never unpickled."""

from __future__ import annotations

import lzma
import math
import os
import pickle
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from typing import IO, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs.probe import check_file
from flickerscope.suffixes import TENSOR_SUFFIXES

__all__ = ["is_tensor_file", "load_tensor"]

Array = NDArray[Any] | torch.Tensor

_LOCAL_HEADER: Final = 30
"""Bytes of a zip member's own header, before its name."""

_BROKEN: Final = (
    ValueError,
    OSError,
    EOFError,
    LookupError,  # as the next two, a damaged pickle, in torch's own reader
    AttributeError,
    AssertionError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,  # a damaged head, in numpy's own parser
    TypeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
)


def is_tensor_file(path: str) -> bool:
    """Whether the name is that of a file of arrays."""
    return path.lower().endswith(TENSOR_SUFFIXES)


def load_tensor(path: str, *, key: str | None = None, memory: int) -> Array:
    """The array of a file, read from the disk where its frames are used.

    A compressed ``.npz`` is the exception: it is loaded whole.

    Args:
        path: a ``.npy``, ``.npz``, ``.pt``, ``.pth`` or ``.safetensors`` file.
        key: which of several arrays; a ``.npy`` holds one and takes none.
        memory: bytes that may be loaded.

    Raises:
        InputError: the file is damaged, needs pickle, or holds another thing than one video.
        SettingsError: a key for a ``.npy``.
    """
    check_file(path)
    suffix = os.path.splitext(path)[1].lower()
    if suffix == ".npy":
        if key is not None:
            raise SettingsError(f"{path}: a .npy file holds one array; give no key")
        return _npy(path)
    try:
        if suffix == ".npz":
            return _npz(path, key, memory)
        arrays = _safetensors(path) if suffix == ".safetensors" else _torch_file(path)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path}: not a sound {suffix} file: {_line(error)}") from error
    array = arrays[_pick(path, key, {name: tuple(a.shape) for name, a in arrays.items()})]
    if array.layout is torch.strided and array.nbytes > array.untyped_storage().nbytes():
        raise InputError(
            f"{path}: its shape {tuple(array.shape)} repeats fewer numbers by strides of 0; save a "
            "contiguous tensor"
        )
    return array


def _pick(path: str, key: str | None, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The name of the array to measure, or `InputError` that names those there are."""
    listed = ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:12])
    if len(shapes) > 12:
        listed += f" and {len(shapes) - 12} more"
    if key is not None:
        if key in shapes:
            return key
        raise InputError(f"{path}: holds no array called {key!r}; there are: {listed or 'none'}")
    videos = [name for name, shape in shapes.items() if len(shape) >= 3]
    if len(videos) == 1:
        return videos[0]
    if not videos:
        raise InputError(f"{path}: holds no array of 3 axes or more; there are: {listed or 'none'}")
    raise InputError(f"{path}: holds several arrays: {listed}; say which by key")


def _npy(path: str) -> Array:
    try:
        with open(path, "rb") as file:
            shape, order, dtype = _header(file, path)
            offset = file.tell()
            _check_size(path, shape, dtype, os.fstat(file.fileno()).st_size - offset)
        return np.memmap(path, dtype, "r", offset, shape, order)
    except InputError:
        raise
    except _BROKEN as error:
        raise InputError(f"{path}: not a sound .npy file: {_line(error)}") from error


def _header(file: IO[bytes], path: str) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """Shape, order and kind of the numbers that follow, as the head of a .npy file gives them."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, columns_first, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, columns_first, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise InputError(
            f"{path}: holds pickled Python objects, which could run any code; save plain numbers"
        )
    if dtype.kind not in "biufc":
        raise InputError(f"{path}: holds {dtype}; allowed are arrays of numbers")
    if 0 in shape or any(n < 0 for n in shape):
        raise InputError(f"{path}: got shape {shape}, which is empty")
    return shape, "F" if columns_first else "C", dtype


def _check_size(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int) -> None:
    """Refuse a file with fewer bytes than its head promises, before memory is taken for them."""
    promised = math.prod(shape) * dtype.itemsize
    if promised > there:
        raise InputError(
            f"{path}: is cut off: its head promises {promised} bytes (shape {shape}), it holds "
            f"{there}"
        )


def _npz(path: str, key: str | None, memory: int) -> Array:
    with zipfile.ZipFile(path) as archive:
        members = {
            item.filename.removesuffix(".npy"): item
            for item in archive.infolist()
            if item.filename.endswith(".npy")
        }
        shapes = {}
        for name, item in members.items():
            if key in (None, name):
                with archive.open(item) as file:
                    shapes[name] = _header(file, f"{path}, {name}")[0]
            else:
                shapes[name] = ()
        return _member(path, archive, members[_pick(path, key, shapes)], memory)


def _member(path: str, archive: zipfile.ZipFile, item: zipfile.ZipInfo, memory: int) -> Array:
    """One array of a .npz: mapped where it is stored as it is, else loaded if there is room."""
    with archive.open(item) as file:
        shape, order, dtype = _header(file, path)
        offset = file.tell()
        _check_size(path, shape, dtype, item.file_size - offset)
        if item.compress_type == zipfile.ZIP_STORED:
            with open(path, "rb") as whole:
                whole.seek(item.header_offset)
                name, extra = struct.unpack("<26x2H", whole.read(_LOCAL_HEADER))
            start = item.header_offset + _LOCAL_HEADER + name + extra + offset
            return np.memmap(path, dtype, "r", start, shape, order)
        size = math.prod(shape) * dtype.itemsize
        if size > memory:
            raise InputError(
                f"{path}: unpacked it takes {size / 2**20:.1f} MB, {memory / 2**20:.1f} MB are "
                "allowed: save it with numpy.savez, which does not compress, or raise the memory"
            )
        data = file.read(size)
    if len(data) < size:
        raise InputError(f"{path}: is cut off: {len(data)} of {size} bytes can be unpacked")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _torch_file(path: str) -> dict[str, torch.Tensor]:
    """Tensors by name; those of dictionaries within get names with dots."""
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{path}: not a file that torch.save of torch 1.6 or later writes; is it complete?"
        )
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("constants.pkl") for name in archive.namelist()):
            raise InputError(f"{path}: is a TorchScript program; save the tensor alone")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what torch will one day no longer save
            loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than tensors, and unpickling it could run any code; save the "
            "tensor alone"
        ) from error
    return _tensors_in(loaded, "")


def _tensors_in(loaded: object, name: str) -> dict[str, torch.Tensor]:
    if isinstance(loaded, torch.Tensor):
        return {name or "tensor": loaded}
    found: dict[str, torch.Tensor] = {}
    parts: Any = ()
    if isinstance(loaded, Mapping):
        parts = loaded.items()
    elif isinstance(loaded, (list, tuple)):
        parts = enumerate(loaded)
    for key, value in parts:
        found |= _tensors_in(value, f"{name}.{key}" if name else str(key))
    return found


def _safetensors(path: str) -> dict[str, torch.Tensor]:
    """Tensors by name, mapped."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path}: not a sound .safetensors file: {_line(error)}") from error


def _line(error: Exception) -> str:
    """What an exception says, in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
