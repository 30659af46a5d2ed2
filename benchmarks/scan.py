"""Times a scan of short clips against decoding them, and against VBench's flicker formula.

Run it with ``python benchmarks/scan.py`` (about ten minutes on two cores); it makes its own clips,
500 of 16 to 81 frames and 256 to 512 pixels. All that is timed runs in the same worker processes,
which are started before, in turn, several times; ratios are of processor time, which does not mind
what else the machine does. Memory is the peak of the largest process of a whole scan.

With ``--engine ray`` it holds that engine, as a cluster of this machine, against processes of its
own instead: the same scan in turn, and jobs that do nothing, which show what a job costs.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np

from flickerscope.scan.cluster import ray_engine
from flickerscope.scan.job import Choices
from flickerscope.scan.ledger import Engine
from flickerscope.scan.lengths import LengthJob, read_lengths
from flickerscope.scan.local import local_engine
from flickerscope.scan.pairing import Pairing, pair_folders
from flickerscope.scan.pool import Outcome, Pool
from flickerscope.scan.run import run_scan
from flickerscope.settings import Settings
from flickerscope.video import encode

FRAMES = 16, 25, 49, 81
SIZES = (256, 256), (320, 512), (480, 480), (512, 512)
RATE = 24
EMPTY_JOBS = 1000
VARIANTS: dict[str, dict[str, Any]] = {
    "scan, no motion, not paired": {"motion": False, "paired": False},
    "scan, no motion": {"motion": False},
    "scan, no texture, not paired": {"texture": False, "paired": False},
    "scan, not paired": {"paired": False},
    "scan": {},
}


def textures(height: int, width: int, seed: int) -> np.ndarray:
    """1/f noise larger than the picture, code values."""
    rng = np.random.default_rng(seed)
    size = (height + 81, width + 162)
    spectrum = np.fft.rfft2(rng.standard_normal(size))
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    texture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(size)), size)
    return 128 + 40 * texture / texture.std()


def pan(texture: np.ndarray, shape: tuple[int, int], frames: int, noise: float) -> Iterator[Any]:
    """A diagonal pan with grain, (height, width) uint8."""
    rng = np.random.default_rng(frames)
    height, width = shape
    for frame in range(frames):
        part = texture[frame : frame + height, 2 * frame : 2 * frame + width]
        grain = noise * rng.standard_normal(shape, dtype=np.float32)
        yield np.clip(part + grain, 0, 255).astype(np.uint8)


def make_clips(root: Path, count: int) -> None:
    """As many clips in all, half of them references, of every length and size in turn."""
    for folder in ("pred", "ref"):
        (root / folder).mkdir()
    for number in range(count // 2):
        shape, frames = SIZES[number % len(SIZES)], FRAMES[number // len(SIZES) % len(FRAMES)]
        texture = textures(*shape, number)
        for folder, noise in (("pred", 2.5), ("ref", 2.0)):
            encode(
                root / folder / f"{number}.mp4",
                pan(texture, shape, frames, noise),
                rate=RATE,
                options={"crf": "23", "preset": "veryfast"},
            )


def decode(path: str) -> int:
    """All frames, on one thread, nothing done to them."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        return sum(1 for _ in container.decode(stream))


def vbench(path: str) -> float:
    """VBench's temporal flickering: mean absolute difference of successive BGR frames."""
    with av.open(path) as container:
        frames = [f.to_ndarray(format="bgr24") for f in container.decode(video=0)]
    differences = [
        np.mean(np.abs(a.astype(np.float32) - b.astype(np.float32))) for a, b in pairwise(frames)
    ]
    return (255.0 - float(np.mean(differences))) / 255.0


def timed(function: Callable[[Any], Any], job: Any) -> tuple[Any, float]:
    """With the processor time that it took."""
    before = time.process_time()
    value = function(job)
    if isinstance(value, Iterator):
        value = list(value)
    return value, time.process_time() - before


class Meter:
    """An engine that adds up the processor time of its jobs."""

    def __init__(self, pool: Pool) -> None:
        self.pool, self.seconds = pool, 0.0

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Outcome]:
        """As `Pool.run`."""
        for outcome in self.pool.run(partial(timed, function), jobs):
            if outcome.status != "ok":
                raise RuntimeError(outcome.reason)
            value, seconds = outcome.value
            self.seconds += seconds
            yield Outcome(index=outcome.index, status="ok", value=value)


def scan(pairing: Pairing, options: dict[str, Any], engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as out:
        choices = Choices(settings=Settings(**options))
        summary = run_scan(pairing, out, choices=choices, engine=engine)
        if summary["clips"]["failed"]:
            raise RuntimeError(summary["not_measured"])


def measure(root: Path, workers: int, repeats: int) -> None:
    pairing = pair_folders({"pred": root / "pred"}, root / "ref")
    paths = [path for pair in pairing.pairs for path in (pair.pred, pair.ref)]
    tasks: dict[str, Callable[[Meter], Any]] = {
        "decoding": lambda meter: list(meter(decode, paths)),
        "VBench's formula": lambda meter: list(meter(vbench, paths)),
    }
    for name, options in VARIANTS.items():
        tasks[name] = partial(scan, pairing, options)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    with Pool(workers) as pool:
        scan(Pairing(pairing.pairs[: 2 * workers], ()), {}, Meter(pool))  # imports, compiled loops
        for _ in range(repeats):
            for name, task in tasks.items():
                meter, began = Meter(pool), time.perf_counter()
                task(meter)
                times[name].append((meter.seconds, time.perf_counter() - began))
    base = [cpu for cpu, _ in times["decoding"]]
    print(f"{len(paths)} clips, {workers} workers; ratios to decoding, processor time\n")
    print(f"{'':30} {'ratio':>6} {'ms/clip':>8} {'clips/s':>8}")
    for name, runs in times.items():
        ratio = statistics.median(cpu / alone for (cpu, _), alone in zip(runs, base, strict=True))
        cpu = statistics.median(cpu for cpu, _ in runs)
        wall = statistics.median(wall for _, wall in runs)
        print(f"{name:30} {ratio:6.2f} {1e3 * cpu / len(paths):8.1f} {len(paths) / wall:8.1f}")


def hold_against_local(root: Path, workers: int, repeats: int) -> None:
    """Time the engine of Ray and processes of this machine at the same work, in turn."""
    pairing = pair_folders({"pred": root / "pred"}, root / "ref")
    empty = [LengthJob((), Choices())] * EMPTY_JOBS
    tasks: dict[str, Callable[[Engine], Any]] = {
        "scan, no motion, not paired": partial(scan, pairing, {"motion": False, "paired": False}),
        f"{EMPTY_JOBS} empty jobs": lambda engine: list(engine(read_lengths, empty)),
    }
    with (
        local_engine(device="cpu", workers=workers) as local,
        ray_engine(device="cpu", workers=workers) as ray,
    ):
        engines = {"local": local.engine, "ray": ray.engine}
        times: dict[tuple[str, str], list[float]] = {(t, e): [] for t in tasks for e in engines}
        for engine in engines.values():  # imports, compiled loops
            scan(Pairing(pairing.pairs[: 2 * workers], ()), {"motion": False}, engine)
        for _ in range(repeats):
            for name, task in tasks.items():
                for label, engine in engines.items():
                    began = time.perf_counter()
                    task(engine)
                    times[name, label].append(time.perf_counter() - began)
    print(f"{2 * len(pairing.pairs)} clips, {workers} workers; seconds on the clock\n")
    print(f"{'':30} {'local':>7} {'ray':>7} {'ratio':>7}")
    for name in tasks:
        ours, theirs = (times[name, label] for label in ("ray", "local"))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
        seconds = f"{statistics.median(theirs):7.2f} {statistics.median(ours):7.2f}"
        print(f"{name:30} {seconds} {ratio:7.2f}")


def peak_of_scan(root: Path, models: int) -> float:
    """Megabytes of the largest process of a whole scan, in which each clip counts so often."""
    named = [f"--pred={i}={root / 'pred'}" for i in range(models)]
    with tempfile.TemporaryDirectory() as out:
        line = [sys.executable, "-m", "flickerscope", "scan", *named, "--ref", str(root / "ref")]
        line += ["-o", out, "--no-motion", "--segment", "16", "--device", "cpu", "--quiet"]
        code = f"""
import resource, subprocess
subprocess.run({line!r}, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
        run = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    scale = 1024 if sys.platform != "darwin" else 1024**2
    return int(run.stdout) / scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="clips")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-memory", action="store_true")
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_clips(root, chosen.count)
        if chosen.engine == "ray":
            hold_against_local(root, chosen.workers, chosen.repeats)
            return
        measure(root, chosen.workers, chosen.repeats)
        if not chosen.no_memory:
            print()
            for models in (1, 10):
                print(
                    f"peak, {models * chosen.count // 2} pairs: {peak_of_scan(root, models):.0f} MB"
                )


if __name__ == "__main__":
    main()
