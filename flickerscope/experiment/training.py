"""Trains networks on parts of clips, all of them with the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from flickerscope.experiment.arms import Arm
from flickerscope.experiment.clips import MIDDLE, UNIT
from flickerscope.experiment.families import Task
from flickerscope.experiment.sizes import SMALL, Size

__all__ = ["Training", "trained_arms"]

AT_ONCE: Final = 16
"""Test clips."""
WEIGHTS, BATCHES, TESTS = range(3)
"""Streams of random numbers."""


@dataclass(frozen=True, slots=True)
class Training:
    """How to train."""

    seed: int
    device: torch.device
    checkpoints: tuple[int, ...]
    """Steps after which clips are made; the last one ends the training."""
    rate: float
    """Of learning, by Adam, for small networks."""
    size: Size = SMALL


class Numbers:
    """Random numbers that are drawn on the CPU, so that they are the same on every device."""

    def __init__(self, seed: int, stream: int, device: torch.device) -> None:
        self.generator = torch.Generator().manual_seed(3 * seed + stream)
        self.device = device

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Of mean 0 and variance 1."""
        return torch.randn(*shape, generator=self.generator).to(self.device)

    def uniform(self, count: int) -> Tensor:
        """Between 0 and 1, (count,)."""
        return torch.rand(count, generator=self.generator).to(self.device)

    def whole(self, count: int) -> list[int]:
        """Large numbers from 0 up."""
        return torch.randint(1 << 30, (count,), generator=self.generator).tolist()


def trained_arms(
    tasks: Sequence[Task], clips: Tensor, test: Mapping[str, Tensor], training: Training
) -> Iterator[tuple[Arm, dict[str, Tensor]]]:
    """Train every task, and let the networks make the test clips.

    Every training begins with the same numbers, so that networks that differ in their loss only
    have the same initial weights, batches and noise.

    Args:
        tasks: what to train.
        clips: to train on, (clips, FRAMES, rows, columns), code values.
        test: the same by class of content.
        training: how.
    """
    several = len(training.checkpoints) > 1
    inside = _inside(clips)
    for task in tasks:
        net = _build(task, training)
        for steps in _train(net, task, inside, training):
            made: dict[str, dict[str, Tensor]] = {}
            numbers = Numbers(training.seed, TESTS, training.device)
            for content, targets in test.items():
                for model, predicted in _make(net, task, targets, numbers).items():
                    made.setdefault(model, {})[content] = predicted
            for model, by_content in made.items():
                how = f"trained, {steps} steps" if several else "trained"
                yield Arm(model, task.loss_name, how), by_content


def _build(task: Task, training: Training) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3 * training.seed + WEIGHTS)
        return task.build(training.size).to(training.device)


def _train(net: nn.Module, task: Task, clips: Tensor, training: Training) -> Iterator[int]:
    """Train; yields the steps made, at each checkpoint."""
    numbers = Numbers(training.seed, BATCHES, training.device)
    optimizer = torch.optim.Adam(net.parameters(), training.size.rate(training.rate))
    for done in range(1, training.checkpoints[-1] + 1):
        batch = _batch(clips, training.size, numbers).to(training.device)
        loss = task.loss(net, batch, numbers)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if done in training.checkpoints:
            yield done


def _batch(clips: Tensor, size: Size, numbers: Numbers) -> Tensor:
    """Parts of clips, each turned over or not in space and time, (B, 1, T, rows, columns)."""
    parts = []
    places = clips.shape[-1] - min(size.part, clips.shape[-1]) + 1
    for _ in range(size.batch):
        which, top, left, *flips = numbers.whole(6)
        part = clips[which % len(clips), :, :, top % places :, left % places :]
        turned = [axis for axis, flip in zip((1, 2, 3), flips, strict=True) if flip % 2]
        parts.append(part[..., : size.part, : size.part].flip(turned))
    return torch.stack(parts)


def _make(net: nn.Module, task: Task, clips: Tensor, numbers: Numbers) -> dict[str, Tensor]:
    """Clips in code values, on the CPU, by model."""
    made: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for start in range(0, len(clips), AT_ONCE):
            part = _inside(clips[start : start + AT_ONCE]).to(numbers.device)
            for model, predicted in task.make(net, part, numbers).items():
                made.setdefault(model, []).append(MIDDLE + UNIT * predicted[:, 0].cpu())
    return {model: torch.cat(parts) for model, parts in made.items()}


def _inside(clips: Tensor) -> Tensor:
    """Code values as networks take them, (clips, 1, T, rows, columns)."""
    return ((clips - MIDDLE) / UNIT)[:, None]
