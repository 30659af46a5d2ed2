"""Worker processes: every job has one outcome, whatever happens to them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flickerscope.errors import DeviceError, InputError, SettingsError, TooShortError
from flickerscope.scan.job import Choices, ClipJob, Job
from flickerscope.scan.lengths import LengthJob
from flickerscope.scan.local import find_devices, limit_of
from flickerscope.scan.pool import Outcome, Pool, run_here, run_jobs
from flickerscope.scan.unpaired.content import LoneJob


def work(job: tuple[str, str]) -> object:
    """What the worker processes do; jobs say how it goes."""
    kind, argument = job
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(7)
    if kind == "sleep":
        time.sleep(float(argument))
    if kind == "bug":
        return {}[argument]
    if kind == "short":
        raise TooShortError(f"{argument}: 3 frames")
    if kind == "broken":
        raise InputError(f"{argument}: is no video")
    if kind == "memory":
        raise MemoryError
    if kind == "unsendable":
        return lambda: None
    return os.getpid() if kind == "pid" else argument


def by_index(outcomes: list[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.index)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    kinds = ["ok", "die", "short", "broken", "exit", "memory", "pid", "pid", "pid", "ok"]
    jobs = [(kind, str(number)) for number, kind in enumerate(kinds)]
    found = by_index(list(run_jobs(work, jobs, workers=1)))
    assert [outcome.index for outcome in found] == list(range(len(jobs)))
    return found


def test_a_worker_that_dies_takes_one_job_with_it(outcomes: list[Outcome]) -> None:
    killed, ended = outcomes[1], outcomes[4]
    assert (killed.status, ended.status) == ("failed", "failed")
    assert killed.reason == ("its worker process was ended by SIGKILL, as when memory runs out")
    assert ended.reason == "its worker process ended with exit code 7"
    assert [outcomes[i].value for i in (0, 9)] == ["0", "9"]


def test_outcomes_say_why_there_is_no_value(outcomes: list[Outcome]) -> None:
    assert [(o.status, o.reason) for o in (outcomes[2], outcomes[3], outcomes[5])] == [
        ("not measurable", "2: 3 frames"),
        ("failed", "3: is no video"),
        ("failed", "out of memory"),
    ]


def test_one_process_serves_many_jobs(outcomes: list[Outcome]) -> None:
    assert len({outcomes[i].value for i in (6, 7, 8)}) == 1
    assert outcomes[6].value != os.getpid()


@pytest.mark.parametrize(
    ("kind", "complaint"), [("bug", "KeyError: 'gone'"), ("unsendable", "lambda")]
)
def test_a_bug_is_raised_with_its_traceback_and_no_process_is_left(kind, complaint) -> None:
    with pytest.raises(RuntimeError, match=complaint):
        list(run_jobs(work, [("ok", "1"), (kind, "gone")], workers=2))
    assert not multiprocessing.active_children()


def test_whoever_stops_listening_leaves_no_process_behind() -> None:
    running = run_jobs(work, [("ok", str(i)) for i in range(50)], workers=2)
    assert next(running).status == "ok"
    running.close()
    assert not multiprocessing.active_children()


class Unreadable:
    """A function that a worker process cannot unpack, as when a library is missing there."""

    def __call__(self, job: object) -> None:
        raise NotImplementedError

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (3,)


def test_processes_that_cannot_start_are_no_fault_of_the_jobs() -> None:
    with pytest.raises(DeviceError, match="cannot start: its worker process ended with exit code"):
        list(run_jobs(Unreadable(), ["a", "b"], workers=1))
    assert not multiprocessing.active_children()


def test_no_jobs_start_nothing(tmp_path: Path) -> None:
    assert list(run_jobs(work, [], workers=3)) == []
    with pytest.raises(SettingsError, match="workers"):
        list(run_jobs(work, [("ok", "1")], workers=0))


def test_a_job_that_takes_too_long_is_given_up_and_the_others_are_not() -> None:
    jobs = [("ok", "1"), ("sleep", "60"), ("ok", "3")]
    with Pool(1) as pool:
        found = by_index(list(pool.run(work, jobs, limit=lambda job: 0.3)))
    assert [outcome.value for outcome in found] == ["1", None, "3"]
    assert (found[1].status, found[1].crashed) == ("failed", True)
    assert found[1].reason == "took longer than 0.3 s"


def test_a_process_at_work_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    """Its standard output is open for as long as any of them lives."""
    code = (
        "import sys, scanning; from flickerscope.scan.pool import run_jobs; "
        "list(run_jobs(scanning.hang, [sys.argv[1]], workers=1))"
    )
    folder, begun = Path(__file__).parent, tmp_path / "begun"
    command = [sys.executable, "-c", code, str(begun)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as run:
        end = time.monotonic() + 60
        while not begun.exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert begun.exists()
        run.kill()
        assert run.communicate(timeout=10) == (b"", None)


def count(job: tuple[int, str]) -> Iterator[int]:
    """Numbers one by one, and an end that is not always a good one."""
    most, end = job
    yield from range(most)
    work((end, "x"))


def test_what_a_job_yields_comes_before_its_end_and_is_kept_where_that_is_bad() -> None:
    jobs = [(3, "ok"), (2, "die"), (1, "broken"), (0, "ok")]
    with Pool(1) as pool:
        found = list(pool.run(count, jobs))
    for index, (most, status) in enumerate([(3, "ok"), (2, "failed"), (1, "failed"), (0, "ok")]):
        *parts, end = [outcome for outcome in found if outcome.index == index]
        assert [(o.status, o.part, o.value) for o in parts] == [("part", i, i) for i in range(most)]
        assert (end.status, end.value) == (status, None)
    assert by_index(list(run_here(count, [jobs[0], jobs[2]])))[:4] == [
        *(outcome for outcome in found if outcome.index == 0)
    ]


def test_a_pool_keeps_its_processes_from_one_run_to_the_next() -> None:
    with Pool(1) as pool:
        pids = {outcome.value for _ in range(2) for outcome in pool.run(work, [("pid", "")] * 2)}
    assert len(pids) == 1
    assert not multiprocessing.active_children()


def test_the_time_of_a_job_is_that_of_all_its_files() -> None:
    limit, choices = limit_of(2.0), Choices()
    jobs = [
        LoneJob(path="a", choices=choices),
        ClipJob(path="a", choices=choices),
        Job(ref="r", preds=("a", "b"), choices=choices),
        LengthJob(("a", "b", "c", "d"), choices),
    ]
    assert [limit(job) for job in jobs] == [2.0, 2.0, 6.0, 8.0]
    assert limit(choices) is None  # no file is read


def test_devices_are_those_that_the_machine_has(monkeypatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    for text, names in (
        ("cuda:0,1", ["cuda:0", "cuda:1"]),
        ("cuda:2,cuda:0,2", ["cuda:2", "cuda:0"]),
        ("cuda", ["cuda:0"]),
        ("auto", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cpu", ["cpu"]),
    ):
        assert find_devices(text) == (names, None)
    assert find_devices("cuda:0,3") == (
        [], "device cuda:3: this machine has 3 CUDA devices for torch"
    )  # fmt: skip
    for text in ("cuda:0,", "gpu:0", "cuda:x"):
        with pytest.raises(SettingsError, match="device: auto, cpu, cuda"):
            find_devices(text)
