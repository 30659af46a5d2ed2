"""Damaged files of every container end in a finite report or in one line: some of the fuzzer."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import flickerscope

SOURCE = Path(__file__).resolve().parent.parent / "benchmarks" / "fuzz.py"


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("benchmark_fuzz", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clips(fuzz, tmp_path_factory):
    """The folder of the clips."""
    folder = tmp_path_factory.mktemp("clips")
    fuzz.make_clips(folder)
    return folder


def broken(fuzz, clips, *, count, **options):
    outcomes = list(fuzz.fuzz(clips, count=count, seed=1, **options))
    assert sorted(outcome.number for outcome in outcomes) == list(range(count))
    assert {outcome.what for outcome in outcomes} >= {"measured", "refused"}
    return [outcome for outcome in outcomes if not outcome.good]


def test_thirty_damaged_files_are_measured_or_refused(fuzz, clips):
    assert broken(fuzz, clips, count=30, workers=1, processes=0) == []


@pytest.mark.slow
def test_hundreds_of_damaged_files_are_measured_or_refused(fuzz, clips):
    assert broken(fuzz, clips, count=500, workers=2, processes=0.02) == []


def test_the_same_numbers_make_the_same_mutant(fuzz, clips):
    sources = fuzz.clips_in(clips)
    first, again, other = (fuzz.mutant(sources, seed, 3) for seed in (1, 1, 2))
    assert first == again
    assert first[1] != fuzz.files_of(sources[3])
    assert first[1] != other[1]


def test_every_kind_of_file_is_among_the_clips(fuzz, clips):
    """All whose encoder is there, and each is measured before it is damaged, but for one."""
    kinds = {clip.name for clip in fuzz.clips_in(clips)}
    assert kinds >= {"a.npy", "a.npz", "b.npz", "a.pt", "b.pt", "a.safetensors", "png", "jpg"}
    refused = set()
    for clip in fuzz.clips_in(clips):
        arguments = fuzz.arguments_for(clip, clips.parent / "report", 2)
        code, told = fuzz.run_here(arguments)
        assert (code, told.count("\n")) in ((0, 0), (1, 1))
        refused |= {clip.name} if code else set()
    assert refused <= {"a.webp"}  # FFmpeg cannot read what it writes


def test_every_mutation_changes_the_bytes(fuzz):
    data = bytes(range(1, 250)) * 4
    for mutation in fuzz.MUTATIONS:
        rng = np.random.default_rng(0)
        assert any(bytes(mutation(bytearray(data), rng)) != data for _ in range(3)), mutation


@pytest.mark.parametrize(
    ("code", "told", "report", "what"),
    [
        (0, "", {"a": 1}, "measured"),
        (0, "", {"a": float("nan")}, "no finite report"),
        (0, "", {"a": float("inf")}, "no finite report"),
        (0, "", None, "no finite report"),
        (0, "oops\n", {"a": 1}, "noise on stderr"),
        (1, "flickerscope: x: no such file\n", None, "refused"),
        (1, "flickerscope: x: no such file\n", {"a": 1}, "left a report"),
        (1, "flickerscope: x\nand more\n", None, "not one line"),
        (1, "", None, "not one line"),
        (1, "Traceback (most recent call last):\n", None, "traceback"),
        (2, "flickerscope: x\n", None, "exit code 2"),
        (-11, "", None, "exit code -11"),
    ],
)
def test_what_breaks_a_promise_is_told(fuzz, tmp_path, code, told, report, what):
    path = tmp_path / "report"
    if report is not None:
        path.write_text(json.dumps(report))
    assert fuzz.judge(code, told, path) == what


def test_a_worker_that_dies_is_an_outcome_and_the_rest_goes_on(fuzz, clips, tmp_path, monkeypatch):
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys\n"
        "numbers = range(*map(int, sys.argv[sys.argv.index('--numbers') + 1].split(':')))\n"
        "for n in numbers:\n"
        "    print(n, flush=True)\n"
        "    if n == 2:\n"
        "        os.abort()\n"
        "    print(json.dumps({'number': n, 'clip': 'a', 'what': 'refused', 'seconds': 0,\n"
        "                      'memory': 0, 'told': ''}), flush=True)\n"
    )
    monkeypatch.setattr(fuzz, "__file__", str(script))
    outcomes = list(fuzz.fuzz(clips, count=5, seed=0, workers=1, processes=0))
    assert [o.what for o in outcomes] == ["refused", "refused", "crash", "refused", "refused"]
    assert [o.number for o in outcomes] == list(range(5))


@pytest.mark.parametrize("head", [b"{'descr': '|u1'\0, (", b"{'descr': (", b"  {\n 1\n0"])
def test_a_head_that_numpy_cannot_parse_is_one_line(tmp_path, head):
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(flickerscope.InputError, match=r"a\.npy: not a sound \.npy file: "):
        flickerscope.analyze(path)
