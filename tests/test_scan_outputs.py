"""What a scan writes for others: VBench's layout, and Parquet."""

from __future__ import annotations

import csv
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet
import pytest
import scanning

from flickerscope.cli import run
from flickerscope.cli.scan_summary import files_text
from flickerscope.errors import InputError, OutputError, SettingsError, TooShortError
from flickerscope.scan.job import Choices
from flickerscope.scan.pairing import pair_folders
from flickerscope.scan.parquet import check_parquet
from flickerscope.scan.pool import run_here
from flickerscope.scan.readings import readings_of
from flickerscope.scan.run import run_scan, write_files
from flickerscope.scan.table import row_of, scan_table
from flickerscope.scan.unpaired.run import find_clips, run_unpaired
from flickerscope.scan.vbench import vbench_texts
from flickerscope.settings import Settings
from flickerscope.video.difference import mean_difference

QUICK = Settings(motion=False, segment=16, paired=False, scales=("block",))


def write_film(path: Path, *, seed: int, frames: int = 17) -> None:
    """Coloured noise on a gradient, H.264."""
    noise = np.random.default_rng(seed)
    ramp = np.linspace(40, 200, 64)[None, :, None] * np.ones((48, 1, 3))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            picture = np.clip(ramp + noise.normal(0, 5, (48, 64, 3)), 0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))


def their_formula(path: Path) -> float:
    """As VBench has it, over all frames at once in single precision."""
    with av.open(str(path)) as file:
        frames = [f.to_ndarray(format="bgr24").astype(np.float32) for f in file.decode(video=0)]
    steps = [np.mean(np.abs(a - b)) for a, b in pairwise(frames)]
    return (255.0 - np.mean(steps).item()) / 255.0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    for k, folder in enumerate(("ref", "new")):
        (root / folder).mkdir()
        for number in range(2):
            write_film(root / folder / f"a cat-{number}.mp4", seed=10 * k + number)
    (root / "new" / "a cat-2.mp4").write_bytes(b"broken")
    write_film(root / "ref" / "a cat-2.mp4", seed=99)
    return root


@pytest.fixture(scope="module")
def out(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("out")
    pairing = pair_folders({"new": folders / "new"}, folders / "ref")
    choices = Choices(settings=QUICK, vbench=True)
    run_scan(pairing, place, choices=choices, engine=run_here, parquet=True)
    return place


def test_the_results_are_in_vbenchs_layout_with_its_numbers(folders: Path, out: Path) -> None:
    results = json.loads((out / "vbench" / "new_eval_results.json").read_text())
    mean, videos = results["temporal_flickering"]
    paths = [folders / "new" / f"a cat-{i}.mp4" for i in range(2)]
    assert [video["video_path"] for video in videos] == [str(path) for path in paths]
    values = [video["video_results"] for video in videos]
    assert values == pytest.approx([their_formula(path) for path in paths], abs=1e-8)
    assert mean == pytest.approx(np.mean(values))
    assert [v["video_path"] for v in results["flickerscope_energy_db"][1]] == [*map(str, paths)]
    info = json.loads((out / "vbench" / "new_full_info.json").read_text())
    assert info[1] == {
        "prompt_en": "a cat",
        "dimension": ["temporal_flickering"],
        "video_list": [str(paths[1])],
    }
    assert len(info) == 2  # the broken one is named in the summary, not here
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["vbench_temporal_flickering"] for row in rows] == [*map(str, values), ""]


def test_parquet_has_the_columns_of_the_csv_with_types(out: Path) -> None:
    table = pyarrow.parquet.read_table(out / "results.parquet")
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert table.column_names == list(rows[0])
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert (types["name"], types["segment"], types["energy_db"]) == ("string", "int64", "double")
    for plain, row in zip(table.to_pylist(), rows, strict=True):
        assert {name: "" if v is None else str(v) for name, v in plain.items()} == row


def test_the_same_scan_gives_the_same_parquet_and_an_unwanted_one_goes(folders, out) -> None:
    pairing = pair_folders({"new": folders / "new"}, folders / "ref")
    choices = Choices(settings=QUICK, vbench=True)
    before = (out / "results.parquet").read_bytes()

    def again(**options: Any) -> None:
        run_scan(pairing, out, choices=choices, engine=run_here, **options)

    again(parquet=True)
    assert (out / "results.parquet").read_bytes() == before
    again()
    assert not (out / "results.parquet").exists()
    again(parquet=True)
    assert (out / "results.parquet").read_bytes() == before


def test_what_cannot_be_removed_is_named(folders: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.png").mkdir()
    pairing = pair_folders({"new": folders / "new"}, folders / "ref")
    with pytest.raises(OutputError, match=r"summary\.png: cannot be removed"):
        run_scan(pairing, tmp_path, choices=Choices(settings=QUICK), engine=run_here)


def test_without_the_extra_a_line_says_how_to_get_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match=r"pip install 'flickerscope\[parquet\]'"):
        check_parquet()


def test_models_whose_names_no_file_can_have_keep_apart() -> None:
    def record(model: str) -> dict[str, Any]:
        head = {"model": model, "name": "x/a dog-3.mp4", "pred": f"{model}/a dog-3.mp4"}
        return head | {"prompt": None, "vbench": {"temporal_flickering": 0.5}} | scanning.content(1)

    files = vbench_texts([record("a/b"), record("a:b"), record("..")], readings_of)
    assert list(files)[1::2] == [
        f"vbench/{name}_eval_results.json" for name in ("a_b", "a_b_2", "model")
    ]  # fmt: skip
    assert json.loads(files["vbench/a_b_full_info.json"])[0]["prompt_en"] == "a dog"


@pytest.mark.parametrize(
    ("name", "prompt", "expected"),
    [
        ("sub/a dog-3.mp4", "sub/a dog", "a dog"),  # of a pairing: below its folder
        ("sub/a dog-3.mp4", "and/or", "and/or"),  # of a list: a text
        ("sub/a dog-3.mp4", None, "a dog"),
    ],
)
def test_vbenchs_prompt_has_no_folder(name, prompt, expected) -> None:
    clip = {"model": "m", "name": name, "pred": name, "prompt": prompt}
    clip |= {"vbench": {"temporal_flickering": 0.5}} | scanning.content(1)
    texts = vbench_texts([clip], readings_of)
    assert json.loads(texts["vbench/m_full_info.json"])[0]["prompt_en"] == expected


def written(place: Path, further: dict[str, str]) -> list[str]:
    """Files below the results' folder after a run that had these."""
    records = place / "results.jsonl"
    records.write_text("")
    summary = {"kind": "scan"}
    write_files(records, summary, scan_table(list), None, further=further)
    return sorted(str(file.relative_to(place)) for file in place.rglob("vbench*/*"))


def test_a_run_without_the_export_removes_what_an_earlier_one_wrote_and_nothing_else(
    tmp_path,
) -> None:
    clip = {"model": "m", "name": "1.mp4", "pred": "1.mp4", "prompt": None}
    clip |= {"vbench": {"temporal_flickering": 0.5}} | scanning.content(1)
    texts = vbench_texts([clip], readings_of)
    assert written(tmp_path, texts) == sorted(texts)
    assert files_text(str(tmp_path)).endswith("summary.json, vbench")
    theirs = {"vbench/official_eval_results.json", "vbench/official_full_info.json"}
    for name in theirs:
        (tmp_path / name).write_text('{"temporal_flickering": [0.5, []]}')
    assert written(tmp_path, {}) == sorted(theirs)
    assert files_text(str(tmp_path)).endswith("summary.json")
    for name in theirs:
        (tmp_path / name).unlink()
    assert written(tmp_path, texts) == sorted(texts)
    written(tmp_path, {})
    assert not (tmp_path / "vbench").exists()


def test_no_cell_of_the_table_is_a_formula(tmp_path) -> None:
    cells = {"model": "+m", "prompt": "=1+1", "seed": "-2", "name": "=1.mp4", "pred": "@p"}
    lost = cells | {"ref": "ref/1.mp4", "status": "failed", "reason": "=p: broken"}
    row = row_of(lost)
    assert row["prompt"] == "'=1+1" and row["name"] == "./=1.mp4" and row["seed"] == "'-2"
    assert not any(str(text).startswith(("=", "+", "-", "@")) for text in row.values())
    assert row_of(lost | {"prompt": None})["prompt"] is None


def test_sets_without_correspondence_have_vbenchs_files_too(folders: Path, tmp_path: Path) -> None:
    """Of the predictions alone, beside their levels: dB re 1 code^2."""
    pred = tmp_path / "pred"
    pred.mkdir()
    (pred / "a cat-0.mp4").symlink_to(folders / "new" / "a cat-0.mp4")
    ref = tmp_path / "ref"
    ref.mkdir()
    (ref / "a cat-1.mp4").symlink_to(folders / "ref" / "a cat-1.mp4")
    choices = Choices(settings=QUICK, vbench=True)
    clips = find_clips({"new": str(pred)}, str(ref))
    run_unpaired(clips, tmp_path / "out", choices=choices, engine=run_here)
    (file,) = (tmp_path / "out" / "vbench").glob("*_eval_results.json")
    results = json.loads(file.read_text())
    (video,) = results["temporal_flickering"][1]
    assert video["video_path"] == str(pred / "a cat-0.mp4")
    assert video["video_results"] == pytest.approx(their_formula(pred / "a cat-0.mp4"), abs=1e-8)
    with (tmp_path / "out" / "results.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["vbench_temporal_flickering"] == "" for row in rows] == [True, False]
    assert results["flickerscope_energy_db"][0] == float(rows[1]["energy_db"])


def test_one_frame_has_no_difference_and_a_broken_file_none(folders, tmp_path) -> None:
    write_film(tmp_path / "one.mp4", seed=1, frames=1)
    with pytest.raises(TooShortError, match="too few frames for a difference: 1"):
        mean_difference(tmp_path / "one.mp4")
    with pytest.raises(InputError, match="a cat-2"):
        mean_difference(folders / "new" / "a cat-2.mp4")


def test_an_unknown_format_is_refused(folders, capsys) -> None:
    line = ["scan", str(folders / "new"), "--ref", str(folders / "ref"), "--export", "csv"]
    assert run(line) == 2
    assert "--export: vbench, got 'csv'" in capsys.readouterr().err
