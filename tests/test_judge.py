"""What is said in words: flicker, motion, colour, and the ways in which words could mislead."""

from __future__ import annotations

import numpy as np
import pytest

from flickerscope import Settings, SettingsError, compare
from flickerscope.comparison.excess import BandExcess, MotionSummary, motion_excess
from flickerscope.comparison.gate import find_breach
from flickerscope.comparison.judge import Evidence, Pace, Ruling, judge
from flickerscope.comparison.remarks import motion_warnings
from flickerscope.motion import CarriedReading
from flickerscope.video import encode

RNG = np.random.default_rng(5)


def texture(height=64, width=96, sd=30.0, seed=1):
    """1/f texture around mid-grey, (height, width) float."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    picture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(height, width)))
    return 128 + sd * (picture - picture.mean()) / picture.std()


def pixels(frames):
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def still(frames=64):
    return pixels(np.repeat(texture()[None], frames, 0))


def panning(step, frames=64):
    wide = texture(64, 96 + step * frames)
    return pixels(np.stack([wide[:, step * t : step * t + 96] for t in range(frames)]))


def test_a_prediction_that_only_moves_beside_a_still_reference_is_not_said_to_flicker():
    result = compare(panning(2), still(), fps=24)
    assert result.energy_db > 3
    assert result.verdict == "more energy, consistent with motion or sharpness"


def test_a_frozen_prediction_of_a_moving_reference_is_not_said_to_flicker_less():
    result = compare(still(), panning(2), fps=24)
    assert result.energy_db < -3
    assert result.verdict == "less energy, consistent with less motion or blur"


def test_white_flicker_over_a_still_reference_is_said_to_flicker_more_and_swapped_less():
    flicker = np.random.default_rng(2).normal(0, 2, (64, 1, 1))
    pred = pixels(still() + flicker)
    assert compare(pred, still(), fps=24).verdict == "flickers more"
    assert compare(still(), pred, fps=24).verdict == "flickers less"


def test_slow_change_is_no_flicker_even_in_the_headline_band():
    slow = 8 * np.sin(2 * np.pi * np.arange(64) / 24)[:, None, None]
    result = compare(pixels(still() + slow), still(), fps=24, primary="LF")
    assert result.energy_db > 3
    assert "flickers" not in result.verdict


def test_flicker_below_the_headline_band_is_named_with_its_band():
    tone = 4 * np.sin(2 * np.pi * 6 / 32 * np.arange(64))[:, None, None]
    result = compare(pixels(still() + tone), still(), fps=24)
    assert result.verdict == "flickers more"
    assert "in MF" in result.basis


def test_flicker_of_colour_that_luma_does_not_see_is_warned_of():
    gray = np.repeat(texture(32, 48, sd=15.0)[None], 40, 0)
    sign = np.where(np.arange(40) % 2, 20.0, -20.0)[:, None, None]
    # Equal and opposite in luma: 0.7152 G + 0.0722 B stays.
    rgb = np.stack([gray, gray - sign * 0.0722 / 0.7152, gray + sign], 1) / 255
    calm = np.stack([gray, gray, gray], 1) / 255
    result = compare(rgb, calm, fps=24, planes="yuv")
    assert abs(result.energy_db) < 0.1
    assert any(text.startswith("Cb has +") for text in result.warnings)


@pytest.mark.parametrize("frames", [8, 20])
def test_identical_videos_of_shots_of_one_length_do_not_differ(frames):
    """None of the shots reaches 32 frames, and all of them count on both sides."""
    shots = [
        pixels(texture(seed=s)[None] + np.random.default_rng(s).normal(0, 3, (frames, 1, 1)))
        for s in range(4)
    ]
    video = np.concatenate(shots)
    result = compare(video, video.copy(), fps=24)
    assert result.segment == frames
    assert (result.pred_rung.segments, result.ref_rung.segments) == (4, 4)
    assert {row.excess_db for row in result.table} == {0.0}
    assert result.pred_rung.skipped_shots == 0


def test_segments_too_short_to_take_the_bias_from_have_no_coherence():
    video = pixels(texture()[None] + RNG.normal(0, 3, (40, 1, 1)))
    paired = compare(video, video.copy(), fps=24, segment=8).paired
    assert paired is not None
    assert paired.segments >= 3
    assert paired.coherence is None
    assert "14 frames" in (paired.note or "")


@pytest.mark.parametrize("value", [0, 255], ids=["black", "white"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_short_black_or_white_flash_is_flicker_and_no_cut(value, length):
    video = still(96)
    for start in range(10, 90, 16):
        video[start : start + length] = value
    result = compare(video, still(96), fps=24)
    assert result.pred.clips[0].shots == [(0, 96)]
    assert result.energy_db > 20


def test_a_cut_to_black_and_to_another_scene_is_still_a_cut():
    video = np.concatenate([still(40), np.zeros((40, 64, 96), np.uint8)])
    assert compare(video, video, fps=24).pred.clips[0].shots == [(0, 40), (40, 80)]


def test_an_array_meets_a_file_at_the_rate_that_it_is_given(tmp_path):
    frames = pixels(texture()[None] + RNG.normal(0, 2, (40, 1, 1)))
    path = tmp_path / "ref.mkv"
    encode(path, frames, rate=24, codec="ffv1", pixel_format="gray")
    result = compare(frames, path, fps=24)
    assert result.energy_db == pytest.approx(0, abs=1e-6)
    assert result.paired is not None
    unknown = compare(frames, path)
    assert any("frame rate of pred is not known" in note for note in unknown.notes)
    with pytest.raises(SettingsError, match="fps"):
        compare(path, path, fps=24)


# --- The rules, one by one ------------------------------------------------------------------------


def row(excess_db, band="HF", low=0.25):
    return BandExcess(
        plane="y",
        scale="block",
        band=band,
        low=low,
        high=0.5,
        reliable=True,
        pred_power=1.0,
        ref_power=1.0,
        epsilon=0.0565,
        excess_db=excess_db,
        wasserstein_db=None,
        shift_db=None,
    )


def side(flicker=0.0, coverage=0.8, area=0.0, speed=1.0, share=0.9, **other):
    usual = other.pop("usual", flicker)
    none = dict.fromkeys(("slow", "moving", "texture", "cb", "cr"))
    readings = none | {"pop": 0.0, "redrawn": False} | other
    return MotionSummary(
        measured=1,
        flicker=flicker,
        usual=usual,
        coverage=coverage,
        area=area,
        speed=speed,
        moving_share=share,
        **readings,
    )


def rule(pred, ref, energy=0.0, *, slow=0.0, reason=None, paces=None, carried=None, **settings):
    motion = None if reason else motion_excess(pred, ref)
    moves = Pace(still=False, fast=False)
    headline = row(energy)
    return judge(
        Evidence(
            settings=Settings(**settings),
            headline=headline,
            table=(headline, row(slow, "MF", 0.125), row(40.0, "LF", 0.05)),
            pred_pace=paces[0] if paces else moves,
            ref_pace=paces[1] if paces else moves,
            motion=motion,
            motion_reason=reason,
            carried=carried,
        )
    )


STILL = {"speed": 0.0, "share": 0.0}
NONE = "no difference found"
MORE_ENERGY = "more energy, consistent with motion or sharpness"
LESS_ENERGY = "less energy, consistent with less motion or blur"


@pytest.mark.parametrize(
    ("pred", "ref", "energy", "verdict", "ground"),
    [
        # Both still: the energies count in full.
        (side(**STILL), side(**STILL), 3.0, "flickers more", "energy"),
        (side(**STILL), side(**STILL), 2.9, "no difference found", "motion"),
        (side(**STILL), side(**STILL), -3.0, "flickers less", "energy"),
        # A pan beside a still, and the other way round.
        (side(), side(**STILL), 20.0, MORE_ENERGY, "motion"),
        (side(**STILL), side(), -20.0, LESS_ENERGY, "motion"),
        # What cannot be followed in the reference is not judged, whatever the other number is.
        (side(9.0), side(coverage=0.29), 20.0, "not measurable", "coverage"),
        (side(9.0), side(coverage=0.31), 20.0, "flickers more", "motion"),
        # 3 dB over 0.1 code^2: (0.1 + 0.1)/(0 + 0.1).
        (side(0.11), side(0.0), 0.0, "flickers more", "motion"),
        (side(0.09), side(0.0), 0.0, "no difference found", "motion"),
        (side(0.0), side(0.11), 0.0, "flickers less", "motion"),
        # For a part of the time only.
        (side(0.2, usual=0.0), side(0.0), 0.0, NONE, "motion"),
        (side(0.0), side(0.2, usual=0.0), 0.0, NONE, "motion"),
        (side(area=0.21), side(), 0.0, "flickers more", "area"),
        (side(area=0.19), side(), 0.0, "no difference found", "motion"),
        (side(), side(area=0.21), 0.0, "flickers less", "area"),
        # Flicker near a quarter cycle/frame, to which the other number is blind.
        (side(slow=0.3), side(slow=0.0), 0.0, "flickers more", "motion"),
        (side(slow=0.09), side(slow=0.0), 0.0, "no difference found", "motion"),
        (side(slow=0.0), side(slow=0.3), 0.0, "flickers less", "motion"),
        # Only one of both is still: a slow pan is no flicker.
        (side(speed=0.06), side(**STILL), 9.0, MORE_ENERGY, "motion"),
        # A small thing that moves in a still picture.
        (side(speed=0.0, share=0.05), side(**STILL), 9.0, MORE_ENERGY, "motion"),
        # Fast flicker against slow: the faster one decides, both ways.
        (side(9.0, slow=0.0), side(0.0, slow=9.0), 0.0, "flickers more", "motion"),
        (side(0.0, slow=9.0), side(9.0, slow=0.0), 0.0, "flickers less", "motion"),
        # Lost motion: drawn anew, or too fast.
        (side(coverage=0.2, redrawn=True), side(), 9.0, "incoherent", "coverage"),
        (side(coverage=0.2), side(), 9.0, "not measurable", "coverage"),
        (side(coverage=0.2, redrawn=True), side(coverage=0.35), 0.0, NONE, "motion"),
        (side(coverage=0.31, redrawn=True), side(), 0.0, NONE, "motion"),
        # Below rounding a negative reading is none.
        (side(-5.0), side(0.0), 0.0, "no difference found", "motion"),
        (side(), side(), 3.0, "more energy, consistent with motion or sharpness", "motion"),
        (side(), side(), -3.0, "less energy, consistent with less motion or blur", "motion"),
    ],
)
def test_the_first_rule_that_applies_decides(pred, ref, energy, verdict, ground):
    ruling = rule(pred, ref, energy)
    assert (ruling.verdict, ruling.ground) == (verdict, ground)


def test_each_of_two_still_videos_that_flickers_in_its_own_band_is_judged_along_its_motion():
    fast, slow = side(36.0, **STILL), side(0.0, slow=36.0, **STILL)
    assert rule(fast, slow, 20.0, slow=-20.0).verdict == "flickers more"
    assert rule(slow, fast, -20.0, slow=20.0).verdict == "flickers less"


def test_what_does_not_last_does_not_breach_a_limit_either():
    found = rule(side(0.2, usual=0.0), side(0.0))
    assert found.value_db == 0
    assert find_breach(found, 0.0, motion_excess(side(0.2), side(0.0)).excess_db, limit=3.0) is None


def patch_that_moves(step, frames=32):
    video = still_picture(144, 208)[None].repeat(frames, 0)
    patch = still_picture(40, 40, seed=7)
    for t in range(frames):
        video[t, 50:90, 10 + step * t : 50 + step * t] = patch
    return pixels(video)


def still_picture(height, width, seed=1):
    return texture(height, width, seed=seed)


def test_an_object_that_crosses_a_still_picture_is_no_flicker():
    moving, resting = patch_that_moves(4), patch_that_moves(0)
    there, back = compare(moving, resting, fps=24), compare(resting, moving, fps=24)
    assert "flickers" not in there.verdict
    assert "flickers" not in back.verdict
    assert there.energy_db > 3


def test_each_threshold_is_a_setting():
    assert rule(side(**STILL), side(**STILL), 3.0, min_excess=4.0).verdict == "no difference found"
    assert rule(side(0.3), side(0.0), min_flicker=0.4).verdict == "no difference found"
    assert rule(side(area=0.3), side(), min_area=0.4).verdict == "no difference found"
    assert rule(side(), side(coverage=0.5), min_coverage=0.6).verdict == "not measurable"
    slow = side(speed=0.3, share=0.0)
    assert rule(slow, slow, 9.0).ground == "motion"
    assert rule(slow, slow, 9.0, still_speed=0.4).verdict == "flickers more"


def test_beside_a_still_reference_a_slower_band_has_a_say_and_slow_change_has_none():
    ruling = rule(side(**STILL), side(**STILL), 0.0, slow=12.0)
    assert ruling.verdict == "flickers more"
    assert "in MF" in ruling.basis
    assert ruling.value_db == 12.0
    assert rule(side(**STILL), side(**STILL), 0.0).verdict == "no difference found"


def test_without_motion_the_reason_is_the_basis():
    ruling = rule(None, None, 9.0, reason="4 frames without a cut, 5 are needed")
    assert (ruling.verdict, ruling.basis) == (
        "not measurable",
        "4 frames without a cut, 5 are needed",
    )
    still = Pace(still=True, fast=True)
    assert rule(None, None, 9.0, reason="short", paces=(still, still)).verdict == "flickers more"
    switched = rule(None, None, 9.0, reason="switched off")
    assert switched.verdict == "more energy, consistent with motion or sharpness"
    assert switched.ground == "energy"


def carried(flicker, ref_flicker=0.0, valid=True):
    return CarriedReading(
        flicker=flicker,
        ref_flicker=ref_flicker,
        unexplained=flicker,
        coherence=None,
        area=0.5,
        coverage=0.8,
        own_coverage=0.2,
        agreement=1.0 if valid else 0.5,
        own_power=1.0,
        triples=22,
    )


def test_where_the_motion_of_the_prediction_is_lost_that_of_the_reference_carries_it():
    pred, ref = side(coverage=0.2, redrawn=True), side()
    found = rule(pred, ref, carried=carried(9.9))
    assert (found.verdict, found.ground) == ("flickers more", "motion")
    assert found.value_db == pytest.approx(20)
    assert "along the motion of the reference" in found.basis
    assert rule(pred, ref, carried=carried(9.9, valid=False)).verdict == "incoherent"
    assert rule(pred, ref, carried=carried(0.09)).verdict == "incoherent"
    assert rule(side(), ref, carried=carried(9.9)).verdict == "no difference found"


def test_an_incoherent_prediction_says_how_much_can_be_followed():
    found = rule(side(coverage=0.19, redrawn=True), side(coverage=0.83))
    assert found.basis == (
        "the motion that can be followed in 83 % of the reference can be followed in 19 % of the "
        "prediction"
    )


# --- The gate -------------------------------------------------------------------------------------


def ruling(verdict, ground, value=None):
    return Ruling(verdict, "as it is", ground, value)


@pytest.mark.parametrize(
    ("found", "options", "breached"),
    [
        (ruling("flickers more", "motion", 7.0), {}, True),
        (ruling("flickers more", "motion", 7.0), {"limit": 7.0}, False),
        (ruling("flickers more", "energy", 7.0), {}, True),
        (ruling("no difference found", "motion", 1.0), {}, False),
        # Energy is far above the limit, but the verdict does not rest on it.
        (ruling("more energy, consistent with motion or sharpness", "motion", 1.0), {}, False),
        (
            ruling("more energy, consistent with motion or sharpness", "motion", 1.0),
            {"gate": "energy"},
            True,
        ),
        (ruling("incoherent", "coverage"), {"limit": 99.0}, True),
        (ruling("incoherent", "coverage"), {"limit": 99.0, "gate": "motion"}, True),
        (ruling("incoherent", "coverage"), {"limit": 99.0, "allow_unmeasured": True}, True),
        (ruling("not measurable", "coverage"), {"limit": 99.0}, True),
        (ruling("not measurable", "coverage"), {"limit": 99.0, "allow_unmeasured": True}, False),
        (ruling("not measurable", "coverage"), {"limit": 99.0, "gate": "energy"}, False),
        (ruling("flickers more", "area"), {"limit": 99.0}, True),
        (ruling("flickers less", "area"), {"limit": -99.0}, False),
        # By the motion-compensated flicker alone: +20 dB of it.
        (ruling("no difference found", "energy", 0.0), {"gate": "motion"}, True),
        (ruling("no difference found", "energy", 0.0), {"gate": "motion", "limit": 21.0}, False),
    ],
)
def test_a_limit_is_set_on_the_number_that_the_gate_names(found, options, breached):
    motion = motion_excess(side(9.9), side(0.0))
    assert motion.excess_db == pytest.approx(20)
    breach = find_breach(found, 30.0, motion.excess_db, **{"limit": 3.0} | options)
    assert (breach is not None) == breached


def test_a_gate_on_motion_is_breached_where_there_is_none():
    found = ruling("no difference found", "energy", 0.0)
    assert find_breach(found, 0.0, None, limit=3.0, gate="motion") is not None
    assert find_breach(found, 0.0, None, limit=3.0, gate="motion", allow_unmeasured=True) is None


def test_a_gate_on_motion_takes_the_flicker_along_the_motion_of_the_reference():
    found = ruling("flickers more", "motion", 9.0)
    assert find_breach(found, 0.0, None, limit=3.0, gate="motion") is not None
    assert find_breach(found, 0.0, None, limit=12.0, gate="motion") is None


def test_local_pulsation_of_a_still_picture_is_flicker_though_nothing_can_be_followed():
    """It looks like motion, but the reference that the video is in step with has none."""
    random = np.random.default_rng(0)
    still = np.kron(random.integers(40, 216, (24, 36)), np.ones((6, 6)))
    phase = np.kron(random.uniform(0, 2 * np.pi, (9, 14)), np.ones((16, 16)))[:144, :216]
    times = np.arange(64)[:, None, None]
    pred = still + 10 * np.cos(2 * np.pi * 0.18 * times + phase)
    codes = [np.rint(x).clip(0, 255).astype(np.uint8) for x in (pred, still + 0 * times)]
    result = compare(*codes, fps=24, texture=False)
    assert result.motion is not None and result.motion.pred.coverage < 0.3
    assert (result.verdict, result.ruling.ground) == ("flickers more", "energy")
    assert result.flicker_db is None
    assert find_breach(result.ruling, result.energy_db, result.flicker_db, limit=3.0, gate="motion")


# Found by eye on x-t slices.
SEEN = {
    "anyv2v_car/gen_lambo.mp4": "no difference found",
    "anyv2v_cat2dog/gen_i2vgenxl.mp4": "no difference found",
    "anyv2v_cat2dog/gen_videoswap.mp4": "no difference found",
    "anyv2v_man_hat/gen_flatten.mp4": "no difference found",
    "anyv2v_man_hat/gen_i2vgenxl.mp4": "no difference found",
    "anyv2v_man_hat/gen_tokenflow.mp4": "flickers more",
    "anyv2v_robot_couple/gen_flatten.mp4": "flickers more",
    "anyv2v_robot_couple/gen_i2vgenxl.mp4": "no difference found",
    "anyv2v_robot_couple/gen_tokenflow.mp4": "flickers more",
    "cvvdp_flicker/gen_flicker20.mp4": "flickers more",
    "cvvdp_flicker/gen_blur20.mp4": "no difference found",
    "ffqm_minimal/gen_dist.mkv": "not measurable",
    "fv_mochi_lemon/gen_asgif.gif": "no difference found",
    "fv_wan13_hiker/gen_flash.mp4": "no difference found",
    "fv_wan14i2v_astronaut/gen_flash.mp4": "no difference found",
    "vmaf_sparks10/gen_dis.y4m": "no difference found",
}


@pytest.mark.slow
@pytest.mark.parametrize("clip", SEEN)
def test_verdicts_on_real_pairs_are_what_one_sees(clip, media):
    pred = media(f"pairs/{clip}")
    (ref,) = pred.parent.glob("ref.*")
    assert compare(pred, ref).verdict == SEEN[clip]


# --- Motion of both -------------------------------------------------------------------------------


def warned(pred, ref, verdict="no difference found", **settings):
    found = ruling(verdict, "motion", 0.0)
    return motion_warnings(motion_excess(pred, ref), found, Settings(**settings))


def test_a_difference_in_motion_is_warned_of_with_its_size():
    (text,) = warned(side(speed=1.5, share=0.9), side(speed=0.3, share=0.4))
    assert "1.50 and 0.30 pixels" in text
    assert "90 % and 40 %" in text
    assert warned(side(speed=1.5), side(speed=1.2)) == []
    assert warned(side(speed=0.04), side(speed=0.0)) == []


def test_flicker_that_the_verdict_leaves_out_is_warned_of():
    (text,) = warned(side(moving=9.9), side(moving=0.0))
    assert "+20.0 dB where the picture moves" in text
    (text,) = warned(side(cb=9.9, cr=0.0), side(cb=0.0, cr=0.0))
    assert "+20.0 dB in Cb" in text
    (text,) = warned(side(9.9, usual=0.0), side(0.0))
    assert "+20.0 dB for a part of the time only (by the median over time +0.0 dB)" in text
    (text,) = warned(side(texture=0.3), side(texture=0.02))
    assert "the fine detail is renewed +10.1 dB more" in text
    assert "30 %, 2 % in the reference" in text
    assert warned(side(moving=0.05), side(moving=0.0)) == []


def test_a_single_step_that_the_reference_lacks_is_warned_of():
    (text,) = warned(side(pop=100.0), side(pop=1.0))
    assert "a single step or flash of 10.0 code values" in text
    assert "1.0 at the most in the reference" in text
    assert warned(side(pop=100.0), side(pop=1.0), "flickers more") == [text]
    assert warned(side(pop=15.9), side(pop=0.0)) == []
    assert warned(side(pop=100.0), side(pop=10.1)) == []
    assert warned(side(pop=1.0), side(pop=100.0)) == []


def test_motion_excess_is_0_for_the_same_and_the_negative_for_the_reverse():
    a = side(3.0, moving=1.0, texture=0.2, cb=0.5, cr=0.1, area=0.3)
    b = side(0.5, moving=0.2, texture=-0.1, cb=0.0, cr=0.4, area=0.1)
    same, there, back = motion_excess(a, a), motion_excess(a, b), motion_excess(b, a)
    for name in ("excess_db", "moving_db", "texture_db", "cb_db", "cr_db", "area_change"):
        assert getattr(same, name) == 0
        assert getattr(there, name) == -getattr(back, name)
    assert there.excess_db == pytest.approx(10 * np.log10(3.1 / 0.6))
    assert there.texture_db == pytest.approx(10 * np.log10(0.21 / 0.01))
