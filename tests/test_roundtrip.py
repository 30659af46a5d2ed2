"""Videos sent through autoencoders: known networks by closed form, those of diffusers by hand."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from flickerscope import DeviceError, InputError, OutputError, Settings, SettingsError, compare
from flickerscope.cli import run
from flickerscope.inputs import open_source
from flickerscope.roundtrip import Autoencoder, Passage, roundtrip
from flickerscope.roundtrip.pictures import WEIGHTS, matrix_of, rgb_frames
from flickerscope.settings import FrameRange
from flickerscope.video.writer import encode

STILL = Settings(motion=False)
CPU = torch.device("cpu")


class Known:
    """A network without weights: latents are the pictures at half the size, and a bit of noise."""

    def __init__(self, change: Callable[[torch.Tensor], torch.Tensor] = lambda x: x) -> None:
        self.change = change
        self.seen: list[tuple[int, ...]] = []

    def encode(self, x: torch.Tensor) -> Any:
        self.seen.append(tuple(x.shape))
        spread = torch.full_like(x, 4 / 255)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x, std=spread))

    def decode(self, latents: torch.Tensor) -> Any:
        return SimpleNamespace(sample=self.change(latents))


def _known(network: Any, kind: Any = "image", stride: int = 8, temporal: int = 1) -> Autoencoder:
    return Autoencoder(
        network=network, name="Known", kind=kind, device=CPU, dtype=torch.float32,
        stride=stride, temporal_stride=temporal,
    )  # fmt: skip


@pytest.fixture(scope="module")
def gray() -> np.ndarray:
    """A still picture, (32, 20, 28), 8 bits; no multiple of 8."""
    rows = np.linspace(60, 190, 20 * 28).round().astype(np.uint8)
    return np.broadcast_to(rows.reshape(20, 28), (32, 20, 28)).copy()


def test_a_network_that_changes_nothing_adds_no_flicker(gray: np.ndarray) -> None:
    network = Known()
    result = roundtrip(gray, _known(network), fps=24, settings=Settings(texture=False))
    assert result.verdict == "no difference found"
    assert result.energy_db == 0
    assert result.flicker_db == pytest.approx(0, abs=1e-6)
    assert set(network.seen) == {(4, 3, 24, 32)}  # padded to multiples of 8, 4 at once
    assert result.pred.clips[0].info.width == 28
    assert any("28x20 padded to 32x24, a multiple of 8" in note for note in result.notes)


def test_an_alternation_that_the_network_adds_reads_its_closed_form(gray: np.ndarray) -> None:
    """+-1 on what is still: +12.72 dB (estimators.md, 19)."""
    signs = torch.tensor([1.0, -1.0]).repeat(2)[:, None, None, None]
    network = Known(lambda x: x + 2 / 255 * signs)
    result = roundtrip(gray, _known(network), fps=24, settings=STILL)
    assert result.energy_db == pytest.approx(12.72, abs=0.02)
    assert result.verdict == "flickers more"


def test_drawn_latents_depend_on_the_seed_alone(gray: np.ndarray) -> None:
    one, again, other = (
        roundtrip(
            gray, _known(Known()), passage=Passage(seed=seed, at_once=at_once), fps=24,
            settings=STILL, planes="yuv",
        )
        for seed, at_once in ((1, 32), (1, 5), (2, 5))
    )  # fmt: skip
    assert one.energy_db == again.energy_db != other.energy_db
    # White noise of 2 code values in each channel: in HF half of its power, at pixel scale.
    pixels = next(row for row in one.table if (row.scale, row.band) == ("pixel", "HF"))
    share = sum(x**2 for x in (0.2126, 0.7152, 0.0722))
    assert pixels.pred_power == pytest.approx(4 * share / 2, rel=0.05)


def test_a_clip_is_padded_with_its_last_frame_and_cropped_again() -> None:
    network = Known()
    autoencoder = _known(network, "video", temporal=4)
    frames = torch.rand(6, 3, 16, 16)
    torch.testing.assert_close(autoencoder.run(frames), frames)
    assert network.seen == [(1, 3, 9, 16, 16)]
    assert (autoencoder.run(frames[:5]) == frames[:5]).all() or network.seen[-1][2] == 5
    clip = (255 * torch.rand(10, 3, 16, 16)).to(torch.uint8)
    result = roundtrip(clip, autoencoder, settings=STILL)
    assert any("10 frames padded to 13" in note for note in result.notes)
    assert network.seen[-1][2] == 13


def test_frames_and_size_are_chosen_before_and_the_crop_after(gray: np.ndarray) -> None:
    network = Known()
    passage = Passage(size=(40, 24))
    result = roundtrip(
        gray, _known(network), passage=passage, fps=24,
        settings=Settings(motion=False, frames="4:24:2", crop="16x16+8+4"),
    )  # fmt: skip
    assert sum(shape[0] for shape in network.seen) == 10
    assert {shape[2:] for shape in network.seen} == {(24, 40)}
    assert result.ref.clips[0].frames == 10
    assert result.ref.rate == 12
    assert any("resized from 28x20 to 40x24" in note for note in result.notes)
    assert result.table[0].pred_power == pytest.approx(0)


def test_what_comes_out_as_no_number_is_refused(gray: np.ndarray) -> None:
    broken = _known(Known(lambda x: x * torch.nan))
    with pytest.raises(InputError, match="Known: what it decodes is not finite"):
        roundtrip(gray, broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", "out of memory in Known: take a smaller"),
        ("conv not implemented for 'Half'\n  at x", "Known cannot be run in float32 on cpu: conv"),
    ],
)
def test_an_error_of_torch_is_told_in_one_line(text: str, message: str, gray: np.ndarray) -> None:
    def fail(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(text)

    with pytest.raises(DeviceError, match=message) as caught:
        roundtrip(gray, _known(Known(fail)))
    assert "\n" not in str(caught.value)


COLOURS = torch.tensor([[200, 40, 60], [30, 180, 90], [60, 70, 210], [128, 128, 128]])


@pytest.mark.parametrize("rgb", ["array", "rgb video", "yuv444p", "yuv420p"])
def test_colours_come_back_as_they_were(rgb: str, tmp_path: Path) -> None:
    """In blocks of 8 pixels; YUV is written as BT.709, so it must be read as such."""
    bars = COLOURS.repeat_interleave(8, 0)[None, None].expand(2, 16, 32, 3).to(torch.uint8)
    video: Any = bars.permute(0, 3, 1, 2)
    if rgb != "array":
        video = tmp_path / "bars.mkv"
        codec = {"rgb video": ("libx264rgb", "rgb24")}.get(rgb, ("ffv1", rgb))
        lossless = {"qp": "0"} if codec[0] == "libx264rgb" else {}
        encode(
            video, bars.numpy(), rate=24, codec=codec[0], pixel_format=codec[1], options=lossless
        )
    source = open_source(video, planes="yuv")
    matrix, guess = matrix_of(source)
    assert (matrix, guess) == ("bt709", None)
    pictures = list(rgb_frames(source, matrix, FrameRange(), None))
    assert len(pictures) == 2
    middles = 255 * pictures[1][:, 8, 4::8].T
    torch.testing.assert_close(middles, COLOURS.float(), atol=1.6, rtol=0)


@pytest.mark.parametrize("matrix", WEIGHTS)
def test_every_matrix_keeps_gray_gray_and_its_own_luma(matrix: str) -> None:
    red, blue = WEIGHTS[matrix]
    picture = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8)
    source = open_source(picture, planes="yuv")
    out = 255 * next(iter(rgb_frames(source, matrix, FrameRange(), None)))
    y = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), picture[0].double(), strict=True))
    inside = ((out > 0) & (out < 255)).all(0)  # what is beyond red, green and blue is clamped
    mixed = red * out[0] + (1 - red - blue) * out[1] + blue * out[2]
    torch.testing.assert_close(mixed[inside].double(), y[inside], atol=0.05, rtol=0)
    even = open_source(torch.full((1, 3, 8, 8), 77, dtype=torch.uint8), planes="yuv")
    out = 255 * next(iter(rgb_frames(even, matrix, FrameRange(), None)))
    torch.testing.assert_close(out, torch.full_like(out, 77), atol=0.01, rtol=0)


def test_a_matrix_that_is_not_tagged_is_guessed_and_said() -> None:
    source = open_source(torch.zeros(1, 3, 8, 8), planes="yuv")
    untagged = SimpleNamespace(
        planes=source.planes, info=SimpleNamespace(matrix=None, height=480, path="x")
    )
    assert matrix_of(untagged) == (  # type: ignore[arg-type]
        "smpte170m",
        "matrix of the colours not tagged: taken as smpte170m",
    )
    untagged.info.matrix = "ictcp"
    with pytest.raises(InputError, match="x: colours by ictcp"):
        matrix_of(untagged)  # type: ignore[arg-type]


def _folder(path: Path, name: str, *files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({"_class_name": name}))
    for file in files:
        (path / file).write_bytes(b"")
    return path


def test_what_is_no_autoencoder_is_refused_before_anything_is_loaded(
    tmp_path: Path, gray: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "gray.npy"
    np.save(video, gray)
    pickled = _folder(tmp_path / "bin", "AutoencoderKL", "diffusion_pytorch_model.bin")
    (tmp_path / "empty").mkdir()
    (tmp_path / "vae.ckpt").write_bytes(b"")
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "vae.safetensors").write_bytes(b"")
    broken = _folder(tmp_path / "broken", "AutoencoderKL")
    (broken / "config.json").write_text("{")
    unet = _folder(tmp_path / "unet", "UNet2DModel")
    for vae, message in (
        (tmp_path / "none", "no such file or folder"),
        (tmp_path / "empty", "holds no config.json"),
        (tmp_path / "vae.ckpt", "is no .safetensors file; others may run code"),
        (tmp_path / "lone" / "vae.safetensors", "holds no config.json"),
        (pickled, "holds no diffusion_pytorch_model.safetensors"),
        (broken, "cannot be read as a configuration"),
        (unet, "is of UNet2DModel; the autoencoders that can be run are AutoencoderKL"),
    ):
        assert run(["roundtrip", str(video), "--vae", str(vae)]) == 1
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "1"], "--seed is for --sample"),
        (["--size", "64"], "--size: WIDTHxHEIGHT"),
        (["--size", "4x4"], "size: width and height from 8"),
        (["--batch", "0"], "at once: 1 frame or more"),
        (["--dtype", "int8"], "dtype: one of float32, float16, bfloat16"),
        (["--sample", "--seed", "-1"], "seed: from 0"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(
    options: list[str],
    message: str,
    tmp_path: Path,
    gray: np.ndarray,
    capsys: pytest.CaptureFixture[str],
) -> None:
    video = tmp_path / "gray.npy"
    np.save(video, gray)
    assert run(["roundtrip", str(video), "--vae", str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


def test_without_diffusers_the_error_says_how_to_get_it(
    tmp_path: Path, gray: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "diffusers", None)
    video = tmp_path / "gray.npy"
    np.save(video, gray)
    vae = _folder(tmp_path, "AutoencoderKL", "diffusion_pytorch_model.safetensors")
    assert run(["roundtrip", str(video), "--vae", str(vae)]) == 1
    error = capsys.readouterr().err
    assert "pip install 'flickerscope[diffusers]'" in error
    assert error.count("\n") == 1


def test_without_a_place_for_temporary_files_the_error_says_so(
    gray: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(OutputError, match="TMPDIR"):
        roundtrip(gray, _known(Known()))


def test_latents_are_not_sent_through() -> None:
    with pytest.raises(SettingsError, match="give pictures"):
        roundtrip(torch.zeros(8, 4, 8, 8), _known(Known()), latent=True)


# What follows needs diffusers, which alone takes many seconds to import.

BUILDS: dict[str, dict[str, Any]] = {
    "AutoencoderKL": {
        "block_out_channels": (8,) * 4, "norm_num_groups": 2, "layers_per_block": 1,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    },
    "AutoencoderTiny": {
        "encoder_block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
    },
    "AutoencoderKLTemporalDecoder": {
        "block_out_channels": (32, 32), "down_block_types": ("DownEncoderBlock2D",) * 2,
    },
    "AutoencoderKLWan": {
        "base_dim": 4, "z_dim": 4, "dim_mult": [1] * 4, "num_res_blocks": 1,
    },
    "AutoencoderKLCogVideoX": {
        "block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1,
        "norm_num_groups": 2,
    },
    "AutoencoderKLHunyuanVideo": {
        "block_out_channels": (8,) * 4, "latent_channels": 4, "layers_per_block": 1,
        "norm_num_groups": 2,
    },
    "AutoencoderKLLTXVideo": {
        "block_out_channels": (8,) * 4, "decoder_block_out_channels": (8,) * 4,
        "latent_channels": 8, "layers_per_block": (1,) * 5, "decoder_layers_per_block": (1,) * 5,
    },
}  # fmt: skip
STRIDES = {"AutoencoderKLTemporalDecoder": 2, "AutoencoderKLLTXVideo": 32}


@pytest.fixture(scope="module")
def diffusers() -> Any:
    """The library; its own advice about its future is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("diffusers")


@pytest.fixture(scope="module")
def saved(diffusers: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of an autoencoder of a class, with random weights."""
    folder = tmp_path_factory.mktemp("autoencoders")

    def save(name: str) -> Path:
        if not (folder / name).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                getattr(diffusers, name)(**BUILDS[name]).save_pretrained(folder / name)
        return folder / name

    return save


@pytest.fixture(scope="module")
def clip() -> torch.Tensor:
    """Moving colours, (9, 3, 32, 64), float32 in 0..1."""
    noise = torch.Generator().manual_seed(0)
    wide = torch.rand(1, 3, 6, 12, generator=noise)
    wide = torch.nn.functional.interpolate(wide, (32, 80), mode="bicubic")[0].clamp(0, 1)
    return torch.stack([wide[:, :, t : t + 64] for t in range(9)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", BUILDS)
def test_autoencoders_of_diffusers_give_what_they_give_by_hand(
    name: str,
    saved: Callable[[str], Path],
    diffusers: Any,
    clip: torch.Tensor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a connection was tried")

    folder = saved(name)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    autoencoder = Autoencoder.load(str(folder))
    assert autoencoder.name == name
    assert autoencoder.stride == STRIDES.get(name, 8)
    network = getattr(diffusers, name).from_pretrained(folder, low_cpu_mem_usage=False)
    x = 2 * clip - 1
    x = x.transpose(0, 1)[None] if autoencoder.kind == "video" else x
    with torch.inference_mode():
        encoded = network.encode(x)
        latents = encoded.latents if name == "AutoencoderTiny" else encoded.latent_dist.mode()
        together = {"num_frames": 9} if autoencoder.kind == "temporal decoder" else {}
        y = network.decode(latents, **together).sample
    y = y[0].transpose(0, 1) if autoencoder.kind == "video" else y
    expected = (y / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(autoencoder.run(clip), expected, atol=1e-5, rtol=0)
    result = roundtrip(clip, autoencoder, passage=Passage(at_once=9), settings=STILL)
    by_hand = compare(expected, clip, settings=STILL, lag=0)
    assert result.energy_db == pytest.approx(by_hand.energy_db, abs=0.01)
    if autoencoder.kind == "video":
        assert autoencoder.run(clip[:7]).shape == clip[:7].shape
    if name == "AutoencoderTiny":
        with pytest.raises(SettingsError, match="no distribution"):
            autoencoder.run(clip, torch.Generator())
    else:
        drawn = autoencoder.run(clip, torch.Generator().manual_seed(1))
        assert (drawn != autoencoder.run(clip)).any()


def _original_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of an AutoencoderKL of 4 levels as the latent diffusion code calls them."""
    renames = [
        (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
        (r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample"),
        (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}"),
        (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample"),
        (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
        (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
        (r"mid_block\.attentions\.0\.to_(q|k|v)", r"mid.attn_1.\1"),
        (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
        ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"),
    ]
    renamed = {}
    for name, value in state.items():
        new = name
        for pattern, by in renames:
            new = re.sub(pattern, by, new)
        if ".attn_1." in new and value.ndim == 2:
            value = value[:, :, None, None].clone()
        renamed[f"first_stage_model.{new}"] = value
    return renamed


@pytest.mark.slow
def test_an_autoencoder_is_found_in_whatever_way_it_was_saved(
    saved: Callable[[str], Path], clip: torch.Tensor, tmp_path: Path
) -> None:
    folder = saved("AutoencoderKL")
    weights = folder / "diffusion_pytorch_model.safetensors"
    expected = Autoencoder.load(str(folder)).run(clip)

    pipeline = tmp_path / "pipeline"
    shutil.copytree(folder, pipeline / "vae")
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(folder / "config.json", half)
    shutil.copy(weights, half / "diffusion_pytorch_model.fp16.safetensors")
    lone = tmp_path / "vae.safetensors"
    shutil.copy(weights, lone)
    original = tmp_path / "original.safetensors"
    save_file(_original_names(load_file(weights)), original)
    for path, config in (
        (pipeline, None),
        (half, None),
        (half / "diffusion_pytorch_model.fp16.safetensors", None),
        (weights, None),
        (lone, folder),
        (lone, folder / "config.json"),
        (original, folder),
    ):
        got = Autoencoder.load(str(path), config=config and str(config)).run(clip)
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    with pytest.raises(SettingsError, match="a folder has its own"):
        Autoencoder.load(str(folder), config=str(folder))


@pytest.mark.slow
def test_weights_that_are_damaged_or_missing_are_refused_in_one_line(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "vae"
    shutil.copytree(saved("AutoencoderKL"), folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    state = load_file(weights)
    for damage, message in (
        (lambda: save_file(dict(list(state.items())[5:]), weights), "lacks 5 of the weights"),
        (lambda: save_file({"x": torch.zeros(1)}, weights), "lacks"),
        (lambda: weights.write_bytes(b"not at all"), "cannot be loaded"),
    ):
        damage()
        other = folder / "other.safetensors"
        shutil.copy(weights, other)
        for path in (folder, other):
            with pytest.raises(InputError) as caught:
                Autoencoder.load(str(path))
            assert "\n" not in str(caught.value)
            assert str(path) in str(caught.value)
            if path == folder:
                assert message in str(caught.value)
    tiny = saved("AutoencoderTiny")
    shutil.copy(tiny / "diffusion_pytorch_model.safetensors", tiny / "tiny.safetensors")
    with pytest.raises(InputError, match="is read from a folder"):
        Autoencoder.load(str(tiny / "tiny.safetensors"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("AutoencoderKL", {"in_channels": 4}, "takes 4 channels, not the 3 of RGB"),
        ("AutoencoderKLLTXVideo", {"timestep_conditioning": True}, "wants the time step"),
    ],
)
def test_what_cannot_be_run_on_pictures_alone_is_refused(
    name: str, change: dict[str, Any], message: str, diffusers: Any, tmp_path: Path
) -> None:
    getattr(diffusers, name)(**BUILDS[name], **change).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=message):
        Autoencoder.load(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["AutoencoderKL", "AutoencoderKLTemporalDecoder"])
def test_the_command_writes_all_reports_of_a_comparison(
    name: str, saved: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "clip.mkv"
    noise = np.random.default_rng(0)
    picture = noise.integers(40, 200, (52, 70, 3)).astype(np.uint8)
    encode(video, [picture] * 18, rate=12, codec="ffv1", pixel_format="yuv444p")
    out = tmp_path / "out"
    line = ["roundtrip", str(video), "--vae", str(saved(name)), "-o", str(out), "--sample"]
    line += ["--seed", "3", "--device", "cpu", "--dtype", "bfloat16"]
    assert run(line) == 0
    shown = capsys.readouterr()
    report = json.loads((out / "report.json").read_text())
    assert sorted(path.name for path in out.iterdir()) == [
        "report.csv", "report.json", "report.png",
    ]  # fmt: skip
    assert shown.out.startswith(("Flickers more.", "Incoherent.", "Not measurable."))
    assert [Path(one["path"]).name for one in report["inputs"]] == [
        f"clip.mkv ({name})",
        "clip.mkv",
    ]
    notes = " ".join(report["notes"])
    assert f"through {name}" in notes
    assert "latents drawn with seed 3, bfloat16" in notes
