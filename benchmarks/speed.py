"""Times `analyze` and `compare` against decoding the same files, and takes their peak memory.

Run it with ``python benchmarks/speed.py`` (about five minutes); it makes its own clips. Times are
medians of interleaved runs in one process, as ratios to PyAV decoding with the same threads;
memory is the peak of a fresh process above what ``import torch, av`` takes there.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

import flickerscope
from flickerscope.video import encode

CLIPS = {
    "1080p": (1080, 1920, 150, {"b": "10M", "preset": "veryfast"}),
    "480p": (480, 848, 300, {"b": "2500k", "preset": "veryfast"}),
    "short": (512, 512, 16, {"crf": "18", "preset": "veryfast"}),
}
RATE = 24

IMPORTS = "import torch, av"
# On Linux the peak of this program alone: getrusage would start from that of its parent.
PEAK = """
import resource
try:
    status = open("/proc/self/status").read()
    print(status.split("VmHWM:")[1].split()[0])
except OSError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
VARIANTS: dict[str, dict[str, Any]] = {
    "without motion": {"motion": False},
    "without texture": {"texture": False},
    "all": {},
}
TASKS = {
    "analyze": "import flickerscope; flickerscope.analyze({0!r}, device='cpu')",
    "compare": "import flickerscope; flickerscope.compare({0!r}, {1!r}, device='cpu')",
}


def moving_texture(height: int, width: int, frames: int, seed: int) -> Iterator[np.ndarray]:
    """A slow diagonal pan over 1/f noise with grain, (height, width) uint8."""
    rng = np.random.default_rng(seed)
    size = (height + 2 * frames, width + 2 * frames)
    spectrum = np.fft.rfft2(rng.standard_normal(size))
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1]))
    texture = np.fft.irfft2(spectrum / np.maximum(frequency, 1 / max(size)), size)
    texture = 128 + 40 * texture / texture.std()
    for frame in range(frames):
        part = texture[frame : frame + height, 2 * frame : 2 * frame + width]
        grain = 2 * rng.standard_normal((height, width), dtype=np.float32)
        yield np.clip(part + grain, 0, 255).astype(np.uint8)


def make_clips(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Two clips of each kind."""
    clips = {}
    for name, (height, width, frames, options) in CLIPS.items():
        pair = folder / f"{name}_pred.mp4", folder / f"{name}_ref.mp4"
        for seed, path in enumerate(pair):
            encode(path, moving_texture(height, width, frames, seed), rate=RATE, options=options)
        clips[name] = pair
    return clips


def decode(*paths: Path) -> int:
    """Frames of the files, decoded on all cores and thrown away."""
    count = 0
    for path in paths:
        with av.open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            count += sum(1 for _ in container.decode(video=0))
    return count


def interleaved(tasks: dict[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Median seconds of each task, run in turn; the first round does not count."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for run in range(runs + 1):
        for name, task in tasks.items():
            start = time.perf_counter()
            task()
            if run:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_megabytes(code: str) -> float:
    """Peak memory of a fresh process that runs this."""
    done = subprocess.run(
        [sys.executable, "-c", f"{IMPORTS}\n{code}\n{PEAK}"],
        capture_output=True,
        text=True,
        check=True,
    )
    kilobytes = int(done.stdout) / (1024 if sys.platform == "darwin" else 1)
    return kilobytes / 1024


def report(name: str, pair: tuple[Path, Path], runs: int) -> None:
    pred, ref = pair
    tasks: dict[str, Callable[[], object]] = {
        "decode 1": lambda: decode(pred),
        "decode 2": lambda: decode(pred, ref),
    }
    for what, options in VARIANTS.items():
        tasks[f"analyze {what}"] = partial(flickerscope.analyze, pred, device="cpu", **options)
        tasks[f"compare {what}"] = partial(flickerscope.compare, *pair, device="cpu", **options)
    seconds = interleaved(tasks, runs)
    frames = decode(pred)
    base = peak_megabytes("")
    for task in tasks:
        command, _, what = task.partition(" ")
        if command == "decode":
            continue
        files = 1 if command == "analyze" else 2
        decoding = seconds[f"decode {files}"]
        print(
            f"{name:>6} {command:>8} {what:<15} {seconds[task]:8.3f} s  "
            f"{seconds[task] / decoding:5.2f} x decode ({1e3 * decoding / frames / files:.2f} "
            f"ms/frame){_peak(command, pair, base) if what == 'all' else ''}"
        )


def _peak(command: str, pair: tuple[Path, Path], base: float) -> str:
    peak = peak_megabytes(TASKS[command].format(*map(str, pair)))
    return f"  +{peak - base:.0f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    arguments = parser.parse_args()
    print(
        f"flickerscope {flickerscope.__version__}, torch {torch.__version__}, "
        f"PyAV {av.__version__}, {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder))
        for name in arguments.clips:
            report(name, clips[name], arguments.runs)


if __name__ == "__main__":
    main()
