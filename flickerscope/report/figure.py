"""A result as one figure, fit for a paper."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from matplotlib.figure import Figure

from flickerscope import __version__, histogram
from flickerscope.comparison import Comparison
from flickerscope.comparison.excess import headline_power
from flickerscope.errors import OutputError
from flickerscope.files import write_bytes
from flickerscope.measurement import Measurement
from flickerscope.report import along, bars, curves, multiples, places
from flickerscope.report.document import analysis_citation, comparison_citation
from flickerscope.report.style import (
    BODY,
    GREY,
    HEADLINE,
    INNER,
    MARGIN,
    SMALL,
    TITLE,
    WIDTH,
    Page,
    decibels,
    literal,
    number,
    paper,
    shorten,
    text_width,
    wrap,
)
from flickerscope.report.view import CELLS, Side, View, view
from flickerscope.report.words import (
    ENERGY,
    analysis_headline,
    comparison_headline,
    ground_sentence,
    in_band,
    other_readings,
    pulse_texts,
)
from flickerscope.settings import ALL_CHANNELS

__all__ = ["figure", "save_figure"]

HEAD: Final = 0.34  # of a panel: its title and the line under it
GAP: Final = 0.14
MOST_WARNINGS: Final = 3
MAP_HEIGHT: Final = 1.6
MOST_CHANNELS: Final = 32
LEADING: Final = 1.35
"""From one line of a text to the next, times the size of its type."""
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
MINUS: Final = re.compile(r"(?<!\w)-(?=\d)")
METADATA: Final[dict[str, dict[str, Any]]] = {
    "png": {"Software": f"flickerscope {__version__}"},
    "pdf": {"Creator": f"flickerscope {__version__}", "CreationDate": None},
    "svg": {"Creator": f"flickerscope {__version__}", "Date": None},
}
"""By format; without a date, so that the same result gives the same file."""


def figure(result: Comparison | Measurement) -> Figure:
    """Where and when it flickers, spectra, every band and its histograms; 7.2 inches wide."""
    with paper():
        drawn = _draw(view(result))
        # Ticks are made when they are first drawn: now, while our style is in force.
        drawn.canvas.draw()
        return drawn


def save_figure(
    result: Comparison | Measurement,
    file: str | os.PathLike[str] | BinaryIO,
    dpi: float = 200,
) -> None:
    """Write the figure: ``.png``, ``.pdf`` or ``.svg`` by the file's name, else PNG.

    Raises:
        OutputError: the file cannot be written, or has another suffix.
    """
    kind = "png"
    if isinstance(file, (str, os.PathLike)):
        kind = Path(file).suffix.lower().removeprefix(".") or "png"
        if kind not in METADATA:
            raise OutputError(f"{file}: a figure is written as .png, .pdf or .svg")
    with paper():
        drawn = _draw(view(result))
        data = io.BytesIO()
        drawn.savefig(data, format=kind, dpi=dpi, metadata=METADATA[kind])
    if isinstance(file, (str, os.PathLike)):
        write_bytes(file, data.getvalue())
    else:
        file.write(data.getvalue())


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the page over its full width."""

    height: float
    draw: Callable[[Page, float], None]
    """Called with the page and the block's top, inches."""


def _draw(shown: View) -> Figure:
    letters = iter("abcdefghi")
    blocks = [_header(shown), *_flicker(shown, letters), _spectrum_and_table(shown, letters)]
    blocks += [*_chroma(shown, letters), _histograms(shown, letters), *_energy(shown, letters)]
    blocks += [_footer(shown)]
    page = Page(2 * MARGIN + sum(block.height for block in blocks) + GAP * (len(blocks) - 1))
    top = MARGIN
    for block in blocks:
        block.draw(page, top)
        top += block.height + GAP
    return page.figure


# Title block.


def _header(shown: View) -> _Block:
    """The verdict, what it rests on, the motion-compensated flicker, and what stands beside it."""
    result = shown.result
    grey = {"size": SMALL, "color": GREY}
    lines: list[tuple[float, str, dict[str, Any]]] = []  # the step down to each, and its style

    def add(text: str, most: int, step: float, style: dict[str, Any]) -> None:
        size, weight = style.get("size", BODY), style.get("weight", "normal")
        parts = wrap(_typeset(text), INNER, size, most, weight) if text else []
        next_step = LEADING * size / 72
        lines.extend((next_step if k else step, part, style) for k, part in enumerate(parts))

    if isinstance(result, Comparison):
        headline = comparison_headline(result)
        verdict = {"size": HEADLINE, "weight": "bold", "gid": "title"}
        add(result.verdict[0].upper() + result.verdict[1:], 1, 0.17, verdict)
        add(ground_sentence(result.ruling), 2, 0.175, {})
        add(headline.title, 2, 0.2, {"size": TITLE, "weight": "bold", "gid": "headline"})
    else:
        headline = analysis_headline(result)
        add(headline.title, 2, 0.17, {"size": HEADLINE, "weight": "bold", "gid": "title"})
    add("; ".join((*headline.details, *other_readings(result))), 2, 0.16, {})
    for text in pulse_texts(result):
        add(text[0].upper() + text[1:], 1, 0.155, {})
    add(_beside(shown), 2, 0.155, grey)

    def draw(page: Page, top: float) -> None:
        y = top
        for step, text, style in lines:
            y += step
            page.text(MARGIN, y, text, **({"size": BODY} | style))
        y += 0.175
        for side in shown.sides:
            _name_line(page, side, y)
            y += 0.15

    height = sum(step for step, *_ in lines) + 0.075 + 0.15 * len(shown.sides)
    return _Block(height, draw)


def _typeset(text: str) -> str:
    """With the signs of print for powers and minus."""
    return MINUS.sub("−", literal(text).replace("^2", "²"))


def _power(shown: View) -> str:
    return shown.unit.power.replace("^2", "²")


def _beside(shown: View) -> str:
    """The energy, unless it leads, and readings that put it in its place."""
    result, clip = shown.result, shown.sides[0].clips[0]
    place = f"{in_band(shown.band.name)} at {shown.main} scale"
    parts: list[tuple[str, float | None]]
    if isinstance(result, Comparison):
        energy = f"{ENERGY} {decibels(result.energy_db)} dB {place}"
        change = result.picture
        parts = [
            ("quietest tenth", result.floor_db),
            ("sharpness", change.sharpness_db),
            ("contrast", change.contrast_db),
        ]
        if result.paired is not None:
            parts += [
                ("not explained by the reference", band.unexplained_db)
                for band in result.paired.bands
                if band.band == result.headline.band
            ]
        unit = "dB"
    else:
        rms = number(headline_power(result) ** 0.5)
        energy = f"{ENERGY} {rms} rms {shown.unit.name} {place}"
        parts = [("quietest tenth", shown.sides[0].reading(clip).floor_db)]
        unit = f"dB re 1 {_power(shown)}"
    texts = [f"{name} {decibels(value)} {unit}" for name, value in parts if value is not None]
    if not result.settings.latent:
        texts.insert(0, energy)
    return f"Beside it: {'; '.join(texts)}" if texts else ""


def _name_line(page: Page, side: Side, y: float) -> None:
    """The key to the curves, and what the video is."""
    page.line(
        MARGIN, MARGIN + 0.3, y - 0.035, color=side.colour, linestyle=side.dash, linewidth=1.6
    )
    page.text(MARGIN + 0.36, y, side.role, size=BODY, color=side.colour, weight="bold")
    facts = _facts(side)
    longest = "video" if side.role == "video" else "prediction"
    left = MARGIN + 0.36 + text_width(longest, BODY, "bold") + 0.1
    room = INNER + MARGIN - left - text_width(facts, SMALL) - 0.12
    page.text(left, y, shorten(side.name, room, BODY), size=BODY, gid=f"name/{side.role}")
    page.text(WIDTH - MARGIN, y, facts, size=SMALL, color=GREY, ha="right")


def _facts(side: Side) -> str:
    clips = side.clips
    sizes = dict.fromkeys(f"{clip.info.width} × {clip.info.height}" for clip in clips)
    rate = side.measurement.rate
    parts = [
        f"{len(clips)} videos" if len(clips) > 1 else "",
        _count(sum(clip.frames for clip in clips), "frame"),
        "no frame rate" if rate is None else f"{float(rate):.5g} frames/s",
        next(iter(sizes)) if len(sizes) == 1 else "several sizes",
        "" if clips[0].info.channels is None else _count(clips[0].info.channels, "channel"),
        _count(side.rung.segments, "segment"),
        "damaged" if any(clip.lost is not None for clip in clips) else "",
    ]
    return ", ".join(filter(None, parts))


def _count(number_of: int, thing: str) -> str:
    return f"{number_of} {thing}{'' if number_of == 1 else 's'}"


# Rows of panels.


def _spectrum_and_table(shown: View, letters: Any) -> _Block:
    rows = shown.main_rows
    first, second = next(letters), next(letters)
    has_hertz = shown.rate is not None and shown.transform.is_spectrum and not shown.in_hertz
    over = 0.31 if has_hertz else 0.02
    plot = max(1.75, bars.table_height(rows) - over - 0.3)
    right = MARGIN + 3.95
    height = HEAD + max(over + plot + 0.34, bars.table_height(rows))

    def draw(page: Page, top: float) -> None:
        key = curves.spectrum(page, shown, MARGIN + 0.46, top + HEAD + over, 3.17, plot)
        title = "Temporal power spectrum"
        if not shown.transform.is_spectrum:
            title = f"Second difference: {shown.segment} frames hold no spectrum"
        page.heading(MARGIN, top, first, title, key, 3.7)
        _table(page, shown, shown.plane, (second, right, top, WIDTH - MARGIN - right))

    return _Block(height, draw)


PLANES: Final = {"y": "", "cb": " of Cb", "cr": " of Cr", ALL_CHANNELS: ""}


def _table(page: Page, shown: View, plane: str, where: tuple[str, float, float, float]) -> None:
    letter, left, top, width = where
    rows = [row for row in shown.rows if row.plane == plane]
    title = f"{'Excess' if shown.is_pair else 'Level'}{PLANES.get(plane, plane)} by band"
    if shown.is_pair:
        title += f", and rms in {shown.unit.name}"
    unreliable = any(not row.reliable for row in rows)
    below = "* slow change leaks in" if unreliable else shown.unit.name
    if shown.is_pair and not unreliable:
        below = "the primary band in bold"
    page.heading(left, top, letter, title, below, width)
    bars.table(page, shown, rows, left, top + HEAD, width)


def _chroma(shown: View, letters: Any) -> list[_Block]:
    planes = [plane for plane in shown.planes if plane != shown.plane]
    if not planes:
        return []
    if shown.result.settings.latent:
        return [_channels(shown, next(letters))]
    named = [(plane, next(letters)) for plane in planes]
    heights = [bars.table_height([r for r in shown.rows if r.plane == p]) for p in planes]
    width = (INNER - 0.4) / 2

    def draw(page: Page, top: float) -> None:
        for k, (plane, letter) in enumerate(named):
            left = MARGIN + k * (width + 0.4)
            _table(page, shown, plane, (letter, left, top, width))

    return [_Block(HEAD + max(heights), draw)]


def _channels(shown: View, letter: str) -> _Block:
    """The channels of a latent in the primary band, in two columns; of many those of the most."""
    band = shown.band.name
    rows = [
        replace(row, band=row.plane)
        for row in shown.rows
        if row.plane != shown.plane and (row.scale, row.band) == (shown.main, band)
    ]
    count = len(rows)
    chosen = sorted(rows, key=lambda row: -max(row.rms))[:MOST_CHANNELS]
    rows = [row for row in rows if row in chosen]
    half = -(-len(rows) // 2)
    halves = [part for part in (rows[:half], rows[half:]) if part]
    width = (INNER - 0.4) / 2
    title = f"{'Excess' if shown.is_pair else 'Level'} of the channels in {literal(band)}"
    below = f"{'and rms in ' if shown.is_pair else ''}{shown.unit.name}"
    if count > len(rows):
        below += f"; the {len(rows)} of {count} channels of the largest rms"

    def draw(page: Page, top: float) -> None:
        page.heading(MARGIN, top, letter, title, below, INNER)
        for k, part in enumerate(halves):
            bars.table(page, shown, part, MARGIN + k * (width + 0.4), top + HEAD, width, rows)

    return _Block(HEAD + bars.table_height(halves[0]), draw)


def _histograms(shown: View, letters: Any) -> _Block:
    letter = next(letters)
    still = (2 * histogram.EDGES[0]) ** 0.5 * shown.unit.size
    below = f"still: below {still:.2g} {shown.unit.name}"
    if shown.fine is not None:
        below = f"thick: {CELLS[shown.main]}, thin: {CELLS[shown.fine]}; {below}"
    if shown.rate is None and shown.transform.is_spectrum:
        below += "; ranges in cycles/frame"
    title = "How strong: distribution of the magnitudes over the picture and the segments"

    def draw(page: Page, top: float) -> None:
        page.heading(MARGIN, top, letter, title, below, INNER)
        multiples.histograms(page, shown, MARGIN + 0.46, top + HEAD, INNER - 0.51)

    return _Block(HEAD + multiples.histograms_height(shown), draw)


def _flicker(shown: View, letters: Any) -> list[_Block]:
    """Where and when it flickers along the motion; nothing where that was not measured."""
    maps = along.flicker_maps(shown)
    if not maps:
        return []
    first, second = next(letters), next(letters)
    taken = max(along.maps_width(maps), 2.35)
    left = MARGIN + taken + 0.75
    below = [
        "over a frame of the video" if all(one.picture is not None for one in maps) else "",
        "of the first video" if not all(one.alike for one in maps) else "",
        "grey: not measured" if not all(one.is_whole for one in maps) else "",
    ]

    def draw(page: Page, top: float) -> None:
        title = "Where: motion-compensated flicker"
        page.heading(MARGIN, top, first, title, "; ".join(filter(None, below)), left - 0.6)
        along.where(page, maps, MARGIN + 0.02, top + HEAD)
        cuts = "; grey: cuts" if places.has_cuts(shown) else ""
        title = "When: motion-compensated flicker"
        width = WIDTH - MARGIN - left
        below_curve = f"dotted: none detected below{cuts}"
        page.heading(left - 0.45, top, second, title, below_curve, width + 0.45)
        along.timeline(page, shown, left, top + HEAD, width - 0.05)

    return [_Block(HEAD + along.HEIGHT + 0.34, draw)]


def _energy(shown: View, letters: Any) -> list[_Block]:
    """Where and when the energy is, if that is what the verdict is about."""
    result = shown.result
    if any(clip.motion is not None for side in shown.sides for clip in side.clips) and not (
        isinstance(result, Comparison)
        and (result.ruling.ground == "energy" or "energy" in result.verdict)
    ):
        return []
    first, second = next(letters), next(letters)
    place = places.place(shown)
    width = min(2.9, max(0.35, MAP_HEIGHT * place.aspect))
    height = min(MAP_HEIGHT, max(0.35, width / place.aspect))
    taken = max(width + 0.75, 2.1)
    left = MARGIN + taken + 0.6
    band = literal(shown.band.name)

    def draw(page: Page, top: float) -> None:
        page.heading(MARGIN, top, first, f"Where: {band}, block scale", place.what, taken + 0.05)
        places.where(page, place, MARGIN + 0.02, top + HEAD, width, height)
        cuts = "; grey: cuts" if places.has_cuts(shown) else ""
        rounding = "; dotted: rounding" if shown.unit.rounding else ""
        below = f"segments of {shown.segment} frames{rounding}{cuts}"
        title = f"When: {band}, {shown.main} scale"
        page.heading(left - 0.45, top, second, title, below, WIDTH - MARGIN - left + 0.45)
        places.timeline(page, shown, left, top + HEAD, WIDTH - MARGIN - left - 0.05, MAP_HEIGHT)

    return [_Block(HEAD + MAP_HEIGHT + 0.34, draw)]


# Foot.


def _footer(shown: View) -> _Block:
    lines = [
        line
        for text in (*_warnings(shown), _citation(shown))
        for line in wrap(text, INNER, SMALL, 2)
    ]

    def draw(page: Page, top: float) -> None:
        page.line(MARGIN, WIDTH - MARGIN, top, color=GREY, linewidth=0.4)
        for k, line in enumerate(lines):
            page.text(MARGIN, top + 0.14 + 0.13 * k, line, size=SMALL, color=GREY)

    return _Block(0.04 + 0.13 * len(lines), draw)


def _warnings(shown: View) -> list[str]:
    warnings = list(shown.result.warnings)
    texts = []
    for warning in warnings[:MOST_WARNINGS]:
        text = literal(warning)
        for side in shown.sides:
            for path, name in side.paths.items():
                if warning.startswith(f"{path}: "):
                    short = shorten(literal(name), INNER / 3, SMALL)
                    text = short + literal(warning.removeprefix(path))
        texts.append(f"Warning: {text}")
    if len(warnings) > MOST_WARNINGS:
        texts.append(f"{len(warnings) - MOST_WARNINGS} more warnings are in the report.")
    return texts


def _citation(shown: View) -> str:
    result = shown.result
    if isinstance(result, Comparison):
        text = comparison_citation(result)
    else:
        text = analysis_citation(result)
    if not shown.transform.is_spectrum:
        return literal(text)
    factor = float(shown.rate or 1) if shown.in_hertz else 1.0
    bands = [
        f"{band.name}{NO_BREAK}{band.low * factor:.3g}–{band.high * factor:.3g}"
        for _, band in shown.bands
    ]
    unit = "Hz" if shown.in_hertz else "cycles/frame"
    return literal(f"{text}; bands in {unit}: {', '.join(bands)}")
