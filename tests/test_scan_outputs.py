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
from flickerscope.errors import InputError, OutputError, SettingsError, TooShortError
from flickerscope.scan.job import Choices
from flickerscope.scan.pairing import pair_folders
from flickerscope.scan.parquet import check_parquet
from flickerscope.scan.pool import run_here
from flickerscope.scan.run import run_scan
from flickerscope.scan.vbench import vbench_files
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

    files = dict(vbench_files([record("a/b"), record("a:b"), record("..")]))
    assert list(files)[::2] == [
        "a_b_eval_results.json", "a_b_2_eval_results.json", "model_eval_results.json"
    ]  # fmt: skip
    assert json.loads(files["a_b_full_info.json"])[0]["prompt_en"] == "a dog"


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
