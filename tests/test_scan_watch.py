"""What a scan shows while it runs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from rich.console import Console
from test_scan_summary import lost, record
from test_scan_unpaired import record as lone_record

from flickerscope.cli import watch
from flickerscope.scan.ledger import Progress


def state_after(records: list[dict[str, Any]], total: int = 12, resumed: int = 2) -> Any:
    state = watch._State()
    state.take(Progress(total=total, done=resumed, resumed=resumed))
    for number, one in enumerate(records, resumed + 1):
        state.take(Progress(total=total, done=number, resumed=resumed, record=one))
    return state


def shown(state: Any) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(watch._view(state))
    return capture.get()


def test_the_table_fills_with_medians_of_excesses() -> None:
    clips = [record(value, model="a") for value in (1.0, 2.0, 9.0)] + [lost("failed", "a")]
    row = shown(state_after(clips)).splitlines()[-1].split()
    assert row == ["a", "4", "1", "+2.0", "+2.0"]


def test_incoherent_clips_stand_above_every_number() -> None:
    torn = [record(None, energy=1.0, verdict="incoherent") for _ in range(2)]
    assert "incoherent" in shown(state_after([record(3.0), *torn]))


def test_clips_by_themselves_show_their_levels() -> None:
    """12 dB re 1 code^2, not the rms of 4 code values that a report of one clip leads with."""
    clips = [lone_record(12.0, 0), lone_record(10.0, 1, role="ref")]
    for clip in clips:
        clip["energy"]["value"] = math.sqrt(clip["energy"]["power"])
    rows = [line.split() for line in shown(state_after(clips)).splitlines()[-2:]]
    assert rows == [["m", "1", "+12.0", "+12.0"], ["references", "1", "+10.0", "+10.0"]]


def test_rate_and_time_left_are_of_what_this_run_measured(monkeypatch) -> None:
    """Four clips in 8 s, and six to come: 12 s; the two from before do not count."""
    clock = iter([0.0, 8.0])
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    state = state_after([record(0.0)] * 3 + [lost("failed")])
    assert state.line == "6 of 12 clips, 30/min, 0:00:12 left, 1 without a reading"


@pytest.mark.parametrize(
    ("clips", "text"), [(4772.6, "4773/s"), (12.34, "12.3/s"), (0.05, "3/min")]
)
def test_rates_are_plain_numbers(clips, text) -> None:
    assert watch._rate(clips) == text
