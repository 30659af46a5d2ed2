"""One video: every length, every option, and nothing that depends on how the work is divided."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import reference
import torch
from reference import as_flat_video, as_video, bins_of, read, textured

import flickerscope
import flickerscope.kernel
from flickerscope import InputError, Settings, SettingsError, TooShortError

# What follows the motion has tests of its own, and costs most of the time.
analyze = partial(flickerscope.analyze, motion=False)
compare = partial(flickerscope.compare, motion=False)

SCALES = ("pixel", "block", "global")


def footage(frames=40, rows=40, columns=70, seed=0):
    """uint8 noise that drifts: no two cells alike."""
    rng = np.random.default_rng(seed)
    x = 128 + np.cumsum(rng.normal(0, 2, (frames, rows, columns)), axis=0)
    return (x + rng.normal(0, 3, x.shape)).round().clip(0, 255).astype(np.uint8)


def alternating(frames, size=2.0):
    """An alternation of +-size on a still texture."""
    return textured(128 + size * (-1.0) ** np.arange(frames))


def counts_of(measurement):
    """All counts, by segment length, plane and scale."""
    return {
        (frames, name): spectrum.counts.tolist()
        for frames, rung in measurement.rungs.items()
        for name, spectrum in rung.spectra.items()
    }


def powers_of(measurement):
    """All power sums, one after the other."""
    return np.concatenate(
        [s.power for rung in measurement.rungs.values() for s in rung.spectra.values()]
    )


def moved(a, b):
    """Share of the samples of one measurement that lie in another bin in the other."""
    shares = []
    for frames, rung in a.rungs.items():
        for name, spectrum in rung.spectra.items():
            other = b.rungs[frames].spectra[name]
            steps = np.abs(np.cumsum(spectrum.counts - other.counts, axis=1)).sum()
            shares.append(steps / spectrum.counts.sum())
    return max(shares)


# --- Lengths ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 2])
def test_fewer_than_three_frames_are_too_short(frames):
    with pytest.raises(TooShortError, match=f"array: {frames} frames?.*3 frames") as caught:
        analyze(alternating(frames))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("frames", "length", "segments", "band"),
    [
        (3, 3, 1, "second difference"),
        (7, 7, 1, "second difference"),
        (8, 8, 1, "NYQ"),
        (14, 14, 1, "NYQ"),
        (15, 15, 1, "NYQ"),
        (16, 16, 1, "HF"),
        (25, 25, 1, "HF"),
        (31, 31, 1, "HF"),
        (49, 32, 3, "HF"),
        (81, 32, 5, "HF"),
    ],
)
def test_every_length_has_its_segments_its_headline_band_and_the_power_of_theory(
    frames, length, segments, band
):
    result = compare(alternating(frames), textured(np.full(frames, 128.0)), fps=24)
    assert result.segment == length
    assert result.pred.segment == length
    assert result.pred_rung.segments == segments
    assert result.headline.band == band
    assert result.headline.reliable
    fallback = [text for text in result.warnings if "NYQ" in text]
    assert bool(fallback) == (band == "NYQ")
    if band == "second difference":
        expected = 4.0
    else:
        x = 2 * (-1.0) ** np.arange(length)
        expected = reference.band_power(reference.power(x)[1:], band, length)
    assert result.headline.pred_power == pytest.approx(expected, rel=1e-9)
    assert result.headline.ref_power == 0.0
    if band == "HF":
        assert expected == pytest.approx(4.0, rel=0.01)


def test_the_floor_of_the_headline_below_8_frames_is_that_of_the_second_difference():
    result = compare(alternating(3, 1.0), textured(np.full(3, 128.0)), fps=24)
    floor = 0.375 * reference.ROUNDING
    assert result.energy_db == pytest.approx(10 * np.log10((1 + floor) / floor), abs=1e-6)


def test_a_segment_length_is_kept_where_a_shot_reaches_it_and_said_where_none_does():
    x = footage(40)
    assert list(analyze(x, segment=10).rungs) == [10]
    longest = analyze(x, segment=64)
    assert list(longest.rungs) == [40]
    assert any("64" in text for text in longest.warnings)
    assert not analyze(x).warnings


def test_a_shot_that_is_too_short_is_left_out_and_counted():
    textures = np.random.default_rng(0).normal(128, 40, (3, 24, 36)).clip(0, 255)
    x = np.repeat(textures, [10, 40, 20], axis=0)
    rung = analyze(as_video(x), fps=24).rungs[32]
    assert (rung.segments, rung.skipped_shots, rung.skipped_frames) == (2, 2, 30)


@pytest.mark.parametrize("lengths", [[10, 20, 15], [20, 12], [12, 20], [7, 9, 5]])
def test_the_longest_shot_is_the_segment_where_none_reaches_32(lengths):
    textures = np.random.default_rng(0).normal(128, 40, (len(lengths), 24, 36)).clip(0, 255)
    measured = analyze(as_video(np.repeat(textures, lengths, axis=0)), fps=24)
    (rung,) = measured.rungs.values()
    assert rung.frames == max(lengths)
    assert rung.segments == 1
    assert (rung.skipped_shots, rung.skipped_frames) == (
        len(lengths) - 1,
        sum(lengths) - max(lengths),
    )


# --- Division of the work -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain():
    """One measurement to hold the others against."""
    return analyze(footage(), fps=24, threads=2)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_nothing_at_all(plain, threads):
    other = analyze(footage(), fps=24, threads=threads)
    assert counts_of(other) == counts_of(plain)
    assert powers_of(other).tolist() == powers_of(plain).tolist()


@pytest.mark.parametrize("tile", [64, 1000, 8192])
def test_tiles_move_next_to_no_counts(plain, tile, monkeypatch):
    monkeypatch.setattr(flickerscope.kernel, "CPU_TILE", tile)
    other = analyze(footage(), fps=24, threads=2)
    assert moved(other, plain) <= 1e-5
    assert powers_of(other) == pytest.approx(powers_of(plain), rel=1e-6)


@pytest.mark.parametrize("tile", [64, 1000])
def test_tiles_change_nothing_in_double_precision(tile, monkeypatch):
    x = footage() / 255
    whole = analyze(x, fps=24)
    monkeypatch.setattr(flickerscope.kernel, "CPU_TILE", tile)
    other = analyze(x, fps=24)
    assert moved(other, whole) <= 1e-5
    assert powers_of(other) == pytest.approx(powers_of(whole), rel=1e-12)


def test_little_memory_changes_nothing_but_the_tiles(plain):
    other = analyze(footage(), fps=24, threads=2, memory=2)
    assert moved(other, plain) <= 1e-5
    assert powers_of(other) == pytest.approx(powers_of(plain), rel=1e-6)


def test_too_little_memory_is_said():
    with pytest.raises(InputError, match=r"need .* MB"):
        analyze(footage(40, 200, 300), memory=1)


def test_a_tensor_reads_the_same_as_an_array(plain):
    other = analyze(torch.from_numpy(footage()), fps=24, threads=2)
    assert counts_of(other) == counts_of(plain)
    assert powers_of(other).tolist() == powers_of(plain).tolist()


def test_single_and_double_precision_agree(plain):
    other = analyze(footage() / 255, fps=24)
    assert moved(other, plain) <= 1e-4
    for scale in SCALES:
        # float32 steps near 128 are 1.5e-5 code values: 1e-6 code^2 is beyond what it can tell.
        assert bins_of(other, scale) == pytest.approx(bins_of(plain, scale), rel=1e-5, abs=1e-6)


def test_measuring_twice_gives_the_same_twice(plain):
    assert powers_of(analyze(footage(), fps=24, threads=2)).tolist() == powers_of(plain).tolist()


def test_a_picture_repeated_side_by_side_has_the_same_power():
    x = footage(32, 40, 40)
    one, four = analyze(x, fps=24), analyze(np.tile(x, (1, 2, 2)), fps=24)
    assert bins_of(four) == pytest.approx(bins_of(one), rel=1e-6)
    tiled, single = four.rungs[32].spectra["y/pixel"], one.rungs[32].spectra["y/pixel"]
    assert tiled.samples == 4 * single.samples
    assert np.abs(np.cumsum(tiled.counts - 4 * single.counts, axis=1)).sum() <= 1e-4 * tiled.samples


def test_a_mean_level_changes_no_power():
    x = as_video(footage(32, 12, 20) / 4.0)
    assert bins_of(analyze(x + 0.5)) == pytest.approx(bins_of(analyze(x)), rel=1e-9)


# --- Options ------------------------------------------------------------------------------------


def test_a_range_of_frames_is_a_slice_of_the_array():
    x = footage(60)
    whole, part = analyze(x[4:20], fps=24), analyze(x, fps=24, frames="4:20")
    assert list(part.rungs) == [16]
    assert counts_of(part) == counts_of(whole)
    assert powers_of(part).tolist() == powers_of(whole).tolist()
    assert part.clips[0].frames == 16
    assert part.clips[0].start == pytest.approx(4 / 24, rel=1e-12)


def test_a_step_of_two_halves_the_rate():
    x = footage(64)
    part = analyze(x, fps=24, frames="0::2")
    assert part.rate == 12
    assert list(part.rungs) == [32]
    assert powers_of(part).tolist() == powers_of(analyze(x[::2], fps=12)).tolist()


def test_a_step_of_two_folds_a_tone_of_a_quarter_onto_the_nyquist_frequency():
    x = textured(128 + 2 * np.cos(np.pi / 2 * np.arange(64)))
    assert read(analyze(x, fps=24, frames="0::2"), "NYQ") == pytest.approx(4, rel=0.01)
    assert read(analyze(x, fps=24), "NYQ") == pytest.approx(0, abs=1e-3)


def test_a_crop_measures_the_corner_that_flickers():
    x = textured(np.full(32, 128.0), 64, 96) * 255
    x[:, 40:, 60:] += 2 * (-1.0) ** np.arange(32)[:, None, None]
    x = as_video(x)
    inside = analyze(x, crop="36x24+60+40")
    outside = analyze(x, crop="60x64+0+0")
    theory = reference.band_power(reference.power(2 * (-1.0) ** np.arange(32))[1:], "HF", 32)
    for scale in SCALES:
        assert read(inside, "HF", scale) == pytest.approx(theory, rel=1e-9)
        assert read(outside, "HF", scale) == 0.0
    share = 24 * 36 / (64 * 96)
    assert read(analyze(x), "HF") == pytest.approx(theory * share, rel=1e-9)
    assert inside.rungs[32].spectra["y/pixel"].samples == 24 * 36
    with pytest.raises(InputError, match="beyond the picture of 96x64"):
        analyze(x, crop="97x10+0+0")


def chroma_flicker(frames=32):
    """RGB in which blue and green exchange light: BT.709 luma stays."""
    red, green, blue = np.full((3, frames, 20, 30), 0.5)
    swing = 0.05 * (-1.0) ** np.arange(frames)[:, None, None]
    return np.stack([red, green - swing * 0.0722 / 0.7152, blue + swing], axis=1)


def test_colour_flicker_is_seen_by_the_chroma_planes_only():
    measured = analyze(chroma_flicker(), planes="yuv")
    assert set(measured.rungs[32].spectra) == {
        f"{p}/{s}" for p in ("y", "cb", "cr") for s in SCALES
    }
    tone = (-1.0) ** np.arange(32)
    unit = reference.band_power(reference.power(255 * 0.05 * tone)[1:], "HF", 32)
    cr = (0.7152 * 0.0722 / 0.7152 - 0.0722) / 1.5748
    for scale in SCALES:
        assert read(measured, "HF", scale) == pytest.approx(0, abs=1e-12)
        # Y' stays, so that Cb = (B - Y')/1.8556 moves as blue does, and Cr does not.
        assert read(measured, "HF", scale, "cb") == pytest.approx(unit / 1.8556**2, rel=1e-9)
        assert read(measured, "HF", scale, "cr") == pytest.approx(unit * cr**2, abs=1e-9)
    assert set(analyze(chroma_flicker()).rungs[32].spectra) == {f"y/{s}" for s in SCALES}


def test_colour_flicker_counts_for_a_comparison_of_chroma():
    still = chroma_flicker()[:1].repeat(32, axis=0)
    result = compare(chroma_flicker(), still, planes="yuv")
    rows = {(r.plane, r.scale, r.band): r.excess_db for r in result.table}
    assert rows["y", "block", "HF"] == pytest.approx(0, abs=1e-6)
    assert rows["cb", "block", "HF"] > 20


@pytest.mark.parametrize("scales", [("pixel",), ("block",), ("global",), ("global", "pixel")])
def test_only_the_scales_that_are_asked_for_are_measured(plain, scales):
    measured = analyze(footage(), fps=24, threads=2, scales=scales)
    assert set(measured.rungs[32].spectra) == {f"y/{scale}" for scale in scales}
    for name, spectrum in measured.rungs[32].spectra.items():
        assert spectrum.counts.tolist() == plain.rungs[32].spectra[name].counts.tolist()
        assert spectrum.power.tolist() == plain.rungs[32].spectra[name].power.tolist()
    assert measured.clips[0].readings[32].map.tolist() == plain.clips[0].readings[32].map.tolist()


def test_bands_of_ones_own_hold_what_lies_in_them():
    tone = textured(128 + 3 * np.sin(2 * np.pi * 0.3125 * np.arange(32) + 0.4))
    still = textured(np.full(32, 128.0))
    result = compare(tone, still, bands="slow:0.05-0.2, here:0.22-0.41, high:0.41-0.5")
    powers = {row.band: row.pred_power for row in result.table if row.scale == "pixel"}
    assert powers["here"] == pytest.approx(4.5, rel=0.005)
    assert powers["slow"] == pytest.approx(0, abs=0.01)
    assert powers["high"] == pytest.approx(0, abs=0.01)
    assert result.headline.band == "high"
    chosen = compare(
        tone, still, bands="slow:0.05-0.2, here:0.22-0.41, high:0.41-0.5", primary="here"
    )
    assert chosen.headline.band == "here"


@pytest.mark.parametrize(("fps", "high", "band"), [(24, 12, "a"), (48, 24, "b")])
def test_bands_in_hertz_follow_the_frame_rate(fps, high, band):
    """A quarter of a cycle a frame is 6 Hz at 24 frames/s and 12 Hz at 48."""
    tone = textured(128 + 3 * np.cos(np.pi / 2 * np.arange(32) + 0.4))
    measured = analyze(tone, fps=fps, bands="a:3-9Hz, b:9-15Hz, c:15-30Hz")
    ends = [(b.low * fps, b.high * fps) for b in measured.transform().bands]
    assert ends[0] == pytest.approx((3, 9), rel=1e-9)
    assert max(end for _, end in ends) == pytest.approx(high, rel=1e-9)
    series = measured.clips[0].readings[32].series["y/pixel"][0]
    powers = dict(zip("abc", series.tolist(), strict=True))
    assert powers[band] == pytest.approx(4.5, rel=0.01)
    assert sum(powers.values()) == pytest.approx(4.5, rel=0.01)


def test_the_preset_in_hertz_needs_a_rate():
    with pytest.raises(SettingsError, match="give fps"):
        analyze(footage(), bands="hz")
    assert analyze(footage(), fps=24, bands="hz").transform().bands[3].empty


def test_a_boxcar_and_a_hann_window_differ_by_what_leaks():
    x = as_flat_video(100 + 1.5 * np.arange(32))
    assert read(analyze(x, window="boxcar"), "HF") > 1000 * read(analyze(x), "HF")


# --- The picture itself ---------------------------------------------------------------------------


def test_brightness_contrast_sharpness_and_clipping_are_those_of_the_picture():
    rng = np.random.default_rng(4)
    picture = rng.integers(20, 230, (37, 53)).astype(np.uint8)
    picture[:5] = 255
    picture[5:7] = 0
    clip = analyze(np.repeat(picture[None], 12, axis=0)).clips[0]
    x = picture.astype(np.float64)
    assert clip.mean == pytest.approx(x.mean(), rel=1e-5)
    assert clip.contrast == pytest.approx(x.std(), rel=1e-5)
    gradient = np.square(np.diff(x, axis=0)).mean() + np.square(np.diff(x, axis=1)).mean()
    assert clip.gradient == pytest.approx(gradient, rel=1e-5)
    assert clip.clipped == pytest.approx(7 / 37, rel=1e-5)


def test_the_map_shows_where_it_flickers():
    x = np.full((32, 64, 96), 128.0)
    x[:, 10:20, 50:70] += 3 * (-1.0) ** np.arange(32)[:, None, None]
    reading = analyze(as_video(x)).clips[0].readings[32]
    inside = np.zeros((64, 96), dtype=bool)
    inside[10:20, 50:70] = True
    assert reading.map.shape == (64, 96)
    assert reading.map[inside] == pytest.approx(9, rel=0.01)
    assert reading.map[~inside].tolist() == [0.0] * (64 * 96 - 200)


def test_the_floor_is_the_quietest_tenth_of_the_tiles():
    sizes = np.repeat(np.linspace(0.5, 5.5, 24), 4)
    x = 128 + sizes * (-1.0) ** np.arange(32)[:, None, None] * np.ones((1, 64, 1))
    reading = analyze(as_video(x)).clips[0].readings[32]
    share = reference.band_power(reference.power((-1.0) ** np.arange(32))[1:], "HF", 32)
    tiles = 10 * np.log10(share * sizes[::4] ** 2 + reference.rounding_floor(0.25, 0.5))
    assert reading.floor_db == pytest.approx(np.percentile(np.tile(tiles, 16), 10), abs=1e-6)


def test_a_letterbox_does_not_count_for_the_floor():
    x = 128 + 2 * (-1.0) ** np.arange(32)[:, None, None] * np.ones((1, 64, 96))
    boxed = x.copy()
    boxed[:, :16] = boxed[:, -16:] = 0
    whole, letterbox = (analyze(as_video(v)).clips[0].readings[32].floor_db for v in (x, boxed))
    assert letterbox == pytest.approx(whole, abs=1e-9)


def test_frames_that_repeat_are_warned_of():
    x = footage(20).repeat(2, axis=0)
    (left_out,), (kept,), (none,) = (
        analyze(*of, fps=24, **options).clips
        for of, options in (((x,), {}), ((x,), {"repeats": "keep"}), ((footage(40),), {}))
    )
    assert any("repeat" in text for text in left_out.notes)
    assert any("repeat" in text for text in kept.warnings)
    assert not any("repeat" in text for text in (*none.notes, *none.warnings))


# --- Settings -----------------------------------------------------------------------------------


def test_settings_survive_plain_values():
    for chosen in (
        Settings(),
        Settings(
            window="boxcar",
            segment=16,
            bands="a:0.1-0.2, b:0.3-0.5",
            primary="a",
            axis="frame",
            planes="yuv",
            scales=("block", "pixel"),
            frames="1:30:2",
            crop="10x12+3+4",
            paired=False,
            lag=-1,
        ),
    ):
        assert Settings.from_dict(chosen.to_dict()) == chosen
        assert chosen.with_changes() == chosen
    assert Settings().with_changes(window="boxcar") == Settings(window="boxcar")


WRONG = [
    ({"window": "hamming"}, "window: one of hann, boxcar"),
    ({"axis": "time"}, "axis: one of auto, frame, hz"),
    ({"planes": "rgb"}, "planes: one of y, yuv"),
    ({"scales": ("tile",)}, "scales: one of pixel, block, global"),
    ({"scales": ()}, "scales: name each scale once"),
    ({"scales": ("pixel", "pixel")}, "scales: name each scale once"),
    ({"scales": "pixel"}, "scales"),
    ({"segment": 2}, "segment: a whole number of frames from 3"),
    ({"segment": 16.0}, "segment: a whole number"),
    ({"segment": True}, "segment: a whole number"),
    ({"segment": 5000}, "to 4096"),
    ({"lag": 3}, "lag: a whole number of frames from -2 to 2"),
    ({"lag": 0.5}, "lag: a whole number"),
    ({"paired": "yes"}, "paired: true, false or none"),
    ({"bands": "fast"}, "bands: cycles, hz or"),
    ({"bands": "a:0.3-0.2"}, "ends below its start"),
    ({"bands": "a:0.3-0.6"}, "add Hz"),
    ({"bands": "a:0.1-0.2, a:0.2-0.3"}, "a name of its own"),
    ({"bands": "a:0.1-0.2, b:3-5Hz"}, "all in Hz"),
    ({"bands": 3}, "bands: expected text"),
    ({"bands": ["LF"]}, "bands: expected text"),
    ({"scales": 3}, "scales: a list"),
    ({"bands": "a:0..1-0.2"}, "bands"),
    ({"primary": "XF"}, "no band is called 'XF'; the bands are LF, MF, HF, NYQ"),
    ({"axis": "frame", "bands": "hz"}, "axis frame compares cycles/frame"),
    ({"frames": "7"}, "frames: start:stop"),
    ({"frames": "9:4"}, "start < stop"),
    ({"frames": "0:9:0"}, "step >= 1"),
    ({"frames": "-4:9"}, "0 <= start"),
    ({"frames": "a:b"}, "whole numbers"),
    ({"frames": 4}, "frames: start:stop"),
    ({"crop": "10*10"}, "crop: WIDTHxHEIGHT"),
    ({"crop": "0x10"}, "at least 1"),
    ({"crop": 4}, "crop: WIDTHxHEIGHT"),
    ({"speed": 3}, "unknown settings speed; allowed: axis"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_refused_in_one_line_that_says_what_is_allowed(options, message):
    with pytest.raises(SettingsError, match=message.replace("*", r"\*")) as caught:
        Settings.from_dict(Settings().to_dict() | options)
    assert "\n" not in str(caught.value)
    with pytest.raises(SettingsError):
        analyze(footage(8, 4, 6), fps=24, **options)


def test_every_setting_has_a_test_in_which_it_changes_a_number():
    """The list of settings and, for each, a call whose headline or paired block it changes."""
    x, y = footage(70, seed=1) / 255, footage(70, seed=2) / 255
    y = np.where(np.arange(70)[:, None, None] < 40, x, y)
    rgb = np.stack([x, y[::-1], x], axis=1)

    def numbers(pred, ref, **options):
        result = compare(pred, ref, fps=24, **options)
        paired = result.paired
        return (
            [(row.plane, row.scale, row.band, row.excess_db) for row in result.table],
            result.headline.band,
            None if paired is None else (paired.lag, paired.error.tolist()),
            result.motion,
        )

    changes = {
        "window": "boxcar",
        "segment": 16,
        "bands": "a:0.1-0.3, HF:0.3-0.5",
        "primary": "MF",
        "planes": "yuv",
        "scales": ("block",),
        "frames": "3:60",
        "crop": "30x20+4+6",
        "paired": False,
        "lag": 1,
        "motion": False,
    }
    # axis: see test_comparison.py; flow: test_raft.py; thresholds: test_judge.py; texture: below
    # latent: see test_latents.py; repeats: test_held.py
    thresholds = {"min_excess", "min_flicker", "min_area", "min_coverage", "still_speed"}
    assert set(changes) | {"axis", "flow", "latent", "repeats", "texture"} | thresholds == set(
        Settings().to_dict()
    )
    pair, colour = (x, y), (rgb, rgb[:, ::-1].copy())
    plain = numbers(*pair)
    for name, value in changes.items():
        if name == "planes":
            assert numbers(*colour, planes=value) != numbers(*colour)
        elif name == "motion":
            assert numbers(*pair, motion=True) != plain
        else:
            assert numbers(*pair, **{name: value}) != plain, name
    large = footage(8, 144, 144)
    assert analyze(large, motion=True).clips[0].motion.texture is not None
    assert analyze(large, motion=True, texture=False).clips[0].motion.texture is None


@pytest.mark.parametrize(
    ("repeated", "warned"),
    [
        (range(1, 40, 2), True),  # every frame is shown twice
        (range(4, 40, 5), True),  # one in five
        ((7, 20), False),
        ((), False),
    ],
    ids=["hold-2", "one in five", "two by chance", "none"],
)
def test_repeated_frames_are_told_where_they_have_a_cadence_or_are_many(repeated, warned):
    frames = np.random.default_rng(3).integers(60, 190, (40, 32, 48)).astype(np.uint8)
    for index in repeated:
        frames[index] = frames[index - 1]
    (clip,) = analyze(frames, fps=24).clips
    told = (*clip.notes, *clip.warnings)
    assert any("repeat the one before" in text for text in told) == warned


@pytest.mark.parametrize("frames", [25, 32])
@pytest.mark.parametrize("white", [1e-20, 1.0, 1e20])
def test_samples_of_any_size_read_the_same_in_code_values(white, frames):
    level = np.where(np.arange(frames) % 2, 0.51, 0.49)[:, None, None]
    video = (white * np.broadcast_to(level, (frames, 20, 24))).astype(np.float32)
    read = flickerscope.analyze(video, fps=24, value_range=(0, white), motion=False)
    spectrum = read.rungs[frames].spectra["y/pixel"]
    expected = (0.01 * 255) ** 2
    assert spectrum.mean_power.sum() == pytest.approx(expected, rel=1e-3)
