"""Two sets of clips without correspondence: the statistics, the run, and what it is worth."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import scanning
from scipy.stats import mannwhitneyu

from flickerscope.cli import run
from flickerscope.errors import InputError, SettingsError
from flickerscope.report.overview.page import overview_figure
from flickerscope.report.strict import to_json
from flickerscope.report.style import paper
from flickerscope.scan.drawing import overview_of_sets
from flickerscope.scan.gate import find_shifts_above
from flickerscope.scan.job import Choices
from flickerscope.scan.local import local_engine
from flickerscope.scan.pool import run_here
from flickerscope.scan.sets import load_set, measure_folder
from flickerscope.scan.summary import schema
from flickerscope.scan.unpaired.run import LoneClip, find_clips, run_unpaired
from flickerscope.scan.unpaired.summary import gather_sets, summarize_sets
from flickerscope.settings import Settings
from flickerscope.stats import hodges_lehmann, summarize_shift

SETTINGS = Settings(segment=16)
QUICK = Settings(motion=False, segment=16, scales=("block",))
EPSILON = (255 / 219) ** 2 / 24
"""Power of 8-bit rounding in the upper half of the frequencies, code^2."""


def record(level: float, number: int, *, role: str = "pred", prompt: str | None = None) -> Any:
    """A clip whose flicker and energy are both at this level, dB re 1 code^2."""
    motion = {"flicker": 10 ** (level / 10) - 0.1, "redrawn": False, "coverage": 1.0, "area": 0.0}
    motion |= dict.fromkeys(("slow", "moving", "cb", "cr")) | {"speed": 0.0}
    main = {"plane": "y", "scale": "block", "band": "HF"}
    return {
        "key": f"{role}{number}", "role": role, "model": "m" if role == "pred" else "references",
        "name": f"{number}.mp4", "path": f"{role}/{number}.mp4", "prompt": prompt,
        "status": "measured", "reason": None, "segment": 16, "citation": "made up",
        "deviation": None, "headline": {"value": 1.0}, "motion": {"video": motion},
        "energy": main | {"power": 10 ** (level / 10) - 0.05}, "epsilons": {"HF": 0.05},
        "results": [], "input": {"measured_rate": 24.0, "frames_measured": 16}, "warnings": [],
        "spectrum": None, "histogram": {"40": 10}, "thumbnail": None, "motion_map": None,
    }  # fmt: skip


def sets(ours: Any, theirs: Any) -> list[Any]:
    found = [record(float(v), i, role="ref") for i, v in enumerate(theirs)]
    return found + [record(float(v), i) for i, v in enumerate(ours)]


def test_the_shift_and_its_p_are_those_of_scipy_and_of_all_differences() -> None:
    noise = np.random.default_rng(1)
    ours, theirs = noise.normal(12, 2, 14), noise.normal(10, 3, 19)
    summary = summarize_sets(gather_sets(sets(ours, theirs)), SETTINGS)
    row = summary["models"][0]["flicker"]
    expected = mannwhitneyu(ours, theirs, alternative="greater", method="exact")
    assert row["p"] == pytest.approx(expected.pvalue)
    assert row["above"] == pytest.approx(expected.statistic / (14 * 19))
    assert row["shift"] == pytest.approx(np.median(np.subtract.outer(ours, theirs)))
    assert row["low"] < row["shift"] < row["high"]
    assert row["lower_bound"] == pytest.approx(hodges_lehmann(ours, theirs, alpha=0.1).low)
    assert (row["units"], row["reference_units"]) == (14, 19)
    assert summary["reference"]["flicker"]["median_level"] == pytest.approx(np.median(theirs))


def test_seeds_of_a_prompt_are_one_unit_and_everything_has_its_denominator() -> None:
    clips = [record(10.0, i, role="ref") for i in range(6)]
    clips += [record(10.0 + i, i, prompt="a" if i < 3 else None) for i in range(6)]
    failed = {"status": "failed", "reason": "x: broken"}
    clips.append(record(0.0, 9) | failed)
    found = gather_sets(clips)
    summary = summarize_sets(found, SETTINGS)
    row = summary["models"][0]
    assert row["flicker"]["units"] == 4
    assert row["flicker"]["median_level"] == pytest.approx(np.median([11, 13, 14, 15]))
    assert row["clips"]["text"] == "6 of 7 measured, 1 failed"
    assert summary["clips"]["text"] == "12 of 13 measured, 1 failed"
    assert [clip["name"] for clip in summary["not_measured"]] == ["9.mp4"]
    assert summary["worst"][0]["name"] == "5.mp4"


def test_a_limit_holds_the_shift() -> None:
    summary = summarize_sets(gather_sets(sets(np.arange(14, 20), np.arange(10, 16))), SETTINGS)

    def breaches(limit: float, gate: str = "verdict") -> int:
        return len(
            list(find_shifts_above(summary, limit=limit, gate=gate, allow_unmeasured=False))
        )  # fmt: skip

    assert (breaches(3.9), breaches(4.1), breaches(3.9, "energy")) == (1, 0, 1)


def test_under_the_null_few_sets_are_called_higher() -> None:
    """Heavy tails, unequal sizes, no difference: at most 8 % of 200, as of a paired batch."""
    noise = np.random.default_rng(2)
    alarms = sum(
        batch.higher or batch.materially_higher
        for batch in (
            summarize_shift(3 * noise.standard_t(2, 20), 3 * noise.standard_t(2, 30))
            for _ in range(200)
        )
    )
    assert alarms <= 16


def test_sets_that_differ_by_3_db_are_found_as_often_as_theory_says() -> None:
    """Of 30 a side with SD 3: z = sqrt(3/pi) 3/(3 sqrt(2/30)) - 1.645 = 2.14, power .984."""
    noise = np.random.default_rng(3)
    found = sum(
        summarize_shift(noise.normal(3, 3, 30), noise.normal(0, 3, 30)).higher for _ in range(100)
    )
    assert found >= 93


def test_too_few_clips_decide_nothing() -> None:
    batch = summarize_shift([9.0, 9.1, 9.2, 9.3], [0.0, 0.1, 0.2, 0.3, 0.4])
    assert not batch.higher and not batch.materially_higher


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References that are still, and clips of other names that flash by 2 code values."""
    root = tmp_path_factory.mktemp("sets")
    noise = np.random.default_rng(0)
    sign = np.where(np.arange(16) % 2, 2, -2)[:, None, None]
    for folder in ("real", "made"):
        (root / folder).mkdir()
    for number in range(6):
        still = np.repeat(noise.integers(90, 160, (1, 24, 24)), 16, axis=0)
        np.save(root / "real" / f"r{number}.npy", still.astype(np.uint8))
        np.save(root / "made" / f"m{number}.npy", (still + sign).astype(np.uint8))
    return root


def scanned(root: Path, out: Path, ref: Path | None = None, **options: Any) -> dict[str, Any]:
    saved = None if ref is None else load_set(ref)
    clips = find_clips(
        {"made": str(root / "made")},
        str(ref or root / "real"),
        saved=None if saved is None else saved.clips,
    )
    return run_unpaired(
        clips, out, choices=Choices(settings=QUICK, fps="24"), engine=run_here,
        saved=None if saved is None else saved.by_path(), **options,
    )  # fmt: skip


def test_flashing_clips_lie_above_stills_by_what_theory_says(folders, tmp_path) -> None:
    """Power 4 against none: 10 log10((4 + eps)/eps)."""
    summary = scanned(folders, tmp_path)
    row = summary["models"][0]
    assert row["energy"]["shift"] == pytest.approx(10 * np.log10((4 + EPSILON) / EPSILON), abs=0.02)
    assert row["verdict"] == "more energy, consistent with motion or sharpness"
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["role"], r["name"]) for r in rows][5:7] == [("ref", "r5.npy"), ("pred", "m0.npy")]
    levels = [float(r["energy_db"]) for r in rows]
    expected = mannwhitneyu(levels[6:], levels[:6], alternative="greater", method="asymptotic")
    assert row["energy"]["p"] == pytest.approx(expected.pvalue)  # the stills are tied
    assert float(rows[6]["energy_db"]) == pytest.approx(10 * np.log10(4 + EPSILON), abs=0.02)
    assert json.loads((tmp_path / "summary.json").read_text()) == summary


def test_a_clip_shorter_than_the_segments_is_named(folders, tmp_path) -> None:
    (tmp_path / "made").mkdir()
    for file in (folders / "made").iterdir():
        np.save(tmp_path / "made" / file.name, np.load(file)[: 9 if file.stem == "m2" else 16])
    clips = find_clips({"made": str(tmp_path / "made")}, str(folders / "real"))
    summary = run_unpaired(
        clips, tmp_path / "out", choices=Choices(settings=QUICK, fps="24"), engine=run_here
    )
    (short,) = summary["not_measured"]
    assert (short["name"], short["status"]) == ("m2.npy", "not measurable")
    assert "no shot of 16 frames" in short["reason"]
    assert summary["models"][0]["energy"]["units"] == 5


def test_a_saved_set_stands_for_its_folder(folders, tmp_path) -> None:
    ref = tmp_path / "set.json"
    measure_folder(
        folders / "real", ref, choices=Choices(settings=QUICK, fps="24"), engine=run_here
    )
    ours, theirs = scanned(folders, tmp_path / "a", ref), scanned(folders, tmp_path / "b")
    assert ours["models"] == theirs["models"]
    assert ours["pooled"] == theirs["pooled"]


def test_an_interrupted_run_ends_as_one_that_was_not(folders, tmp_path) -> None:
    def stop(step: Any) -> None:
        if step.done == 4 and not step.resumed:
            raise KeyboardInterrupt

    scanned(folders, tmp_path / "whole", figure=True)
    with pytest.raises(KeyboardInterrupt):
        scanned(folders, tmp_path / "cut", progress=stop)
    steps = []
    scanned(folders, tmp_path / "cut", progress=steps.append, figure=True)
    assert steps[0].resumed == 4
    for name in ("results.jsonl", "results.csv", "summary.json", "summary.png"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_records_and_summary_are_of_the_published_schema(folders, tmp_path) -> None:
    """Also of clips that are incoherent or broken, and every part of them is in it."""
    for side, name in (("made", "m0.npy"), ("real", "r0.npy")):
        (tmp_path / side).mkdir()
        shutil.copy(folders / side / name, tmp_path / side / name)
    (tmp_path / "made" / "m9.npy").write_bytes(b"no array")
    clips = find_clips({"made": str(tmp_path / "made")}, str(tmp_path / "real"))
    choices = Choices(settings=Settings(segment=16, scales=("block",)), fps="24")
    run_unpaired(clips, tmp_path / "out", choices=choices, engine=run_here)
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [one["status"] for one in records] == ["measured", "measured", "failed"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    torn = [*sets([10.0] * 5, [10.0] * 6), *(incoherent(i) for i in range(5, 12))]
    published = schema()
    validator = jsonschema.Draft202012Validator(published)
    for plain in (
        *records,
        summary,
        json.loads(to_json(summarize_sets(gather_sets(torn), SETTINGS))),
    ):
        validator.validate(plain)
    parts = published["$defs"]
    assert summary.keys() == parts["unpaired_summary"]["properties"].keys()
    head = parts["unpaired_record"]["allOf"][0]["properties"].keys()
    assert records[0].keys() <= head | parts["unpaired_measured"]["properties"].keys()


def incoherent(number: int, *, role: str = "pred") -> Any:
    """A clip whose picture is drawn anew in each frame, and without a reading."""
    clip = record(10.0, number, role=role)
    clip["motion"]["video"]["redrawn"] = True
    return clip | {"headline": {"value": None}}


def test_the_figure_shows_shifts_and_the_levels_of_both_sets() -> None:
    found = gather_sets(sets(np.arange(14, 20), np.arange(10, 16)))
    summary = summarize_sets(found, SETTINGS)
    texts = [t.get_text() for t in overview_figure(overview_of_sets(found, summary)).texts]
    assert "Shift against the references" in texts
    assert any(text.startswith("+4.0 (") for text in texts)
    assert "references" in texts and texts.count("6, 6") == 2


def test_the_units_of_both_sets_have_room_beside_the_shift() -> None:
    found = gather_sets(sets(np.arange(14, 20), np.arange(10, 16)))
    summary = summarize_sets(found, SETTINGS)
    for name in ("flicker", "energy"):
        summary["models"][0][name] |= {"units": 1000, "reference_units": 1000}
    figure = overview_figure(overview_of_sets(found, summary))
    with paper():
        row = ("+4.0 (", "1000, 1000", "flickers more")
        texts = [text for text in figure.texts if text.get_text().startswith(row)]
        boxes = sorted((text.get_window_extent() for text in texts), key=lambda box: box.x0)
    assert len(boxes) == 5
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))


def test_the_command_shows_shifts_and_refuses_what_is_about_pairs(folders, tmp_path, capsys):
    line = ["scan", str(folders / "made"), "--ref", str(folders / "real"), "--unpaired"]
    line += ["-o", str(tmp_path), "--fps", "24", "--scales", "block", "--no-motion", "--no-png"]
    assert run([*line, "--workers", "1", "--fail-above", "3", "--gate", "energy"]) == 3
    shown, said = capsys.readouterr()
    assert "12 of 12 measured; segments of 16 frames" in shown
    assert "+18.6" in shown and "0.00063" in shown
    assert "shift of 6 of 6 clips: high-frequency energy +18.6 dB" in said
    assert max(map(len, shown.splitlines())) <= 80
    for option in (["--dry-run"], ["--calibrate"], ["--allow-missing"]):
        assert run([*line, *option]) == 2
        assert option[0] in capsys.readouterr().err


def test_a_model_of_the_references_name_is_refused(tmp_path) -> None:
    with pytest.raises(SettingsError, match="give the model another one by --pred NAME="):
        find_clips({"references": str(tmp_path / "a")}, str(tmp_path))


def test_a_clip_that_takes_too_long_is_given_up(tmp_path) -> None:
    clip = LoneClip(role="ref", model="references", name="1.mp4", path="1.mp4", prompt=None)
    with local_engine(device="cpu", workers=1, timeout=0.1) as means:
        summary = run_unpaired(
            [clip], tmp_path, choices=Choices(settings=QUICK), engine=means.engine,
            work=scanning.hang,
        )  # fmt: skip
    assert [lost["reason"] for lost in summary["not_measured"]] == ["1.mp4: took longer than 0.1 s"]


def test_a_folder_without_videos_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="holds no videos"):
        find_clips({"m": str(tmp_path)}, str(tmp_path))
