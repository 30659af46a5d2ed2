"""Which axis of an array is time, channel, row and column."""

from __future__ import annotations

from typing import Any, Final

import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, SettingsError

__all__ = ["arrange", "check_layout", "guess_layout"]

_KNOWN: Final = {
    3: ("THW",),
    4: ("TCHW", "THWC", "CTHW"),
    5: ("BTCHW", "BCTHW", "BTHWC"),
}
"""By the number of axes: what a file may hold without being told."""


def check_layout(layout: str) -> str:
    """In capitals; raises `SettingsError` where it names no video."""
    axes = str(layout).upper()
    if len(set(axes)) != len(axes) or not set("THW") <= set(axes) <= set("BTCHW"):
        raise SettingsError(
            f"layout is {layout!r}; allowed are T, H and W, with C and B where there are channels "
            "and a batch of one, in the order of the axes: TCHW, THWC, CTHW, THW, BTCHW"
        )
    return axes


def guess_layout(shape: tuple[int, ...], name: str, *, latent: bool = False) -> str:
    """The only layout that fits a shape; `InputError` for none or several.

    Pictures have 1 or 3 channels, latents as many as they like.
    """
    known = _KNOWN.get(len(shape), ())
    allowed = {"B": (1,)} if latent else {"B": (1,), "C": (1, 3)}
    fits = [
        layout
        for layout in known
        if all(n in allowed.get(axis, (n,)) for axis, n in zip(layout, shape, strict=True))
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise InputError(f"{name}: shape {shape} may be {_listed(fits)}; say which by layout")
    raise InputError(
        f"{name}: shape {shape} is no video of gray or RGB frames; say by layout which axis is "
        "which, as in TCHW; if these are latents, say --latent (latent=True) as well"
    )


def _listed(layouts: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(layouts[:-1]), layouts[-1])))


def arrange(
    array: NDArray[Any] | torch.Tensor, layout: str, name: str
) -> NDArray[Any] | torch.Tensor:
    """A view with its axes in the order (T, H, W) or (T, C, H, W)."""
    shape = tuple(int(n) for n in array.shape)
    axes = check_layout(layout)
    if len(axes) != len(shape):
        raise InputError(f"{name}: shape {shape} has {len(shape)} axes, layout {axes} {len(axes)}")
    if "B" in axes:
        batch = axes.index("B")
        if shape[batch] != 1:
            raise InputError(
                f"{name}: shape {shape} is a batch of {shape[batch]} videos; give one of them"
            )
        array = array[(slice(None),) * batch + (0,)]
        axes = axes.replace("B", "")
    order = [axes.index(axis) for axis in ("TCHW" if "C" in axes else "THW")]
    return array.permute(order) if isinstance(array, torch.Tensor) else array.transpose(order)
