from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from flickerscope import InputError, SettingsError, analyze, compare
from flickerscope.cli.app import run
from flickerscope.inputs import open_source
from flickerscope.inputs.layout import guess_layout
from flickerscope.inputs.tensors import load_tensor

RNG = np.random.default_rng(5)
CLIP = RNG.integers(0, 256, (9, 12, 16), dtype=np.uint8)


def lumas(source: Any) -> np.ndarray[Any, Any]:
    plane = source.planes[0]
    return np.stack(
        [f.planes[0].numpy().astype(float) * plane.scale + plane.offset for f in source.frames()]
    )


def save(path: Path, array: np.ndarray[Any, Any]) -> Path:
    """Write an array in the way that the name says."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.name.endswith("small.npz"):
        np.savez_compressed(path, array)
    elif path.suffix == ".npz":
        np.savez(path, array)
    elif path.suffix == ".safetensors":
        save_file({"video": torch.from_numpy(array)}, path)
    else:
        torch.save(torch.from_numpy(array), path)
    return path


KINDS = ["a.npy", "a.npz", "small.npz", "a.pth", "a.safetensors"]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "<u2", "<f4"])
def test_a_file_reads_as_the_array_that_it_holds(tmp_path: Path, name: str, dtype: str) -> None:
    array = CLIP.astype(dtype) * (257 if dtype == "<u2" else 1)
    if dtype == "<f4":
        array = array / np.float32(255)
    source = open_source(save(tmp_path / name, array), fps=24)
    np.testing.assert_allclose(lumas(source), CLIP, atol=2e-5)
    assert (source.info.rate, source.info.path) == (24, str(tmp_path / name))


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.pt", "a.safetensors"])
def test_files_are_mapped_and_not_loaded(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, np.zeros((64, 256, 256), np.uint8))
    tracemalloc.start()
    source = open_source(path)
    for _ in source.frames():
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20  # of 4 MB


@pytest.mark.parametrize("layout", ["TCHW", "THWC", "CTHW", "BTCHW", "bcthw", "WHTC"])
def test_every_layout_gives_the_same_numbers(tmp_path: Path, layout: str) -> None:
    video = RNG.integers(0, 256, (5, 3, 8, 10), dtype=np.uint8)
    whole, axes = video[None], layout.upper()
    order = ["BTCHW".index(axis) for axis in axes]
    given = whole.transpose([0, *order] if "B" not in axes else order)
    given = np.ascontiguousarray(given if "B" in axes else given[0])
    expected = lumas(open_source(video))
    path = save(tmp_path / "a.npy", given)
    np.testing.assert_array_equal(lumas(open_source(path, layout=layout)), expected)
    for array in (given, torch.from_numpy(given)):
        np.testing.assert_array_equal(lumas(open_source(array, layout=layout)), expected)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((9, 12, 16), "THW"),
        ((9, 3, 12, 16), "TCHW"),
        ((9, 12, 16, 3), "THWC"),
        ((3, 9, 12, 16), "CTHW"),
        ((1, 9, 3, 12, 16), "BTCHW"),
        ((1, 3, 9, 12, 16), "BCTHW"),
    ],
)
def test_a_layout_is_guessed_where_one_alone_fits(shape: tuple[int, ...], layout: str) -> None:
    assert guess_layout(shape, "a") == layout


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 3, 12, 16), "may be TCHW or CTHW"),
        ((16, 4, 60, 90), "no video of gray or RGB"),
        ((2, 9, 3, 12, 16), "no video of gray or RGB"),
        ((12, 16), "no video of gray or RGB"),
    ],
)
def test_a_layout_is_not_guessed_otherwise(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        guess_layout(shape, "a")


def test_the_layout_that_was_guessed_is_a_note(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npy", np.zeros((4, 8, 8, 3), np.uint8))
    assert "layout taken as THWC, which alone fits its shape" in open_source(path).info.notes


@pytest.mark.parametrize("layout", ["", "HW", "TTHW", "TXHW", "TCHWB?", 3])
def test_a_layout_that_makes_no_sense_is_wrong_usage(layout: Any) -> None:
    with pytest.raises(SettingsError, match="layout is"):
        open_source(CLIP, layout=layout)


def test_a_layout_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="has 3 axes, layout TCHW 4"):
        open_source(CLIP, layout="TCHW")
    with pytest.raises(InputError, match="a batch of 9 videos"):
        open_source(CLIP[:, None], layout="BTHW")


@pytest.mark.parametrize("given", ["-1..1", (-1, 1)])
def test_a_value_range_says_what_black_and_white_are(given: Any) -> None:
    for array in (CLIP / 127.5 - 1, torch.from_numpy(CLIP / 127.5 - 1).float()):
        source = open_source(array, value_range=given)
        np.testing.assert_allclose(lumas(source), CLIP, atol=1e-4)
        assert "values -1..1 taken as black to white" in source.info.notes
    rgb = RNG.random((3, 3, 6, 8))
    mine = open_source(2 * rgb - 1, value_range=given, planes="yuv")
    for frame, same in zip(mine.frames(), open_source(rgb, planes="yuv").frames(), strict=True):
        for a, b, plane in zip(frame.planes, same.planes, mine.planes, strict=True):
            offset = 0 if plane.name == "y" else 128
            expected = b.numpy() * 255 + offset
            np.testing.assert_allclose(a.numpy() * plane.scale + plane.offset, expected)


def test_ten_bits_in_sixteen_are_read_by_their_range() -> None:
    ten = RNG.integers(0, 1024, (3, 6, 8), dtype=np.uint16)
    np.testing.assert_allclose(lumas(open_source(ten, value_range="0..1023")), ten / 1023 * 255)
    rgb = np.repeat(ten[:, None], 3, axis=1)
    luma = lumas(open_source(rgb, value_range="0..1023"))
    np.testing.assert_allclose(luma, ten / 1023 * 255, atol=0.5 / 256 + 1e-9)
    with pytest.raises(InputError, match=r"in 1024\.\.1024, not in 0\.\.1023"):
        open_source(np.full_like(ten, 1024), value_range="0..1023")


@pytest.mark.parametrize("given", ["", "1", "1..0", "0..nan", "0..inf", (0, 0), 3, "a..b"])
def test_a_value_range_that_makes_no_sense_is_wrong_usage(given: Any) -> None:
    with pytest.raises(SettingsError, match="value_range is"):
        open_source(CLIP, value_range=given)


def test_one_of_several_arrays_is_chosen_by_its_key(tmp_path: Path) -> None:
    two = {"gt": CLIP, "pred": CLIP[::-1]}
    np.savez(tmp_path / "a.npz", **two)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in two.items()}
    save_file(tensors, tmp_path / "a.safetensors")
    torch.save(tensors, tmp_path / "a.pt")
    for name in ("a.npz", "a.safetensors", "a.pt"):
        path = tmp_path / name
        np.testing.assert_array_equal(lumas(open_source(path, key="pred")), CLIP[::-1])
        with pytest.raises(InputError, match=r"several arrays: .*gt .*pred .*; say which by key"):
            open_source(path)
        with pytest.raises(InputError, match="no array called 'x'; there are: "):
            open_source(path, key="x")
    torch.save({"out": {"video": tensors["gt"]}, "step": torch.tensor(3)}, tmp_path / "b.pt")
    np.testing.assert_array_equal(lumas(open_source(tmp_path / "b.pt")), CLIP)


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def _bomb(path: Path) -> Path:
    """A small file that unpacks to 64 MB, as its head says."""
    head = io.BytesIO()
    form = {"descr": "|u1", "fortran_order": False, "shape": (64, 1024, 1024)}
    np.lib.format.write_array_header_1_0(head, form)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("video.npy", "w") as file,
    ):
        file.write(head.getvalue())
        for _ in range(64):
            file.write(bytes(1 << 20))
    return path


def _liar(path: Path, shape: str) -> Path:
    """A .npy whose head claims another shape than it holds."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(9))
    return path


def _with_pickle(path: Path, whole: Path, data: bytes) -> Path:
    """A copy of a .pt file with another pickle in it."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name.endswith("data.pkl") else old.read(name))
    return path


def _bad_files(folder: Path) -> dict[Path, str]:
    def write(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    whole = save(folder / "whole.npy", CLIP).read_bytes()
    stored = save(folder / "whole.npz", CLIP).read_bytes()
    packed = save(folder / "small.npz", CLIP).read_bytes()
    torched = save(folder / "whole.pt", CLIP).read_bytes()
    safe = save(folder / "whole.safetensors", CLIP).read_bytes()
    objects = np.array([[[Evil()]]], dtype=object)
    np.save(folder / "objects.npy", objects)
    np.savez(folder / "objects.npz", objects)
    torch.save({"video": torch.zeros(3, 8, 8), "run": Evil()}, folder / "evil.pt")
    torch.save(torch.zeros(3, 8, 8), folder / "old.pt", _use_new_zipfile_serialization=False)
    torch.save({"step": torch.tensor(3)}, folder / "scalar.pt")
    torch.save(torch.zeros(1).expand(10**9, 64, 64), folder / "endless.pt")
    torch.save(torch.rand(20, 8, 8).to_sparse(), folder / "sparse.pt")
    np.savez(folder / "none.npz")
    return {
        write("cut.npy", whole[:-100]): "is cut off: its head promises 1728 bytes",
        write("head.npy", whole[:40]): "not a sound .npy file",
        write("text.npy", b"these are words, and no array"): "not a sound .npy file",
        write("empty.npy", b""): "the file is empty",
        write("pickle.npy", pickle.dumps(Evil())): "not a sound .npy file",
        _liar(folder / "huge.npy", "(1000000, 100000, 100000)"): "is cut off",
        _liar(folder / "minus.npy", "(-3, 3, 3)"): "empty",
        folder / "objects.npy": "pickled Python objects",
        folder / "objects.npz": "pickled Python objects",
        save(folder / "zero.npy", np.zeros((0, 8, 8))): "empty",
        save(folder / "complex.npy", np.zeros((4, 8, 8), complex)): "got complex128",
        save(folder / "words.npy", np.full((4, 8, 8), "word")): "allowed are arrays of numbers",
        save(folder / "nan.npy", np.full((4, 8, 8), np.nan)): "NaN or infinity",
        save(folder / "inf.npy", np.full((4, 8, 8), np.inf)): "NaN or infinity",
        save(folder / "wide.npy", np.zeros((4, 8, 8), np.int64)): "got int64",
        save(folder / "flat.npy", np.zeros((8, 8))): "no video of gray or RGB",
        save(folder / "few.npy", CLIP[:2]): "2 frames",
        write("cut.npz", stored[: len(stored) // 2]): "not a sound .npz file",
        write("rot.npz", packed[:300] + bytes(200) + packed[500:]): "not a sound .npz file",
        write("text.npz", b"words"): "not a sound .npz file",
        folder / "none.npz": "no array of 3 axes or more; there are: none",
        write("cut.pt", torched[: len(torched) // 2]): "torch.save of torch 1.6 or later",
        _with_pickle(folder / "void.pt", folder / "whole.pt", b"\x80\x02."): "not a sound .pt file",
        _with_pickle(folder / "memo.pt", folder / "whole.pt", b"\x80\x02h\x07."): "not a sound .pt",
        folder / "evil.pt": "could run any code",
        folder / "old.pt": "torch.save of torch 1.6 or later",
        folder / "endless.pt": "repeats fewer numbers",
        folder / "sparse.pt": "give a dense one",
        folder / "scalar.pt": "no array of 3 axes or more; there are: step ()",
        write("cut.safetensors", safe[:-100]): "not a sound .safetensors file",
        write("text.safetensors", b"these are words"): "not a sound .safetensors file",
        write("huge.safetensors", b"\xff" * 8 + safe[8:]): "not a sound .safetensors file",
        folder / "missing.npy": "no such file",
    }


def test_bad_files_are_refused_in_one_line_and_nothing_runs(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path, said in _bad_files(tmp_path).items():
        assert run(["analyze", str(path), "--no-motion"]) == 1, path.name
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and said in lines[0] and str(path) in lines[0], (path.name, lines)
    assert not (tmp_path / "unpickled").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = _bomb(tmp_path / "bomb.npz")
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    with pytest.raises(InputError, match=r"unpacked it takes 64\.0 MB, 16\.0 MB are allowed"):
        load_tensor(str(path), memory=16 << 20)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_options_that_go_with_neither_side_are_wrong_usage(tmp_path: Path, capsys: Any) -> None:
    array = save(tmp_path / "a.npy", CLIP)
    folder = tmp_path / "f"
    folder.mkdir()
    for option, value in (("--layout", "THW"), ("--value-range", "0..1"), ("--key", "a")):
        assert run(["compare", str(folder), str(folder), option, value]) == 2
        assert f"{option[2:].replace('-', '_')} is for" in capsys.readouterr().err
    assert run(["analyze", str(array), "--key", "a"]) == 2
    assert "holds one array" in capsys.readouterr().err


def test_a_file_of_arrays_is_compared_with_another_kind(tmp_path: Path) -> None:
    moving = np.repeat(np.repeat(CLIP, 2, axis=1), 2, axis=2)
    pred = save(tmp_path / "a.npy", moving.transpose(1, 2, 0)[None])
    result = compare(pred, pred, layout="BHWT", fps=24, motion=False)
    assert result.energy_db == 0
    np.testing.assert_array_equal(
        result.pred_rung.spectra["y/pixel"].mean_power,
        analyze(moving, fps=24, motion=False).rungs[9].spectra["y/pixel"].mean_power,
    )
    alone = analyze(save(tmp_path / "b.npz", moving), fps="24000/1001", motion=False)
    assert float(alone.clips[0].rate or 0) == pytest.approx(23.976, abs=1e-3)
