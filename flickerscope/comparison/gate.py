"""Holds a result against a limit that must not be passed."""

from __future__ import annotations

from flickerscope.comparison.excess import summarize_motion
from flickerscope.comparison.judge import Ruling, percent
from flickerscope.measurement import Clip
from flickerscope.settings import Settings

__all__ = ["find_breach", "find_breach_alone"]


def find_breach(
    ruling: Ruling,
    energy_db: float,
    flicker_db: float | None,
    *,
    limit: float,
    gate: str = "verdict",
    allow_unmeasured: bool = False,
) -> str | None:
    """Why a comparison fails a limit, a sentence; ``None``: it passes.

    Args:
        ruling: its verdict.
        energy_db: excess of high-frequency energy, dB.
        flicker_db: its motion-compensated flicker against the reference, if there is one, dB.
        limit: dB.
        gate: what the limit is set on: ``verdict``, the number that it rests on; ``motion``;
            ``energy``.
        allow_unmeasured: let pass what is not measurable.
    """
    if gate == "energy":
        return _over(energy_db, limit, "high-frequency energy")
    if ruling.verdict == "incoherent":
        return f"incoherent: {ruling.basis}"
    if gate == "motion" and flicker_db is None and ruling.ground == "motion":
        flicker_db = ruling.value_db  # along the motion of the reference
    if gate == "motion" and flicker_db is None:
        return None if allow_unmeasured else "not measurable: no motion-compensated flicker"
    if ruling.verdict == "not measurable":
        return None if allow_unmeasured else f"not measurable: {ruling.basis}"
    if gate == "motion" and flicker_db is not None:
        return _over(flicker_db, limit, "motion-compensated flicker")
    if ruling.value_db is None:
        more = ruling.verdict == "flickers more"
        return f"flickers more, whatever the limit: {ruling.basis}" if more else None
    name = "motion-compensated flicker" if ruling.ground == "motion" else "high-frequency energy"
    return _over(ruling.value_db, limit, name)


def find_breach_alone(
    clip: Clip,
    energy_rms: float,
    *,
    limit: float,
    settings: Settings,
    gate: str = "verdict",
    allow_unmeasured: bool = False,
) -> str | None:
    """Why a video by itself fails a limit in rms code values; ``None``: it passes.

    There is no verdict without a reference: the limit is on the motion-compensated flicker, or on
    the high-frequency energy (``energy_rms``) where that is asked for.
    """
    name, value = "high-frequency energy", energy_rms
    if gate != "energy":
        summary = summarize_motion([clip])
        least = settings.min_coverage
        if summary is None or summary.coverage < least:
            reason = clip.motion_reason
            if summary is not None:
                reason = f"coverage {percent(summary.coverage)}, {percent(least)} are needed"
            return None if allow_unmeasured else f"{clip.info.path}: not measurable: {reason}"
        name, value = "motion-compensated flicker", summary.rms
    if value <= limit:
        return None
    return f"{clip.info.path}: {name} {value:.3g} rms code values, above the limit of {limit:g}"


def _over(value: float, limit: float, name: str) -> str | None:
    if value <= limit:
        return None
    return f"{name} {value:+.3g} dB, above the limit of {limit:g}"
