"""Lays a result out for a terminal of 80 columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from flickerscope.settings import ALL_CHANNELS, Settings

if TYPE_CHECKING:
    from flickerscope.comparison import Comparison
    from flickerscope.comparison.excess import Line
    from flickerscope.comparison.judge import Ruling
    from flickerscope.comparison.paired import PairedReading
    from flickerscope.demo.run import DemoResult
    from flickerscope.measurement import Clip, Measurement
    from flickerscope.report.words import Headline
    from flickerscope.spectrum import Band
    from flickerscope.units import Unit

__all__ = [
    "analysis_summary",
    "bullet",
    "comparison_summary",
    "count_of",
    "demo_summary",
    "printable",
    "signed",
]

MAIN_PLANES = "y", ALL_CHANNELS
MOST_CHANNELS = 16

VERDICT_STYLE = {
    "flickers more": "bold red",
    "flickers less": "bold green",
    "incoherent": "bold red",
    "more energy, consistent with motion or sharpness": "bold yellow",
    "less energy, consistent with less motion or blur": "bold yellow",
    "no difference found": "bold green",
    "not measurable": "bold yellow",
}


def comparison_summary(result: Comparison, *, verbose: bool = False) -> RenderableType:
    """The verdict and what it rests on, the motion-compensated flicker, and the energy beside it;
    then what was compared, the table of bands, warnings and the citable line.
    """
    from flickerscope.report.document import comparison_citation
    from flickerscope.report.words import comparison_headline

    parts: list[RenderableType] = [
        *_verdict(result.ruling),
        _headline(comparison_headline(result)),
        *_motion_readings(result),
        *([] if result.settings.latent else [_energy(result)]),  # of a latent it leads
        Text(),
        *_clips("pred", result.pred, result.segment),
        *_clips("ref", result.ref, result.segment),
        Text(),
    ]
    shown = _planes_shown(dict.fromkeys(row.plane for row in result.table), result.settings)
    rows = [row for row in result.table if row.plane in shown]
    measure = _Measure(result.pred.unit, [value for r in rows for value in (r.pred_rms, r.ref_rms)])
    parts.extend(_comparison_table(result, plane, measure, named=len(shown) > 1) for plane in shown)
    parts.append(Text(f"{measure}; dB: excess of pred over ref, 0 if alike\n", style="dim"))
    if result.settings.latent:
        parts.append(_channels(result))
    lines = [line for line in result.lines if line.plane in shown]
    parts.extend(_line_texts(lines, result.pred.rate, result.pred.unit))
    parts.extend(_other_readings(result))
    if result.paired is not None:
        parts.append(_paired(result.paired, result.headline.band, result.pred.unit))
    elif verbose:
        parts.append(bullet("paired", f"not available: {result.paired_reason}", "cyan"))
    parts.extend(_remarks(result.warnings, result.notes, verbose))
    parts.append(Text(f"\n{comparison_citation(result)}; on {result.device}", style="dim"))
    return Group(*parts)


def analysis_summary(result: Measurement, *, device: str, verbose: bool = False) -> RenderableType:
    """The same for a video alone, which is named first: there may be several in a row."""
    from flickerscope.comparison import excess
    from flickerscope.report.document import analysis_citation
    from flickerscope.report.words import ENERGY, analysis_headline, in_band
    from flickerscope.rungs import headline_band

    transform = result.transform()
    band = transform.bands[headline_band(result.settings, transform)]
    rms = excess.headline_power(result) ** 0.5
    rung = result.rungs[result.segment]
    shown = _planes_shown(
        dict.fromkeys(name.split("/")[0] for name in rung.spectra), result.settings
    )
    lines = [
        line
        for name, spectrum in rung.spectra.items()
        if name.split("/")[0] in shown
        for line in excess.find_lines(name, (spectrum, transform))
    ]
    energy = Text.assemble(
        f"Beside it: {ENERGY} ",
        (f"{_round(rms, 3)} rms {result.unit.name}", "bold"),
        f" {in_band(_range(band, result.rate))}, at {result.settings.main_scale} scale",
    )
    parts: list[RenderableType] = [
        *_clips("video", result, result.segment),
        _headline(analysis_headline(result)),
        *_motion_readings(result),
        *([] if result.settings.latent else [energy]),  # of a latent it leads
        Text(),
    ]
    parts.extend(_analysis_tables(result, shown))
    parts.extend(_line_texts(lines, result.rate, result.unit))
    alone = result.clips[0] if len(result.clips) == 1 else result  # no need to name the one video
    parts.extend(_remarks(alone.warnings, alone.notes, verbose))
    parts.append(Text(f"\n{analysis_citation(result)}; on {device}", style="dim"))
    return Group(*parts)


def printable(name: str) -> str:
    """A file's name with whatever would disturb a terminal written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _clips(role: str, measurement: Measurement, segment: int) -> Iterator[RenderableType]:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="bold cyan", min_width=5)
    grid.add_column(overflow="fold")
    for clip in measurement.clips:
        grid.add_row(role, Text(printable(clip.info.path)))
        grid.add_row("", Text(_describe(clip, segment), style="dim"))
    yield grid


def _describe(clip: Clip, segment: int) -> str:
    info = clip.info
    segments = len(clip.readings[segment].starts)
    rate = "no frame rate" if clip.rate is None else f"{float(clip.rate):.6g} frames/s"
    parts = [
        f"{info.codec} " if info.codec else "",
        f"{info.width}x{info.height}, ",
        "" if info.channels is None else f"{info.channels} channels, ",
        f"{clip.frames} frames, {rate}, ",
        f"{count_of(segments, 'segment')} of {segment}",
        "" if clip.lost is None else f", damaged ({count_of(clip.lost, 'frame')} lost)",
    ]
    return "".join(parts)


def _columns(table: Table, scales: Sequence[str], names: Sequence[str]) -> None:
    for scale in scales:
        for i, name in enumerate(names):
            middle = i == len(names) // 2
            head = Text(f"{scale if middle else ''}\n{name}", justify="right")
            table.add_column(head, justify="right", no_wrap=True)


def _table(first: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(f"\n{first}", no_wrap=True, overflow="ellipsis", max_width=22)
    return table


def _comparison_table(
    result: Comparison, plane: str, measure: _Measure, *, named: bool
) -> RenderableType:
    rows = [row for row in result.table if row.plane == plane]
    scales = list(dict.fromkeys(row.scale for row in rows))
    table = _table(f"{plane.upper()}  band" if named else "band")
    _columns(table, scales, ("pred", "ref", "dB"))
    bands = {band.name: band for band in result.transform.bands}
    for name in dict.fromkeys(row.band for row in rows):
        cells: list[RenderableType] = []
        for row in rows:
            if row.band == name:
                main = row is result.headline
                cells += [
                    measure.text(row.pred_rms),
                    measure.text(row.ref_rms),
                    Text(f"{signed(row.excess_db, 2)}", style="bold" if main else ""),
                ]
        table.add_row(Text(_range(bands[name], result.pred.rate)), *cells)
    return Padding(table, (0, 0, 0, 0))


def _analysis_tables(result: Measurement, planes: Sequence[str]) -> Iterator[RenderableType]:
    """One for every plane: nine columns would not fit."""
    from flickerscope.report.document import analysis_rows

    rows = [row for row in analysis_rows(result) if row["plane"] in planes]
    measure = _Measure(result.unit, [row["rms"] for row in rows])
    for plane in planes:
        table = _table(f"{plane.upper()}  band" if len(planes) > 1 else "band")
        own = [row for row in rows if row["plane"] == plane]
        for scale in dict.fromkeys(row["scale"] for row in own):
            table.add_column(Text(f"{scale}\nrms", justify="right"), justify="right", no_wrap=True)
        for band in result.transform().bands:
            cells = [measure.text(row["rms"]) for row in own if row["band"] == band.name]
            if cells:
                table.add_row(Text(_range(band, result.rate)), *cells)
        yield table
    yield Text(f"{measure}\n", style="dim")


class _Measure:
    """How rms values are shown in five characters: nine such columns and their decibels fit into a
    line. Those of a latent may be of any size, and are shown as multiples of a power of ten.
    """

    def __init__(self, unit: Unit, values: Sequence[float]) -> None:
        self._name, self._factor = f"{unit.name} (0..255)", 1.0
        if unit.rounding:
            return
        self._name, most = unit.name, max(values, default=0.0)
        if most and not 0.1 <= most < 1000:
            power = math.floor(math.log10(most))
            self._name, self._factor = f"1e{power:+d} {unit.name}", 10.0**-power

    def __str__(self) -> str:
        return f"rms in {self._name}"

    def text(self, value: float) -> str:
        value *= self._factor
        return f"{value:.{3 if value < 9.9995 else 2 if value < 99.995 else 1}f}"


def _planes_shown(planes: Iterable[str], settings: Settings) -> list[str]:
    """All of a picture; of a latent, all channels together."""
    return [settings.main_plane] if settings.latent else list(planes)


def _channels(result: Comparison) -> RenderableType:
    """The channels of a latent in the headline's band, those of the most excess first."""
    row = result.headline
    own = [
        one
        for one in result.table
        if one.plane != row.plane and (one.scale, one.band) == (row.scale, row.band)
    ]
    if not own:
        return Text()
    own.sort(key=lambda one: -one.excess_db)
    texts = [f"{one.plane} {signed(one.excess_db, 1)}" for one in own]
    if len(texts) > MOST_CHANNELS:
        texts = [*texts[: MOST_CHANNELS - 1], "...", texts[-1]]
    return bullet("channels", f"dB in {row.band}: {', '.join(texts)}", "cyan")


def _round(value: float, digits: int) -> str:
    """To significant digits, but large numbers in full instead of as powers of ten."""
    return f"{value:.{digits}g}" if value < 10**digits - 0.5 else f"{value:.0f}"


def count_of(number: int, thing: str) -> str:
    """Such as ``1 clip`` and ``2 clips``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def signed(value: float, digits: int) -> str:
    """With its sign, but never a minus zero."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def _range(band: Band, rate: Fraction | None) -> str:
    from flickerscope.spectrum import SECOND_DIFFERENCE

    if band.name == SECOND_DIFFERENCE:
        return band.name
    if rate is None:
        return f"{band.name} {round(band.low, 3):g}-{round(band.high, 3):g} c/frame"
    low, high = band.low * float(rate), band.high * float(rate)
    if band.name == f"{low:.3g}-{high:.3g}Hz":
        return band.name
    return f"{band.name} {low:.3g}-{high:.3g} Hz"


def _verdict(ruling: Ruling) -> Iterator[RenderableType]:
    """In words, and on what it rests."""
    from flickerscope.report.words import ground_sentence

    words = f"{ruling.verdict[0].upper()}{ruling.verdict[1:]}."
    yield Text(words, style=VERDICT_STYLE[ruling.verdict])
    yield Text(ground_sentence(ruling))


def _headline(headline: Headline) -> RenderableType:
    """The motion-compensated flicker, its value in bold."""
    return Text.assemble((headline.title, "bold"), headline.sentence.removeprefix(headline.title))


def _motion_readings(result: Comparison | Measurement) -> Iterator[RenderableType]:
    """The motion-compensated readings beside the headline."""
    from flickerscope.report.words import other_readings, pulse_texts

    found = "; ".join(other_readings(result))
    if found:
        yield bullet("motion", found, "cyan")
    for text in pulse_texts(result):
        yield bullet("pulse", text, "magenta")


def _energy(result: Comparison) -> RenderableType:
    from flickerscope.report.words import ENERGY, in_band

    row = result.headline
    return Text.assemble(
        f"Beside it: {ENERGY} ",
        (f"{signed(row.excess_db, 1)} dB", "bold"),
        f" (pred {_round(row.pred_rms, 3)}, ref {_round(row.ref_rms, 3)} rms "
        f"{result.pred.unit.name} "
        f"{in_band(row.band)} at {row.scale} scale)",
    )


def _line_texts(
    lines: Sequence[Line], rate: Fraction | None, unit: Unit
) -> Iterator[RenderableType]:
    for frequency in dict.fromkeys(round(line.frequency, 3) for line in lines):
        at = [line for line in lines if round(line.frequency, 3) == frequency]
        place = (
            f"{frequency:.3g} cycles/frame"
            if rate is None
            else f"{at[0].frequency * float(rate):.4g} Hz"
        )
        sizes = ", ".join(
            f"{_round(line.amplitude, 2)} "
            f"({line.scale}{'' if line.plane in MAIN_PLANES else ' ' + line.plane})"
            for line in at
        )
        yield bullet("line", f"at {place}, amplitude in {unit.name} {sizes}", "magenta")


def _other_readings(result: Comparison) -> Iterator[RenderableType]:
    picture = result.picture
    values = []
    if result.floor_db is not None:
        values.append(f"quietest tiles {signed(result.floor_db, 1)} dB")
    if picture.sharpness_db is not None:
        values.append(f"sharpness {signed(picture.sharpness_db, 1)} dB")
        less = result.energy_db - picture.sharpness_db
        values.append(f"excess less sharpness {signed(less, 1)} dB")
    if picture.contrast_db is not None:
        values.append(f"contrast {signed(picture.contrast_db, 1)} dB")
    if values:
        yield bullet("beside", ", ".join(values), "cyan")


def _paired(paired: PairedReading, band: str, unit: Unit) -> RenderableType:
    row = next(row for row in paired.bands if row.band == band)
    values = [f"lag {paired.lag:+d}" if paired.lag else "in step"]
    if row.coherence is not None:
        values.append(f"coherence {row.coherence:.2f}")
    if row.unexplained is not None and row.unexplained_db is not None:
        values.append(
            f"unexplained {_round(row.unexplained, 3)} {unit.power} "
            f"({signed(row.unexplained_db, 1)} dB)"
        )
    if row.retained is not None and row.retained_db is not None:
        values.append(f"retained {signed(row.retained_db, 1)} dB")
    if row.slope is not None:
        values.append(f"slope {row.slope:.2f}")
    if row.gain is not None:
        values.append(f"gain {row.gain:.2f}")
    values.append(f"error {_round(row.error, 3)} {unit.power}")
    if paired.note:
        values.append(paired.note)
    return bullet("paired", f"{band}: {', '.join(values)}", "cyan")


def _remarks(
    warnings: Sequence[str], notes: Sequence[str], verbose: bool
) -> Iterator[RenderableType]:
    for text in warnings:
        yield bullet("warning", text, "yellow")
    if verbose:
        for text in notes:
            yield bullet("note", text, "dim")
    elif notes:
        count = len(notes)
        yield bullet("notes", f"{count}, shown with -v and kept in the reports", "dim")


def bullet(label: str, text: str, style: str) -> RenderableType:
    """A labelled sentence."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style=style, min_width=8, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(printable(text)))
    return grid


def demo_summary(result: DemoResult, folder: str) -> RenderableType:
    """What was put in beside what was read back."""
    put, got = result.flicker, result.read_amplitude
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for head in ("demo", "put in", "read back"):
        table.add_column(head, justify="left" if head == "demo" else "right")
    table.add_row("amplitude, code values", f"{put.amplitude:.2f}", f"{got:.2f}")
    read_hz = "none" if result.read_hz is None else f"{result.read_hz:.2f}"
    table.add_row("frequency, Hz", f"{put.frequency_hz:.2f}", read_hz)
    return Group(
        Text(),
        table,
        Text(f"read in {result.box}, after {result.codec}", style="dim"),
        Text(f"\nVideos and report in {printable(folder)}: pred.mp4, ref.mp4, report.png"),
    )
