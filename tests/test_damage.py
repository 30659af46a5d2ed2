"""Files that are cut off, claim the absurd, or are of a kind that FFmpeg cannot read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from matrix import FRAMES, MATRIX, write

from flickerscope import InputError, TooShortError, analyze
from flickerscope.inputs import open_source
from flickerscope.inputs.source import FileOptions
from flickerscope.video import VideoFile, encode
from flickerscope.video.fragments import Fragments, fragments_of
from flickerscope.video.header import promised_length
from flickerscope.video.promise import gaps_in

CUT = (
    *("h264.mp4", "h264_10.mov", "yuv420.mkv", "h264_444.mkv", "vp9.webm", "ffv1.avi"),
    *("mpeg4.avi", "mjpeg.avi", "mjpeg.mov", "h264.flv", "rgb.apng", "gray.gif", "palette.gif"),
    *("y4m.y4m", "yuv444_10.y4m", "raw_nv21.nut", "av1.avif", "prores.mov"),
)
"""Containers that tell how long they are. MPEG streams do not: one that is cut between two frames
is a shorter one."""


def read(path: Path) -> tuple[int, int | None]:
    """Frames, and those lost."""
    source = VideoFile(path)
    return sum(1 for _ in source.frames()), source.lost()


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_off_is_damaged_or_refused_and_never_sound(
    name: str, tmp_path: Path
) -> None:
    (clip,) = (clip for clip in MATRIX if clip.name == name)
    path = write(clip, tmp_path)
    data = path.read_bytes()
    assert read(path) == (FRAMES, None)
    for share in (0.35, 0.6, 0.93):
        cut = tmp_path / f"cut{path.suffix}"
        cut.write_bytes(data[: int(share * len(data))])
        try:
            frames, lost = read(cut)
        except InputError as error:
            assert str(error).startswith(f"{cut}: ")  # noqa: PT017
        else:
            assert 0 < frames <= FRAMES
            assert lost is not None
            if path.suffix not in (".gif", ".flv", ".nut", ".y4m"):
                assert frames + lost == FRAMES


@pytest.mark.parametrize("name", ["yuv420.mkv", "gray10.mkv", "ffv1.avi", "rgb.apng"])
def test_a_hole_in_a_damaged_file_is_counted_by_the_timestamps(name: str, tmp_path: Path) -> None:
    """The packets in it are gone as if they had never been there."""
    (clip,) = (clip for clip in MATRIX if clip.name == name)
    path = write(clip, tmp_path)
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    data[third : 2 * third] = bytes(third)
    path.write_bytes(data[: 29 * len(data) // 32])
    source = VideoFile(path)
    frames, lost = len(list(source.frames())), source.lost()
    assert lost is not None
    assert 4 <= frames <= 12
    assert frames + lost == FRAMES


def test_a_gap_alone_is_no_damage() -> None:
    """Nor is a clock that is uneven anyway a clock with gaps."""
    assert gaps_in([0, 40, 80, 200, 240]) == 2
    assert gaps_in([0, 42, 83, 208, 250]) == 2  # a coarse clock
    assert gaps_in([0, 40, 100, 130, 200, 260]) == 0
    assert gaps_in([7]) == gaps_in([]) == 0


def test_a_gif_that_ends_after_its_trailer_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    encode(path, [np.full((8, 8), n, np.uint8) for n in range(4)], rate=10, codec="gif",
           pixel_format="gray")  # fmt: skip
    path.write_bytes(path.read_bytes() + b"\0\0 written behind it")
    assert read(path) == (4, None)


def jpeg() -> bytes:
    """A picture of noise."""
    writer = av.CodecContext.create("mjpeg", "w")
    writer.width, writer.height, writer.pix_fmt = 64, 48, "yuvj420p"
    writer.time_base = Fraction(1, 25)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), dtype=np.uint8)
    picture = av.VideoFrame.from_ndarray(noise, format="gray").reformat(format="yuvj420p")
    return b"".join(bytes(p) for p in [*writer.encode(picture), *writer.encode(None)])


def test_a_jpeg_without_its_end_is_damaged(tmp_path: Path) -> None:
    """FFmpeg fills the rest with gray, and does not say so."""
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    assert read(path) == (1, None)
    path.write_bytes(jpeg()[:-800])
    source = VideoFile(path)
    for _ in range(2):  # from the packets that the opening has kept, then anew
        assert len(list(source.frames())) == 1
        assert source.problems() == ("1 of 1 decoded frames marked as damaged",)
        assert source.lost() == 0
    with pytest.raises(InputError, match=r"a\.jpg: damaged: 1 of 1 decoded frames"):
        list(open_source(path, files=FileOptions(strict=True)).frames())


def test_the_last_picture_of_a_matroska_file_may_be_held(tmp_path: Path) -> None:
    """It says so itself: nothing is missing where the file promises more than a frame of it."""
    path = tmp_path / "held.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "gray"
        for index in range(10):
            picture = av.VideoFrame(16, 16, "gray")
            picture.pts, picture.time_base = index, Fraction(1, 25)
            for packet in stream.encode(picture):
                packet.duration = 40 if index < 9 else 400
                container.mux(packet)
        container.mux(stream.encode(None))
    assert read(path) == (10, None)


def test_a_clip_too_short_by_damage_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 32), dtype=np.uint8)
    encode(path, noise, rate=25, codec="ffv1", pixel_format="gray")
    path.write_bytes(path.read_bytes()[:7500])
    with pytest.raises(TooShortError, match=r"a\.avi: . frames?, .*; damaged: .* promises 16"):
        analyze(path)


HEAD = b"YUV4MPEG2 W%d H%d F25:1 C420\nFRAME\n"


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.y4m", HEAD % (30000, 30000), "claims 30000x30000, over the limit of 134217728 pixels"),
        ("a.y4m", HEAD % (10**12, 10**12), "over the limit of 134217728 pixels a frame; raise --m"),
        ("a.y4m", HEAD % (-8, 4), "claims -8x4, which is no size of a picture"),
        ("a.y4m", HEAD % (0, 4), "claims 0x4, which is no size of a picture"),
        ("a.y4m", b"YUV4MPEG2 F25:1\nFRAME\n", "claims 0x0, which is no size of a picture"),
        ("a.mp4", b"\0\0\0\x10ftypisom\0\0\0\0\0\0\x10\0mdat", "lacks its index (moov)"),
        ("a.webp", b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\x02", "is an animated WebP, which this FF"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_with_its_reason(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data + bytes(64))
    with pytest.raises(InputError) as caught:
        analyze(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_matroska_file_with_sound_that_is_cut_off_is_damaged(tmp_path: Path) -> None:
    """Its length in time is then that of the sound too, and no tag of the video's need be there."""
    path = tmp_path / "a.mkv"
    pictures = np.random.default_rng(0).integers(0, 256, (50, 32, 48), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "gray"
        sound = container.add_stream("pcm_s16le", rate=8000)
        for picture in pictures:
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, "gray")))
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), layout="mono")
            noise.sample_rate = 8000
            container.mux(sound.encode(noise))
        container.mux(video.encode())
    whole = path.read_bytes()
    assert read(path) == (50, None)
    for share in (0.3, 0.6, 0.9):
        # What names the length of the video may have another name.
        path.write_bytes(whole[: int(share * len(whole))].replace(b"DURATION", b"DURATIOX"))
        frames, lost = read(path)
        assert 0 < frames < 50
        assert lost is not None


@pytest.mark.parametrize("first_interlaced", [False, True])
def test_frames_that_are_not_interlaced_as_the_first_one_is_are_counted(
    first_interlaced: bool, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    parts = []
    for interlaced in (first_interlaced, not first_interlaced):
        path = tmp_path / f"{interlaced}.ts"
        with av.open(str(path), "w") as container:
            flags = {"flags": "+ilme+ildct"} if interlaced else {}
            stream = container.add_stream("mpeg2video", rate=25, options=flags)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for _ in range(8):
                codes = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(codes, "rgb24").reformat(format="yuv420p")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    source = VideoFile(path)
    frames = list(source.frames())
    assert source.info.interlaced == first_interlaced
    (found,) = (text for text in source.problems() if "interlaced" in text)
    assert found.startswith(f"8 of {len(frames)} frames ")


def in_fragments(path: Path, flags: str, frames: int = 16) -> bytes:
    """An MP4 of four frames a fragment."""
    options = {"g": "4", "bf": "0", "sc_threshold": "0", "preset": "ultrafast"}
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", container_options={"movflags": flags}) as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            codes = noise.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(codes, "rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.mark.parametrize(
    ("flags", "promised"),
    [
        ("frag_keyframe", 12),  # the index at its head tells of the first four alone
        ("frag_keyframe+empty_moov", 12),
        ("dash+frag_keyframe+delay_moov+global_sidx", 16),  # its index of segments tells of all
    ],
)
def test_what_a_fragment_lacks_is_lost(flags: str, promised: int, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    whole = in_fragments(path, flags)
    assert read(path) == (16, None)
    assert VideoFile(path).info.promised_frames == 16
    assert promised_length(path) == (16, 25)
    last = whole.rindex(b"moof") - 4
    third = whole.rindex(b"mdat", 0, last) + 4
    path.write_bytes(whole[: (third + last) // 2])  # in the middle of the data of the third
    source = VideoFile(path)
    frames, lost = len(list(source.frames())), source.lost()
    assert 8 < frames < 12
    assert lost == promised - frames
    assert source.info.promised_frames == promised
    assert source.problems()[-1] == "the file is cut off"
    path.write_bytes(whole[: last + 20])  # in the middle of the head of the fourth
    frames, lost = read(path)
    assert (frames, lost) == (12, promised - 12)
    path.write_bytes(whole[:last])  # between two
    assert read(path) == (12, promised - 12 or None)


def test_fragments_are_counted_for_one_track_by_heads_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    whole = in_fragments(path, "frag_keyframe+empty_moov")
    assert fragments_of(str(path), 1) == Fragments(frames=16)
    assert fragments_of(str(path), 2) == Fragments(frames=0)
    path.write_bytes(b"\0\0\0\7" + whole[4:])  # a box shorter than its head
    assert fragments_of(str(path), 1) is None
    path.write_bytes(whole + b"\0\0\0\1free" + bytes([127] * 8))  # and one of 2^63 bytes
    assert fragments_of(str(path), 1) == Fragments(frames=16, cut=True)
    in_fragments(path, "faststart")
    assert fragments_of(str(path), 1) is None


def test_an_avi_is_read_whatever_the_size_of_its_index(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 32), dtype=np.uint8)
    encode(path, noise, rate=25, codec="ffv1", pixel_format="gray")
    data = path.read_bytes()
    index = data.rindex(b"idx1")
    assert len(data) == index + 8 + 16 * 16
    for lacking in (3, 244, 260):
        path.write_bytes(data[:-lacking])
        assert read(path) == (16, None)
    path.write_bytes(data[: index + 4] + b"\xff\xff\xff\xff" + data[index + 8 :])
    assert read(path)[0] == 16
