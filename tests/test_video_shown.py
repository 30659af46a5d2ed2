"""Video files as they are to be shown: turned, stretched, damaged; decoded in another process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from matrix import turn
from numpy.typing import NDArray

from flickerscope import InputError, SettingsError, analyze, cli, compare
from flickerscope.inputs import open_source
from flickerscope.inputs.source import FileOptions
from flickerscope.video import VideoFile, encode, isolated
from flickerscope.video.isolated import IsolatedFile

FAST: dict[str, Any] = {"motion": False, "scales": ("block", "global"), "device": "cpu"}


def flickering(frames: int = 20, height: int = 48, width: int = 80) -> NDArray[np.uint8]:
    """A texture that goes up and down by 3 at every frame."""
    texture = np.random.default_rng(4).integers(60, 180, (height, width))
    texture[:, : width // 4] += 20
    signs = np.where(np.arange(frames) % 2, 3, -3)
    return (texture + signs[:, None, None]).astype(np.uint8)


def write(
    path: Path, video: NDArray[np.uint8], codec: str = "ffv1", aspect: Fraction | None = None
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = video.shape[1:]
        stream.pix_fmt = "gray" if codec == "ffv1" else "yuv420p"
        if codec == "libx264":
            stream.options = {"qp": "0", "preset": "ultrafast"}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for index, frame in enumerate(video):
            picture = av.VideoFrame.from_ndarray(frame, format="gray")
            picture.pts = index
            container.mux(stream.encode(picture.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))
    return path


def turned(path: Path, video: NDArray[np.uint8], degrees: int) -> Path:
    """A file that stores the video turned, and says how to turn it upright."""
    write(path, np.rot90(video, -degrees // 90, axes=(1, 2)), "libx264")
    turn(path, degrees)
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_copy_agrees_with_the_upright_one(tmp_path: Path, degrees: int) -> None:
    video = flickering()
    upright = turned(tmp_path / "upright.mp4", video, 0)
    copy = turned(tmp_path / "copy.mp4", video, degrees)
    source = VideoFile(copy)
    assert (source.info.rotation, source.info.width, source.info.height) == (degrees, 80, 48)
    for one, other in zip(VideoFile(upright).frames(), source.frames(), strict=True):
        np.testing.assert_array_equal(one.planes[0].numpy(), other.planes[0].numpy())
    assert compare(copy, upright, **FAST).energy_db == 0


def test_colour_planes_are_turned_with_the_luma(tmp_path: Path) -> None:
    source = VideoFile(turned(tmp_path / "copy.mp4", flickering(), 90), planes="yuv")
    for plane, samples in zip(source.planes, next(iter(source.frames())).planes, strict=True):
        assert samples.shape == (plane.height, plane.width)
    assert [plane.width for plane in source.planes] == [80, 40, 40]


def test_blocks_are_square_as_the_picture_is_shown(tmp_path: Path) -> None:
    narrow = write(
        tmp_path / "narrow.mp4", flickering(16, 128, 80), "libx264", aspect=Fraction(3, 2)
    )
    clip = analyze(narrow, **FAST).clips[0]
    assert clip.info.aspect == 1.5
    assert clip.readings[16].map.shape == (64, 60)
    assert any("1.5 times as wide" in note for note in clip.notes)


def test_videos_of_other_pixel_shape_are_compared_by_blocks(tmp_path: Path) -> None:
    video = flickering(16, 64, 64)
    wide = np.repeat(video, 2, axis=2)
    square = write(tmp_path / "square.mp4", wide, "libx264")
    narrow = write(tmp_path / "narrow.mp4", video, "libx264", aspect=Fraction(2))
    result = compare(narrow, square, **FAST)
    assert result.paired_reason == "different sizes"
    assert result.energy_db == pytest.approx(0, abs=0.05)


def test_a_frame_of_too_many_pixels_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "v.mkv", flickering())
    with pytest.raises(InputError, match=r"v\.mkv: claims 80x48, over the limit of 3839 pixels"):
        analyze(path, max_pixels=80 * 48 - 1, **FAST)
    for most in (80 * 48, 1 << 31, 1 << 99):  # also where FFmpeg's own limit cannot be so wide
        assert analyze(path, max_pixels=most, **FAST).clips[0].frames == 20


def test_a_header_that_claims_a_huge_picture_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "huge.y4m"
    path.write_bytes(b"YUV4MPEG2 W30000 H30000 F25:1 C420\nFRAME\n" + bytes(1000))
    assert cli.run(["analyze", str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"{path}: claims 30000x30000, over the limit of 134217728 pixels" in err
    assert "--max-pixels" in err


def test_options_that_make_no_sense_are_wrong_usage() -> None:
    for wrong in ({"stream": -1}, {"max_pixels": 0}, {"timeout": 0.0}, {"timeout": float("nan")}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            analyze("any.mp4", **wrong)  # type: ignore[arg-type]


def test_damage_is_marked_and_an_error_where_it_must_not_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "cut.mkv", flickering(50))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    clip = analyze(path, **FAST).clips[0]
    assert clip.lost is not None
    assert clip.frames_decoded + clip.lost == 50
    assert any(text.startswith("damaged: ") for text in clip.warnings)
    sound = write(tmp_path / "sound.mkv", flickering(20))
    assert analyze(sound, strict=True, **FAST).clips[0].lost is None
    assert cli.run(["analyze", str(path), "--no-motion"]) == 0
    assert f"damaged ({clip.lost} frames lost)" in " ".join(capsys.readouterr().out.split())
    assert cli.run(["analyze", str(path), "--no-motion", "--strict"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"flickerscope: {path}: damaged: ")


@pytest.mark.parametrize(("code", "curve"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_labelled_as_code_values(tmp_path: Path, code: int, curve: str) -> None:
    path = tmp_path / "hdr.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p10le"
        stream.codec_context.color_trc = code
        for index in range(3):
            picture = av.VideoFrame(32, 32, "yuv420p10le")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    notes = VideoFile(path).info.notes
    assert any(note.startswith(f"HDR ({curve}): measured in code values") for note in notes)


# --- In another process ---------------------------------------------------------------------------

TREACHEROUS = """
import os, signal, time
from flickerscope.video import isolated
class Treacherous(isolated.VideoFile):
    def frames(self):
        for index, frame in enumerate(super().frames()):
            yield frame
            if index == 9 and self.info.path.endswith("segv.mkv"):
                os.kill(os.getpid(), signal.SIGSEGV)
            if index == 9 and self.info.path.endswith("idle.mkv"):
                time.sleep(60)
isolated.VideoFile = Treacherous
isolated.serve()
"""


@pytest.fixture
def treacherous(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A decoder that dies or hangs after ten frames of a file of that name."""
    isolated.end_all()
    command = (*isolated.COMMAND[:-1], TREACHEROUS)
    monkeypatch.setattr(isolated, "COMMAND", command)
    yield
    isolated.end_all()


def test_a_decoder_that_crashes_or_hangs_takes_one_file_with_it(
    tmp_path: Path, treacherous: None
) -> None:
    video = flickering()
    sound, crash, hang = (
        write(tmp_path / f"{name}.mkv", video) for name in ("sound", "segv", "idle")
    )
    with pytest.raises(InputError, match=rf"segv\.mkv: .* crashed .*-{signal.SIGSEGV:d}\)"):
        analyze(crash, isolate=True, **FAST)
    here, there = analyze(sound, **FAST), analyze(sound, isolate=True, **FAST)
    assert here.clips[0].readings[20].series["y/block"].tolist() == (
        there.clips[0].readings[20].series["y/block"].tolist()
    )
    source = IsolatedFile(hang, options=FileOptions(timeout=1))
    frames = source.frames()
    assert [frame.time for _, frame in zip(range(8), frames, strict=False)][1] == Fraction(1, 25)
    with pytest.raises(InputError, match=r"idle\.mkv: the decoder took over 1 s and was stopped"):
        list(frames)


def test_one_process_serves_file_after_file(tmp_path: Path) -> None:
    """Also after a reading that was given up, a damaged file and one that is refused."""
    isolated.end_all()
    path = write(tmp_path / "a.mkv", flickering(50))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    source = IsolatedFile(path)
    (child,) = isolated.idle()
    for _ in zip(range(5), source.frames(), strict=False):
        pass
    assert len(list(source.frames())) == 50
    assert source.lost() is None
    damaged = IsolatedFile(cut)
    plain = VideoFile(cut)
    assert len(list(damaged.frames())) == len(list(plain.frames()))
    assert (damaged.problems(), damaged.lost()) == (plain.problems(), plain.lost())
    with pytest.raises(InputError, match="no such file"):
        IsolatedFile(tmp_path / "missing.mkv")
    with pytest.raises(InputError, match="damaged"):
        list(open_source(cut, files=FileOptions(strict=True, isolate=True)).frames())
    assert isolated.idle() == (child,)


def test_pictures_are_read_in_another_process_as_in_this_one(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(np.random.default_rng(0).integers(0, 255, (9, 16, 24), "u1")):
        encode(folder / f"frame{number}.png", [frame], rate=1, codec="png", pixel_format="gray")
    (folder / "frame4.png").write_bytes(b"no picture")
    here, there = (
        open_source(str(folder), fps=12, files=FileOptions(isolate=isolate))
        for isolate in (False, True)
    )
    assert isinstance(there, IsolatedFile)
    assert there.info == here.info
    for ours, theirs in zip(here.frames(), there.frames(), strict=True):
        assert ours.time == theirs.time
        assert torch.equal(ours.planes[0], theirs.planes[0])
    assert (there.lost(), there.problems()) == (1, here.problems())
    with pytest.raises(InputError, match="damaged: 1 of 9 frames could not be decoded"):
        list(open_source(str(folder), files=FileOptions(strict=True)).frames())
