"""Latents: what a known change reads, what must not matter, what is refused, what reports say."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from matplotlib.text import Text
from rich.console import Console

from flickerscope import Comparison, Measurement, analyze, compare
from flickerscope.cli import run
from flickerscope.cli.terminal import analysis_summary, comparison_summary
from flickerscope.errors import InputError, SettingsError
from flickerscope.histogram import EDGES
from flickerscope.report import document, table
from flickerscope.report.figure import figure
from flickerscope.scan.job import Choices, Job, run_job
from flickerscope.settings import Settings

FRAMES, CHANNELS, ROWS, COLUMNS = 32, 4, 8, 12
SCALE = 64.0  # code values that stand for a standard deviation


def latents(seed: int, flicker: float = 0.1, frames: int = FRAMES) -> np.ndarray[Any, Any]:
    """A still texture with white flicker, (T, C, H, W), each channel about a mean of its own."""
    rng = np.random.default_rng(seed)
    still = rng.standard_normal((1, CHANNELS, ROWS, COLUMNS))
    means = np.arange(CHANNELS)[:, None, None] * 3.0 - 4
    return still + means + flicker * rng.standard_normal((frames, CHANNELS, ROWS, COLUMNS))


def measured(pred: Any, ref: Any, **options: Any) -> Comparison:
    return compare(pred, ref, latent=True, device="cpu", **options)


def row_of(result: Comparison, plane: str, scale: str = "block", band: str = "HF") -> Any:
    (row,) = [r for r in result.table if (r.plane, r.scale, r.band) == (plane, scale, band)]
    return row


def power_of(result: Measurement, name: str) -> float:
    return float(result.rungs[FRAMES].spectra[name].mean_power.sum())


@pytest.fixture(scope="module")
def pair() -> Comparison:
    return measured(latents(1, 0.2), latents(2, 0.1))


def test_a_sine_in_one_channel_reads_its_power_there_and_its_share_of_it_in_all() -> None:
    x = np.zeros((FRAMES, CHANNELS, ROWS, COLUMNS))
    x += np.random.default_rng(0).standard_normal((1, CHANNELS, ROWS, COLUMNS))
    x[:, 2] += 0.3 * np.sin(2 * np.pi * 12 / 32 * np.arange(FRAMES) + 0.7)[:, None, None]
    result = analyze(x, latent=True, device="cpu")
    for scale in ("pixel", "block", "global"):
        assert power_of(result, f"c2/{scale}") == pytest.approx(0.3**2 / 2, rel=0.005)
        assert power_of(result, f"all/{scale}") == pytest.approx(0.3**2 / 8, rel=0.005)
        for other in ("c0", "c1", "c3"):
            assert power_of(result, f"{other}/{scale}") == 0


def test_all_channels_together_are_the_sum_of_the_channels() -> None:
    result = analyze(latents(3), latent=True, device="cpu")
    spectra = result.rungs[FRAMES].spectra
    for scale in ("pixel", "block", "global"):
        own = [spectra[f"c{i}/{scale}"] for i in range(CHANNELS)]
        together = spectra[f"all/{scale}"]
        assert together.samples == sum(one.samples for one in own)
        np.testing.assert_allclose(together.power, sum(one.power for one in own), rtol=1e-12)
        np.testing.assert_array_equal(together.counts, sum(one.counts for one in own))


def test_identical_latents_read_exactly_0() -> None:
    x = latents(4)
    result = measured(x, x.copy())
    assert {row.excess_db for row in result.table} == {0.0}
    assert result.verdict == "no difference found"


def test_swapped_latents_read_the_exact_negative(pair: Comparison) -> None:
    backward = measured(latents(2, 0.1), latents(1, 0.2))
    ours, theirs = ([row.excess_db for row in side.table] for side in (pair, backward))
    assert ours == pytest.approx([-value for value in theirs], abs=1e-9)
    assert pair.energy_db == pytest.approx(20 * math.log10(2), abs=0.2)


def test_gain_reads_20_log10_of_it_since_no_rounding_is_added() -> None:
    x = latents(5, 1e-4)
    for row in measured(1.2 * x, x).table:
        assert row.epsilon == 0
        assert row.excess_db == pytest.approx(20 * math.log10(1.2), abs=1e-6)


@pytest.mark.parametrize("scale", [1000.0, 1e-30, 1e30, 1e100])
def test_the_scale_of_both_does_not_matter(pair: Comparison, scale: float) -> None:
    scaled = measured(scale * latents(1, 0.2), scale * latents(2, 0.1))
    for ours, theirs in zip(scaled.table, pair.table, strict=True):
        assert ours.excess_db == pytest.approx(theirs.excess_db, abs=1e-6)
        assert ours.wasserstein_db == pytest.approx(theirs.wasserstein_db, abs=0.05)
        assert ours.pred_rms == pytest.approx(scale * theirs.pred_rms, rel=1e-9)
    assert scaled.verdict == pair.verdict
    assert scaled.picture.contrast_db == pytest.approx(pair.picture.contrast_db, abs=1e-6)
    lines = [[line.frequency for line in one.lines] for one in (scaled, pair)]
    assert lines[0] == pytest.approx(lines[1])


def test_float32_of_any_size_reads_what_float64_does(pair: Comparison) -> None:
    sides = [(1e30 * latents(*of)).astype(np.float32) for of in ((1, 0.2), (2, 0.1))]
    for ours, theirs in zip(measured(*sides).table, pair.table, strict=True):
        assert ours.excess_db == pytest.approx(theirs.excess_db, abs=1e-3)


def test_a_still_reference_has_an_end_to_its_excess() -> None:
    still = np.repeat(latents(6)[:1], FRAMES, 0)
    result = measured(latents(6), still)
    assert math.isfinite(result.energy_db)
    assert result.energy_db > 60
    assert result.verdict == "flickers more"
    assert measured(still, still).energy_db == 0
    assert measured(0 * still, 0 * still).energy_db == 0


def test_the_edges_of_the_histograms_are_relative_to_the_deviation_of_the_reference() -> None:
    ref = latents(7) * np.array([1, 2, 3, 4])[:, None, None]
    deviation = math.sqrt(ref.var(axis=(0, 2, 3)).mean())
    found = document.comparison_document(measured(latents(8), ref))
    assert found["deviation"] == pytest.approx(deviation, rel=1e-9)
    np.testing.assert_allclose(
        found["histograms"]["edges_power"], EDGES * (deviation / SCALE) ** 2, rtol=1e-9
    )
    amplitudes = math.sqrt(2) * deviation / SCALE * np.sqrt(EDGES)
    np.testing.assert_allclose(found["histograms"]["edges_amplitude"], amplitudes, rtol=1e-9)
    # A sine of that amplitude falls between the edges of its own power.
    counts = found["histograms"]["counts"]["all/pixel"]["HF"]["pred"]
    own = np.average(np.log(found["histograms"]["edges_power"]), weights=[*counts[1:-1], 0])
    assert math.exp(own) == pytest.approx(0.1**2 / 2, rel=0.5)


def test_a_join_of_two_latents_is_a_cut_that_no_segment_crosses() -> None:
    a, b = (np.repeat(latents(seed)[:1], FRAMES, 0) for seed in (9, 10))
    result = analyze(np.concatenate([a, b]), latent=True, device="cpu")
    assert result.clips[0].shots == [(0, FRAMES), (FRAMES, 2 * FRAMES)]
    assert power_of(result, "all/block") == 0


def test_in_step_what_the_reference_explains_is_told_in_latent_units() -> None:
    """pred = .6 ref + n: coherence .36 25 / (.36 25 + 4), unexplained 4/2 in HF, times 100^2."""
    rng = np.random.default_rng(11)
    r = rng.normal(0, 5, (80, 3, 32, 32))
    still = 40 * rng.standard_normal((1, 3, 32, 32))
    n = rng.normal(0, 2, r.shape)
    result = measured(100 * (0.6 * r + n + still), 100 * (r + still))
    assert result.paired is not None
    (band,) = [band for band in result.paired.bands if band.band == "HF"]
    assert band.coherence == pytest.approx(9 / 13, rel=0.03)
    assert band.unexplained == pytest.approx(2.0 * 100**2, rel=0.03)
    assert band.unexplained_db == pytest.approx(10 * math.log10(4 / 25), abs=0.15)
    error = 100**2 * (0.4**2 * 25 + 4) / 2
    assert band.error == pytest.approx(error, rel=0.02)


def test_a_channel_that_flickers_among_calm_ones_is_warned_of() -> None:
    ref = latents(12) * np.array([9, 9, 9, 1])[:, None, None]
    pred = ref.copy()
    pred[:, 3] += 0.2 * np.random.default_rng(13).standard_normal(pred[:, 3].shape)
    result = measured(pred, ref)
    assert any(
        text.startswith("one channel has 3 dB or more in HF, c3") for text in result.warnings
    )


def test_a_reference_measured_once_serves_predictions_and_keeps_its_unit(tmp_path: Path) -> None:
    ref = 7 * latents(14)
    saved = analyze(ref, latent=True, ladder=True, device="cpu")
    saved.save(tmp_path / "ref.json")
    loaded = Measurement.load(tmp_path / "ref.json")
    assert loaded.unit == saved.unit
    pred = latents(15)
    again = compare(pred, loaded, device="cpu", paired=False)
    fresh = measured(pred, ref, paired=False)
    assert [r.excess_db for r in again.table] == [r.excess_db for r in fresh.table]
    assert [r.wasserstein_db for r in again.table] == [r.wasserstein_db for r in fresh.table]
    with pytest.raises(SettingsError, match="can only be the reference"):
        compare(loaded, pred, device="cpu")
    with pytest.raises(SettingsError, match="latents add where"):
        _ = loaded + analyze(pred, latent=True, device="cpu")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_every_float_are_read(kind: torch.dtype) -> None:
    x = torch.from_numpy(latents(16)).to(kind)
    result = analyze(x, latent=True, device="cpu")
    expected = analyze(x.to(torch.float64), latent=True, device="cpu")
    assert power_of(result, "all/pixel") == pytest.approx(power_of(expected, "all/pixel"), rel=1e-4)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".safetensors"])
def test_files_of_latents_are_read_by_their_layout(tmp_path: Path, suffix: str) -> None:
    x = torch.from_numpy(latents(17)).to(torch.float32)
    path = tmp_path / f"latent{suffix}"
    batch = x.transpose(0, 1)[None].contiguous()
    if suffix == ".npy":
        np.save(path, batch.numpy())
    elif suffix == ".npz":
        np.savez(path, latent=batch.numpy())
    elif suffix == ".pt":
        torch.save({"latent": batch}, path)
    else:
        from safetensors.torch import save_file

        save_file({"latent": batch}, path)
    found = analyze(path, latent=True, layout="BCTHW", fps=6, device="cpu")
    assert found.clips[0].info.channels == CHANNELS
    expected = analyze(x, latent=True, fps=6, device="cpu")
    assert power_of(found, "all/block") == power_of(expected, "all/block")
    with pytest.raises(InputError, match=r"may be .*BCTHW.*; say which by layout"):
        analyze(path, latent=True, device="cpu")


def test_a_single_channel_is_all_there_is() -> None:
    result = analyze(latents(18)[:, 0], latent=True, device="cpu")
    assert set(result.rungs[FRAMES].spectra) == {"all/pixel", "all/block", "all/global"}


def test_three_frames_have_a_second_difference_without_an_epsilon() -> None:
    x = np.zeros((3, CHANNELS, ROWS, COLUMNS)) + latents(19)[:1]
    x[1] += 0.5
    result = measured(x, latents(20, frames=3))
    assert row_of(result, "c0", "global", "second difference").pred_power == pytest.approx(0.0625)
    assert result.headline.epsilon == 0


X = latents(21)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.where(np.arange(FRAMES)[:, None, None, None] == 9, np.nan, X), "NaN or infinity"),
        (np.where(np.arange(FRAMES)[:, None, None, None] == 9, np.inf, X), "NaN or infinity"),
        (X * 1e200, "too large"),
        (X.astype(np.int64), "got int64"),
        (X.astype(np.uint8), "got uint8"),
        (X[0, 0], "got shape"),
        (X[:, :0], "got shape"),
    ],
)
def test_what_is_no_latent_is_refused_in_a_line(array: Any, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        analyze(array, latent=True, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_latent_without_the_flag_is_told_of_it() -> None:
    for array in (X, X[:, :3], X[:, :1]):
        with pytest.raises(InputError, match="--latent"):
            analyze(array, device="cpu")


def test_a_latent_file_without_the_flag_is_told_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", X)
    assert run(["analyze", str(tmp_path / "x.npy")]) == 1
    assert "--latent" in capsys.readouterr().err


def test_latents_of_different_channels_are_refused() -> None:
    with pytest.raises(InputError, match=r"different channels: 4 .* and 3"):
        measured(X, X[:, :3])


def test_a_latent_beside_a_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for path in (tmp_path / "ref.mp4", tmp_path / "frames"):
        with pytest.raises(InputError, match="is no latent"):
            measured(X, path)
    picture = analyze(np.zeros((FRAMES, 8, 8), np.uint8), device="cpu", ladder=True)
    with pytest.raises(SettingsError, match="a latent can be compared with a latent only"):
        compare(X, picture, latent=True, device="cpu")


def test_choices_that_are_of_pictures_are_refused() -> None:
    with pytest.raises(SettingsError, match="a latent has no black and white"):
        analyze(X, latent=True, value_range="-1..1", device="cpu")
    with pytest.raises(SettingsError, match="every channel of a latent is measured"):
        Settings(latent=True, planes="yuv")
    with pytest.raises(SettingsError, match="latent: true or false"):
        Settings(latent="yes")  # type: ignore[arg-type]


def test_reports_say_latent_units_and_hold_every_channel(pair: Comparison) -> None:
    found = json.loads(document.to_json(document.comparison_document(pair)))
    jsonschema.Draft202012Validator(document.schema()).validate(found)
    assert found["unit"] == "latent units"
    assert found["settings"]["latent"] is True
    assert found["inputs"][0]["channels"] == CHANNELS
    assert {row["plane"] for row in found["results"]} == {"all", "c0", "c1", "c2", "c3"}
    assert found["headline"]["value"] is None
    assert "latent" in found["headline"]["reason"]
    rows = list(csv.DictReader(io.StringIO(table.comparison_csv(pair))))
    assert {row["unit"] for row in rows} == {"latent units"}
    drawn = "\n".join(text.get_text() for text in figure(pair).findobj(Text))
    assert "rms (latent units)" in drawn
    assert "code" not in drawn
    assert "latents" in found["citation"]


def test_a_latent_alone_has_the_same_reports() -> None:
    result = analyze(1e-4 * latents(22), latent=True, device="cpu")
    found = json.loads(document.to_json(document.analysis_document([result], "cpu")))
    jsonschema.Draft202012Validator(document.schema()).validate(found)
    assert found["videos"][0]["energy"]["unit"] == "rms latent units"
    rows = list(csv.DictReader(io.StringIO(table.analysis_csv([result]))))
    assert {row["unit"] for row in rows} == {"latent units"}
    drawn = "\n".join(text.get_text() for text in figure(result).findobj(Text))
    assert "rms (latent units)" in drawn
    assert "code" not in drawn


@pytest.mark.parametrize("scale", [1, 1e-4, 1e6])
def test_the_summary_fits_80_columns_at_every_size(scale: float) -> None:
    sides = [scale * latents(*of) for of in ((1, 0.2), (2, 0.1))]
    result, alone = measured(*sides), analyze(sides[0], latent=True, device="cpu")
    console = Console(width=80, highlight=False, markup=False)
    for summary in (comparison_summary(result), analysis_summary(alone, device="cpu")):
        with console.capture() as capture:
            console.print(summary)
        text = capture.get()
        assert "latent units" in text
        assert "code" not in text
        assert max(len(line) for line in text.splitlines()) <= 80
        assert " 0.000 " not in text


def test_the_command_line_measures_latents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, of in (("pred", (1, 0.2)), ("ref", (2, 0.1))):
        np.save(tmp_path / f"{name}.npy", latents(*of))
    given = [*(str(tmp_path / f"{name}.npy") for name in ("pred", "ref"))]
    options = ["--latent", "--layout", "TCHW", "--device", "cpu"]
    assert run(["compare", *given, *options, "--fail-above", "5"]) == 3
    assert "High-frequency energy excess +5.9" in capsys.readouterr().out
    assert run(["compare", *given, *options, "--fail-above", "5", "--gate", "motion"]) == 2
    assert run(["compare", *given, "--latent"]) == 1
    assert "say which by layout" in capsys.readouterr().err


def test_a_scan_measures_latents_by_their_reference(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("ref.npy", "a.npy", "b.npy")]
    for path, of in zip(paths, ((2, 0.1), (1, 0.2), (3, 0.1)), strict=True):
        np.save(path, latents(*of))
    settings = Settings(latent=True, segment=FRAMES)
    job = Job(
        ref=paths[0],
        preds=tuple(paths[1:]),
        choices=Choices(settings=settings, layout="TCHW"),
    )
    louder, alike = (result.content for result in run_job(job))
    assert louder["status"] == alike["status"] == "measured"
    assert louder["unit"] == "latent units"
    assert louder["deviation"] == alike["deviation"] == pytest.approx(1, abs=0.2)
    assert louder["energy"]["value"] == pytest.approx(20 * math.log10(2), abs=0.2)
    assert alike["energy"]["value"] == pytest.approx(0, abs=0.2)
