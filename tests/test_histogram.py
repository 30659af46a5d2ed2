"""Histograms: the edges that are promised, exact counts, distances that scipy agrees with."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from reference import as_video
from scipy import stats

import flickerscope
from flickerscope import histogram
from flickerscope.histogram import BINS, EDGES, count, mean_shift_db, wasserstein_db
from flickerscope.measurement import Spectrum

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)
compare = partial(flickerscope.compare, motion=False)

EDGES_DB = 10 * np.log10(EDGES)


def test_edges_are_four_an_octave_from_2_to_the_minus_15():
    theory = [2.0**e * step for e in range(-15, 16) for step in (1, 1.25, 1.5, 1.75)]
    assert EDGES.tolist() == [*theory, 2.0**16]
    assert len(EDGES) + 1 == BINS


def by_numpy(values):
    """Counts of numpy on the same edges, with all that lies below and above."""
    return np.histogram(values, bins=[-math.inf, *EDGES, math.inf])[0].tolist()


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.integers(1, 60),
        elements=st.floats(0, 2.0**20, width=32) | st.sampled_from(EDGES.tolist()),
    )
)
def test_counts_are_those_of_numpy(values):
    assert count(torch.from_numpy(values)[None])[0].tolist() == by_numpy(values)


def test_counts_are_those_of_numpy_over_many_decades():
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(0, 6, (3, 100_000))).astype(np.float32)
    values[0, :4] = [0, 1e-40, 3e38, EDGES[0]]
    counts = count(torch.from_numpy(values))
    assert counts.dtype == torch.int64
    assert counts.shape == (3, BINS)
    assert counts.tolist() == [by_numpy(row) for row in values]


def test_every_cell_of_every_segment_is_counted_once_in_each_band():
    x = np.random.default_rng(0).normal(128, 9, (80, 48, 90)).clip(0, 255).astype(np.uint8)
    measured = analyze(x, fps=24)
    for name, cells in {"pixel": 48 * 90, "block": 48 * 90, "global": 1}.items():
        spectrum = measured.rungs[32].spectra[f"y/{name}"]
        assert spectrum.samples == 4 * cells
        assert spectrum.counts.sum(axis=1).tolist() == [4 * cells] * 4
        assert spectrum.counts.min() >= 0


def test_still_cells_lie_below_the_lowest_edge():
    measured = analyze(np.full((32, 70, 90), 77, dtype=np.uint8), fps=24)
    counts = measured.rungs[32].spectra["y/pixel"].counts
    assert counts[:, 0].tolist() == [70 * 90] * 4


def test_an_alternation_of_2_lies_in_the_bin_of_its_power():
    flat = np.where(np.arange(32) % 2, 130, 126).astype(np.uint8)
    measured = analyze(np.broadcast_to(flat[:, None, None], (32, 40, 60)).copy(), fps=24)
    counts = measured.rungs[32].spectra["y/pixel"].counts[2]
    # All of the 4 code^2 but what the mean takes: just below the edge at 4, or on it.
    (place,) = np.flatnonzero(counts)
    assert counts[place] == 2400
    assert EDGES[place] in (4.0, 5.0)


def test_counts_stay_exact_beyond_what_float32_can_count():
    counts = np.zeros((1, BINS), dtype=np.int64)
    counts[0, 40] = 1
    one = Spectrum(samples=1, power=np.ones(1), counts=counts)
    many = one
    for _ in range(25):
        many = many + many
    many = many + one
    assert many.counts[0, 40] == 2**25 + 1
    assert many.samples == 2**25 + 1


def spread(counts, each=400):
    """Samples and weights of a histogram whose samples lie evenly in every bin, dB."""
    inside = (np.arange(each) + 0.5) / each
    samples = EDGES_DB[:-1, None] + np.diff(EDGES_DB)[:, None] * inside
    return samples.ravel(), np.repeat(counts[1:-1] / each, each)


def random_counts(rng, centre, width, total=50_000):
    """A bell of counts somewhere inside the edges."""
    shape = np.exp(-(((np.arange(BINS) - centre) / width) ** 2))
    shape[[0, -1]] = 0
    return rng.multinomial(total, shape / shape.sum()).astype(np.int64)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((60, 8), (40, 8)), ((40, 8), (60, 5)), ((50, 4), (50, 12)), ((50, 10), (51, 10))],
)
def test_the_distance_of_two_histograms_is_that_of_scipy(ours, theirs):
    rng = np.random.default_rng(3)
    pred, ref = random_counts(rng, *ours), random_counts(rng, *theirs)
    (a, u), (b, v) = spread(pred), spread(ref)
    expected = stats.wasserstein_distance(a, b, u, v)
    assert wasserstein_db(pred, ref) == pytest.approx(expected, rel=0.002)
    shift = np.average(a, weights=u) - np.average(b, weights=v)
    assert mean_shift_db(pred, ref) == pytest.approx(shift, abs=1e-6)
    assert wasserstein_db(ref, pred) == wasserstein_db(pred, ref)
    assert mean_shift_db(ref, pred) == -mean_shift_db(pred, ref)


def test_the_distance_to_itself_is_nothing():
    counts = random_counts(np.random.default_rng(1), 50, 9)
    assert wasserstein_db(counts, counts) == 0.0
    assert mean_shift_db(counts, counts) == 0.0


def test_an_empty_histogram_has_no_distance():
    counts = random_counts(np.random.default_rng(1), 50, 9)
    assert wasserstein_db(counts, counts * 0) is None
    assert mean_shift_db(counts * 0, counts) is None


def test_one_octave_of_power_shifts_by_3_01_db():
    counts = random_counts(np.random.default_rng(1), 50, 9)
    assert counts[-6:].sum() == 0
    louder = np.roll(counts, 4)
    assert mean_shift_db(louder, counts) == pytest.approx(10 * math.log10(2), rel=1e-9)
    assert wasserstein_db(louder, counts) == pytest.approx(10 * math.log10(2), rel=1e-9)


def test_a_louder_prediction_shifts_up_by_its_gain():
    x = np.random.default_rng(2).normal(0, 5, (32, 96, 96))
    quiet, loud = as_video(128 + x), as_video(128 + 2 * x)
    for row in compare(loud, quiet).table:
        if row.scale == "pixel":
            assert row.shift_db == pytest.approx(20 * math.log10(2), abs=0.02)
            assert row.wasserstein_db == pytest.approx(20 * math.log10(2), abs=0.02)
    assert all(row.shift_db < 0 for row in compare(quiet, loud).table)


def test_counting_without_waiting_for_the_device_gives_the_same_counts():
    keys = torch.randint(0, 40, (10_000,), dtype=torch.int32)
    counted = histogram._scatter_count(keys, 64)
    assert counted.dtype == torch.int64
    assert counted.tolist() == np.bincount(keys.numpy(), minlength=64).tolist()
