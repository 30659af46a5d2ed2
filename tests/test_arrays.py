from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from flickerscope import compare
from flickerscope.cli.app import run
from flickerscope.errors import InputError, SettingsError
from flickerscope.inputs import open_source
from flickerscope.inputs.arrays import ArraySource
from flickerscope.inputs.pixels import rgb_fixed
from flickerscope.video import VideoFile, encode

BT709 = np.array([0.2126, 0.7152, 0.0722])
RNG = np.random.default_rng(0)


def read(source: ArraySource) -> list[list[Any]]:
    """All planes of all frames in code values, (time, plane, height, width)."""
    return [
        [
            tensor.cpu().numpy().astype(np.float64) * plane.scale + plane.offset
            for tensor, plane in zip(frame.planes, source.planes, strict=True)
        ]
        for frame in source.frames()
    ]


def test_gray_bytes_are_passed_on_without_a_copy() -> None:
    array = RNG.integers(0, 256, (5, 7, 9), dtype=np.uint8)
    source = ArraySource(array)
    (plane,) = source.planes
    assert (plane.dtype, plane.scale, plane.offset) == (torch.uint8, 1, 0)
    assert (plane.height, plane.width) == (7, 9)
    for frame, expected in zip(source.frames(), array, strict=True):
        assert frame.planes[0].data_ptr() == expected.ctypes.data
        np.testing.assert_array_equal(frame.planes[0].numpy(), expected)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [(4, 6, 8), (4, 1, 6, 8)])
def test_gray_comes_with_or_without_a_channel(kind: str, shape: tuple[int, ...]) -> None:
    array = RNG.integers(0, 256, shape, dtype=np.uint8)
    source = ArraySource(array if kind == "numpy" else torch.from_numpy(array))
    np.testing.assert_array_equal(np.squeeze(read(source), axis=1), array.reshape(4, 6, 8))


@pytest.mark.parametrize(
    ("given", "read_as"),
    [
        *((torch.float16, torch.float32), (torch.bfloat16, torch.float32)),
        *((torch.float32, torch.float32), (torch.float64, torch.float64)),
    ],
)
def test_floats_are_read_in_single_or_double_precision(
    given: torch.dtype, read_as: torch.dtype
) -> None:
    array = torch.from_numpy(RNG.random((3, 6, 8))).to(given)
    source = ArraySource(array)
    frames = list(source.frames())
    assert source.planes[0].dtype == frames[0].planes[0].dtype == read_as
    assert source.planes[0].scale == 255
    for frame, expected in zip(frames, array, strict=True):
        assert torch.equal(frame.planes[0], expected.to(read_as))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8", ">f8"])
def test_numpy_floats_of_either_byte_order_are_the_same(dtype: str) -> None:
    array = RNG.random((3, 6, 8)).astype(dtype)
    expected = array.astype(np.float64) * 255
    np.testing.assert_allclose(np.squeeze(read(ArraySource(array)), axis=1), expected, rtol=1e-7)


def test_rgb_bytes_become_bt709_luma_and_chroma() -> None:
    array = RNG.integers(0, 256, (3, 3, 31, 45), dtype=np.uint8)
    source = ArraySource(array, planes="yuv")
    assert [p.name for p in source.planes] == ["y", "cb", "cr"]
    assert {p.dtype for p in source.planes} == {torch.uint16}
    for (luma, blue, red), rgb in zip(read(source), array.astype(float), strict=True):
        y = np.tensordot(BT709, rgb, axes=1)
        np.testing.assert_allclose(luma, y, atol=0.51 / 256)
        np.testing.assert_allclose(blue, (rgb[2] - y) / 1.8556 + 128, atol=0.51 / 256)
        np.testing.assert_allclose(red, (rgb[0] - y) / 1.5748 + 128, atol=0.51 / 256)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rgb_floats_become_bt709_luma_and_chroma(dtype: type) -> None:
    array = RNG.random((2, 3, 6, 8)).astype(dtype)
    source = ArraySource(array, planes="yuv")
    for (luma, blue, red), unit in zip(read(source), array.astype(np.float64), strict=True):
        rgb = unit * 255
        y = np.tensordot(BT709, rgb, axes=1)
        atol = 1e-4 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(luma, y, atol=atol)
        np.testing.assert_allclose(blue, (rgb[2] - y) / 1.8556 + 128, atol=atol)
        np.testing.assert_allclose(red, (rgb[0] - y) / 1.5748 + 128, atol=atol)


def test_gray_pixels_of_rgb_are_exact_in_every_size() -> None:
    ramp = torch.arange(256, dtype=torch.uint8).reshape(1, 256)
    for rows in (1, 3, 700):
        gray = ramp.expand(rows, 256)
        luma = rgb_fixed((gray, gray, gray), name="y").to(torch.int32)
        assert torch.equal(luma, gray.to(torch.int32) * 256)
        for name in ("cb", "cr"):
            chroma = rgb_fixed((gray, gray, gray), name=name).to(torch.int32)
            assert (chroma == 128 * 256).all()


@pytest.mark.parametrize("white", [1023, 4095, 65535, 255 * 4])
def test_deep_gray_is_rounded_to_the_nearest(white: int) -> None:
    values = np.linspace(0, min(white, 65535), 512).astype(np.uint16)
    gray = torch.from_numpy(values[None])
    luma = rgb_fixed((gray, gray, gray), name="y", white=white).numpy()[0]
    exact = [round(Fraction(int(v) * 255 * 256, white)) for v in values]
    assert np.abs(luma.astype(int) - exact).max() <= 1  # a tie may go either way
    assert np.mean(luma == exact) > 0.95


def test_pure_colours_reach_the_ends_of_the_chroma() -> None:
    zero, one = torch.zeros((1, 1), dtype=torch.uint8), torch.full((1, 1), 255, dtype=torch.uint8)
    assert int(rgb_fixed((zero, zero, one), name="cb")) / 256 == 255.5
    assert int(rgb_fixed((one, one, zero), name="cb")) / 256 == 0.5
    assert int(rgb_fixed((one, zero, zero), name="cr")) / 256 == 255.5


def test_times_are_indices_or_seconds() -> None:
    array = np.zeros((3, 2, 2), np.uint8)
    assert [f.time for f in ArraySource(array).frames()] == [0, 1, 2]
    timed = ArraySource(array, fps=Fraction(30000, 1001))
    assert [f.time for f in timed.frames()] == [Fraction(1001 * k, 30000) for k in range(3)]
    assert ArraySource(array, fps=24.0).info.rate == 24
    assert ArraySource(array, fps=12.5).info.rate == Fraction(25, 2)
    assert ArraySource(array).info.rate is None


def test_info_tells_what_an_array_is() -> None:
    info = ArraySource(np.zeros((3, 4, 5), np.uint8), name="mine").info
    assert (info.path, info.height, info.width, info.codec) == ("mine", 4, 5, None)
    assert (info.range, info.promised_frames, info.bits) == ("full", 3, 8)


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[:, :, ::-2],
        lambda a: a.transpose(0, 2, 1),
        lambda a: np.asfortranarray(a),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_views_of_any_strides_read_the_same(view: Any, dtype: type) -> None:
    array = view(RNG.integers(0, 2, (4, 6, 8)).astype(dtype))
    scale = 1 if dtype == np.uint8 else 255
    np.testing.assert_array_equal(np.squeeze(read(ArraySource(array)), axis=1), array * scale)


def test_arrays_that_cannot_be_written_are_read() -> None:
    array = RNG.integers(0, 256, (4, 6, 8), dtype=np.uint8)
    array.flags.writeable = False
    np.testing.assert_array_equal(np.squeeze(read(ArraySource(array)), axis=1), array)
    still = np.broadcast_to(array[0], (100, 6, 8))
    assert len(read(ArraySource(still))) == 100


def test_memory_maps_are_read(tmp_path: Path) -> None:
    array = RNG.random((4, 6, 8)).astype(np.float32)
    np.save(tmp_path / "a.npy", array)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    np.testing.assert_allclose(np.squeeze(read(ArraySource(mapped)), axis=1), array * 255.0)


def test_tensors_with_gradients_are_detached() -> None:
    source = ArraySource(torch.rand((2, 3, 4, 4), requires_grad=True))
    assert not any(f.planes[0].requires_grad for f in source.frames())


def test_reading_leaves_the_array_alone() -> None:
    for dtype in (np.uint8, np.float32, np.float64):
        array = RNG.integers(0, 2, (3, 3, 6, 8)).astype(dtype)
        kept = array.copy()
        read(ArraySource(array, planes="yuv"))
        np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((4, 4), np.uint8), r"got shape \(4, 4\)"),
        (np.zeros((1, 2, 3, 4, 4), np.uint8), "got shape"),
        (np.zeros((2, 2, 4, 4), np.uint8), "C = 1 or 3"),
        (np.zeros((2, 4, 4, 3), np.uint8), "move the last axis"),
        (np.zeros((0, 4, 4), np.uint8), "empty"),
        (np.zeros((2, 4, 0), np.uint8), "empty"),
        (np.zeros((2, 4, 4), np.int64), "got int64"),
        (np.zeros((2, 4, 4), np.int16), "got int16"),
        (np.zeros((2, 4, 4), bool), "got bool"),
        (np.zeros((2, 4, 4), complex), "got complex128"),
        (torch.zeros((2, 4, 4), dtype=torch.int32), "got int32"),
        (torch.zeros((2, 4, 4)).to_sparse(), "dense"),
        (np.full((2, 4, 4), np.nan), "NaN"),
        (np.full((2, 4, 4), np.inf), "infinity"),
        (np.full((2, 4, 4), 200, np.float32), "got float32 in 0..255; divide by 255"),
        (torch.linspace(-1, 1, 32).reshape(2, 4, 4), "got float32 in -1..1"),
        (np.full((2, 4, 4), 1.25), r"got float64 in 1.25..1.25; allowed are floats in 0..1"),
        (np.full((2, 4, 4), -300.0), "allowed are floats in 0..1"),
        ([[[0.0]]], "got list"),
    ],
)
def test_what_cannot_be_measured_is_refused(array: Any, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        ArraySource(array, name="clip")
    assert str(caught.value).startswith("clip: ")
    assert "\n" not in str(caught.value)


def test_one_bad_value_anywhere_is_found() -> None:
    array = torch.rand((9, 5, 5))
    array[8, 4, 4] = float("nan")
    with pytest.raises(InputError, match="NaN"):
        ArraySource(array)


def test_gray_arrays_have_no_colour_planes() -> None:
    with pytest.raises(InputError, match="no colour planes"):
        ArraySource(np.zeros((2, 4, 4), np.uint8), planes="yuv")


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "fast"])
def test_rates_are_numbers_above_zero(fps: Any) -> None:
    with pytest.raises(SettingsError, match="fps"):
        ArraySource(np.zeros((2, 4, 4), np.uint8), fps=fps)


def test_planes_are_y_or_yuv() -> None:
    with pytest.raises(SettingsError, match="planes"):
        ArraySource(np.zeros((2, 4, 4), np.uint8), planes="rgb")  # type: ignore[arg-type]


def test_open_source_tells_files_from_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    encode(path, [np.zeros((4, 4), np.uint8)] * 2, rate=5, codec="ffv1", pixel_format="gray")
    assert isinstance(open_source(path), VideoFile)
    assert isinstance(open_source(str(path), threads=1), VideoFile)
    assert open_source(np.zeros((2, 4, 4), np.uint8), fps=7).info.rate == 7
    assert isinstance(open_source(torch.zeros((2, 4, 4))), ArraySource)
    with pytest.raises(SettingsError, match="a file brings its own"):
        open_source(path, fps=24)
    with pytest.raises(InputError, match="got int"):
        open_source(3)  # type: ignore[arg-type]


def test_an_option_of_videos_is_wrong_usage_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.zeros((8, 16, 16), np.uint8))
    Path("p").mkdir()
    for line, said in {
        "analyze a.npy --stream 1": "stream is for videos; pictures and arrays have none",
        "analyze p --stream 1": "stream is for videos; pictures and arrays have none",
        "analyze a.npy --max-pixels 99": "max_pixels is for videos and pictures; an array is as",
        "compare a.npy p --stream 1": "stream is for videos; pictures and arrays have none",
    }.items():
        assert run([*line.split(), "-q"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err
    video = np.random.default_rng(0).integers(0, 256, (8, 16, 16), dtype=np.uint8)
    encode("b.mkv", video, rate=5, codec="ffv1", pixel_format="gray")
    result = compare(video, "b.mkv", max_pixels=999, motion=False)  # it goes with the one side
    assert result.energy_db == pytest.approx(0, abs=1e-6)


def test_arrays_are_read_without_pyav() -> None:
    code = (
        "import sys; sys.modules['av'] = None; import torch\n"
        "from flickerscope.inputs import open_source\n"
        "print(len(list(open_source(torch.zeros((3, 4, 4))).frames())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


@pytest.mark.cuda
def test_tensors_stay_on_their_gpu_and_read_the_same(cuda_device: str) -> None:
    for array in (
        torch.from_numpy(RNG.integers(0, 256, (3, 3, 70, 90), dtype=np.uint8)),
        torch.rand((3, 1, 70, 90)),
        torch.rand((3, 3, 70, 90)),
    ):
        host, device = ArraySource(array), ArraySource(array.to(cuda_device))
        for a, b in zip(host.frames(), device.frames(), strict=True):
            assert b.planes[0].device.type == "cuda"
            if array.dtype == torch.uint8:
                assert torch.equal(a.planes[0], b.planes[0].cpu())
            else:
                torch.testing.assert_close(a.planes[0], b.planes[0].cpu(), rtol=0, atol=1e-6)
