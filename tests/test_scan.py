"""A scan of folders: records, statistics, outputs, and what it does when it is interrupted."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import flickerscope
from flickerscope.errors import InputError, OutputError, SettingsError
from flickerscope.scan.job import Choices, check_form
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.lengths import Length, fit_segment, frames_compared
from flickerscope.scan.lock import locked
from flickerscope.scan.pairing import Pairing, pair_folders
from flickerscope.scan.pool import Outcome, run_here
from flickerscope.scan.run import SUMMARY, TABLE, run_scan, with_segment
from flickerscope.scan.sets import Saved, load_set, measure_folder
from flickerscope.scan.summary import schema
from flickerscope.settings import Settings
from flickerscope.video import encode

CLIPS = 6
QUICK = Settings(motion=False, segment=16, paired=False, scales=("block",))


def write_clip(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, frames.astype(np.uint8))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """References, a model like them, and one whose every clip flashes by +-2 code values."""
    root = tmp_path_factory.mktemp("scan")
    noise = np.random.default_rng(0)
    sign = np.where(np.arange(18) % 2, 2, -2)[:, None, None]
    for number in range(CLIPS):
        still = np.broadcast_to(noise.integers(90, 160, (24, 24)), (18, 24, 24))
        write_clip(root / "ref" / f"{number}.npy", still)
        write_clip(root / "same" / f"{number}.npy", still)
        write_clip(root / "flashing" / f"{number}.npy", still + sign)
    return root


def scanned(
    root: Path,
    out: Path,
    models: Sequence[str] = ("flashing", "same"),
    settings: Settings = QUICK,
    engine: Callable[..., Iterator[Outcome]] = run_here,
    **options: Any,
) -> dict[str, Any]:
    pairing = pair_folders({name: root / name for name in models}, root / "ref")
    choices = Choices(settings=settings, fps="24")
    return run_scan(pairing, out, choices=choices, engine=engine, **options)


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / RECORDS).read_text().splitlines()]


@pytest.fixture(scope="module")
def done(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done")
    scanned(folders, out, calibration=True)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (RECORDS, TABLE, SUMMARY)}


def test_a_record_holds_the_numbers_of_a_comparison(folders: Path, done: Path) -> None:
    alone = flickerscope.compare(
        folders / "flashing" / "0.npy", folders / "ref" / "0.npy", fps="24", settings=QUICK
    )
    record = records(done)[0]
    assert (record["model"], record["name"], record["status"]) == ("flashing", "0.npy", "measured")
    assert record["energy"]["value"] == alone.energy_db
    assert record["verdict"]["text"] == alone.verdict == "flickers more"
    assert len(record["results"]) == len(alone.table)


def test_models_are_ranked_by_what_theory_says_of_their_flicker(done: Path) -> None:
    """An alternation of +-2 has power 4: 10 log10((4 + eps)/eps), eps = (255/219)^2/24."""
    summary = json.loads((done / SUMMARY).read_text())
    best, worst = summary["models"]
    assert (best["model"], best["energy"]["median"]) == ("same", 0.0)
    epsilon = (255 / 219) ** 2 / 24
    expected = 10 * np.log10((4 + epsilon) / epsilon)
    assert worst["energy"]["median"] == pytest.approx(expected, abs=0.02)
    assert worst["energy"]["units"] == CLIPS
    assert worst["energy"]["p"] == pytest.approx(0.5**CLIPS)  # all of one sign
    assert worst["verdict"] == "more energy, consistent with motion or sharpness"
    assert best["verdict"] == "no difference found"
    (difference,) = [row for row in summary["differences"] if row["name"] == best["energy"]["name"]]
    assert difference["p"] == difference["p_holm"] == pytest.approx(2 * 0.5**CLIPS)


def test_records_and_summary_are_of_the_published_schema(folders, done, tmp_path) -> None:
    validator = jsonschema.Draft202012Validator(schema())
    validator.check_schema(schema())
    root = shutil.copytree(folders, tmp_path / "clips")
    (root / "same" / "0.npy").write_bytes(b"no array")
    settings = Settings(segment=16, scales=("block",))  # with motion, and paired
    scanned(root, tmp_path / "out", ["same"], settings=settings)
    for out in (done, tmp_path / "out"):
        for plain in (*records(out), json.loads((out / SUMMARY).read_text())):
            validator.validate(plain)


def test_every_table_has_a_row_for_every_pair_in_their_order(done: Path) -> None:
    names = [(r["model"], r["name"]) for r in records(done)]
    assert names == [(m, f"{i}.npy") for m in ("flashing", "same") for i in range(CLIPS)]
    with (done / TABLE).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["name"]) for row in rows] == names
    assert float(rows[0]["energy_db"]) == records(done)[0]["energy"]["value"]


def test_a_scan_that_is_done_measures_nothing_again(folders: Path, done: Path) -> None:
    before = contents(done)
    steps = []

    def refuse(job: Any) -> Any:
        raise AssertionError(job)

    scanned(folders, done, calibration=True, work=refuse, progress=steps.append)
    assert contents(done) == before
    assert [(step.done, step.resumed, step.total) for step in steps] == [(12, 12, 12)]


class PowerFailureError(Exception):
    """As if the power had failed."""


def dying_after(count: int) -> Callable[[Any], None]:
    def take(step: Any) -> None:
        if step.done - step.resumed == count:
            raise PowerFailureError

    return take


def test_an_interrupted_scan_ends_as_one_that_was_not(
    folders: Path, done: Path, tmp_path: Path
) -> None:
    for count in (1, 3, 2):
        with pytest.raises(PowerFailureError):
            scanned(folders, tmp_path, calibration=True, progress=dying_after(count))
    assert len(records(tmp_path)) == 6
    scanned(folders, tmp_path, calibration=True)
    assert contents(tmp_path) == contents(done)


def backwards(function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Outcome]:
    outcomes = list(run_here(function, jobs))
    yield from reversed(outcomes)


def test_the_order_in_which_clips_are_measured_is_not_seen(folders, done, tmp_path) -> None:
    scanned(folders, tmp_path, calibration=True, engine=backwards)
    assert contents(tmp_path) == contents(done)


def test_a_file_that_changed_is_measured_again_and_others_are_not(
    folders: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(folders, tmp_path / "clips")
    scanned(root, tmp_path / "out", ["same"])
    still = np.load(root / "ref" / "1.npy")
    write_clip(root / "same" / "1.npy", still[:17])
    measured = []
    scanned(root, tmp_path / "out", ["same"], progress=measured.append)
    assert measured[0].resumed == CLIPS - 1
    assert [step.record["name"] for step in measured[1:]] == ["1.npy"]


def test_results_of_another_scan_are_not_replaced_unasked(folders: Path, tmp_path: Path) -> None:
    scanned(folders, tmp_path, ["same"])
    before = contents(tmp_path)
    with pytest.raises(SettingsError, match="other clips or settings"):
        scanned(folders, tmp_path, ["same"], settings=QUICK.with_changes(window="boxcar"))
    assert contents(tmp_path) == before
    scanned(
        folders, tmp_path, ["same"], settings=QUICK.with_changes(window="boxcar"), overwrite=True
    )
    assert contents(tmp_path) != before


def test_records_of_clips_that_are_left_out_are_not_dropped_unasked(folders, tmp_path) -> None:
    root = shutil.copytree(folders, tmp_path / "clips")
    (root / "flashing" / "1.npy").write_bytes(b"no array")
    out = tmp_path / "out"
    scanned(root, out)
    before = contents(out)
    why = r"records of 6 clips that this run leaves out, .*0\.n"
    for retry in (False, True):  # nor is a clip tried again that is left out
        with pytest.raises(SettingsError, match=why):
            scanned(root, out, ["same"], retry_failed=retry)
        assert contents(out) == before
    shutil.rmtree(root / "flashing")  # what is gone may go
    scanned(root, out, ["same"])
    assert len(records(out)) == CLIPS


def test_clips_that_failed_are_tried_again_where_that_is_wanted(folders, tmp_path) -> None:
    root = shutil.copytree(folders, tmp_path / "clips")
    (root / "same" / "0.npy").write_bytes(b"no array")
    out, steps = tmp_path / "out", []
    scanned(root, out, ["same"])
    before = contents(out)
    for options in ({}, {"retry_failed": True}):
        scanned(root, out, ["same"], progress=steps.append, **options)
        assert contents(out) == before
    assert [step.resumed for step in steps] == [CLIPS, CLIPS - 1, CLIPS - 1]


def test_what_a_run_left_that_was_killed_while_it_wrote_is_removed(folders, tmp_path) -> None:
    (tmp_path / "vbench").mkdir()
    left = [tmp_path / ".flickerscope-a.png", tmp_path / "vbench" / ".flickerscope-b.json"]
    theirs = tmp_path / "vbench" / "notes.txt"
    for file in (*left, theirs):
        file.touch()
    scanned(folders, tmp_path, ["same"])
    assert theirs.exists() and not any(file.exists() for file in left)


def test_a_clip_that_is_asked_for_twice_is_named(folders: Path, tmp_path: Path) -> None:
    pairing = pair_folders({"same": folders / "same"}, folders / "ref")
    twice = Pairing((*pairing.pairs, pairing.pairs[0]), ())
    with pytest.raises(InputError, match=r"0\.npy: is asked for twice of same"):
        run_scan(twice, tmp_path, choices=Choices(settings=QUICK, fps="24"), engine=run_here)
    assert not list(tmp_path.iterdir())


def test_two_scans_cannot_write_into_one_folder(folders: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "scan.log"), pytest.raises(OutputError, match="another run"):
        scanned(folders, tmp_path)
    scanned(folders, tmp_path, ["same"])


def test_a_file_system_without_locks_is_no_other_run(tmp_path: Path, monkeypatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OutputError, match=r"no file can be locked there \(No locks available\)"):
        locked(tmp_path / "scan.log").__enter__()


def test_broken_clips_are_named_and_change_no_statistic(folders: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folders, tmp_path / "clips")
    whole = scanned(root, tmp_path / "whole", ["flashing"])
    for number, data in ((90, b"no array"), (91, b"")):
        (root / "flashing" / f"{number}.npy").write_bytes(data)
        shutil.copy(root / "ref" / "0.npy", root / "ref" / f"{number}.npy")
    write_clip(root / "flashing" / "92.npy", np.zeros((4, 24, 24)))
    shutil.copy(root / "ref" / "0.npy", root / "ref" / "92.npy")
    broken = scanned(root, tmp_path / "broken", ["flashing"])
    assert broken["clips"]["text"] == "6 of 9 measured, 1 not measurable, 2 failed"
    assert [(clip["name"], clip["status"]) for clip in broken["not_measured"]] == [
        ("90.npy", "failed"),
        ("91.npy", "failed"),
        ("92.npy", "not measurable"),
    ]
    assert "92.npy: too short: no shot of 16 frames" in broken["not_measured"][2]["reason"]
    strip = ("clips", "secondary")
    ours, theirs = broken["models"][0], whole["models"][0]
    for name in ("flicker", "energy"):
        assert {k: v for k, v in ours[name].items() if k not in strip} == {
            k: v for k, v in theirs[name].items() if k not in strip
        }
    assert ours["verdict"] == theirs["verdict"]


def crashing(function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Outcome]:
    """A process dies with every job that has clip 2 of the flashing model."""
    for index, job in enumerate(jobs):
        if any(pred.endswith("flashing/2.npy") for pred in job.preds):
            yield Outcome(index=index, status="failed", reason="its process ended", crashed=True)
        else:
            yield Outcome(index=index, status="ok", value=function(job))


def test_a_crash_takes_one_clip_and_is_tried_again_by_the_next_run(
    folders: Path, done: Path, tmp_path: Path
) -> None:
    summary = scanned(folders, tmp_path, engine=crashing, calibration=True)
    assert summary["clips"]["text"] == "11 of 12 measured, 1 failed"
    (lost,) = summary["not_measured"]
    assert lost["name"] == "2.npy" and lost["reason"].endswith("2.npy: its process ended")
    steps = []
    scanned(folders, tmp_path, calibration=True, progress=steps.append)
    assert [step.resumed for step in steps] == [11, 11]
    assert contents(tmp_path) == contents(done)


def test_a_reference_is_measured_once_for_all_models(folders, tmp_path, monkeypatch) -> None:
    from flickerscope.comparison import match

    opened: list[str] = []
    measure = match.measure_video

    def counting(source, *args, **kwargs):
        opened.append(Path(source.info.path).parent.name)
        return measure(source, *args, **kwargs)

    monkeypatch.setattr(match, "measure_video", counting)
    scanned(folders, tmp_path, settings=QUICK.with_changes(paired=None))
    assert opened.count("ref") == CLIPS
    assert len(opened) == 3 * CLIPS


@pytest.mark.parametrize(
    ("lengths", "segment"),
    [
        ([81] * 20, 32),
        ([81] * 19 + [20], 32),  # 95 %
        ([81] * 18 + [20] * 2, 16),
        ([14] * 3, 14),
        ([9, 13], 8),
        ([40] * 9 + [5], 32),  # too short for any spectrum, and few
        ([5] * 3 + [40], 3),
        ([None, None], 32),
        ([None, 16], 16),
    ],
)
def test_segments_are_as_long_as_95_percent_of_the_clips_allow(lengths, segment) -> None:
    assert fit_segment(lengths) == segment


def test_a_faster_clip_counts_the_frames_that_it_has_at_the_rate_of_the_other() -> None:
    fast, slow = Length(60, 30.0), Length(49, 8.0)
    assert frames_compared(fast, slow, Settings()) == 16
    assert frames_compared(fast, slow, Settings(axis="frame")) == 49
    assert frames_compared(fast, slow, Settings(axis="frame", frames="4:40:2")) == 18
    assert frames_compared(fast, None, Settings()) is None


def test_the_segment_length_is_found_from_the_files(folders: Path, tmp_path: Path) -> None:
    summary = scanned(folders, tmp_path, ["same"], settings=QUICK.with_changes(segment=None))
    assert summary["segment"] == 16  # of 18 frames


def test_what_does_not_pair_is_counted_for_each_model_and_none_vanishes(folders, tmp_path) -> None:
    root = shutil.copytree(folders, tmp_path / "clips")
    (root / "same" / "1.npy").unlink()
    shutil.copy(root / "same" / "2.npy", root / "same" / "x.npy")
    write_clip(root / "other" / "y.npy", np.zeros((18, 24, 24)))
    summary = scanned(root, tmp_path / "out", ("flashing", "same", "other"))
    left = {m["model"]: (m["missing"], m["unmatched"]) for m in summary["models"]}
    assert left == {"same": (1, 1), "flashing": (0, 0), "other": (CLIPS, 1)}
    assert summary["unpaired"][:2] == [
        f"{root / 'same' / 'x.npy'}: no reference",
        f"{root / 'ref' / '1.npy'}: no prediction by same",
    ]
    assert summary["clips"]["text"] == "11 of 11 measured"
    assert [m["clips"]["text"] for m in summary["models"]][2] == "0 of 0 measured"


def test_an_option_that_goes_with_none_of_the_files_is_refused(tmp_path: Path) -> None:
    for folder in ("ref", "same"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").touch()
    with pytest.raises(SettingsError, match="fps is for arrays and pictures"):
        scanned(tmp_path, tmp_path / "out", ["same"])
    check_form(Choices(stream=1, max_pixels=99), ["a.mp4", "a.npy"])
    with pytest.raises(SettingsError, match="max_pixels are for videos, and there are none"):
        check_form(Choices(max_pixels=99), ["a.npy"])
    with pytest.raises(SettingsError, match="stream is for videos, and there are none"):
        check_form(Choices(stream=1), [str(tmp_path / "ref"), "a.npy"])
    measured = {"a.mp4": Saved(name="a.mp4", text="", frames=16, rate=None, segments=(16,))}
    with pytest.raises(SettingsError, match="stream and max_pixels are for videos"):
        with_segment([("a.npy", "a.mp4")], Choices(stream=1), run_here, measured)


def test_folders_of_pictures_are_videos(folders: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "clips" / "ref" / "v1.5"
    pictures.mkdir(parents=True)
    frames = np.load(folders / "ref" / "0.npy")
    for number, frame in enumerate(frames):
        encode(pictures / f"{number}.png", [frame], rate=1, codec="png", pixel_format="gray")
    shutil.copytree(tmp_path / "clips" / "ref", tmp_path / "clips" / "same")
    summary = scanned(tmp_path / "clips", tmp_path / "out", ["same"])
    assert summary["clips"]["text"] == "1 of 1 measured"
    assert summary["models"][0]["energy"]["median"] == 0.0


@pytest.fixture(scope="module")
def measured(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sets") / "set.json"
    counts, lost = measure_folder(
        folders / "ref", out, choices=Choices(settings=QUICK, fps="24"), engine=run_here
    )
    assert (str(counts), lost) == ("6 of 6 measured", [])
    assert [file.name for file in out.parent.iterdir()] == ["set.json"]
    return out


def against_set(root: Path, path: Path, out: Path, settings: Settings) -> dict[str, Any]:
    refs = load_set(path)
    refs.check(settings)
    names = [clip.name for clip in refs.clips]
    pairing = pair_folders({"flashing": root / "flashing"}, path, names=names)
    return run_scan(
        pairing, out, choices=Choices(settings=settings, fps="24"), engine=run_here,
        saved=refs.by_path(),
    )  # fmt: skip


def test_a_set_of_references_reads_as_the_references_do(folders, done, measured, tmp_path) -> None:
    settings = load_set(measured).settings
    assert settings == QUICK.of_one_video
    summary = against_set(folders, measured, tmp_path, settings)
    assert summary["segment"] == 16
    ours, theirs = records(tmp_path), records(done)[:CLIPS]
    assert [r["energy"] for r in ours] == [r["energy"] for r in theirs]
    assert ours[0]["ref"] == f"{measured}/0.npy"


def test_a_set_is_small_and_the_same_whenever_it_is_made(folders, measured, tmp_path) -> None:
    again, packed = tmp_path / "set.json", tmp_path / "set.json.gz"
    for out in (again, packed):
        measure_folder(
            folders / "ref", out, choices=Choices(settings=QUICK, fps="24"), engine=run_here
        )
    assert again.read_bytes() == measured.read_bytes()
    assert packed.stat().st_size < again.stat().st_size < CLIPS * 20_000
    assert [c.text for c in load_set(packed).clips] == [c.text for c in load_set(measured).clips]


def test_a_set_of_other_settings_or_segments_is_refused(measured: Path) -> None:
    refs = load_set(measured)
    with pytest.raises(SettingsError, match="under other settings: window 'hann'"):
        refs.check(refs.settings.with_changes(window="boxcar"))
    with pytest.raises(SettingsError, match="allowed are 16, 14, 8"):
        refs.check(refs.settings.with_changes(segment=20))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "flickerscope set", "format": 2}'])
def test_a_file_that_is_no_set_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: is no set of measurements"):
        load_set(tmp_path / "x.json")


def test_videos_that_cannot_be_measured_are_left_out_of_a_set_by_name(folders, tmp_path) -> None:
    root = shutil.copytree(folders / "ref", tmp_path / "ref")
    (root / "7.npy").write_bytes(b"no array")
    write_clip(root / "8.npy", np.zeros((2, 24, 24)))
    choices = Choices(settings=QUICK, fps="24")
    counts, lost = measure_folder(root, tmp_path / "s.json", choices=choices, engine=run_here)
    assert str(counts) == "6 of 8 measured, 1 not measurable, 1 failed"
    assert [record["name"] for record in lost] == ["7.npy", "8.npy"]
    shutil.copy(root / "0.npy", root / "7.npy")
    steps: list[Any] = []
    counts, _ = measure_folder(
        root, tmp_path / "s.json", choices=choices, engine=run_here, progress=steps.append
    )
    assert steps[0].resumed == 7
    assert len(load_set(tmp_path / "s.json").clips) == counts.measured == 7
