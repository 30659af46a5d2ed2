"""What an experiment found, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from flickerscope.experiment.arms import FRAME, SMOOTHED, Arm
from flickerscope.experiment.findings import LEAST_DRAWN, Effect, Finding
from flickerscope.experiment.run import Experiment
from flickerscope.experiment.sizes import size_on
from flickerscope.stats import Interval

__all__ = [
    "KEY",
    "check_sentences",
    "describe",
    "effects_listed",
    "grouped",
    "listed",
    "omissions",
    "ranged",
]

MOST_LISTED: Final = 5
KEY: Final = (
    "excess, deficit: over 1 dB more or less than the reference, with 95 % confidence; calibrated: "
    "within 1 dB; undecided: none of these. MC: it is the motion-compensated flicker that is in "
    "excess. *: most of that energy is not explained by the reference."
)


def describe(result: Experiment) -> str:
    """What was done, in a line."""
    plan = result.plan
    seeds = f"{plan.seeds} seed{'' if plan.seeds == 1 else 's'}"
    clips = f"{plan.test_clips} test clips a class, rendered"
    if result.sources:
        seeds = f"{plan.seeds} split{'' if plan.seeds == 1 else 's'}"
        clips = f"clips cut from {len(result.sources)} videos, half of them to train on"
    models = "linear models in closed form"
    lengths = [f"{plan.steps} steps"] if plan.train else []
    if plan.long:
        lengths.append(f"denoisers for up to {plan.long_steps[-1]}")
    if lengths:
        channels = size_on(result.device).channels
        models += f"; {channels} channels trained on {result.device}, {', '.join(lengths)}"
    return f"{seeds}, {clips}; {models}"


def omissions(result: Experiment) -> Iterator[str]:
    """What is left out, and why: videos without clips, trainings that diverged, intervals."""
    if result.left_out:
        count, every = len(result.left_out), len(result.left_out) + len(result.sources)
        yield f"Left out, of {every} videos {count} that gave no clips:"
        yield from _first(result.left_out)
    if result.diverged:
        yield "Left out, trainings that came to no finite numbers, and their pairs:"
        by_arm: dict[Arm, list[int]] = {}
        for arm, seed in result.diverged:
            by_arm.setdefault(arm, []).append(seed)
        yield from _first(
            [
                f"{arm.model} {arm.loss}, {arm.made}: seed{'' if len(seeds) == 1 else 's'} "
                + ", ".join(map(str, seeds))
                for arm, seeds in by_arm.items()
            ]
        )
    few = [finding.videos for finding in result.findings if 0 < finding.videos < LEAST_DRAWN]
    if few:
        yield (
            f"Left out, intervals and verdicts: the clips tested on are of {max(few)} videos, "
            f"{LEAST_DRAWN} are needed."
        )


def _first(lines: Sequence[str]) -> Iterator[str]:
    """Not more than can be read."""
    yield from (f"  {line}" for line in lines[:MOST_LISTED])
    if len(lines) > MOST_LISTED:
        yield f"  and {len(lines) - MOST_LISTED} more, in experiment.json"


def check_sentences(result: Experiment) -> Iterator[str]:
    """What holds exactly, and how exactly it came out."""
    checks = result.checks
    yield (
        "Null hypothesis at the optimum of a clip-wide model: the difference loss changes nothing "
        f"(gradient {checks.null_gradient:.0e} of that at the start)."
    )
    yield f"Loss and weighted DCT spectrum agree to {checks.identity:.0e}."


def ranged(value: Interval | None, digits: int = 1, *, sign: bool = True) -> str:
    """An estimate and half the width of its interval; its ends, a digit less, where it is skew."""
    if value is None:
        return "-"
    text = f"{value.estimate:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0:
        text = text.replace("-", "+") if sign else text.removeprefix("-")
    if value.low is None or value.high is None:
        return text
    if abs(value.high + value.low - 2 * value.estimate) > 10**-digits:
        low, high = (round(end, digits - 1) + 0.0 for end in (value.low, value.high))
        form = f"{'+' if sign else ''}.{digits - 1}f"
        return f"{text} {low:{form}}..{high:{form}}"
    return f"{text} ±{(value.high - value.low) / 2:.{digits}f}"


def listed(findings: Sequence[Finding]) -> list[Finding]:
    """Those that a table shows: what is smoothed afterwards is a control, and left out."""
    return [finding for finding in findings if finding.arm.loss != SMOOTHED]


def grouped(arms: Iterable[Arm]) -> list[tuple[str, list[Arm]]]:
    """Arms by how they were made; those of one model next to one another."""
    groups: dict[str, dict[str, list[Arm]]] = {}
    for arm in dict.fromkeys(arms):
        groups.setdefault(arm.made, {}).setdefault(arm.model, []).append(arm)
    return [
        (made, [arm for of in models.values() for arm in of]) for made, models in groups.items()
    ]


def effects_listed(effects: Sequence[Effect]) -> list[Effect]:
    """The same of effects."""
    return [e for e in effects if e.arm.loss not in (FRAME, SMOOTHED)]
