"""Worker processes: every job has one outcome, whatever happens to them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from flickerscope.errors import InputError, SettingsError, TooShortError
from flickerscope.scan.pool import Outcome, Pool, run_jobs


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
    with pytest.raises(RuntimeError, match="cannot start: its worker process ended with exit code"):
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


def test_a_pool_keeps_its_processes_from_one_run_to_the_next() -> None:
    with Pool(1) as pool:
        pids = {outcome.value for _ in range(2) for outcome in pool.run(work, [("pid", "")] * 2)}
    assert len(pids) == 1
    assert not multiprocessing.active_children()
