"""Prediction against reference: identity, swap, videos that differ in form, saved measurements."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import reference
from reference import as_flat_video, as_video, textured

from flickerscope import InputError, Measurement, SettingsError, analyze, compare
from flickerscope.video import encode


def footage(frames=40, rows=40, columns=60, seed=0, sigma=3.0):
    """uint8 noise on a slow drift."""
    rng = np.random.default_rng(seed)
    x = 128 + np.cumsum(rng.normal(0, 1, (frames, rows, columns)), axis=0)
    return (x + rng.normal(0, sigma, x.shape)).round().clip(0, 255).astype(np.uint8)


def alternation(frames, size=1.0):
    return size * (-1.0) ** np.arange(frames)


def excesses(comparison):
    return [row.excess_db for row in comparison.table]


def row_of(comparison, band, scale="block"):
    """One row of luma."""
    (found,) = [r for r in comparison.table if (r.plane, r.band, r.scale) == ("y", band, scale)]
    return found


# --- The question ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_the_founding_example_flickers_more_and_a_brighter_picture_does_not(kind):
    def video(codes):
        flat = np.array(codes)[:, None, None] * np.ones((1, 24, 32))
        return flat.astype(np.uint8) if kind is np.uint8 else as_video(flat)

    target = video([128, 128, 128])
    flickers, brighter = (compare(video(c), target) for c in ([127, 129, 127], [129, 129, 129]))
    assert flickers.verdict == "flickers more"
    assert flickers.energy_db == pytest.approx(13.9, abs=0.05)
    floor = 0.375 * reference.ROUNDING
    assert flickers.energy_db == pytest.approx(10 * math.log10((1 + floor) / floor), abs=1e-4)
    assert brighter.verdict == "no difference found"
    assert excesses(brighter) == [0.0] * len(brighter.table)
    assert brighter.picture.brightness == pytest.approx(1, abs=1e-4)
    assert compare(target, video([127, 129, 127])).verdict == "flickers less"


def test_noise_is_flicker_whatever_moves_and_an_equal_draw_of_it_is_no_difference():
    quiet, loud = footage(sigma=2), footage(sigma=8)
    assert compare(loud, quiet).verdict == "flickers more"
    assert compare(quiet, loud).verdict == "flickers less"
    assert compare(quiet, footage(sigma=2, seed=5)).verdict == "no difference found"


# --- Identity and swap ----------------------------------------------------------------------------


@pytest.mark.parametrize("video", [footage(), footage() / 255, footage(5), footage(12)])
def test_a_video_against_itself_is_exactly_nothing(video):
    result = compare(video, video.copy(), fps=24)
    assert excesses(result) == [0.0] * len(result.table)
    assert [row.wasserstein_db for row in result.table] == [0.0] * len(result.table)
    assert [row.shift_db for row in result.table] == [0.0] * len(result.table)
    assert (result.floor_db, result.picture.sharpness_db) == (0.0, 0.0)
    assert result.verdict == "no difference found"
    assert not result.lines


@pytest.mark.parametrize(
    ("pred", "ref"),
    [
        (footage(seed=1), footage(seed=2, sigma=5)),
        (footage(20, seed=1), footage(70, seed=2)),
        (footage(seed=1) / 255, footage(seed=2)),
        (footage(5, seed=1), footage(9, seed=2, sigma=9)),
        (footage(40, 30, 50), footage(40, 80, 100)),
    ],
    ids=["alike", "lengths", "precision", "short", "sizes"],
)
def test_a_swap_gives_exactly_the_negative_in_every_row(pred, ref):
    forward, backward = compare(pred, ref, fps=24), compare(ref, pred, fps=24)
    assert [-value for value in excesses(backward)] == excesses(forward)
    assert any(excesses(forward))
    assert [-row.difference for row in backward.table] == [r.difference for r in forward.table]
    assert [row.wasserstein_db for row in backward.table] == [
        row.wasserstein_db for row in forward.table
    ]
    assert backward.floor_db == -forward.floor_db


def test_the_table_holds_power_rms_difference_and_excess_of_every_band_and_scale():
    result = compare(footage(seed=1, sigma=5), footage(seed=2), fps=24)
    assert [(row.scale, row.band) for row in result.table] == [
        (scale, band)
        for scale in ("pixel", "block", "global")
        for band in ("LF", "MF", "HF", "NYQ")
    ]
    for row in result.table:
        low, high = reference.band_limits(row.band, 32)
        assert (row.low, row.high) == pytest.approx((low, high), rel=1e-12)
        eps = reference.rounding_floor(low, high)
        expected = 10 * math.log10((row.pred_power + eps) / (row.ref_power + eps))
        assert row.excess_db == pytest.approx(expected, abs=1e-9)
        assert row.difference == row.pred_power - row.ref_power
        assert row.pred_rms == pytest.approx(math.sqrt(row.pred_power), rel=1e-12)
        assert row.ref_power == pytest.approx(
            reference.read(result.ref, row.band, row.scale), rel=1e-9
        )


# --- Form -----------------------------------------------------------------------------------------


def test_a_picture_of_another_size_reads_the_same_at_block_scale():
    x = footage(32, 64, 96)
    large = x.repeat(3, axis=1).repeat(3, axis=2)
    result = compare(large, x, fps=24)
    for row in result.table:
        assert row.excess_db == pytest.approx(0, abs=1e-4)
    assert any("288x192" in note and "96x64" in note for note in result.notes)
    assert result.paired is None
    assert result.picture.sharpness_db is None


@pytest.mark.parametrize("size", [(90, 160), (100, 75), (480, 200), (10, 30)])
def test_flicker_of_the_whole_picture_does_not_depend_on_the_size(size):
    moving = textured(128 + alternation(32), 64, 96)
    result = compare(textured(128 + alternation(32), *size), moving, fps=24)
    for row in result.table:
        assert row.excess_db == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs", "segment"), [(81, 49, 32), (20, 81, 20), (81, 16, 16), (9, 40, 9)]
)
def test_lengths_may_differ_and_the_shorter_one_sets_the_segment(ours, theirs, segment):
    pred, ref = textured(128 + alternation(ours)), textured(128 + alternation(theirs))
    result = compare(pred, ref, fps=24)
    assert result.segment == segment
    for row in result.table:
        assert row.excess_db == pytest.approx(0, abs=1e-6)
    assert any(f"{ours} and {theirs} frames" in note for note in result.notes)


def test_a_clip_of_three_frames_is_held_against_second_differences():
    result = compare(textured(128 + alternation(3)), textured(128 + alternation(40)), fps=24)
    assert (result.segment, result.headline.band) == (3, "second difference")
    assert result.energy_db == pytest.approx(0, abs=1e-9)


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """12 Hz of amplitude 6 on a still texture at 24, 30 and 60 frames/s, four seconds, as files."""
    folder = tmp_path_factory.mktemp("tones")
    paths = {}
    for rate in (24, 30, 60):
        codes = 128 + 6 * np.cos(2 * np.pi * 12 * np.arange(4 * rate) / rate + 0.3)
        frames = (255 * textured(codes, 24, 36)).round().astype(np.uint8)
        paths[rate] = folder / f"tone{rate}.mkv"
        encode(paths[rate], frames, rate=rate, codec="ffv1", pixel_format="gray")
    return paths


def test_the_faster_video_is_decimated_to_the_slower_one(tones):
    result = compare(tones[60], tones[30])
    assert result.pred.rate == result.ref.rate == 30
    assert result.pred.clips[0].frames == result.ref.clips[0].frames == 120
    assert row_of(result, "HF").pred_power == pytest.approx(18, rel=0.02)
    assert result.energy_db == pytest.approx(0, abs=0.01)
    assert any("60 and 30" in note and "decimated" in note for note in result.notes)
    assert not any("quarter" in text for text in result.warnings)
    backward = compare(tones[30], tones[60])
    assert excesses(backward) == [-value for value in excesses(result)]


def test_frames_far_from_their_place_are_warned_of(tones):
    result = compare(tones[30], tones[24])
    assert result.pred.rate == 24
    assert result.pred.clips[0].frames == 96
    assert any("quarter of a frame" in text for text in result.warnings)


def test_along_an_axis_of_frames_nothing_is_decimated(tones):
    """12 Hz is .2 cycles/frame at 60 frames/s, in MF, and .4 at 30, in HF."""
    result = compare(tones[60], tones[30], axis="frame")
    assert (result.pred.rate, result.ref.rate) == (60, 30)
    assert row_of(result, "MF", "pixel").pred_power == pytest.approx(18, rel=0.02)
    t = np.arange(240)
    codes = 6 * np.cos(2 * np.pi * 12 * t / 60 + 0.3)
    leaked = reference.band_power(reference.mean_power(codes[:, None], 32), "HF", 32)
    assert row_of(result, "HF", "pixel").pred_power == pytest.approx(leaked + 1 / 24, abs=0.03)
    assert row_of(result, "HF", "pixel").ref_power == pytest.approx(18, rel=0.02)
    assert any("each at its own rate" in note for note in result.notes)


def test_along_an_axis_of_hertz_a_tone_meets_itself(tones):
    result = compare(tones[60], tones[30], axis="hz")
    assert (result.pred.rate, result.ref.rate) == (60, 30)
    row = row_of(result, "HF")
    assert row.pred_power == pytest.approx(18, rel=0.02)
    assert row.ref_power == pytest.approx(18, rel=0.02)
    assert abs(row.excess_db) < 0.1
    # HF is a quarter to a half of the lower rate: 7.5 to 15 Hz.
    assert (row.low, row.high) == pytest.approx((0.125, 0.25), rel=1e-9)


@pytest.mark.parametrize("axis", ["auto", "frame", "hz"])
def test_a_swap_keeps_the_band_of_the_headline_on_every_axis(tones, axis):
    forward, backward = (compare(tones[a], tones[b], axis=axis) for a, b in ((60, 30), (30, 60)))
    assert backward.headline.band == forward.headline.band
    assert backward.energy_db == -forward.energy_db


def test_along_an_axis_of_hertz_white_noise_is_compared_by_density(tmp_path):
    """The same variance spread over twice the frequencies: half the power in the same hertz."""
    rng = np.random.default_rng(0)
    for rate in (60, 30):
        frames = (128 + rng.normal(0, 6, (96, 48, 64))).round().clip(0, 255).astype(np.uint8)
        encode(tmp_path / f"{rate}.mkv", frames, rate=rate, codec="ffv1", pixel_format="gray")
    paths = tmp_path / "60.mkv", tmp_path / "30.mkv"
    assert row_of(compare(*paths, axis="hz"), "HF").excess_db == pytest.approx(-3.01, abs=0.1)
    assert row_of(compare(*paths, axis="frame"), "HF").excess_db == pytest.approx(0, abs=0.1)
    assert row_of(compare(*paths), "HF").excess_db == pytest.approx(0, abs=0.1)


def test_an_axis_of_hertz_needs_rates():
    with pytest.raises(SettingsError, match="give fps"):
        compare(footage(), footage(), axis="hz")


# --- What stands beside the headline --------------------------------------------------------------


def test_a_line_is_found_where_it_is_and_as_strong_as_it_is():
    t = np.arange(64)
    tone = 3 * np.sin(2 * np.pi * 0.3 * t + 1)
    noise = np.random.default_rng(0).normal(0, 1, (64, 32, 48))
    still = textured(np.full(64, 128.0))
    result = compare(still + as_video(noise + tone[:, None, None]), still + as_video(noise), fps=24)
    lines = {line.scale: line for line in result.lines}
    assert len(result.lines) == len(lines) == 3
    for line in lines.values():
        assert line.frequency == pytest.approx(0.3, abs=0.5 / 32)
    assert lines["global"].amplitude == pytest.approx(3, rel=0.05)
    # At block scale (here the pixels) white noise of 1 code^2 adds a little to the tone.
    assert lines["block"].amplitude == pytest.approx(3, rel=0.1)
    assert not compare(still, still).lines


def test_contrast_sharpness_and_brightness_are_ratios_of_the_pictures():
    x = footage(16).astype(np.float64)
    result = compare(as_video(128 + 1.2 * (x - 128)), as_video(x), fps=24)
    assert result.picture.contrast_db == pytest.approx(20 * math.log10(1.2), abs=1e-6)
    assert result.picture.sharpness_db == pytest.approx(20 * math.log10(1.2), abs=1e-6)
    brighter = compare(as_video(x + 9), as_video(x), fps=24).picture
    assert brighter.brightness == pytest.approx(9, abs=1e-6)
    assert brighter.contrast_db == pytest.approx(0, abs=1e-9)


def test_a_blurred_prediction_is_warned_of():
    x = footage(16).astype(np.float64)
    blurred = (x + np.roll(x, 1, axis=1) + np.roll(x, 1, axis=2)) / 3
    result = compare(as_video(blurred), as_video(x), fps=24)
    assert result.picture.sharpness_db < -1
    assert any("less sharp" in text for text in result.warnings)
    assert not any("less sharp" in t for t in compare(as_video(x), as_video(blurred)).warnings)


def test_the_share_of_hf_is_half_for_white_noise_and_all_for_an_alternation():
    white = as_video(128 + np.random.default_rng(0).normal(0, 3, (80, 64, 64)))
    result = compare(textured(128 + alternation(80), 64, 64), white, fps=24)
    bins = reference.power(np.random.default_rng(1).normal(0, 1, (32, 20000)))[1:].mean(axis=1)
    share = reference.band_power(bins, "HF", 32) / bins.sum()
    assert result.ref_share == pytest.approx(share, abs=0.01)
    assert result.pred_share == pytest.approx(1, abs=0.001)


# --- Measurements ---------------------------------------------------------------------------------


def plain(measurement):
    return measurement.to_dict()


def test_a_saved_measurement_comes_back_exactly(tmp_path):
    original = analyze(footage(50), fps=24, ladder=True)
    path = tmp_path / "reference.json"
    original.save(path)
    loaded = Measurement.load(path)
    assert plain(loaded)["rungs"] == plain(original)["rungs"]
    assert loaded.settings == original.settings
    for frames, rung in original.rungs.items():
        other = loaded.rungs[frames]
        assert list(other.spectra) == list(rung.spectra)
        for name, spectrum in rung.spectra.items():
            back = other.spectra[name]
            assert (back.power.dtype, back.counts.dtype) == (np.float64, np.int64)
            assert back.power.tolist() == spectrum.power.tolist()
            assert back.counts.tolist() == spectrum.counts.tolist()
        ours, theirs = original.clips[0].readings[frames], loaded.clips[0].readings[frames]
        assert (theirs.starts, theirs.times, theirs.shots) == (ours.starts, ours.times, ours.shots)
        assert (theirs.floor_db, theirs.still_power) == (ours.floor_db, ours.still_power)
        assert {n: s.tolist() for n, s in theirs.series.items()} == {
            n: s.tolist() for n, s in ours.series.items()
        }
        assert theirs.map == pytest.approx(ours.map, rel=1e-6)
    for item in dataclasses.fields(original.clips[0]):
        if item.name not in ("readings", "picture", "motion"):
            assert getattr(loaded.clips[0], item.name) == getattr(original.clips[0], item.name)
    ours, theirs = original.clips[0].motion, loaded.clips[0].motion
    assert ours is not None and theirs is not None
    for item in dataclasses.fields(ours):
        value, back = getattr(ours, item.name), getattr(theirs, item.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_allclose(back, value, rtol=1e-6)
        else:
            assert back == value
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == path.read_text()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"kind": "flickerscope measurement"}', "null"])
def test_a_file_that_is_no_measurement_is_refused(tmp_path, text):
    path = tmp_path / "wrong.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"wrong\.json"):
        Measurement.load(path)
    with pytest.raises(InputError, match=r"absent\.json"):
        Measurement.load(tmp_path / "absent.json")


@pytest.mark.parametrize("frames", [40, 70])
def test_a_saved_reference_gives_the_same_comparison_row_by_row(tmp_path, frames):
    pred, ref = footage(40, seed=1, sigma=4), footage(frames, seed=2)
    analyze(ref, fps=24).save(tmp_path / "ref.json")
    direct = compare(pred, ref, fps=24)
    saved = compare(pred, Measurement.load(tmp_path / "ref.json"), fps=24)
    assert saved.table == direct.table
    assert saved.headline == direct.headline
    assert saved.lines == direct.lines
    assert (saved.floor_db, saved.verdict, saved.basis, saved.picture) == (
        direct.floor_db,
        direct.verdict,
        direct.basis,
        direct.picture,
    )
    both = compare(analyze(pred, fps=24), analyze(ref, fps=24))
    assert both.table == direct.table


@pytest.mark.parametrize(
    ("frames", "rungs"),
    [(81, [32, 25, 16, 14, 8]), (31, [25, 16, 14, 8]), (20, [16, 14, 8]), (14, [14, 8]), (8, [8])],
)
def test_a_ladder_holds_every_length_that_fits(frames, rungs):
    x = footage(frames, 10, 12)
    ladder = analyze(x, fps=24, ladder=True)
    assert list(ladder.rungs) == rungs
    for length in rungs:
        alone = analyze(x, fps=24, segment=length).rungs[length]
        assert ladder.rungs[length].segments == alone.segments
        for name, spectrum in alone.spectra.items():
            assert ladder.rungs[length].spectra[name].power.tolist() == spectrum.power.tolist()
            assert ladder.rungs[length].spectra[name].counts.tolist() == spectrum.counts.tolist()


@pytest.mark.parametrize(("frames", "segment"), [(16, 16), (20, 16), (14, 14), (9, 8), (33, 32)])
def test_a_ladder_serves_predictions_of_any_length(frames, segment):
    ref = footage(40, seed=2)
    ladder, pred = analyze(ref, fps=24, ladder=True), footage(frames, seed=1)
    result = compare(pred, ladder, fps=24)
    assert result.segment == segment
    assert result.pred.segment == segment
    direct = compare(pred, ref, fps=24, segment=segment)
    assert result.table == direct.table
    assert compare(ladder, pred, fps=24).segment == segment


def test_a_reference_of_one_length_that_does_not_fit_is_refused_with_a_way_out():
    with pytest.raises(SettingsError, match="ladder=True"):
        compare(footage(16), analyze(footage(40), fps=24), fps=24)


def sums(measurement):
    """Counts, exactly, and powers."""
    spectra = [
        (frames, name, rung.spectra[name])
        for frames, rung in measurement.rungs.items()
        for name in sorted(rung.spectra)
    ]
    counts = [(frames, name, s.samples, s.counts.tolist()) for frames, name, s in spectra]
    numbers = [
        (r.frames, r.segments, r.skipped_shots, r.skipped_frames)
        for r in measurement.rungs.values()
    ]
    return (counts, numbers), np.concatenate([s.power for _, _, s in spectra])


def test_measurements_add_in_any_order_and_grouping():
    a, b, c = (analyze(footage(35 + 9 * i, seed=i), fps=24, ladder=True) for i in range(3))
    exact, power = sums(a + b + c)
    for other in (c + b + a, a + (b + c), (b + a) + c, c + (a + b)):
        assert sums(other)[0] == exact
        assert sums(other)[1] == pytest.approx(power, rel=1e-12)
    assert sums(a + b)[1].tolist() == sums(b + a)[1].tolist()
    assert [clip.frames for clip in (a + b + c).clips] == [35, 44, 53]
    for length, rung in (a + b).rungs.items():
        for name, spectrum in rung.spectra.items():
            one, two = a.rungs[length].spectra[name], b.rungs[length].spectra[name]
            assert (spectrum.counts == one.counts + two.counts).all()
            assert (spectrum.power == one.power + two.power).all()
            assert spectrum.samples == one.samples + two.samples


def test_the_sum_of_a_video_with_itself_has_its_mean_power():
    a = analyze(footage(), fps=24)
    assert excesses(compare(a + a, a)) == [0.0] * 12


def test_a_sum_of_measurements_can_be_compared():
    a, b = (analyze(textured(128 + alternation(40, size)), fps=24) for size in (1, 3))
    still = analyze(textured(np.full(40, 128.0)), fps=24)
    result = compare(a + b, still)
    theory = reference.power(alternation(32))[1:]
    expected = 5 * reference.band_power(theory, "HF", 32)
    assert result.headline.pred_power == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"window": "boxcar"},
        {"bands": "a:0.1-0.4"},
        {"planes": "yuv"},
        {"scales": ("block",)},
        {"frames": "0:36"},
        {"crop": "20x20+0+0"},
        {"primary": "NYQ"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_measurements_of_different_settings_neither_add_nor_compare(options):
    x = np.repeat(footage()[:, None], 3, axis=1)
    one, other = analyze(x, fps=24), analyze(x, fps=24, **options)
    (name,) = options
    with pytest.raises(SettingsError, match=f"different settings: .*{name}"):
        _ = one + other
    with pytest.raises(SettingsError, match=r"different settings|segment"):
        compare(one, other)


def test_measurements_without_a_common_length_do_not_add():
    with pytest.raises(SettingsError, match="no segment length in common"):
        _ = analyze(footage(40), fps=24) + analyze(footage(16), fps=24)


def test_measurements_of_different_rates_add_unless_bands_are_in_hertz():
    x = footage()
    both = analyze(x, fps=24) + analyze(x, fps=30)
    assert both.rate is None
    with pytest.raises(SettingsError, match=r"one frame rate.*24.*30"):
        _ = analyze(x, fps=24, bands="hz") + analyze(x, fps=30, bands="hz")


def test_only_measurements_add():
    with pytest.raises(TypeError):
        _ = analyze(as_flat_video(np.full(9, 100.0))) + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flicker", "x"),
        ("flicker", None),
        ("coverage", 7),
        ("series", [1.0]),
        ("map", [1.0]),
        ("coarse", {"left": "x", "undone": 0.0, "speed": 0.0, "frames": 3}),
    ],
)
def test_a_measurement_with_a_damaged_motion_is_refused(tmp_path, name, value):
    path = tmp_path / "ref.json"
    analyze(footage(12), fps=24).save(path)
    damaged = json.loads(path.read_text())
    damaged["clips"][0]["motion"][name] = value
    path.write_text(json.dumps(damaged))
    with pytest.raises(InputError, match=r"ref\.json"):
        Measurement.load(path)


def test_a_measurement_of_an_older_format_says_so(tmp_path):
    path = tmp_path / "ref.json"
    analyze(footage(12), fps=24).save(path)
    older = json.loads(path.read_text()) | {"format": 1}
    path.write_text(json.dumps(older))
    with pytest.raises(InputError, match="format 1, 2 is needed"):
        Measurement.load(path)
