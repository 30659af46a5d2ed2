"""``flickerscope scan`` and ``measure`` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flickerscope.cli import run
from flickerscope.cli.watch import watching
from flickerscope.errors import SettingsError
from flickerscope.scan.job import Choices, checked
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.pool import run_here

QUICK = (
    *("--fps", "24", "--segment", "16", "--scales", "block", "--no-texture", "--device", "cpu"),
    "--no-png",
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills, a model that flashes by +-4 code values, and one with a broken clip."""
    root = tmp_path_factory.mktemp("clips")
    noise = np.random.default_rng(0)
    sign = np.where(np.arange(16) % 2, 4, -4)[:, None, None]
    for folder in ("ref", "flashing", "same"):
        (root / folder).mkdir()
    for number in range(3):
        still = np.repeat(noise.integers(90, 160, (1, 32, 32)), 16, axis=0)
        np.save(root / "ref" / f"{number}.npy", still.astype(np.uint8))
        np.save(root / "same" / f"{number}.npy", still.astype(np.uint8))
        np.save(root / "flashing" / f"{number}.npy", (still + sign).astype(np.uint8))
    (root / "same" / "2.npy").write_bytes(b"broken")
    return root


@pytest.fixture(scope="module")
def out(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of both models, measured by one worker process."""
    folder = tmp_path_factory.mktemp("out")
    assert run(command(clips, folder, "--workers", "1", "--quiet")) == 1  # a clip failed
    return folder


def command(clips: Path, out: Path, *options: str) -> list[str]:
    models = [f"--pred={name}={clips / name}" for name in ("flashing", "same")]
    ref = ["--ref", str(clips / "ref")]
    return ["scan", *models, *ref, "-o", str(out), *QUICK, *options]


Captured = Callable[[], tuple[str, str]]


@pytest.fixture
def captured(capsys: pytest.CaptureFixture[str]) -> Captured:
    return lambda: tuple(capsys.readouterr())  # type: ignore[return-value]


def test_the_summary_is_drawn_unless_it_is_not_wanted(clips, out, captured) -> None:
    figure = out / "summary.png"
    drawn = [option for option in command(clips, out, "--workers", "1") if option != "--no-png"]
    assert run(drawn) == 1
    assert "summary.png" in captured()[0]
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert run(command(clips, out)) == 1
    assert "summary.png" not in captured()[0]
    assert not figure.exists()  # one of other results would be worse than none


def test_the_summary_names_models_and_what_was_not_measured(clips, out, captured) -> None:
    assert run(command(clips, out)) == 1
    shown, said = captured()
    assert said.splitlines()[0] == "resumed 6 of 6"
    assert said.splitlines()[1].startswith("flickerscope: 5 of 6 measured, 1 failed: by name in")
    assert shown.startswith("5 of 6 measured, 1 failed; segments of 16 frames")
    assert "2 of 3 measured, 1 failed" in shown
    assert "same/2.npy" in shown.replace("\n", "").replace(" ", "")
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize(
    ("options", "code", "complaint"),
    [
        (("--fail-above", "3"), 1, "flashing: median over 3 of 3 clips"),
        (("--fail-above", "30"), 1, ""),
        (("--fail-above", "3", "--gate-on", "any"), 1, "flashing: 0.npy: "),
        (("--fail-above", "3", "--gate", "energy"), 1, "high-frequency energy +2"),
    ],
)
def test_a_clip_that_failed_decides_over_a_gate(clips, out, captured, options, code, complaint):
    assert run(command(clips, out, "--quiet", *options)) == code
    _, said = captured()
    assert complaint in said
    assert len(said.splitlines()) > 1 or not complaint


def alone(clips: Path, out: Path, *options: str) -> list[str]:
    """One model whose clips are sound, from the results of both."""
    folders = [str(clips / "flashing"), "--ref", str(clips / "ref")]
    return ["scan", *folders, "-o", str(out), *QUICK, "--quiet", *options]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0),
        (("--fail-above", "3"), 3),
        (("--fail-above", "30"), 0),
        (("--fail-above", "3", "--gate-on", "any"), 3),
        (("--fail-above", "30", "--gate-on", "any", "--gate", "energy"), 0),
    ],
)
def test_the_gate_has_an_exit_code_of_its_own(clips, out, tmp_path, options, code) -> None:
    """The records of the model alone are those of both: a pair has one key."""
    kept = [
        line
        for line in (out / RECORDS).read_text().splitlines(keepends=True)
        if json.loads(line)["model"] == "flashing"
    ]
    (tmp_path / RECORDS).write_text("".join(kept))
    assert run(alone(clips, tmp_path, *options)) == code


def test_a_dry_run_shows_pairs_and_measures_nothing(clips, tmp_path, captured) -> None:
    line = ["scan", str(clips / "same"), "--ref", str(clips / "ref"), "-o", str(tmp_path / "x")]
    assert run([*line, "--dry-run"]) == 0
    shown, _ = captured()
    assert shown.count("2.npy") == 2
    assert "3 pairs of 1 model with 3 references; 0 files do not pair" in shown
    assert not (tmp_path / "x").exists()


def test_what_does_not_pair_is_an_error_unless_allowed(clips, tmp_path, captured) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "1.npy").write_bytes((clips / "same" / "1.npy").read_bytes())
    line = ["scan", str(few), "--ref", str(clips / "ref"), "--dry-run"]
    assert run(line) == 1
    assert "2 files do not pair" in captured()[1]
    assert run([*line, "--allow-missing"]) == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "--ref"),
        (("DIR", "--pred", "a=DIR", "--ref", "DIR"), "one folder of predictions, or models"),
        (("--pred", "DIR", "--ref", "DIR"), "NAME=DIR"),
        (("--pred", "a=x", "--pred", "a=y", "--ref", "DIR"), "two models of the name 'a'"),
        (("--list", "x.csv", "--ref", "DIR"), "--list"),
        (("DIR", "--ref", "DIR"), "both the predictions' and the references'"),
        (("DIR", "--ref", "x", "--gate-on", "any"), "--fail-above"),
        (("DIR", "--ref", "x", "--fail-above", "1", "--gate-on", "all"), "median, any"),
        (("DIR", "--ref", "x", "--pair", "order"), "stem, name, regex"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(clips, captured, options, complaint):
    folder = str(clips / "ref")
    assert run(["scan", *(o.replace("DIR", folder) for o in options)]) == 2
    said = captured()[1]
    assert complaint in said


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("fps", "x", "fps is 'x'"),
        ("layout", "QQ", "layout is 'QQ'"),
        ("value_range", "1", "value_range is '1'"),
        ("max_pixels", 0, "max_pixels: 1 or more"),
        ("memory", -1.0, "memory: a positive number"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_before_all_clips_fail(option, value, complaint):
    with pytest.raises(SettingsError, match=complaint):
        checked(Choices(**{option: value}), run_here)


def test_an_interruption_says_that_nothing_is_lost(captured) -> None:
    with pytest.raises(KeyboardInterrupt), watching(quiet=True, plain=True):
        raise KeyboardInterrupt
    assert "the same command goes on" in captured()[1]


def test_a_set_needs_a_name_of_its_kind(clips, captured) -> None:
    assert run(["measure", str(clips / "ref"), "-o", "set.txt"]) == 2
    assert ".json or .json.gz" in captured()[1]
