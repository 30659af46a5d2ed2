from __future__ import annotations

import glob
import os
import shlex
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from flickerscope import InputError, SettingsError, TooShortError, analyze, compare
from flickerscope.cli.app import run
from flickerscope.cli.running import pattern_hint
from flickerscope.inputs import open_source
from flickerscope.inputs.images import ImageSequence
from flickerscope.inputs.rate import rate_of
from flickerscope.order import natural_order
from flickerscope.video import VideoFile, encode

RNG = np.random.default_rng(4)
CODECS = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".tif": "tiff", ".tiff": "tiff"}
CODECS |= {".bmp": "bmp", ".webp": "libwebp"}


def save(path: Path, pixels: Any, pixel_format: str = "gray") -> None:
    """Write one picture with FFmpeg's own encoder."""
    frame = av.VideoFrame.from_ndarray(pixels, format=pixel_format)
    codec = av.CodecContext.create(CODECS[path.suffix], "w")
    codec.width, codec.height, codec.time_base = frame.width, frame.height, Fraction(1, 25)
    codec.pix_fmt = {"mjpeg": "yuvj444p", "libwebp": "bgra"}.get(CODECS[path.suffix], pixel_format)
    frame.pts = 0
    if codec.pix_fmt != pixel_format:
        frame = frame.reformat(format=codec.pix_fmt)
    if codec.name == "libwebp":
        codec.options = {"lossless": "1"}
    path.write_bytes(b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)]))


def folder(path: Path, frames: Any, pattern: str = "frame{}.png", first: int = 1) -> Path:
    path.mkdir(exist_ok=True)
    for number, pixels in enumerate(frames, first):
        save(path / pattern.format(number), pixels)
    return path


def lumas(source: ImageSequence) -> list[np.ndarray[Any, Any]]:
    (plane,) = source.planes
    return [f.planes[0].numpy() * plane.scale + plane.offset for f in source.frames()]


def noise(frames: int, sigma: float = 4, size: int = 32) -> np.ndarray[Any, Any]:
    values = 128 + sigma * RNG.standard_normal((frames, 1, 1)) + np.zeros((frames, size, size))
    return np.asarray(values.round().astype(np.uint8))


def test_numbers_in_names_count_as_numbers() -> None:
    names = ["b1", "frame10.png", "frame2.png", "frame02b.png", "a", "frame1.png"]
    in_order = ["a", "b1", "frame1.png", "frame2.png", "frame02b.png", "frame10.png"]
    assert sorted(names, key=natural_order) == in_order


def test_a_folder_reads_as_the_array_of_its_frames(tmp_path: Path) -> None:
    frames = noise(12)
    path = folder(tmp_path / "f", frames)
    source = ImageSequence(str(path), fps=24)
    np.testing.assert_array_equal(lumas(source), frames)
    assert [f.time for f in source.frames()] == [Fraction(n, 24) for n in range(12)]
    mine, same = (analyze(v, fps=24, motion=False) for v in (path, frames))
    np.testing.assert_array_equal(
        mine.rungs[12].spectra["y/block"].mean_power, same.rungs[12].spectra["y/block"].mean_power
    )


def test_a_pattern_works_where_no_shell_expands_it(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(3))
    (path / "notes.txt").write_text("no picture")
    assert len(lumas(ImageSequence(f"{path}/frame*.png"))) == 3
    (tmp_path / "a[1].png").write_bytes((path / "frame1.png").read_bytes())
    assert open_source(tmp_path / "a[1].png").info.codec == "png"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"])
def test_every_kind_of_picture_is_read(tmp_path: Path, suffix: str) -> None:
    rgb = np.zeros((3, 16, 16, 3), np.uint8) + np.array([200, 40, 90], np.uint8)
    for number, pixels in enumerate(rgb):
        kind = "bgr24" if suffix == ".bmp" else "rgb24"
        save(tmp_path / f"{number}{suffix}", pixels[..., ::-1] if kind == "bgr24" else pixels, kind)
    expected = rgb[0, 0, 0] @ np.array([0.2126, 0.7152, 0.0722])
    if suffix.startswith(".j"):  # a JPEG holds luma of its own, BT.601
        expected = rgb[0, 0, 0] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(lumas(ImageSequence(str(tmp_path))), expected, atol=1.5)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_their_precision(tmp_path: Path, suffix: str) -> None:
    deep = RNG.integers(0, 65536, (3, 16, 16), dtype=np.uint16)
    kind = "gray16be" if suffix == ".png" else "gray16le"
    for number, pixels in enumerate(deep):
        stored = pixels.astype(">u2" if kind.endswith("be") else "<u2")
        frame = av.VideoFrame(16, 16, kind)
        plane = frame.planes[0]
        buffer = np.zeros(plane.buffer_size, np.uint8)
        buffer.reshape(16, -1)[:, :32] = stored.view(np.uint8).reshape(16, 32)
        plane.update(buffer.tobytes())
        codec = av.CodecContext.create("png" if suffix == ".png" else "tiff", "w")
        codec.width = codec.height = 16
        codec.pix_fmt, codec.time_base, frame.pts = kind, Fraction(1, 25), 0
        data = b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)])
        (tmp_path / f"{number}{suffix}").write_bytes(data)
    np.testing.assert_allclose(lumas(ImageSequence(str(tmp_path))), deep / 257, atol=1e-3)


def test_alpha_is_left_out_with_a_note(tmp_path: Path) -> None:
    rgba = RNG.integers(0, 256, (16, 16, 4), dtype=np.uint8)
    for number in range(3):
        save(tmp_path / f"{number}.png", rgba, "rgba")
    source = ImageSequence(str(tmp_path))
    assert "alpha ignored" in source.info.notes
    np.testing.assert_allclose(
        lumas(source)[0], rgba[..., :3] @ np.array([0.2126, 0.7152, 0.0722]), atol=0.01
    )


def test_missing_numbers_are_a_gap_in_time_with_or_without_a_rate(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(20), "f{:04}.png", first=7)
    (path / "f0016.png").unlink()
    for fps in (None, 24):
        clip = analyze(path, fps=fps, motion=False).clips[0]
        assert (clip.gaps, clip.shots) == (1, [(0, 9), (9, 19)])
        assert "1 of 20 numbers missing in the names: taken as gaps" in clip.notes
        assert any("gap in the timestamps" in text for text in clip.warnings)


def test_every_fourth_number_is_no_gap(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(6))
    for number in range(6, 0, -1):
        (path / f"frame{number}.png").rename(path / f"frame{4 * number}.png")
    assert [f.time for f in ImageSequence(str(path)).frames()] == list(range(6))


def test_uneven_numbers_are_taken_in_order_with_a_note(tmp_path: Path) -> None:
    for number in (3, 7, 20):
        save(tmp_path / f"{number}.png", noise(1)[0])
    source = ImageSequence(str(tmp_path))
    assert [f.time for f in source.frames()] == [0, 1, 2]
    assert "grow unevenly" in source.info.notes[-1]


def test_what_is_no_picture_is_ignored_with_a_note(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(4))
    (path / ".hidden.png").write_text("hidden")
    (path / "prompt.txt").write_text("a cat")
    source = ImageSequence(str(path))
    assert len(lumas(source)) == 4
    assert "1 file beside the pictures ignored" in source.info.notes


def test_a_hint_of_a_pattern_fits_the_names_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "it's [new]"
    folder(path, noise(3), "{}.png")
    (path / "4.JPEG").touch()
    (path / "5.jpg").touch()
    for number in range(1, 4):
        (path / f"{number}.png").rename(path / f"{number}.PNG")
    with pytest.raises(InputError, match=r"several kinds \(jpg, png\); choose one") as caught:
        ImageSequence(str(path))
    hints = [str(caught.value).split("such as ")[1]]
    names = [str(path / f"{number}.PNG") for number in range(1, 4)]
    hints.append(pattern_hint(names).split("in quotes: ")[1])
    for hint in hints:
        (pattern,) = shlex.split(hint)  # as a shell would read it
        assert sorted(glob.glob(pattern)) == names


@pytest.mark.parametrize(
    ("given", "rate"), [("0.0001", Fraction(1, 10000)), (29.97, Fraction(2997, 100)),
                        (0.7, Fraction(7, 10)), ("30000/1001", Fraction(30000, 1001)),
                        (23.976023976, Fraction(24000, 1001))],
)  # fmt: skip
def test_a_rate_is_the_nearest_simple_fraction(given: str | float, rate: Fraction) -> None:
    assert rate_of(given) == rate


@pytest.mark.parametrize("fps", ["0", "-1", "nan", "inf", "1e999999999", "1/0", "x", 1e-7, "9" * 9])
def test_what_is_no_rate_is_refused(fps: str | float) -> None:
    with pytest.raises(SettingsError, match=r"fps is .*; allowed are numbers from 0.000001 to 1"):
        rate_of(fps)


def test_a_percent_sign_in_a_name_is_no_pattern(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(3), "a{}.png", first=0)
    save(path / "a%d.png", np.full((32, 32), 7, np.uint8))
    assert [
        frame.planes[0].unique().tolist() for frame in VideoFile(path / "a%d.png").frames()
    ] == [[7]]


def test_formats_that_are_read_alike_are_counted_and_others_refused(tmp_path: Path) -> None:
    rgb = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    alpha = np.concatenate([rgb, rgb[..., :1]], axis=2)
    for number in (1, 2, 4):
        save(tmp_path / f"{number}.png", rgb, "rgb24")
    save(tmp_path / "3.png", alpha, "rgba")
    source = ImageSequence(str(tmp_path))
    expected = rgb @ np.array([0.2126, 0.7152, 0.0722])
    np.testing.assert_allclose(lumas(source), np.repeat(expected[None], 4, 0), atol=0.01)
    assert source.problems() == (
        "1 of 4 pictures stored as rgba, the first as rgb24; all were read alike",
    )
    assert source.lost() is None
    save(tmp_path / "3.png", rgb[..., 0])
    with pytest.raises(
        InputError, match=r"3\.png: is gray, the pictures before it are rgb24; give"
    ):
        lumas(ImageSequence(str(tmp_path)))


def pixel_shape(path: Path, across: int, down: int) -> None:
    """Tag a JPEG's pixels as so wide and so high."""
    data = path.read_bytes()
    shape = b"\xff\xe0\0\x10JFIF\0\1\1\0" + struct.pack(">HH", across, down) + b"\0\0"
    path.write_bytes(data[:2] + shape + data[2:])


def test_pictures_of_another_pixel_shape_are_refused_as_such(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.jpg", noise(1)[0])
    pixel_shape(tmp_path / "2.jpg", 2, 1)
    with pytest.raises(
        InputError, match=r"2\.jpg: is of pixels 2 times as wide as high, .* are of"
    ):
        lumas(ImageSequence(str(tmp_path)))


def test_pictures_of_hardly_another_pixel_shape_are_told_apart(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.jpg", noise(1)[0])
        pixel_shape(tmp_path / f"{number}.jpg", 65533 + (number < 2), 65534 + (number < 2))
    with pytest.raises(InputError, match=r"2\.jpg: is of pixels 0\.99998474074\d+ times"):
        lumas(ImageSequence(str(tmp_path)))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_damaged_picture_is_counted(tmp_path: Path, suffix: str) -> None:
    frames = RNG.integers(0, 256, (20, 32, 32), dtype=np.uint8)
    for number, pixels in enumerate(frames):
        save(tmp_path / f"{number}{suffix}", pixels)
    broken = tmp_path / f"9{suffix}"
    broken.write_bytes(broken.read_bytes()[: broken.stat().st_size // 2])
    text = "1 of 20 frames could not be decoded" if suffix == ".png" else "1 of 20 decoded frames"
    clip = analyze(tmp_path, motion=False).clips[0]
    assert any(text in warning for warning in clip.warnings)
    assert clip.gaps == (1 if suffix == ".png" else 0)


def test_a_folder_meets_a_video(tmp_path: Path) -> None:
    frames = noise(16)
    path = folder(tmp_path / "f", frames)
    video = tmp_path / "v.mkv"
    encode(video, list(frames), rate=24, codec="ffv1", pixel_format="gray")
    for pred, ref in ((path, video), (video, path)):
        result = compare(pred, ref, fps=24, motion=False)
        assert abs(result.energy_db) < 1e-6
    unknown = compare(path, video, motion=False)
    assert "the frame rate of pred is not known: compared in cycles/frame" in unknown.notes
    with pytest.raises(SettingsError, match="a file brings its own"):
        compare(video, video, fps=24)


def test_bad_folders_are_refused_in_one_line(tmp_path: Path, capsys: Any) -> None:
    empty, mixed, kinds, text, single = (tmp_path / n for n in "abcde")
    for path in (empty, mixed, kinds, text, single):
        path.mkdir()
    folder(mixed, noise(4))
    save(mixed / "frame3.png", noise(1, size=16)[0])
    folder(kinds, noise(2))
    save(kinds / "frame3.bmp", noise(1)[0])
    (text / "1.png").write_text("no picture at all")
    folder(single, noise(1))
    cases = {
        str(empty): "holds no pictures; allowed are png",
        str(mixed): "is 16x16, the pictures before it are 32x32",
        str(kinds): f"several kinds (bmp, png); choose one by a pattern such as '{kinds}/*.png'",
        str(text): "none of its pictures can be read",
        str(single): "1 frame",
        f"{tmp_path}/*.png": "no picture has such a name",
    }
    for path, said in cases.items():
        assert run(["analyze", path, "--no-motion"]) == 1, path
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and said in lines[0] and str(tmp_path) in lines[0]
    with pytest.raises(TooShortError):
        analyze(single)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path / "f", noise(3))
    path.chmod(0)
    try:
        with pytest.raises(InputError, match="cannot be read"):
            ImageSequence(str(path))
    finally:
        path.chmod(0o700)
