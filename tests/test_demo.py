"""The demo: what is put in is read back, and everything it names is there."""

from __future__ import annotations

import json
import re
import types

import av
import numpy as np
import pytest

from flickerscope import cli
from flickerscope.cli import demo as cli_demo
from flickerscope.demo import run as demo
from flickerscope.demo.scene import DEMO_FLICKER

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One run of the command: folder, output, and the result it showed."""
    folder = tmp_path_factory.mktemp("demo") / "a new folder"
    results, frames = [], []
    real = demo.run_demo

    def kept(*arguments, **options):
        def progress(*call):
            frames.append(call)

        results.append(real(*arguments, **options | {"progress": progress}))
        return results[-1]

    with pytest.MonkeyPatch.context() as patch, pytest.MonkeyPatch.context() as out:
        text: list[str] = []
        patch.setattr(demo, "run_demo", kept)
        out.setattr(cli_demo, "show", lambda summary: text.append(rendered(summary)))
        code = cli.run(["demo", "--out", str(folder), "--no-progress"])
    (result,) = results
    return types.SimpleNamespace(
        code=code, folder=folder, result=result, text="".join(text), frames=frames
    )


def rendered(summary):
    """As on a terminal of 80 columns."""
    from rich.console import Console

    console = Console(width=80, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(summary)
    return capture.get()


def test_the_amplitude_is_read_back_within_5_percent(shown):
    assert shown.code == 0
    assert shown.result.flicker is DEMO_FLICKER
    assert shown.result.read_amplitude == pytest.approx(DEMO_FLICKER.amplitude, rel=0.05)


def test_the_frequency_is_read_back_within_a_tenth_of_a_hertz(shown):
    assert shown.result.read_hz == pytest.approx(DEMO_FLICKER.frequency_hz, abs=0.1)


def test_what_was_put_in_stands_beside_what_was_read_back(shown):
    pattern = r"^(amplitude, code values|frequency, Hz) +([\d.]+) +([\d.]+) *$"
    rows = {
        name: (float(put), float(read))
        for name, put, read in re.findall(pattern, shown.text, re.MULTILINE)
    }
    assert re.search(r"put in +read back", shown.text)
    assert set(rows) == {"amplitude, code values", "frequency, Hz"}
    put, read = rows["amplitude, code values"]
    assert (put, read) == (3.0, pytest.approx(3.0, rel=0.05))
    put, read = rows["frequency, Hz"]
    assert (put, read) == (9.0, pytest.approx(9.0, abs=0.1))


def test_the_box_of_the_reading_and_the_codec_are_named(shown):
    assert f"read in {shown.result.box}, after x264 at crf 10" in shown.text
    for name in ("pred.mp4", "ref.mp4", "report.png"):
        assert name in shown.text
    assert max(len(line) for line in shown.text.splitlines()) <= 80


def test_the_files_are_there_and_nothing_else(shown):
    names = {"pred.mp4", "ref.mp4", "report.json", "report.png", "report.csv"}
    assert {path.name for path in shown.folder.iterdir()} == names
    assert (shown.folder / "report.png").read_bytes().startswith(PNG)
    assert (shown.folder / "report.csv").read_text().startswith("pred,ref,plane,")


def test_the_report_is_that_of_the_whole_picture(shown):
    report = json.loads((shown.folder / "report.json").read_text())
    assert report["settings"]["crop"] is None
    assert report["headline"]["value"] == shown.result.comparison.flicker_db
    assert report["energy"]["value"] == shown.result.comparison.energy_db
    assert report["energy"]["value"] > 3
    assert [entry["path"] for entry in report["inputs"]] == [
        str(shown.folder / "pred.mp4"),
        str(shown.folder / "ref.mp4"),
    ]


@pytest.fixture(scope="module")
def luma(shown):
    """Luma of both videos in full-range code values, by PyAV alone."""
    clips = {}
    for name in ("pred", "ref"):
        with av.open(str(shown.folder / f"{name}.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.average_rate) == ("h264", 24)
            frames = [
                f.to_ndarray()[: f.height].astype(np.float64) for f in container.decode(stream)
            ]
        clips[name] = (np.stack(frames) - 16) * 255 / 219
    return clips


def test_both_videos_decode_to_all_their_frames(luma):
    for clip in luma.values():
        assert clip.shape == (demo.FRAMES, demo.HEIGHT, demo.WIDTH)


def test_the_core_box_is_where_the_flicker_is_whole(shown, luma):
    """A sine of 3 code values at 9 Hz in every pixel of the box, by a plain Fourier sum."""
    match = re.fullmatch(r"(\d+)x(\d+)\+(\d+)\+(\d+)", shown.result.box)
    width, height, left, top = map(int, match.groups())
    assert shown.result.box == DEMO_FLICKER.core_box(demo.HEIGHT, demo.WIDTH)
    assert all(number % 2 == 0 for number in (width, height, left, top))
    assert width > 50
    assert height > 50
    assert left + width <= demo.WIDTH
    assert top + height <= demo.HEIGHT
    mask = DEMO_FLICKER.mask(demo.HEIGHT, demo.WIDTH)
    inside = np.s_[top : top + height, left : left + width]
    assert (mask[inside] == 1).all()
    assert mask.min() == 0

    t = np.arange(demo.FRAMES) / 24
    wave = np.exp(-2j * np.pi * 9 * t) * 2 / demo.FRAMES
    added = (luma["pred"] - luma["ref"])[:, inside[0], inside[1]]
    # One value for every 16x16 pixels: the codec's own noise averages away.
    rows, columns = height // 16, width // 16
    blocks = added[:, : rows * 16, : columns * 16].reshape(-1, rows, 16, columns, 16).mean((2, 4))
    amplitude = abs(np.tensordot(wave, blocks, axes=1))
    assert np.median(amplitude) == pytest.approx(3, rel=0.05)
    assert amplitude.min() > 2
    outside = (luma["pred"] - luma["ref"])[:, mask == 0].mean(axis=1)
    assert abs(wave @ outside) < 0.05


def test_progress_tells_every_frame_of_the_rendering_and_the_comparison(shown):
    names = [name for name, _, _ in shown.frames]
    assert list(dict.fromkeys(names))[:2] == ["rendering ref.mp4", "rendering pred.mp4"]
    for name in dict.fromkeys(names):
        counts = [count for other, count, _ in shown.frames if other == name]
        assert counts == list(range(1, demo.FRAMES + 1))
    assert {total for _, _, total in shown.frames} == {demo.FRAMES}


def test_a_folder_that_cannot_be_made_fails_before_anything_is_rendered(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: pytest.fail("rendered"))
    (tmp_path / "file").write_text("x")
    assert cli.run(["demo", "-o", str(tmp_path / "file")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"flickerscope: {tmp_path / 'file'}: cannot make this folder: File exists\n"


def test_a_report_that_cannot_be_written_fails_before_anything_is_rendered(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(demo, "run_demo", lambda *_, **__: pytest.fail("rendered"))
    (tmp_path / "report.json").mkdir()
    assert cli.run(["demo", "-o", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "report.json: is a folder" in err
