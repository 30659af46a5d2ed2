"""A scan of clips that are made up, for tests that kill it: ``python scanning.py OUT PAIRS``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flickerscope.scan.job import Choices, Job, Result
from flickerscope.scan.pairing import Pair, Pairing
from flickerscope.scan.pool import Pool
from flickerscope.scan.run import run_scan
from flickerscope.settings import Settings


def content(number: int) -> dict[str, Any]:
    """As of a comparison, with values that depend on the clip's number alone."""
    value = (number * 37 % 101) / 10 - 4
    side = {"flicker": 0.1, "coverage": 0.9, "area": 0.0, "texture": 0.1, "pop": 0.0, "speed": 0.1}
    excesses = {f"{name}_db": value / 2 for name in ("slow", "moving", "texture", "cb", "cr")}
    main = {"plane": "y", "scale": "block", "band": "HF"}
    energy = main | {"value": value, "pred_power": 1.0, "ref_power": 1.0, "epsilon": 0.06}
    input_ = {"frames_measured": 16, "measured_rate": 24.0}
    return {
        "status": "measured",
        "reason": None,
        "segment": 16,
        "citation": "made up",
        "deviation": None,
        "verdict": {"text": "no difference found", "basis": "", "ground": "motion", "value_db": 0},
        "headline": {"value": value},
        "motion": {"pred": side, "ref": side} | excesses,
        "energy": energy,
        "results": [main | {"excess_db": value}, main | {"band": "MF", "excess_db": -value}],
        "picture": {"sharpness_db": 0.0, "excess_minus_sharpness_db": value},
        "inputs": {"pred": input_, "ref": input_},
        "warnings": [],
        "motion_maps": {"pred": None, "ref": None},
        "spectrum": None,
        "histogram": {"pred": {}, "ref": {}},
        "thumbnail": None,
    }


def work(job: Job) -> Iterator[Result]:
    for pred in job.preds:
        time.sleep(0.002)
        if "deadly" in pred:
            os.kill(os.getpid(), signal.SIGKILL)
        number = int(Path(pred).stem.split("-")[0])
        yield Result(content=content(number), seconds=0.002)


def slow_work(job: Job) -> Iterator[Result]:
    time.sleep(0.05)
    return work(job)


def hang(job: Any) -> Any:
    """Never comes back; a job that is the name of a file is to make it first."""
    if isinstance(job, str):
        Path(job).touch()
    time.sleep(600)


def pairs(count: int, deadly: tuple[int, ...] = ()) -> list[Pair]:
    """Three clips by two models to each reference."""
    found = []
    for model in ("a", "b"):
        for number in range(count // 2):
            name = f"{number}{'-deadly' if number in deadly and model == 'a' else ''}.mp4"
            found.append(
                Pair(
                    model=model,
                    name=name,
                    pred=f"{model}/{name}",
                    ref=f"ref/{number // 3}.mp4",
                    prompt=None,
                    seed=None,
                )
            )
    return found


def scan(out: str, count: int, deadly: tuple[int, ...] = ()) -> dict[str, Any]:
    pairing = Pairing(tuple(pairs(count, deadly)), ())
    choices = Choices(settings=Settings(segment=16))
    with Pool(2) as pool:
        return run_scan(pairing, out, choices=choices, engine=pool.run, work=work)


if __name__ == "__main__":
    scan(sys.argv[1], int(sys.argv[2]))
