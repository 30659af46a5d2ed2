"""A run of jobs into a journal, for tests that kill it: ``python scanning.py JOURNAL JOBS``."""

from __future__ import annotations

import sys
import time

from flickerscope.scan.journal import Journal
from flickerscope.scan.pool import run_jobs


def square(number: int) -> int:
    time.sleep(0.01)
    return number * number


def main(path: str, count: int) -> None:
    with Journal(path) as journal:
        todo = [number for number in range(count) if str(number) not in journal]
        for outcome in run_jobs(square, todo, workers=2):
            number = todo[outcome.index]
            journal.add({"key": str(number), "value": outcome.value})
        journal.finish(str(number) for number in range(count))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
