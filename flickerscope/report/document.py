"""A result as plain values: what ``report.json`` holds; its schema is ``schema.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt

from flickerscope import __version__, histogram
from flickerscope.comparison import Comparison, excess
from flickerscope.comparison.excess import MotionSummary, headline_power, summarize_motion
from flickerscope.comparison.judge import Ruling
from flickerscope.comparison.paired import PairedReading
from flickerscope.comparison.pulse import Pulse, own_pulses
from flickerscope.measurement import Clip, Measurement, Rung
from flickerscope.motion import CarriedReading
from flickerscope.motion.pictures import ROWS
from flickerscope.report.strict import to_json
from flickerscope.report.words import (
    ENERGY,
    FLICKER,
    Headline,
    analysis_headline,
    comparison_headline,
    motion_reason,
)
from flickerscope.rungs import headline_band
from flickerscope.settings import BAND_PRESETS, MIN_SPECTRUM_FRAMES, Settings
from flickerscope.spectrum import Transform
from flickerscope.units import CONTRAST

__all__ = ["FORMAT", "analysis_document", "citation", "comparison_document", "schema", "to_json"]

FORMAT = 2
"""Of the report. 1: first. 2: motion-compensated flicker leads; the energy, which led, is
``energy``."""


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of both kinds of document."""
    text = resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def citation(
    settings: Settings, segment: int, band: str, scale: str, rate: str, *, motion: bool
) -> str:
    """One line that says how the numbers were made, to stand beside them in a paper.

    ``motion``: name the motion-compensated flicker too.
    """
    tool = f"flickerscope {__version__}"
    if settings.latent:
        tool += ", latents"
    if motion:
        tool += f", {FLICKER} (flow {settings.flow}, {ROWS} rows)"
    if segment < MIN_SPECTRUM_FRAMES:
        return f"{tool}, second difference in segments of {segment} frames at {scale} scale, {rate}"
    bands = settings.bands if settings.bands in BAND_PRESETS else "custom"
    shape = {"hann": "Hann", "boxcar": "boxcar"}[settings.window]
    return (
        f"{tool}, {shape} window of {segment} frames, {bands} bands, "
        f"{band} at {scale} scale, {rate}"
    )


def comparison_document(result: Comparison) -> dict[str, Any]:
    """All of a comparison."""
    transform = result.transform
    pred, ref = result.pred, result.ref
    return {
        "format": FORMAT,
        "kind": "comparison",
        "version": __version__,
        "settings": result.settings.to_dict(),
        "device": result.device,
        "segment": _segment(result.segment, transform, pred=result.pred_rung, ref=result.ref_rung),
        **comparison_readings(result),
        "bands": _bands(transform, pred.rate),
        "lines": [_line(line, pred.rate) for line in result.lines],
        "motion_series": {"pred": _motion_series(pred), "ref": _motion_series(ref)},
        "series": {
            "pred": _series(pred, result.segment, transform),
            "ref": _series(ref, result.segment, transform),
        },
        "maps": {"pred": _maps(pred, result.segment), "ref": _maps(ref, result.segment)},
    }


def comparison_readings(result: Comparison) -> dict[str, Any]:
    """The part of `comparison_document` that is kept of each of many comparisons."""
    transform = result.transform
    pred, ref = result.pred, result.ref
    return {
        "citation": comparison_citation(result),
        **_unit(ref),
        "inputs": [*_inputs("pred", pred), *_inputs("ref", ref)],
        "verdict": _verdict(result.ruling),
        "headline": _headline(comparison_headline(result), "dB"),
        "motion": _motion_excess(result),
        "energy": _energy("dB", result.headline.excess_db) | _row(result.headline),
        "carried": _carried(result.carried),
        "pulses": [_pulse(pulse) for pulse in result.pulses],
        "results": [_row(row) for row in result.table],
        "floor_db": result.floor_db,
        "share": {"pred": result.pred_share, "ref": result.ref_share},
        "picture": asdict(result.picture)
        | {
            "excess_minus_sharpness_db": (
                None
                if result.picture.sharpness_db is None
                else result.energy_db - result.picture.sharpness_db
            )
        },
        "paired": None if result.paired is None else _paired(result.paired),
        "paired_reason": result.paired_reason,
        "warnings": list(result.warnings),
        "notes": list(result.notes),
        "motion_maps": {"pred": _motion_maps(pred), "ref": _motion_maps(ref)},
        "spectra": _spectra(
            {"pred": result.pred_rung, "ref": result.ref_rung},
            {"pred": pred.rate, "ref": ref.rate},
            transform,
        ),
        "histograms": _histograms({"pred": result.pred_rung, "ref": result.ref_rung}, transform),
    }


def analysis_document(results: Sequence[Measurement], device: str) -> dict[str, Any]:
    """All of one or more videos measured alone."""
    return {
        "format": FORMAT,
        "kind": "analysis",
        "version": __version__,
        "settings": results[0].settings.to_dict(),
        "device": device,
        "videos": [_video(result) for result in results],
        "warnings": [text for result in results for text in result.warnings],
        "notes": [text for result in results for text in result.notes],
    }


def comparison_citation(result: Comparison) -> str:
    """The citable line of a comparison."""
    rates = dict.fromkeys(rate_text(side.rate) for side in (result.pred, result.ref))
    return citation(
        result.settings,
        result.segment,
        result.headline.band,
        result.headline.scale,
        " and ".join(rates),
        motion=result.motion is not None,
    )


def analysis_citation(result: Measurement) -> str:
    """The citable line of a video measured alone."""
    transform = result.transform()
    band = transform.bands[headline_band(result.settings, transform)].name
    scale = result.settings.main_scale
    measured = any(clip.motion is not None for clip in result.clips)
    rate = rate_text(result.rate)
    return citation(result.settings, result.segment, band, scale, rate, motion=measured)


def rate_text(rate: Fraction | None) -> str:
    """Such as ``24 frames/s``."""
    return "unknown rate" if rate is None else f"{float(rate):.6g} frames/s"


def _video(result: Measurement) -> dict[str, Any]:
    transform = result.transform()
    rung = result.rungs[result.segment]
    power, summary = headline_power(result), summarize_motion(result.clips)
    lines = [
        line
        for name in rung.spectra
        for line in excess.find_lines(name, (rung.spectra[name], transform))
    ]
    return {
        "citation": analysis_citation(result),
        "segment": _segment(result.segment, transform, video=rung),
        "input": _inputs("video", result)[0],
        **_unit(result),
        "headline": _headline(analysis_headline(result), f"rms {result.unit.name}"),
        "motion": {
            "video": _motion_summary(summary),
            "reason": None if summary is not None else motion_reason(result.clips),
        },
        "energy": _energy(f"rms {result.unit.name}", power**0.5)
        | {
            "plane": result.settings.main_plane,
            "scale": result.settings.main_scale,
            "band": transform.bands[headline_band(result.settings, transform)].name,
            "power": power,
        },
        "pulses": [_pulse(pulse) for pulse in own_pulses(result)],
        "motion_series": _motion_series(result)[0],
        "motion_map": _motion_maps(result)[0],
        "bands": _bands(transform, result.rate),
        "results": list(analysis_rows(result)),
        "floor_db": result.clips[0].readings[result.segment].floor_db,
        "lines": [_line(line, result.rate) for line in lines],
        "spectra": _spectra({"video": rung}, {"video": result.rate}, transform),
        "histograms": _histograms({"video": rung}, transform),
        "series": _series(result, result.segment, transform)[0],
        "map": _maps(result, result.segment)[0],
    }


def _unit(reference: Measurement) -> dict[str, Any]:
    """What samples are measured in; of a latent, its deviation that the histograms' edges are
    relative to.
    """
    unit = reference.unit
    deviation = CONTRAST * unit.size if reference.settings.latent else None
    return {"unit": unit.name, "deviation": deviation}


def _verdict(ruling: Ruling) -> dict[str, Any]:
    return {
        "text": ruling.verdict,
        "basis": ruling.basis,
        "ground": ruling.ground,
        "value_db": ruling.value_db,
    }


def _headline(headline: Headline, unit: str) -> dict[str, Any]:
    return {
        "name": FLICKER,
        "unit": unit,
        "higher_is_better": False,
        "value": headline.value,
        "reason": headline.reason,
    }


def _energy(unit: str, value: float) -> dict[str, Any]:
    return {"name": ENERGY, "unit": unit, "higher_is_better": False, "value": value}


def _motion_excess(result: Comparison) -> dict[str, Any]:
    """The readings of both sides, as far as they were measured, and how they differ."""
    names = (
        "excess_db",
        "usual_db",
        "slow_db",
        "moving_db",
        "texture_db",
        "cb_db",
        "cr_db",
        "area_change",
    )
    return {
        "pred": _motion_summary(summarize_motion(result.pred.clips)),
        "ref": _motion_summary(summarize_motion(result.ref.clips)),
        **{name: getattr(result.motion, name, None) for name in names},
        "reason": result.motion_reason,
    }


def _pulse(pulse: Pulse) -> dict[str, Any]:
    plain = {item.name: getattr(pulse, item.name) for item in fields(pulse)}
    lists = {name: list(plain[name]) for name in ("frequencies", "amplitudes")}
    return {"text": pulse.text} | plain | lists


def _carried(carried: CarriedReading | None) -> dict[str, Any] | None:
    return None if carried is None else asdict(carried) | {"valid": carried.valid}


def _motion_summary(summary: MotionSummary | None) -> dict[str, Any] | None:
    return None if summary is None else asdict(summary) | {"rms": summary.rms}


def _motion_series(measurement: Measurement) -> list[dict[str, Any] | None]:
    """Per clip: when it flickers, and how much its quiet tiles change to the next frame."""
    return [
        None
        if clip.motion is None
        else {
            "frame": clip.motion.frames,
            "time": None
            if clip.rate is None
            else [clip.start + float(frame / clip.rate) for frame in clip.motion.frames],
            "flicker": _numbers(clip.motion.series),
            "step": _numbers(clip.motion.steps),
        }
        for clip in measurement.clips
    ]


def _motion_maps(measurement: Measurement) -> list[list[list[float | None]] | None]:
    """Per clip: where it flickers, rows of columns."""
    return [
        None if clip.motion is None else [_numbers(row) for row in clip.motion.map]
        for clip in measurement.clips
    ]


def _numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
    """Seven digits, as in a saved measurement; ``None`` for what was not measured."""
    return [float(f"{value:.6e}") if np.isfinite(value) else None for value in values.tolist()]


def analysis_rows(result: Measurement) -> Iterable[dict[str, Any]]:
    """Power of every plane, scale and band of a lone video."""
    transform = result.transform()
    for name, spectrum in result.rungs[result.segment].spectra.items():
        plane, scale = name.split("/")
        powers = excess.band_power(spectrum, transform)
        for band, power in zip(transform.bands, powers.tolist(), strict=True):
            if not band.empty:
                yield {
                    "plane": plane,
                    "scale": scale,
                    "band": band.name,
                    "reliable": band.reliable,
                    "power": power,
                    "rms": power**0.5,
                }


def _row(row: excess.BandExcess) -> dict[str, Any]:
    return {
        "plane": row.plane,
        "scale": row.scale,
        "band": row.band,
        "reliable": row.reliable,
        "epsilon": row.epsilon,
        "pred_power": row.pred_power,
        "ref_power": row.ref_power,
        "difference": row.difference,
        "pred_rms": row.pred_rms,
        "ref_rms": row.ref_rms,
        "excess_db": row.excess_db,
        "wasserstein_db": row.wasserstein_db,
        "shift_db": row.shift_db,
    }


def _segment(frames: int, transform: Transform, **rungs: Rung) -> dict[str, Any]:
    return {
        "frames": frames,
        "is_spectrum": transform.is_spectrum,
        **{
            name: {
                "segments": rung.segments,
                "skipped_shots": rung.skipped_shots,
                "skipped_frames": rung.skipped_frames,
            }
            for name, rung in rungs.items()
        },
    }


def _inputs(role: str, measurement: Measurement) -> list[dict[str, Any]]:
    return [_input(role, clip) for clip in measurement.clips]


def _input(role: str, clip: Clip) -> dict[str, Any]:
    info = clip.info
    return {
        "role": role,
        "path": info.path,
        "container": info.container,
        "codec": info.codec,
        "width": info.width,
        "height": info.height,
        "frame_rate": None if info.rate is None else str(info.rate),
        "frames_promised": info.promised_frames,
        "frames_decoded": clip.frames_decoded,
        "frames_measured": clip.frames,
        "measured_rate": None if clip.rate is None else float(clip.rate),
        "variable_rate": info.variable_rate,
        "interlaced": info.interlaced,
        "rotation": info.rotation,
        "pixel_aspect": info.aspect,
        "pixel_format": info.pixel_format,
        "channels": info.channels,
        "bits": info.bits,
        "range": info.range,
        "matrix": info.matrix,
        "transfer": info.transfer,
        "primaries": info.primaries,
        "start": clip.start,
        "shots": [list(shot) for shot in clip.shots],
        "gaps": clip.gaps,
        "key_frames": len(clip.keys),
        "repeats": clip.repeats,
        "damaged": clip.lost is not None,
        "lost_frames": clip.lost or 0,
        "mean": clip.mean,
        "contrast": clip.contrast,
        "gradient": clip.gradient,
        "clipped": clip.clipped,
        "notes": list(clip.notes),
        "warnings": list(clip.warnings),
    }


def _bands(transform: Transform, rate: Fraction | None) -> list[dict[str, Any]]:
    return [
        {
            "name": band.name,
            "low": band.low,
            "high": band.high,
            "low_hz": _hertz(band.low, rate),
            "high_hz": _hertz(band.high, rate),
            "epsilon": band.epsilon,
            "reliable": band.reliable,
        }
        for band in transform.bands
        if not band.empty
    ]


def _hertz(cycles: float, rate: Fraction | None) -> float | None:
    return None if rate is None else cycles * float(rate)


def _line(line: excess.Line, rate: Fraction | None) -> dict[str, Any]:
    return asdict(line) | {"frequency_hz": _hertz(line.frequency, rate)}


def _paired(paired: PairedReading) -> dict[str, Any]:
    plain = {item.name: getattr(paired, item.name) for item in fields(paired)}
    return plain | {
        "bands": [asdict(band) for band in paired.bands],
        "frequencies": paired.frequencies.tolist(),
        "coherence": None if paired.coherence is None else paired.coherence.tolist(),
        "error": paired.error.tolist(),
    }


def _spectra(
    rungs: dict[str, Rung], rates: dict[str, Fraction | None], transform: Transform
) -> dict[str, dict[str, Any]]:
    """Mean power per bin by plane and scale; nothing where segments are too short for bins."""
    if not transform.is_spectrum:
        return {}
    first = next(iter(rungs.values()))
    hertz = {
        role: None if rate is None else (transform.frequencies * float(rate)).tolist()
        for role, rate in rates.items()
    }
    return {
        name: {
            "frequency": transform.frequencies.tolist(),
            "frequency_hz": hertz,
            **{role: rung.spectra[name].mean_power.tolist() for role, rung in rungs.items()},
        }
        for name in first.spectra
        if all(name in rung.spectra for rung in rungs.values())
    }


def _histograms(rungs: dict[str, Rung], transform: Transform) -> dict[str, Any]:
    first = next(iter(rungs.values()))
    edges = histogram.EDGES * transform.unit.square
    return {
        "edges_power": edges.tolist(),
        "edges_amplitude": np.sqrt(2 * edges).tolist(),
        "counts": {
            name: {
                band.name: {
                    role: rung.spectra[name].counts[i].tolist() for role, rung in rungs.items()
                }
                for i, band in enumerate(transform.bands)
                if not band.empty
            }
            for name in first.spectra
            if all(name in rung.spectra for rung in rungs.values())
        },
    }


def _series(measurement: Measurement, segment: int, transform: Transform) -> list[dict[str, Any]]:
    """Per clip: when its segments start, and what they read."""
    out = []
    for clip in measurement.clips:
        reading = clip.readings[segment]
        out.append(
            {
                "start": reading.starts,
                "time": reading.times,
                "shot": reading.shots,
                "power": {
                    name: {
                        band.name: series[:, i].tolist()
                        for i, band in enumerate(transform.bands)
                        if not band.empty
                    }
                    for name, series in reading.series.items()
                },
            }
        )
    return out


def _maps(measurement: Measurement, segment: int) -> list[list[list[float]]]:
    """Per clip: power of the headline band in each cell of the block grid, rows of columns."""
    return [
        [[float(f"{value:.5g}") for value in row] for row in clip.readings[segment].map.tolist()]
        for clip in measurement.clips
    ]
