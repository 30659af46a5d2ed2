"""The statistics of a scan: units, denominators, differences between models, calibration."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scanning
from scipy.stats import wilcoxon

from flickerscope.scan.calibration import calibrate
from flickerscope.scan.citation import shared_citation
from flickerscope.scan.gate import find_breaches
from flickerscope.scan.gather import gather
from flickerscope.scan.summary import summarize
from flickerscope.settings import Settings
from flickerscope.stats import holm

SETTINGS = Settings(segment=16)


def record(
    flicker: float | None,
    *,
    energy: float | None = None,
    model: str = "m",
    name: str = "1.mp4",
    ref: str = "1.mp4",
    prompt: str | None = None,
    verdict: str = "no difference found",
    ref_flicker: float = 0.1,
) -> dict[str, Any]:
    content = scanning.content(0)
    content["headline"] = {"value": flicker}
    content["energy"] |= {"value": (flicker or 0.0) if energy is None else energy}
    content["verdict"] |= {"text": verdict, "value_db": flicker}
    content["motion"] |= {"excess_db": flicker}
    content["motion"]["ref"] = content["motion"]["ref"] | {"flicker": ref_flicker}
    head = {"key": name, "model": model, "name": name, "pred": name, "ref": ref}
    return head | {"prompt": prompt, "seed": None} | content


def lost(status: str, model: str = "m") -> dict[str, Any]:
    head = dict.fromkeys(("key", "name", "pred", "ref"), "x") | {"model": model}
    return head | {"prompt": None, "seed": None, "status": status, "reason": f"x: {status}"}


def batch(values: np.ndarray, **labels: Any) -> list[dict[str, Any]]:
    return [record(float(v), name=f"{i}", ref=f"r{i}", **labels) for i, v in enumerate(values)]


def test_clips_of_one_prompt_or_one_reference_are_one_unit() -> None:
    clips = [
        record(1.0, ref="a", prompt="p"),
        record(3.0, ref="b", prompt="p"),  # with the first by its prompt
        record(5.0, ref="b", prompt="q"),  # with the second by its reference
        record(9.0, ref="c", prompt="s"),
    ]
    row = summarize(gather(clips), SETTINGS)["models"][0]["flicker"]
    assert (row["units"], row["clips"]["measured"]) == (2, 4)
    assert row["median"] == (3.0 + 9.0) / 2


def test_every_number_has_its_denominator() -> None:
    clips = [record(1.0), record(None, energy=2.0), lost("failed"), lost("not measurable")]
    summary = summarize(gather(clips), SETTINGS)
    model = summary["models"][0]
    assert summary["clips"]["text"] == "2 of 4 measured, 1 not measurable, 1 failed"
    assert model["flicker"]["clips"]["text"] == "1 of 4 measured, 2 not measurable, 1 failed"
    assert model["energy"]["clips"]["text"] == "2 of 4 measured, 1 not measurable, 1 failed"
    assert [clip["reason"] for clip in summary["not_measured"]] == [
        "x: failed",
        "x: not measurable",
    ]


def test_models_are_held_against_each_other_as_scipy_does() -> None:
    noise = np.random.default_rng(3)
    values = {name: noise.normal(shift, 1, 12) for name, shift in (("a", 0), ("b", 1), ("c", 1))}
    clips = [clip for name, v in values.items() for clip in batch(v, model=name)]
    rows = [
        r
        for r in summarize(gather(clips), SETTINGS)["differences"]
        if r["name"].startswith("motion")
    ]
    expected = [
        wilcoxon(values[one] - values[other], method="exact").pvalue
        for one, other in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert [row["p"] for row in rows] == pytest.approx(expected)
    assert [row["p_holm"] for row in rows] == pytest.approx(holm(expected))
    assert [row["median"] for row in rows] == pytest.approx(
        [np.median(values[a] - values[b]) for a, b in (("a", "b"), ("a", "c"), ("b", "c"))]
    )


def test_models_rank_by_flicker_and_those_without_a_reading_come_last() -> None:
    clips = [record(None, model="lost"), record(2.0, model="more"), record(1.0, model="less")]
    ranked = summarize(gather(clips), SETTINGS)["models"]
    assert [(m["rank"], m["model"]) for m in ranked] == [(1, "less"), (2, "more"), (3, "lost")]


def test_the_worst_clips_are_named_the_incoherent_ones_first() -> None:
    clips = [*batch(np.arange(20.0)), record(None, name="torn", verdict="incoherent")]
    worst = summarize(gather(clips), SETTINGS)["worst"]
    assert [clip["name"] for clip in worst] == ["torn", *(str(i) for i in range(19, 10, -1))]


def test_a_summary_of_nothing_measured_says_so() -> None:
    summary = summarize(gather([lost("failed")]), SETTINGS, calibration=True)
    model = summary["models"][0]
    assert model["verdict"] == "too few clips"
    assert (model["flicker"]["units"], model["flicker"]["median"]) == (0, None)
    assert summary["calibration"] == []


def test_references_that_are_alike_calibrate_to_nothing() -> None:
    found = calibrate([2.0] * 9, [0.1] * 9)
    assert found is not None
    assert (found.median_low, found.median_high, found.clip, found.pairs) == (0.0, 0.0, 0.0, 4)
    assert calibrate([1.0] * 3, [0.1] * 3) is None


def test_calibration_is_as_wide_as_the_references_differ() -> None:
    """Levels of normal distribution, sigma dB: differences have sigma sqrt(2), and the median of
    n of them a standard error of 1.2533 sigma sqrt(2 / n)."""
    sigma, count = 3.0, 800
    levels = np.random.default_rng(0).normal(0, sigma, count)
    found = calibrate((10 ** (levels / 10)).tolist(), [0.0] * count)
    assert found is not None
    error = 1.2533 * sigma * math.sqrt(2 / (count / 2))
    assert found.median_high == pytest.approx(1.96 * error, rel=0.15)
    assert found.median_low == pytest.approx(-1.96 * error, rel=0.15)
    assert found.clip == pytest.approx(1.96 * sigma * math.sqrt(2), rel=0.1)


def breaches(clips: list[dict[str, Any]], on: str = "median", **options: Any) -> list[str]:
    options = {"limit": 3.0, "gate": "verdict", "allow_unmeasured": False} | options
    return list(find_breaches(clips, on=on, **options))


def test_the_gate_is_on_the_median_of_each_model_or_on_any_clip() -> None:
    clips = batch(np.array([0.0, 1.0, 9.0])) + batch(np.array([4.0, 5.0, 6.0]), model="worse")
    assert breaches(clips) == [
        "worse: median over 3 of 3 clips: motion-compensated flicker +5 dB, above the limit of 3"
    ]
    assert [text.split(":")[0] for text in breaches(clips, "any")] == ["m", *["worse"] * 3]
    assert breaches(clips, limit=5.0) == []


def test_clips_that_are_incoherent_lie_above_any_limit() -> None:
    torn = [record(None, name=str(i), ref=str(i), verdict="incoherent") for i in range(2)]
    assert breaches([record(0.0), *torn]) == [
        "m: median over 3 of 3 clips: incoherent, above the limit of 3"
    ]
    assert breaches([*batch(np.zeros(3)), *torn]) == []
    assert breaches([*batch(np.zeros(3)), *torn], gate="energy") == []


def test_a_batch_of_which_less_than_half_is_measurable_fails_unless_allowed() -> None:
    clips = [record(0.0), lost("not measurable"), lost("not measurable")]
    assert breaches(clips) == ["m: not measurable: 1 of 3 clips have a reading"]
    assert breaches(clips, allow_unmeasured=True) == []
    assert len(breaches(clips, "any")) == 2
    assert breaches(clips, "any", allow_unmeasured=True) == []


@pytest.mark.slow
def test_under_the_null_few_batches_are_called_flickering() -> None:
    """Heavy tails (t with 2 degrees of freedom), and three clips to a reference that share most of
    their error: each taken for itself would raise false alarms several times too often."""
    noise = np.random.default_rng(11)
    alarms = 0
    for _ in range(200):
        shared = np.repeat(noise.standard_t(2, 10) * 3, 3)
        values = shared + noise.standard_t(2, 30)
        clips = [
            record(float(v), name=str(i), ref=str(i // 3)) for i, v in enumerate(values.tolist())
        ]
        alarms += summarize(gather(clips), SETTINGS)["models"][0]["verdict"] == "flickers more"
    assert alarms / 200 <= 0.08


@pytest.mark.slow
def test_batches_that_flicker_are_found_as_often_as_predicted() -> None:
    """2 dB beyond the tested value, SD 3 dB, 20 units: materially higher with probability .88."""
    noise = np.random.default_rng(12)
    rows = [
        summarize(gather(batch(noise.normal(3.0, 3.0, 20))), SETTINGS)["models"][0]["flicker"]
        for _ in range(300)
    ]
    found = sum(row["higher"] or row["materially_higher"] for row in rows) / 300
    assert found >= 0.85


def test_the_citable_line_of_many_clips_says_what_they_share():
    line = "flickerscope 1, HF at block scale"
    moved = "flickerscope 1, flicker along the motion, HF at block scale"
    assert shared_citation([]) is None
    assert shared_citation([f"{line}, 8 frames/s"] * 2) == f"{line}, 8 frames/s"
    rates = [f"{line}, 8 frames/s", f"{moved}, 24 frames/s", f"{line}, 24 frames/s"]
    assert shared_citation(rates) == f"{moved}, 2 frame rates"
