"""The bench on real clips: its flicker has the dose it states, its statistics are known ones."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from flickerscope.video import VideoFile, encode

BENCH = Path(__file__).resolve().parent.parent / "benchmarks" / "motion.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_motion", BENCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_motion"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def luma() -> torch.Tensor:
    """A still picture of noise, soft enough to hold detail at several scales."""
    noise = torch.from_numpy(np.random.default_rng(1).standard_normal((1, 1, 160, 208))).float()
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    return (128 + 30 * smooth[0] + 10 * noise[0]).expand(24, -1, -1)


def random() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_auc_is_the_u_statistic_over_the_number_of_pairs(bench: ModuleType) -> None:
    a, b = np.round(random().normal(0.5, 1, 40), 1), np.round(random().normal(0, 1, 30), 1)
    expected = mannwhitneyu(a, b).statistic / (len(a) * len(b))
    assert bench.auc(a, b) == pytest.approx(expected)


def test_clips_are_never_ranked_against_their_own_source(bench: ModuleType) -> None:
    flickered = {"a": np.array([5.0]), "b": np.array([1.0])}
    clean = {"a": np.array([9.0]), "b": np.array([2.0, 2.0])}
    # a wins twice against b's 2; b loses once against a's 9.
    assert bench.auc_by_source(flickered, clean)[0] == pytest.approx(2 / 3)


def test_the_interval_of_a_perfect_ranking_has_no_width(bench: ModuleType) -> None:
    flickered = {name: np.array([2.0]) for name in "abcd"}
    clean = {name: np.array([1.0]) for name in "abcd"}
    assert bench.auc_by_source(flickered, clean) == (1.0, 1.0, 1.0)


def test_white_flicker_has_the_standard_deviation_that_it_states(
    bench: ModuleType, luma: torch.Tensor
) -> None:
    added = (bench.white(luma, 0.5, random()) - luma).mean((1, 2))
    assert float(added.std(correction=0)) == pytest.approx(0.5, abs=1e-4)
    assert float(added.mean()) == pytest.approx(0, abs=1e-4)


def test_boiling_is_constant_in_squares_of_eight_pixels(
    bench: ModuleType, luma: torch.Tensor
) -> None:
    added = bench.boiling(luma, 2.0, random()) - luma
    squares = added.reshape(24, 20, 8, 26, 8)
    assert float(squares.std((2, 4)).max()) < 1e-4
    # 12480 draws: their standard deviation is known to 1.3 %, twice over.
    assert float(added.std()) == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_fresh_texture_keeps_the_rest_of_the_detail_from_frame_to_frame(
    bench: ModuleType, luma: torch.Tensor, share: float
) -> None:
    frames = bench.fresh_texture(luma, share, random())
    detail = frames - bench.blur(luma, 4.0)
    detail = (detail / detail.square().mean((1, 2), keepdim=True).sqrt()).flatten(1)
    # Correlation of sqrt(1-p) x + sqrt(p) n with itself in another frame: 1 - p.
    correlation = (detail[:-1] * detail[1:]).mean()
    assert float(correlation) == pytest.approx(1 - share, abs=0.03)


def test_periodic_flicker_lies_where_it_states(bench: ModuleType, luma: torch.Tensor) -> None:
    for inject, frequency, amplitude in (
        (bench.alternation, 0.5, 1.0),
        (bench.two_on_two_off, 0.25, math.sqrt(2)),
    ):
        added = (inject(luma, 1.0, random()) - luma).mean((1, 2)).double().numpy()
        spectrum = np.abs(np.fft.rfft(added)) / 24 * (1 if frequency == 0.5 else 2)
        assert np.fft.rfftfreq(24)[spectrum.argmax()] == frequency
        assert spectrum.max() == pytest.approx(amplitude, abs=1e-4)


def test_luma_flicker_of_rgb_is_flicker_of_its_luma(bench: ModuleType, luma: torch.Tensor) -> None:
    chroma = torch.full((24, 2, *luma.shape[1:]), 8.0)
    rgb = bench.rgb_of(luma + 1, chroma).astype(float) - bench.rgb_of(luma, chroma)
    weighted = rgb @ np.array([0.2126, 0.7152, 0.0722])
    inside = (luma > 60) & (luma < 200)
    assert weighted[inside.numpy()].mean() == pytest.approx(1, abs=0.01)


def test_the_moving_object_is_all_that_changes_on_a_still_picture(
    bench: ModuleType, luma: torch.Tensor
) -> None:
    placed, mask = bench.with_object(luma)
    assert torch.equal(placed[mask == 0], luma[mask == 0])
    centre = (mask[:, 80] * torch.arange(208)).sum(1) / mask[:, 80].sum(1)
    assert centre.diff().numpy() == pytest.approx(1, abs=0.02)


def test_pulsation_is_that_of_white_flicker_and_not_of_a_ramp(bench: ModuleType) -> None:
    trace = torch.from_numpy(random().normal(0, 2, 4000))
    assert bench.pulsation(trace) == pytest.approx(2, rel=0.05)
    assert bench.pulsation(torch.arange(48.0)) == 0


def test_excess_changes_its_sign_when_the_sides_change(bench: ModuleType) -> None:
    for name in bench.READINGS:
        assert bench.excess(name, 3.0, 2.0) == pytest.approx(-bench.excess(name, 2.0, 3.0))
    assert bench.excess("MC luminance", 0.9, -0.05) == pytest.approx(10)


def test_a_flow_without_its_weights_ends_in_one_line(
    bench: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["motion.py", str(tmp_path), "--flow", "raft"])
    with pytest.raises(SystemExit, match="RAFT"):
        bench.main()


def test_a_file_is_read_into_its_shots(bench: ModuleType, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    shots = [rng.integers(0, 256, (1, 72, 96), dtype=np.uint8).repeat(n, 0) for n in (20, 12)]
    path = tmp_path / "a.mkv"
    encode(path, np.concatenate(shots), rate=25, codec="ffv1")
    found = bench.survey(VideoFile(path))
    assert found.pictures.shape == (32, 64, 85)
    assert found.shots == [(0, 20), (20, 32)]
