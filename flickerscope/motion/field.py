"""Picks what finds the motion."""

from __future__ import annotations

import torch

from flickerscope.motion.flow import LucasKanade, MotionField
from flickerscope.settings import Flow

__all__ = ["motion_field"]


def motion_field(name: Flow, device: torch.device) -> MotionField:
    """The motion field of a name.

    Raises:
        SettingsError: ``raft`` without torchvision or its weights.
    """
    if name == "raft":
        from flickerscope.motion.raft import Raft

        return Raft.load(device)
    return LucasKanade()
