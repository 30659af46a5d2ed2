"""An experiment as one figure, fit for a paper."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from flickerscope import __version__
from flickerscope.experiment.arms import FRAME, SMOOTHED, Arm
from flickerscope.experiment.document import pooled_magnitudes, pooled_spectra
from flickerscope.experiment.findings import Finding
from flickerscope.experiment.pooling import pool
from flickerscope.experiment.readings import HIGH, TRANSFORM, Reading
from flickerscope.experiment.run import Experiment
from flickerscope.experiment.words import describe, grouped
from flickerscope.histogram import EDGES
from flickerscope.report.style import (
    BLUE,
    FAINT,
    GREY,
    HEADLINE,
    INK,
    INNER,
    MARGIN,
    ORANGE,
    SMALL,
    WIDTH,
    Page,
    paper,
    text_width,
)
from flickerscope.stats import DELTA_DB
from flickerscope.units import ROUNDING_POWER

__all__ = ["draw_experiment"]

TITLE: Final = "Does the frame loss make models flicker, and does the difference loss help?"
ROW: Final = 0.135  # inches
HEAD: Final = 0.47
GAP: Final = 0.16
GREEN: Final = "#009E73"
LILAC: Final = "#CC79A7"
VERDICT_COLOUR: Final = {
    "excess": ORANGE, "deficit": BLUE, "calibrated": GREEN, "undecided": GREY,
}  # fmt: skip
FLOOR: Final = ROUNDING_POWER / 100
"""Code^2 a bin: nothing is drawn below."""


def draw_experiment(result: Experiment, dpi: float = 200) -> bytes:
    """The figure as PNG: excess, spectra, Pareto plots and magnitudes of every class of content."""
    with paper():
        data = io.BytesIO()
        figure = _Figure(result).draw()
        metadata = {"Software": f"flickerscope {__version__}"}
        figure.savefig(data, format="png", dpi=dpi, metadata=metadata)
        return data.getvalue()


class _Figure:
    """Lays the panels out from top to bottom."""

    def __init__(self, result: Experiment) -> None:
        self.result = result
        self.findings = [f for f in result.findings if f.arm.loss != SMOOTHED]
        self.contents = list(dict.fromkeys(f.content for f in self.findings))
        self.groups = grouped(finding.arm for finding in self.findings)
        self.made = self._made()
        """How the models were made that all panels but the first show."""
        self.shown = [model for model in DENOISERS if self._of(model, FRAME)]

    def draw(self) -> Any:
        spectrum, square, low = 1.1, 1.75, 1.1
        heads = len(self.groups) if len(self.groups) > 1 else 0
        excess = ROW * (heads + sum(len(arms) for _, arms in self.groups))
        tops = [MARGIN + 0.42]
        for height in (excess + 0.3, len(self.shown) * (spectrum + 0.12) + 0.3, square + 0.36):
            tops.append(tops[-1] + HEAD + height + GAP)
        page = Page(tops[-1] + HEAD + low + 0.36 + MARGIN)
        page.text(MARGIN, MARGIN + 0.14, TITLE, size=HEADLINE, weight="bold")
        page.text(MARGIN, MARGIN + 0.32, describe(self.result), size=SMALL, color=GREY)
        self._excess(page, tops[0], excess)
        self._spectra(page, tops[1], spectrum)
        self._pareto(page, tops[2], square)
        self._magnitudes(page, tops[3], low)
        page.canvas.draw()
        return page.figure

    def _excess(self, page: Page, top: float, height: float) -> None:
        below = (
            "dots: high-frequency energy, with 95 % intervals; strokes: motion-compensated "
            "flicker; dB against the reference"
        )
        page.heading(MARGIN, top, "a", "Excess, deficit or calibrated", below, INNER)
        arms = [arm for _, of in self.groups for arm in of]
        names = max(text_width(f"{arm.model}  {arm.loss}", SMALL) for arm in arms) + 0.1
        by = {(f.arm, f.content): f for f in self.findings}
        rows = self._rows(page, top + HEAD, names)
        for content, left, width in self._columns(MARGIN + names, 0.12):
            axes = page.axes(left, top + HEAD, width, height)
            axes.axvspan(-DELTA_DB, DELTA_DB, color=FAINT, alpha=0.6, linewidth=0)
            for arm, y in rows.items():
                if (arm, content) in by:
                    _dot(axes, by[arm, content], y)
            axes.set_ylim(height / ROW - 0.5, -0.5)
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.set_title(content, fontsize=SMALL, pad=2)
        self._verdict_key(page, top)

    def _rows(self, page: Page, top: float, width: float) -> dict[Arm, int]:
        """Write the names of the arms; returns the row of each."""
        rows: dict[Arm, int] = {}
        row = 0
        for made, arms in self.groups:
            if len(self.groups) > 1:
                page.text(
                    MARGIN, top + ROW * (row + 0.5) + 0.035, made, size=SMALL, style="italic",
                    color=GREY,
                )  # fmt: skip
                row += 1
            last = ""
            for arm in arms:
                baseline = top + ROW * (row + 0.5) + 0.035
                if arm.model != last:
                    page.text(MARGIN + 0.08, baseline, arm.model, size=SMALL)
                page.text(
                    MARGIN + width - 0.08, baseline, arm.loss, size=SMALL, color=GREY, ha="right"
                )
                last = arm.model
                rows[arm] = row
                row += 1
        return rows

    def _made(self) -> str:
        """Trained, or trained for longest; the closed form where no denoiser came to numbers."""
        names = ["trained", *reversed([made for made, _ in self.groups])]
        denoisers = [arm for arm in self.result.records if arm.model in DENOISERS]
        made = {arm.made for arm in denoisers if arm.loss == FRAME}
        return next(name for name in names if name in made)

    def _of(self, model: str, loss: str) -> Mapping[str, Mapping[int, Sequence[Reading]]]:
        """Readings by class and seed of what these panels show."""
        return self.result.records.get(Arm(model, loss, self.made), {})

    def _verdict_key(self, page: Page, top: float) -> None:
        right = WIDTH - MARGIN
        for word in reversed(VERDICT_COLOUR):
            page.text(right, top + 0.13, word, size=SMALL, color=VERDICT_COLOUR[word], ha="right")
            right -= text_width(word, SMALL) + 0.1

    def _spectra(self, page: Page, top: float, height: float) -> None:
        below = (
            "power of the target, of predictions, of their error (dotted) and of what the target "
            "does not explain (dashed)"
        )
        page.heading(MARGIN, top, "b", f"Temporal spectra, {self.made}", below, INNER)
        self._loss_key(page, top)
        for row, model in enumerate(self.shown):
            for column, (content, left, width) in enumerate(self._columns(MARGIN + 0.42, 0.3)):
                y = top + HEAD + row * (height + 0.12)
                axes = page.axes(left, y, width, height)
                self._spectrum(axes, model, content)
                last = row == len(self.shown) - 1
                axes.set_xlim(0, 0.5)
                axes.tick_params(labelbottom=last)
                if row == 0:
                    axes.set_title(content, fontsize=SMALL, pad=2)
                if last:
                    axes.set_xlabel("temporal frequency (cycles/frame)")
                if column == 0:
                    axes.set_ylabel("code² per bin")
                axes.text(
                    0.98, 0.97, model, transform=axes.transAxes, fontsize=SMALL - 0.5,
                    ha="right", va="top", color=GREY,
                )  # fmt: skip

    def _spectrum(self, axes: Any, model: str, content: str) -> None:
        frequencies = TRANSFORM.frequencies.numpy()
        axes.set_yscale("log")
        drawn: list[Any] = []
        for loss, colour in LOSS_COLOUR.items():
            by_content = self._of(model, loss)
            if content not in by_content:
                continue
            spectra = {
                name: np.maximum(values, FLOOR)
                for name, values in pooled_spectra(by_content[content]).items()
            }
            if not drawn:
                drawn += [spectra["ref"]]
                axes.plot(frequencies, spectra["ref"], color=INK, linewidth=1.4, zorder=5)
            axes.plot(frequencies, spectra["pred"], color=colour, linewidth=1.4, zorder=4)
            axes.plot(frequencies, spectra["error"], color=colour, linewidth=0.8, linestyle=":")
            if "unexplained" in spectra:
                rest = spectra["unexplained"]
                axes.plot(frequencies, rest, color=colour, linewidth=0.8, linestyle="--")
            drawn += list(spectra.values())
        highest = max((float(values.max()) for values in drawn), default=1.0)
        axes.set_ylim(FLOOR, highest * 20)

    def _loss_key(self, page: Page, top: float) -> None:
        right = WIDTH - MARGIN
        named = {"target": INK} | LOSS_COLOUR
        for word, colour in reversed(named.items()):
            page.text(right, top + 0.13, word, size=SMALL, color=colour, ha="right")
            right -= text_width(word, SMALL) + 0.1

    def _pareto(self, page: Page, top: float, height: float) -> None:
        below = (
            "lower left is better; colours as in b, other losses violet; lines: the frame loss's "
            "clips, smoothed over time"
        )
        page.heading(MARGIN, top, "c", f"What smoothness costs, {self.made}", below, INNER)
        for column, (content, left, width) in enumerate(self._columns(MARGIN + 0.42, 0.42)):
            axes = page.axes(left, top + HEAD, width, height)
            axes.set_yscale("log")
            for model in self.shown:
                self._trade(axes, model, content, DENOISERS[model])
            axes.set_title(content, fontsize=SMALL, pad=2)
            axes.set_xlabel("frame error (code²)")
            _label_logarithms(axes.yaxis, *axes.get_ylim())
            if column == 0:
                axes.set_ylabel(f"error power in {HIGH} (code²)")
                axes.legend(fontsize=SMALL - 1, frameon=False, handletextpad=0.1, loc="lower right")

    def _trade(self, axes: Any, model: str, content: str, marker: str) -> None:
        base = self._of(model, FRAME)
        if content in base:
            readings = [reading for of in base[content].values() for reading in of]
            curve = np.array(pool(readings).smoothing)
            axes.plot(*np.maximum(curve, FLOOR).T, color=FAINT, linewidth=1.2, zorder=1)
        labelled = model
        for finding in self.findings:
            arm = finding.arm
            if (arm.model, arm.made, finding.content) != (model, self.made, content):
                continue
            colour = LOSS_COLOUR.get(arm.loss, LILAC)
            x, y = (finding.values[name].estimate for name in ("frame_error", "high_error"))
            axes.plot(
                x, max(y, FLOOR), marker=marker, color=colour, markersize=4, linestyle="none",
                label=labelled, zorder=3,
            )  # fmt: skip
            labelled = "_nolegend_"

    def _magnitudes(self, page: Page, top: float, height: float) -> None:
        model = self.shown[0]
        below = f"share of the pixels by their amplitude in {HIGH}, {model}, {self.made}"
        page.heading(MARGIN, top, "d", "How strong", below, INNER)
        self._loss_key(page, top)
        amplitude = np.sqrt(2 * np.sqrt(EDGES[1:] * EDGES[:-1]))
        for column, (content, left, width) in enumerate(self._columns(MARGIN + 0.42, 0.3)):
            axes = page.axes(left, top + HEAD, width, height)
            axes.set_xscale("log")
            target = None
            for loss, colour in LOSS_COLOUR.items():
                by_content = self._of(model, loss)
                if content in by_content:
                    pred, target = pooled_magnitudes(by_content[content])
                    axes.plot(amplitude, _octaves(pred), color=colour, linewidth=1.2)
            if target is not None:
                axes.plot(amplitude, _octaves(target), color=INK, linewidth=1.2)
            axes.set_xlim(0.01, 100)
            axes.set_ylim(0, None)
            axes.set_yticks([])
            axes.set_title(content, fontsize=SMALL, pad=2)
            axes.set_xlabel("amplitude (code values)")
            if column == 0:
                axes.set_ylabel("share")

    def _columns(self, left: float, gap: float) -> list[tuple[str, float, float]]:
        """Name, left edge and width of a column for each class of content."""
        count = len(self.contents)
        width = (WIDTH - MARGIN - left - gap * (count - 1)) / count
        return [(name, left + i * (width + gap), width) for i, name in enumerate(self.contents)]


LOSS_COLOUR: Final = {FRAME: ORANGE, "s=8": BLUE}
DENOISERS: Final = {"per-frame denoiser": "o", "clip-wide denoiser": "s"}
"""The models that all panels but the first show, and the markers of their dots."""


def _label_logarithms(axis: Any, low: float, high: float) -> None:
    """Ticks at round numbers, the fewer the longer the axis."""
    powers = range(-4, 5)
    digits = (1, 1.5, 2, 3, 4, 5, 7) if high < 5 * low else (1, 2, 5) if high < 200 * low else (1,)
    values = [digit * 10.0**power for power in powers for digit in digits]
    shown = [value for value in values if low <= value <= high]
    axis.set_ticks(shown, [f"{value:g}" for value in shown])
    axis.set_ticks([], minor=True)


def _dot(axes: Any, finding: Finding, y: float) -> None:
    value = finding.values["high_db"]
    colour = VERDICT_COLOUR[finding.verdict]
    if value.low is not None and value.high is not None:
        axes.plot([value.low, value.high], [y, y], color=colour, linewidth=1.2)
    axes.plot(value.estimate, y, marker="o", markersize=3.6, color=colour, zorder=4)
    if "motion_db" in finding.values:
        motion = finding.values["motion_db"].estimate
        axes.plot(motion, y, marker="|", markersize=5.5, color=colour, zorder=3)


def _octaves(counts: Sequence[int]) -> Any:
    """Share of the pixels an octave of power, of the bins inside the edges."""
    inside = np.array(counts[1:-1], float)
    return inside / max(sum(counts), 1) / np.log2(EDGES[1:] / EDGES[:-1])
