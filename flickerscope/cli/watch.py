"""Shows how far a scan is: a bar and a table of models on a terminal, plain lines in a log."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import typer

from flickerscope.cli.terminal import printable, signed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from flickerscope.scan.ledger import Progress

__all__ = ["watching"]

EVERY: Final = 30.0
"""Seconds between the lines of a log."""


@dataclass(slots=True)
class _Model:
    done: int = 0
    failed: int = 0
    flicker: list[float] = field(default_factory=list)
    energy: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _State:
    """What was seen so far."""

    began: float = field(default_factory=time.monotonic)
    total: int = 0
    done: int = 0
    resumed: int = 0
    failed: int = 0
    models: dict[str, _Model] = field(default_factory=dict)

    def take(self, step: Progress) -> None:
        if step.record is None:
            self.began = time.monotonic()
        self.total, self.done, self.resumed = step.total, step.done, step.resumed
        if step.record is not None:
            self._add(step.record)

    def _add(self, record: Any) -> None:
        model = self.models.setdefault(record["model"], _Model())
        model.done += 1
        if record["status"] != "measured":
            model.failed += 1
            self.failed += 1
            return
        if "energy" in record:  # a video of a set that is being measured has no readings
            flicker, energy = _readings(record)
            model.energy.append(energy)
            if flicker is not None:
                model.flicker.append(flicker)

    @property
    def line(self) -> str:
        """Clips, rate, time left and failures."""
        parts = [f"{self.done} of {self.total} clips"]
        fresh, seconds = self.done - self.resumed, time.monotonic() - self.began
        if fresh and seconds > 0:
            rate = fresh / seconds
            left = f"{_time((self.total - self.done) / rate)} left"
            parts += [_rate(rate), left if self.done < self.total else "writing the results"]
        if self.failed:
            parts.append(f"{self.failed} without a reading")
        return ", ".join(parts)


def _readings(record: Mapping[str, Any]) -> tuple[float | None, float]:
    """Flicker and energy as in the statistics: excesses, or the levels of a clip by itself, dB."""
    if "role" not in record:
        from flickerscope.scan.readings import place_of

        return place_of(record), record["energy"]["value"]
    from flickerscope.scan.readings import ENERGY, FLICKER
    from flickerscope.scan.unpaired.summary import is_incoherent, levels_of

    levels = dict(levels_of(record))
    flicker = math.inf if is_incoherent(record) else levels.get(FLICKER)
    return flicker, levels[ENERGY]


@contextmanager
def watching(*, quiet: bool, plain: bool) -> Iterator[Callable[[Progress], None] | None]:
    """What to call with every step; on a terminal a live view, else lines on stderr."""
    try:
        with _shown(quiet, plain) as watch:
            yield watch
    except KeyboardInterrupt:
        _say("what was measured is kept: the same command goes on from here")
        raise


@contextmanager
def _shown(quiet: bool, plain: bool) -> Iterator[Callable[[Progress], None] | None]:
    if quiet:
        yield None
        return
    state = _State()
    if plain or not sys.stderr.isatty():
        yield _lines(state)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    with Live(
        console=console, refresh_per_second=4, transient=True, get_renderable=lambda: _view(state)
    ):
        yield _live(state, console.print)


def _announce(step: Progress, say: Callable[[str], object]) -> None:
    """Once at the beginning, and whatever was not measured as it comes."""
    if step.record is None and step.resumed:
        say(f"resumed {step.resumed} of {step.total}")
    if step.record is not None and step.record["status"] != "measured":
        say(printable(f"{step.record['status']}: {step.record['reason']}"))


def _live(state: _State, say: Callable[..., object]) -> Callable[[Progress], None]:
    def take(step: Progress) -> None:
        state.take(step)
        _announce(step, lambda text: say(text, highlight=False, markup=False, emoji=False))

    return take


def _lines(state: _State) -> Callable[[Progress], None]:
    last = time.monotonic()

    def take(step: Progress) -> None:
        nonlocal last
        state.take(step)
        _announce(step, _say)
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            _say(state.line)

    return take


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _view(state: _State) -> RenderableType:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    if not state.total:
        return Text("looking at the files ...", style="dim")
    head = Table.grid(padding=(0, 1))
    head.add_row(ProgressBar(total=state.total, completed=state.done, width=20), Text(state.line))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", max_width=24, no_wrap=True, overflow="ellipsis")
    for name in ("clips", "no reading", "flicker, median dB", "energy, median dB"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, model in state.models.items():
        table.add_row(
            printable(name), str(model.done), str(model.failed or ""),
            _median(model.flicker), _median(model.energy),
        )  # fmt: skip
    return Group(head, table) if state.models else head


def _median(values: list[float]) -> str:
    if not values:
        return ""
    middle = median(values)
    return "incoherent" if math.isinf(middle) else signed(middle, 1)


def _rate(clips: float) -> str:
    if clips >= 100:
        return f"{clips:.0f}/s"
    return f"{clips:.3g}/s" if clips >= 1 else f"{clips * 60:.3g}/min"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
