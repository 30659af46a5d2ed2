"""Runs an experiment: part by part for each seed, kept as they come, and gone on with."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from flickerscope import __version__
from flickerscope.errors import FlickerscopeError, InputError
from flickerscope.experiment.arms import FRAME, SMOOTHED, Arm, flicker_form
from flickerscope.experiment.clips import CLASSES, FRAMES, Content, render
from flickerscope.experiment.families import FAMILIES
from flickerscope.experiment.findings import Effect, Finding, Records, find
from flickerscope.experiment.footage import Footage, load_footage, split
from flickerscope.experiment.linear import denoiser_null, linear_arms
from flickerscope.experiment.plan import FORMAT, LINEAR, LONG, Plan
from flickerscope.experiment.readings import Reading, smoothed, targets
from flickerscope.experiment.sizes import size_on
from flickerscope.experiment.training import Training, trained_arms
from flickerscope.losses import SpectralLoss, diff
from flickerscope.resources import (
    Resources,
    pick_resources,
    plain_arithmetic,
    repeatable,
    torch_to_ourselves,
)
from flickerscope.scan.journal import Journal, fingerprint
from flickerscope.scan.lock import locked
from flickerscope.scan.pool import run_jobs

__all__ = ["Checks", "Experiment", "Job", "Progress", "do_part", "run_experiment"]

Progress = Callable[[str, int, int], None]
"""Called with what is counted, how many are done, and how many there are."""

STREAMS: Final = ("training clips", "test clips", "noise")
"""Random numbers that do not depend on one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What must hold in exact arithmetic, as it came out."""

    null_gradient: float
    """Largest gradient of the flicker loss (s = 8) at the optimum of the frame loss, clip-wide
    denoiser, over that of a model that gives nothing: 0 where the null hypothesis holds."""
    identity: float
    """Largest relative difference between the flicker loss (in sums, s = 8) and the weighted DCT-II
    spectrum of the error."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Experiment:
    """All readings of an experiment."""

    plan: Plan
    device: str
    """That models were trained on."""
    sources: tuple[str, ...]
    """Videos that clips were cut from; none: clips were rendered."""
    left_out: tuple[str, ...]
    """Videos that gave none, and why."""
    records: Records
    diverged: tuple[tuple[Arm, int], ...]
    """Trainings that came to no finite numbers, and their seeds; they are left out."""
    findings: list[Finding]
    """Of every model, loss and class of content."""
    effects: list[Effect]
    """Of every loss against the frame loss."""
    checks: Checks


@dataclass(frozen=True, slots=True)
class Job:
    """One part for one seed."""

    plan: Plan
    part: str
    seed: int
    device: str
    footage: Footage | None = None
    """Clips to take in place of rendered ones."""
    digest: str | None = None
    """Of the footage."""

    @property
    def key(self) -> str:
        """The same for what gives the same numbers; other seeds do not matter."""
        where = "cpu" if self.part == LINEAR else self.device
        choices = self.plan.choices(self.part)
        return fingerprint(
            FORMAT,
            __version__,
            torch.__version__,
            choices,
            self.part,
            self.seed,
            where,
            self.digest,
        )


def run_experiment(
    plan: Plan,
    *,
    clips: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Experiment:
    """Do all parts of a plan for all seeds.

    Args:
        plan: what to do.
        clips: a folder of videos to cut clips from; default: clips are rendered.
        device: on which networks are trained, larger ones on a CUDA GPU (`sizes.size_on`); the
            linear models are solved on the CPU in float64.
        threads: processes on the CPU, of one thread each, so that numbers do not depend on how
            many there are; default one a core.
        journal: a file that keeps every part as it is done; what it holds is not done again.
        progress: called as parts are done.

    Raises:
        SettingsError, DeviceError: a plan or a device that is not possible.
        InputError, OutputError: the journal is none, or cannot be written.
    """
    resources = pick_resources(device, threads=threads)
    footage = None
    if clips is not None:
        # On the CPU, as the linear models are: the same clips whatever the networks train on.
        here = replace(resources, device=torch.device("cpu"))
        footage = load_footage(clips, size=plan.size, resources=here, progress=progress)
    digest = None if footage is None else footage.digest
    jobs = [
        Job(plan, part, seed, _device(part, resources), footage, digest)
        for part in plan.parts
        for seed in range(plan.seeds)
    ]
    kept: dict[str, dict[str, Any]] = {}
    with nullcontext() if journal is None else _opened(journal) as book:
        if book is not None:
            kept |= {job.key: book[job.key] for job in jobs if job.key in book}
        for record in _done(jobs, kept, resources.threads, progress):
            kept[record["key"]] = record
            if book is not None:
                book.add(record)
    records = [kept[job.key] for job in jobs]
    return _collected(plan, str(resources.device), footage, records)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Journal]:
    """A journal that no other run writes to."""
    with locked(path), Journal(path) as book:
        yield book


def _done(
    jobs: Sequence[Job],
    kept: dict[str, dict[str, Any]],
    threads: int,
    progress: Progress | None,
) -> Iterator[dict[str, Any]]:
    """Records of the jobs that are not kept yet, as they come."""
    left = [job for job in jobs if job.key not in kept]
    count = len(jobs) - len(left)

    def tell() -> None:
        if progress is not None:
            progress("experiment", count, len(jobs))

    tell()
    side_by_side = [job for job in left if job.device == "cpu"]
    one_by_one = [job for job in left if job.device != "cpu"]
    workers = min(threads, len(side_by_side))
    if workers < 2:
        side_by_side, one_by_one = [], left
    for outcome in run_jobs(do_part, side_by_side, workers=workers) if side_by_side else ():
        if outcome.status != "ok":
            raise FlickerscopeError(f"seed {side_by_side[outcome.index].seed}: {outcome.reason}")
        yield outcome.value
        count += 1
        tell()
    for job in one_by_one:
        yield do_part(job)
        count += 1
        tell()


def _device(part: str, resources: Resources) -> str:
    """Linear models are computed on the CPU, whatever there is."""
    return "cpu" if part == LINEAR else str(resources.device)


def do_part(job: Job) -> dict[str, Any]:
    """One part for one seed, as a plain record."""
    with torch_to_ourselves():
        if job.part == LINEAR:
            with plain_arithmetic(torch.device("cpu")):
                record = _linear(job)
        else:
            record = _trained(job)
    return {"key": job.key, "seed": job.seed, "part": job.part, **record}


def _linear(job: Job) -> dict[str, Any]:
    train, test = _contents(job)
    made = linear_arms(_by_name(train), _by_name(test), _stream(job.seed, "noise"))
    checks = {
        "null_gradient": denoiser_null(_all(train), flicker_form(8, FRAMES)),
        "identity": _identity(made[Arm("per-frame denoiser", FRAME)], test),
    }
    return {"checks": checks, "readings": list(_read(made, test))}


def _trained(job: Job) -> dict[str, Any]:
    plan = job.plan
    train, test = _contents(job)
    device = torch.device(job.device)
    training = Training(
        seed=job.seed,
        device=device,
        checkpoints=plan.long_steps if job.part == LONG else (plan.steps,),
        rate=plan.rate,
        size=size_on(device),
    )
    with repeatable(device):
        made = dict(trained_arms(FAMILIES[job.part](), _all(train), _by_name(test), training))
    sound = {arm: clips for arm, clips in made.items() if _finite(clips)}
    with plain_arithmetic(torch.device("cpu")):
        readings = list(_read(sound, test))
    return {"readings": readings, "diverged": [asdict(arm) for arm in made if arm not in sound]}


def _finite(clips: dict[str, Tensor]) -> bool:
    return all(bool(of.isfinite().all()) for of in clips.values())


def _contents(job: Job) -> tuple[list[Content], list[Content]]:
    """Training and test clips."""
    if job.footage is not None:
        train, test = split(job.footage, job.seed)
        return [train], [test]
    plan, seed = job.plan, job.seed
    both = []
    for stream, count in (("training clips", plan.train_clips), ("test clips", plan.test_clips)):
        generator = _stream(seed, stream)
        rendered = {name: render(name, count, plan.size, generator) for name in CLASSES}
        both.append([Content(name, clips, ("",) * count) for name, clips in rendered.items()])
    return both[0], both[1]


def _by_name(contents: Sequence[Content]) -> dict[str, Tensor]:
    return {content.name: content.clips for content in contents}


def _all(contents: Sequence[Content]) -> Tensor:
    return torch.cat([content.clips for content in contents])


def _stream(seed: int, name: str) -> torch.Generator:
    """Random numbers of a seed, on the CPU: the same on every device."""
    state = np.random.SeedSequence([seed, STREAMS.index(name)]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _read(made: dict[Arm, dict[str, Tensor]], test: Sequence[Content]) -> Iterator[dict[str, Any]]:
    """Plain readings of all arms; those of the frame loss also smoothed over time by one pass."""
    for content in test:
        for target, mine in targets(content):
            for arm, clips in made.items():
                if content.name not in clips:
                    continue
                pred = clips[content.name][mine]
                base = arm.loss == FRAME
                yield _plain(arm, content.name, target.read(pred, smoothing=base))
                if base:
                    arm = Arm(arm.model, SMOOTHED, arm.made)
                    yield _plain(arm, content.name, target.read(smoothed(pred, 1)))


def _plain(arm: Arm, content: str, reading: Reading) -> dict[str, Any]:
    return {**asdict(arm), "content": content, **reading.to_dict()}


def _identity(made: dict[str, Tensor], test: Sequence[Content]) -> float:
    """Relative difference of both sides of the identity, on the errors of a model."""
    worst = 0.0
    for content in test:
        error = (made[content.name] - content.clips).double()
        direct = error.square().sum() + 8 * error.diff(dim=1).square().sum()
        spectral = SpectralLoss(diff(8), reduction="sum")(error, torch.zeros_like(error))
        worst = max(worst, abs(float(spectral / direct) - 1))
    return worst


def _collected(
    plan: Plan, device: str, footage: Footage | None, records: Sequence[dict[str, Any]]
) -> Experiment:
    by_arm: dict[Arm, dict[str, dict[int, list[Reading]]]] = {}
    checks = [record["checks"] for record in records if "checks" in record]
    for record in records:
        for plain in record["readings"]:
            own = dict(plain)
            arm = Arm(own.pop("model"), own.pop("loss"), own.pop("made"))
            by_content = by_arm.setdefault(arm, {}).setdefault(own.pop("content"), {})
            by_content.setdefault(record["seed"], []).append(Reading.from_dict(own))
    if not checks:
        raise InputError("an experiment without its linear part has nothing to check")
    worst = {name: max(check[name] for check in checks) for name in checks[0]}
    findings, effects = find(by_arm)
    return Experiment(
        plan=plan,
        device=device,
        sources=() if footage is None else footage.sources,
        left_out=() if footage is None else footage.left_out,
        records=by_arm,
        diverged=tuple(
            (Arm(**plain), record["seed"])
            for record in records
            for plain in record.get("diverged", ())
        ),
        findings=findings,
        effects=effects,
        checks=Checks(**worst),
    )
