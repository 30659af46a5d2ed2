"""Losses that see flicker: frame differences, weighted spectra, and the targets of diffusion."""

from flickerscope.losses.frames import DiffLoss, Distance, FlickerLoss
from flickerscope.losses.spectral import (
    SpectralLoss,
    SpectralWeights,
    band,
    csf,
    dct_basis,
    diff,
    frame,
)
from flickerscope.losses.targets import (
    eps_weight,
    flow_snr,
    flow_weight,
    min_snr_weight,
    snr,
    v_weight,
    x0_from_eps,
    x0_from_flow,
    x0_from_v,
)

__all__ = [
    "DiffLoss",
    "Distance",
    "FlickerLoss",
    "SpectralLoss",
    "SpectralWeights",
    "band",
    "csf",
    "dct_basis",
    "diff",
    "eps_weight",
    "flow_snr",
    "flow_weight",
    "frame",
    "min_snr_weight",
    "snr",
    "v_weight",
    "x0_from_eps",
    "x0_from_flow",
    "x0_from_v",
]
