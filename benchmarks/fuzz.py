"""Damages small clips of every container and holds the command line to its promises.

Run it with ``python benchmarks/fuzz.py --count 10000 --keep broken/``. Every mutant must end
within the limits of time and memory, with exit code 0 and a finite report or with exit code 1 and
one line on stderr. What breaks that promise is kept, with its number: the same seed and number
make the same mutant again. Exit code 1 if anything did. Ctrl-C ends it early, with its figures.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np

TIMEOUT = 30
"""Seconds of processor time that a mutant may take; thrice as many by the clock."""

MEMORY = 2 << 30
"""Bytes that a process may hold above what the libraries take when they are loaded."""

# Its cutree writes past its own tables where pictures are small, and takes the process with it.
X265 = {"x265-params": "log-level=none:cutree=0"}

CONTAINERS: dict[str, tuple[str, str]] = {
    "a.mp4": ("libx264", "yuv420p"),
    "b.mp4": ("mpeg4", "yuv420p"),
    "c.mp4": ("libx265", "yuv420p"),
    "d.mp4": ("libsvtav1", "yuv420p"),
    "a.mov": ("libx264", "yuv422p10le"),
    "b.mov": ("prores_ks", "yuv422p10le"),
    "a.mkv": ("ffv1", "gray"),
    "b.mkv": ("libx264", "yuv444p"),
    "c.mkv": ("libx265", "yuv422p10le"),
    "a.webm": ("libvpx-vp9", "yuv420p"),
    "a.avi": ("mjpeg", "yuvj420p"),
    "a.y4m": ("rawvideo", "yuv420p"),
    "a.ts": ("mpeg2video", "yuv420p"),
    "b.ts": ("libx265", "yuv420p10le"),
    "a.avif": ("libsvtav1", "yuv420p10le"),
    "a.gif": ("gif", "rgb8"),
    "a.webp": ("libwebp_anim", "bgra"),
    "a.apng": ("apng", "rgb24"),
}
"""Name, codec and pixel format of every clip."""

FOLDERS: dict[str, tuple[str, str, str]] = {
    "png": ("png", "png", "rgb24"),
    "jpg": ("jpg", "mjpeg", "yuvj420p"),
    "tif": ("tif", "tiff", "gray16le"),
    "exr": ("exr", "exr", "gbrpf32le"),
}
"""Name of a folder of pictures, their suffix, codec and pixel format."""

Files = dict[str, bytes]
"""What a clip consists of, by name: one file without a name, or the pictures of a folder."""

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one mutant ended."""

    number: int
    clip: str
    what: str
    """*measured* or *refused* where the promises hold, else which of them does not."""
    seconds: float
    """Of processor time."""
    memory: int
    """Peak of the process so far, bytes."""
    told: str
    """What it said on stderr."""

    @property
    def good(self) -> bool:
        """Whether all promises hold."""
        return self.what in ("measured", "refused")


# --- Clips ----------------------------------------------------------------------------------------


def make_clips(folder: Path) -> list[Path]:
    """A small clip of every container for which PyAV has a codec here."""
    from flickerscope.errors import OutputError
    from flickerscope.video import encode

    os.environ.setdefault("SVT_LOG", "1")  # errors alone
    rng = np.random.default_rng(0)
    texture = rng.integers(64, 192, (32, 48, 3)).astype(np.uint8)
    frames = [np.roll(texture, t, axis=1) ^ np.uint8(4 * (t % 2)) for t in range(12)]
    for name, (codec, pixel_format) in CONTAINERS.items():
        gray = pixel_format != "rgb24" and pixel_format != "rgb8" and pixel_format != "bgra"
        pictures = [np.ascontiguousarray(f[..., 1]) if gray else f for f in frames]
        options = X265 if codec == "libx265" else {}
        with contextlib.suppress(OutputError):
            encode(
                folder / name, pictures, rate=24, codec=codec, pixel_format=pixel_format,
                options=options,
            )  # fmt: skip
    for name, kind in FOLDERS.items():
        make_pictures(folder / name, frames, *kind)
    make_arrays(folder, np.ascontiguousarray(np.stack(frames)[..., 1]))
    from flickerscope import analyze

    saved = analyze(np.stack(frames)[..., 1], fps=24, ladder=True)
    (folder / "saved.json").write_text(saved.to_json(), encoding="utf-8")
    return clips_in(folder)


def make_pictures(
    folder: Path, frames: list[np.ndarray], suffix: str, codec: str, pixel_format: str
) -> None:
    """A folder of eight pictures, where PyAV has the encoder."""
    import av

    folder.mkdir()
    try:
        for number, frame in enumerate(frames[:8]):
            writer = av.CodecContext.create(codec, "w")
            writer.height, writer.width = frame.shape[:2]
            writer.pix_fmt, writer.time_base = pixel_format, Fraction(1, 24)
            picture = av.VideoFrame.from_ndarray(frame).reformat(format=pixel_format)
            picture.pts = 0
            packets = [*writer.encode(picture), *writer.encode(None)]
            (folder / f"{number}.{suffix}").write_bytes(b"".join(bytes(p) for p in packets))
    except (av.FFmpegError, ValueError):
        shutil.rmtree(folder)


def make_arrays(folder: Path, stack: np.ndarray) -> None:
    """The same frames as files of arrays."""
    import torch
    from safetensors.torch import save_file

    tensor = torch.from_numpy(stack)
    np.save(folder / "a.npy", stack)
    np.savez(folder / "a.npz", frames=stack)
    np.savez_compressed(folder / "b.npz", frames=stack)
    torch.save(tensor, folder / "a.pt")
    torch.save({"video": tensor.float() / 255, "step": 3}, folder / "b.pt")
    save_file({"video": tensor}, folder / "a.safetensors")


# --- Mutations ------------------------------------------------------------------------------------


def flip_bits(data: bytearray, rng: np.random.Generator) -> bytearray:
    """One to 64 bits anywhere."""
    for at in rng.integers(0, len(data), 2 ** int(rng.integers(0, 7))):
        data[at] ^= 1 << int(rng.integers(8))
    return data


def spoil_header(data: bytearray, rng: np.random.Generator) -> bytearray:
    """One to 8 bytes among the first 512."""
    for at in rng.integers(0, min(512, len(data)), 2 ** int(rng.integers(0, 4))):
        data[at] = int(rng.integers(256))
    return data


def truncate(data: bytearray, rng: np.random.Generator) -> bytearray:
    """The end is missing."""
    return data[: int(rng.integers(0, len(data)))]


def cut_out(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Something in the middle is missing."""
    start, stop = sorted(int(n) for n in rng.integers(0, len(data), 2))
    return data[:start] + data[stop:]


def splice(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A part of it stands in another place."""
    size = int(rng.integers(1, max(2, len(data) // 4)))
    source, target = (int(n) for n in rng.integers(0, max(1, len(data) - size), 2))
    data[target : target + size] = data[source : source + size]
    return data


def repeat(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A part of it comes twice."""
    start, stop = sorted(int(n) for n in rng.integers(0, len(data), 2))
    return data[:stop] + data[start:]


def absurd_number(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A size that cannot be, of 2, 4 or 8 bytes, most often in the header."""
    size = int(rng.choice([2, 4, 8]))
    reach = len(data) if rng.random() < 0.3 else min(1024, len(data))
    at = int(rng.integers(0, max(1, reach - size)))
    value = int(rng.choice([0, 1, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 30000, 65535]))
    order = "big" if rng.random() < 0.5 else "little"
    data[at : at + size] = (value % 256**size).to_bytes(size, order)
    return data


def blank(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A run of one byte."""
    start, stop = sorted(int(n) for n in rng.integers(0, len(data), 2))
    data[start:stop] = bytes([int(rng.choice([0, 255]))]) * (stop - start)
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, spoil_header, truncate, cut_out, splice, repeat, absurd_number, blank,
)  # fmt: skip


def mutant(clips: list[Path], seed: int, number: int) -> tuple[Path, Files]:
    """The clip that is damaged, and what becomes of it: the same for the same numbers."""
    rng = np.random.default_rng([seed, number])
    clip = clips[number % len(clips)]
    files = files_of(clip)
    for _ in range(int(rng.integers(1, 4))):
        name = sorted(files)[rng.integers(len(files))]
        if data := bytearray(files[name]):
            files[name] = bytes(MUTATIONS[rng.integers(len(MUTATIONS))](data, rng))
    return clip, files


def files_of(clip: Path) -> Files:
    """What a clip consists of."""
    if clip.is_dir():
        return {path.name: path.read_bytes() for path in clip.iterdir()}
    return {"": clip.read_bytes()}


def write_files(path: Path, files: Files) -> None:
    """A clip, from what it consists of."""
    if "" not in files:
        path.mkdir()
    for name, data in files.items():
        (path / name).write_bytes(data)


# --- One mutant -----------------------------------------------------------------------------------


def arguments_for(path: Path, report: Path, turn: int) -> list[str]:
    """The command: every eighth turn is measured along its motion too, every fourth compared."""
    motion = [] if turn % 8 == 0 else ["--no-motion"]
    if path.suffix == ".json":  # a saved measurement stands in the place of a reference
        return ["compare", str(path), str(path), "-q", "--json", str(report)]
    videos = ["compare", str(path), str(path)] if turn % 4 == 1 else ["analyze", str(path)]
    return [*videos, "-q", "--threads", "1", "--json", str(report), *motion]


def judge(code: int, told: str, report: Path) -> str:
    """Which promise is broken, or *measured* or *refused*."""
    if "Traceback" in told:
        return "traceback"
    if code == 1:
        one_line = told.startswith("flickerscope: ") and told.count("\n") == 1
        if not one_line:
            return "not one line"
        return "left a report" if report.exists() else "refused"
    if code != 0:
        return f"exit code {code}"
    if told:
        return "noise on stderr"
    try:
        json.loads(report.read_text("utf-8"), parse_constant=_refuse)
    except (OSError, ValueError):
        return "no finite report"
    return "measured"


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def run_here(arguments: list[str]) -> tuple[int, str]:
    """In this process: exit code and what was told, a traceback where something escaped."""
    from flickerscope.cli import run

    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = run(arguments)
        except Exception:  # noqa: BLE001 - what escapes is what is looked for
            code = 1
            err.write(traceback.format_exc())
    return code, err.getvalue()


def run_apart(arguments: list[str]) -> tuple[int, str]:
    """As a process of its own."""
    line = [sys.executable, "-m", "flickerscope", *arguments]
    run = subprocess.run(
        line, capture_output=True, text=True, errors="replace", timeout=3 * TIMEOUT, check=False,
        preexec_fn=limit_memory,
    )  # fmt: skip
    return run.returncode, run.stderr


def limit_memory() -> None:
    """Let this process fail rather than take the machine's memory; where the system has limits."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        # What is mapped by the libraries counts too: some gigabytes with torch.
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY + (2 << 30),) * 2)


def processor_time() -> float:
    """Of this process and of the children that have ended, seconds."""
    took = os.times()
    return took.user + took.system + took.children_user + took.children_system


def peak_memory() -> int:
    """Of this process and its children, bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        # On Linux the peak of this program alone: getrusage would start from that of its parent.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        own = int(status.split("VmHWM:")[1].split()[0])
    except OSError:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return max(own, children) * unit


def try_one(clips: list[Path], folder: Path, seed: int, number: int, *, apart: bool) -> Outcome:
    """Make a mutant, run the command line on it, and judge how that ended."""
    clip, files = mutant(clips, seed, number)
    path, report = folder / f"mutant-{number}{clip.suffix}", folder / f"{number}.report"
    write_files(path, files)
    start = processor_time()
    try:
        code, told = (run_apart if apart else run_here)(
            arguments_for(path, report, number // len(clips))
        )
        what = judge(code, told, report)
    except subprocess.TimeoutExpired:
        what, told = "hang", ""
    seconds, memory = processor_time() - start, peak_memory()
    if what in ("measured", "refused") and seconds > TIMEOUT:
        what = "hang"
    if what in ("measured", "refused") and memory > MEMORY:
        what = "memory"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    report.unlink(missing_ok=True)
    return Outcome(number, clip.name, what, seconds, memory, told)


# --- Many -----------------------------------------------------------------------------------------


def work(folder: Path, seed: int, numbers: range, share: float) -> None:
    """A worker: says on stdout which mutant comes next, then how it ended, a line of JSON each."""
    out = sys.stdout
    limit_memory()
    import torch

    torch.set_num_threads(1)
    clips = clips_in(folder)
    with tempfile.TemporaryDirectory() as scratch:
        for number in numbers:
            print(number, file=out, flush=True)
            # Also out of a decoder that does not come back to Python.
            faulthandler.dump_traceback_later(3 * TIMEOUT, exit=True)
            rng = np.random.default_rng([seed, number, 1])
            outcome = try_one(clips, Path(scratch), seed, number, apart=rng.random() < share)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(asdict(outcome)), file=out, flush=True)


def outcomes_of(folder: Path, seed: int, numbers: range, share: float) -> Iterator[Outcome]:
    """Of one worker process, which is started anew after a mutant that ended it."""
    clips = clips_in(folder)
    left = numbers
    while left:
        line = [
            sys.executable, __file__, "--work", str(folder), "--seed", str(seed),
            "--processes", str(share), "--numbers", f"{left.start}:{left.stop}:{left.step}",
        ]  # fmt: skip
        begun = False
        start = time.monotonic()
        with (
            tempfile.TemporaryFile("w+", errors="replace") as errors,
            subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
        ):
            for text in process.stdout or ():
                start = time.monotonic() if text[0] != "{" else start
                begun = text[0] != "{"
                if not begun:
                    yield Outcome(**json.loads(text))
                    left = left[1:]
            code = process.wait()
            errors.seek(0)
            said = errors.read()[-2000:]
        if not left:
            return
        if not begun:
            raise RuntimeError(f"a worker ended by itself with {code}: {said}")
        seconds = time.monotonic() - start
        what = "hang" if "Timeout (" in said else "crash"
        yield Outcome(left[0], clips[left[0] % len(clips)].name, what, seconds, 0, said)
        left = left[1:]


def clips_in(folder: Path) -> list[Path]:
    """All clips, in one order."""
    return sorted(folder.iterdir())


def fuzz(
    folder: Path, *, count: int, seed: int, workers: int, processes: float, start: int = 0
) -> Iterator[Outcome]:
    """Try so many mutants of the clips in a folder, a share of them as processes of their own."""
    ended: queue.Queue[Outcome | BaseException | None] = queue.Queue()

    def consume(first: int) -> None:
        try:
            numbers = range(start + first, start + count, workers)
            for outcome in outcomes_of(folder, seed, numbers, processes):
                ended.put(outcome)
            ended.put(None)
        except BaseException as error:  # noqa: BLE001 - raised again where it is read
            ended.put(error)

    for first in range(workers):
        threading.Thread(target=consume, args=(first,), daemon=True).start()
    for _ in range(workers):
        while (outcome := ended.get()) is not None:
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome


def summary(outcomes: list[Outcome]) -> str:
    """Count by container and outcome, the largest memory and the slowest."""
    kinds = sorted({o.what for o in outcomes}, key=lambda what: (what != "measured", what))
    rows = [f"| clip | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for clip in [*sorted({o.clip for o in outcomes}), "all"]:
        counts = Counter(o.what for o in outcomes if clip in (o.clip, "all"))
        rows.append(f"| {clip} | {' | '.join(str(counts[kind]) for kind in kinds)} |")
    slowest = max(outcomes, key=lambda o: o.seconds)
    largest = max(o.memory for o in outcomes) / 2**20
    figures = (
        f"{len(outcomes)} mutants, {datetime.now(UTC):%Y-%m-%d}; largest memory {largest:.0f} MiB; "
        f"slowest {slowest.seconds:.1f} s (number {slowest.number}, {slowest.clip})"
    )
    return "\n".join([*rows, "", figures])


def keep(outcome: Outcome, folder: Path, seed: int, target: Path | None) -> None:
    """Write the mutant again, into a folder of what broke a promise."""
    if target is None:
        return
    target.mkdir(parents=True, exist_ok=True)
    _, files = mutant(clips_in(folder), seed, outcome.number)
    name = f"{seed}-{outcome.number}-{outcome.what.replace(' ', '-')}"
    write_files(target / f"{name}{Path(outcome.clip).suffix}", files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="mutants to try")
    parser.add_argument("--start", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--processes", type=float, default=0.01, help="share run as a process")
    parser.add_argument("--keep", type=Path, help="folder for mutants that break a promise")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--numbers", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        numbers = range(*map(int, options.numbers.split(":")))
        work(options.work, options.seed, numbers, options.processes)
        return 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell put it aside
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        clips = make_clips(folder)
        outcomes: list[Outcome] = []
        with contextlib.suppress(KeyboardInterrupt):
            for outcome in fuzz(
                folder, count=options.count, seed=options.seed, workers=options.workers,
                processes=options.processes, start=options.start,
            ):  # fmt: skip
                outcomes.append(outcome)
                if not outcome.good:
                    print(f"{outcome.number} {outcome.clip}: {outcome.what}: {outcome.told}")
                    keep(outcome, folder, options.seed, options.keep)
        if not outcomes:
            return 1
        print(f"{len(clips)} clips, seed {options.seed}")
        print(summary(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
