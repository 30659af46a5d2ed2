"""Device, threads and memory: how they are chosen, and that they leave the numbers alone."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch

from flickerscope import DeviceError, InputError, SettingsError, analyze, cli, compare
from flickerscope.report import document
from flickerscope.resources import (
    pick_device,
    pick_resources,
    plain_arithmetic,
    repeatable,
    torch_to_ourselves,
)
from flickerscope.video import encode

MEGABYTE = 1 << 20


@pytest.fixture
def no_gpu(monkeypatch):
    """A machine without CUDA and MPS, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


def footage(frames=48, rows=100, columns=160, seed=0, sigma=3.0):
    """uint8 noise on a slow drift; more cells than fit into one tile."""
    rng = np.random.default_rng(seed)
    x = 128 + np.cumsum(rng.normal(0, 1, (frames, rows, columns)), axis=0)
    return (x + rng.normal(0, sigma, x.shape)).round().clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    encode(path, footage(9, 24, 36), rate=24, codec="ffv1", pixel_format="gray")
    return str(path)


# --- Choosing -------------------------------------------------------------------------------------


def test_without_a_gpu_auto_takes_the_cpu(no_gpu):
    assert pick_device("auto") == torch.device("cpu")
    assert pick_device("cpu") == torch.device("cpu")


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch):
    two_gpus(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device("auto") == torch.device("mps")
    assert pick_device("mps") == torch.device("mps")


def test_cuda_devices_have_numbers(monkeypatch):
    two_gpus(monkeypatch)
    assert pick_device("cuda") == torch.device("cuda:0")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="cuda:2: this machine has 2 CUDA devices"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:9", "mps"])
def test_a_device_that_is_not_there_is_a_device_error_that_names_it(no_gpu, name):
    with pytest.raises(DeviceError, match=f"device {name}"):
        pick_device(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "gpu", "CPU", "cpu:0", "cuda:x", "cuda:-1", "cuda:0:1", "mps:0", "xpu", " cpu"),
        "cuda:",
    ],
)
def test_a_name_that_is_no_device_is_a_settings_error(name):
    with pytest.raises(SettingsError, match="auto, cpu, cuda, cuda:N or mps"):
        pick_device(name)


def test_defaults_are_the_cores_of_this_process_and_half_of_the_memory():
    found = pick_resources("cpu")
    if hasattr(os, "sched_getaffinity"):
        assert found.threads == len(os.sched_getaffinity(0))
    if hasattr(os, "sysconf"):
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        assert found.memory == machine // 2


def test_what_was_asked_for_is_what_is_used():
    found = pick_resources("cpu", threads=3, memory=1.5)
    assert (found.threads, found.memory) == (3, 3 * MEGABYTE // 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"threads": 0}, "threads: 1 to 256, got 0"),
        ({"threads": -2}, "threads: 1 to 256, got -2"),
        ({"memory": 0.0}, "memory: a positive number of megabytes, got 0.0"),
        ({"memory": -1}, "memory: a positive number"),
        ({"memory": float("nan")}, "memory: a positive number"),
    ],
)
def test_numbers_that_make_no_sense_are_settings_errors(options, text):
    with pytest.raises(SettingsError, match=text):
        pick_resources("cpu", **options)


def test_memory_without_end_is_refused_or_taken():
    try:
        assert pick_resources("cpu", memory=float("inf")).memory > 0
    except SettingsError as error:
        assert "memory" in str(error)  # noqa: PT017


@pytest.mark.parametrize("precision", ["high", "medium", "highest"])
def test_the_precision_that_the_caller_chose_comes_back(precision):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        with torch_to_ourselves():
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == precision
        with pytest.raises(RuntimeError), torch_to_ourselves():
            raise RuntimeError
        assert torch.get_float32_matmul_precision() == precision
    finally:
        torch.set_float32_matmul_precision(before)


def test_threads_of_torch_and_its_modes_come_back():
    x = footage(9, 24, 36)
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    analyze(x, threads=3)
    with pytest.raises(InputError):
        analyze(x[:2], threads=3)
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_the_callers_automatic_precision_changes_no_number():
    """As in a loop of training or validation."""
    x = footage(40, 100, 160)
    plain = numbers(analyze(x, fps=24))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert numbers(analyze(x, fps=24)) == plain


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_gradient_mode_changes_no_number(mode):
    x = torch.from_numpy(footage(40, 24, 36) / 255)
    plain = numbers(analyze(x, fps=24))
    with mode():
        assert numbers(analyze(x.clone().requires_grad_(), fps=24)) == plain


def test_arithmetic_is_plain_where_the_callers_is_not():
    with torch.autocast("cpu", dtype=torch.bfloat16), plain_arithmetic(torch.device("cpu")):
        assert torch.is_inference_mode_enabled()
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


# --- They change no number ------------------------------------------------------------------------


def numbers(result):
    """All of a report."""
    if hasattr(result, "table"):
        made = document.comparison_document(result)
    else:
        made = document.analysis_document([result], "cpu")
    return json.loads(document.to_json(made))


@pytest.mark.parametrize("shape", [(100, 160), (24, 36), (1, 1), (70, 131)])
def test_threads_change_no_number(shape):
    pred, ref = footage(48, *shape, seed=1, sigma=4), footage(60, *shape, seed=2)
    one, three = (numbers(compare(pred, ref, fps=24, threads=n)) for n in (1, 3))
    assert one == three


def test_threads_change_no_number_of_a_file(tmp_path):
    path = tmp_path / "clip.mp4"
    encode(path, footage(48, seed=4), rate=24)
    one, three = (numbers(analyze(path, threads=n, ladder=True)) for n in (1, 3))
    assert one == three


def test_a_small_memory_changes_no_number_beyond_rounding():
    """2 MB hold the buffers of 48x64 pixels, but only a part of a segment at a time."""
    pred, ref = footage(48, 48, 64, seed=1, sigma=4), footage(48, 48, 64, seed=2)
    wide = numbers(compare(pred, ref, fps=24, threads=3))
    tight = numbers(compare(pred, ref, fps=24, threads=3, memory=2))
    assert len(tight["results"]) == len(wide["results"]) == 12
    for ours, theirs in zip(tight["results"], wide["results"], strict=True):
        assert ours["pred_power"] == pytest.approx(theirs["pred_power"], rel=1e-6)
        assert ours["excess_db"] == pytest.approx(theirs["excess_db"], abs=1e-5)
    for name, bands in wide["histograms"]["counts"].items():
        for band, counts in bands.items():
            for role, bins in counts.items():
                other = tight["histograms"]["counts"][name][band][role]
                moved = np.abs(np.array(bins) - np.array(other)).sum() / 2
                assert moved <= max(1, 1e-5 * sum(bins))
    kept = ("verdict", "segment", "bands", "notes", "warnings", "lines", "inputs", "settings")
    assert [tight[name] for name in kept] == [wide[name] for name in kept]


def test_a_memory_that_holds_whole_tiles_changes_no_number_at_all():
    pred, ref = footage(40, 24, 36, seed=1), footage(40, 24, 36, seed=2)
    wide = numbers(compare(pred, ref, fps=24, threads=1))
    assert numbers(compare(pred, ref, fps=24, threads=1, memory=8)) == wide


def test_too_little_memory_refuses_with_a_way_out(capsys, clip):
    with pytest.raises(InputError) as caught:
        analyze(footage(9, 500, 800), memory=1)
    text = str(caught.value)
    assert "800x500" in text
    assert "1.0 MB are allowed" in text
    assert "raise the memory" in text
    assert "\n" not in text
    assert cli.run(["analyze", clip, "--memory", "0.01"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"flickerscope: {clip}: ")
    assert err.count("\n") == 1


# --- On the command line --------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_a_device_that_is_not_there_fails_with_one_line(no_gpu, capsys, clip, command):
    videos = [clip] if command == "analyze" else [clip, clip]
    assert cli.run([command, *videos, "--device", "cuda:9"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "flickerscope: device cuda:9: this machine has 0 CUDA devices for torch\n"
    assert cli.run([command, *videos, "--device", "gpu"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_auto_says_which_device_it_took(no_gpu, capsys, clip, command):
    videos = [clip] if command == "analyze" else [clip, clip]
    assert cli.run([command, *videos]) == 0
    assert "on cpu" in " ".join(capsys.readouterr().out.split())
    assert cli.run([command, *videos, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == "cpu"


@pytest.mark.parametrize("option", [["--threads", "0"], ["--memory", "0"], ["--threads", "two"]])
def test_numbers_that_make_no_sense_are_wrong_usage(capsys, clip, option):
    assert cli.run(["analyze", clip, *option]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1


# --- CUDA -----------------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
def test_cuda_and_the_cpu_agree(cuda_device, kind):
    pred, ref = footage(81, 200, 320, seed=1, sigma=4), footage(60, 200, 320, seed=2)
    if kind != "uint8":
        pred, ref = ((x / 255).astype(kind) for x in (pred, ref))
    host, device = (
        numbers(compare(pred, ref, fps=24, device=name)) for name in ("cpu", cuda_device)
    )
    assert device["device"] == "cuda:0"
    for ours, theirs in zip(device["results"], host["results"], strict=True):
        for name in ("pred_power", "ref_power"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-4)
        assert ours["excess_db"] == pytest.approx(theirs["excess_db"], abs=1e-3)
    for name, bands in host["histograms"]["counts"].items():
        for band, counts in bands.items():
            for role, bins in counts.items():
                other = device["histograms"]["counts"][name][band][role]
                assert sum(other) == sum(bins)
                moved = np.abs(np.array(bins) - np.array(other)).sum() / 2
                assert moved <= 1e-3 * sum(bins)
    assert device["verdict"] == host["verdict"]


@pytest.mark.cuda
def test_arrays_that_lie_on_the_gpu_read_the_same(cuda_device):
    x = torch.from_numpy(footage(40, 64, 96))
    host = numbers(analyze(x, fps=24, device="cpu"))
    device = numbers(analyze(x.to(cuda_device), fps=24, device=cuda_device))
    pairs = zip(device["videos"][0]["results"], host["videos"][0]["results"], strict=True)
    for ours, theirs in pairs:
        assert ours["power"] == pytest.approx(theirs["power"], rel=1e-4)


def test_runs_side_by_side_leave_torch_as_it_was():
    from concurrent.futures import ThreadPoolExecutor

    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        video = footage(24, 16, 24)
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda _: numbers(analyze(video, fps=24)), range(8)))
        assert all(result == results[0] for result in results)
        assert torch.get_float32_matmul_precision() == "high"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == threads
    finally:
        torch.set_float32_matmul_precision(precision)


def test_a_look_at_a_frame_lets_go_of_its_pixels():
    """Kept for every eighth frame, they would make memory grow with the length of the video."""
    from flickerscope.inputs.source import Plane
    from flickerscope.planes import Look

    plane = Plane(name="y", height=8, width=9, dtype=torch.uint8, scale=1.0, offset=0.0)
    look = Look(torch.full((8, 9), 7, dtype=torch.uint8), plane)
    look.measure()
    assert look.mean == 7
    assert look._samples.untyped_storage().nbytes() == 0


def cuda_choices():
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    )


@pytest.mark.parametrize("workspace", [None, ":16:8", ":0:0"])
def test_a_gpu_repeats_its_sums_for_as_long_as_it_is_asked_to(workspace, monkeypatch):
    """By PyTorch's page on reproducibility; the choices can be made without a GPU."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if workspace:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", workspace)
    before = cuda_choices()
    with repeatable(torch.device("cuda:0")):
        fixed = workspace if workspace == ":16:8" else ":4096:8"
        assert cuda_choices() == (True, True, False, fixed)
    assert cuda_choices() == before
    with pytest.raises(KeyError), repeatable(torch.device("cuda:0")):
        raise KeyError
    assert cuda_choices() == before
    with repeatable(torch.device("cpu")):
        assert cuda_choices() == before
