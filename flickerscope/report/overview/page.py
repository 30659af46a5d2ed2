"""Lays out the figure of a scan: ranking, distributions, spectra, histograms, the worst clips."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from flickerscope import __version__
from flickerscope.report.overview import clips, curves, ranking
from flickerscope.report.overview.content import ENDPOINTS, Overview
from flickerscope.report.style import (
    BODY,
    GREY,
    HEADLINE,
    INNER,
    MARGIN,
    SMALL,
    WIDTH,
    Page,
    literal,
    paper,
    wrap,
)
from flickerscope.stats import ALPHA, LEAST_UNITS_TWO_SIDED

__all__ = ["overview_figure", "overview_png"]

GAP: Final = 0.16
Panel = tuple[float, Callable[[Page, float, str], None]]


def overview_png(shown: Overview, dpi: float = 200) -> bytes:
    """The figure as PNG: the same for the same scan."""
    with paper():
        data = io.BytesIO()
        metadata: dict[str, Any] = {"Software": f"flickerscope {__version__}"}
        overview_figure(shown).savefig(data, format="png", dpi=dpi, metadata=metadata)
        return data.getvalue()


def overview_figure(shown: Overview) -> Figure:
    """One page, 7.2 inches wide."""
    with paper():
        lines = _head(shown)
        panels: list[Panel] = [*ranking.panels(shown), *curves.panels(shown)]
        panels += clips.panels(shown)
        foot = wrap(shown.citation, INNER, SMALL, 2)
        head = 0.22 + 0.15 * len(lines)
        rows = sum(height + GAP for height, _ in panels)
        page = Page(2 * MARGIN + head + rows + 0.1 + 0.13 * len(foot))
        page.text(MARGIN, MARGIN + 0.15, _title(shown), size=HEADLINE, weight="bold", gid="title")
        for k, line in enumerate(lines):
            page.text(MARGIN, MARGIN + 0.33 + 0.15 * k, line, size=BODY)
        top = MARGIN + head + 0.06
        for letter, (height, draw) in zip("abcdefgh", panels, strict=False):
            draw(page, top, letter)
            top += height + GAP
        page.line(MARGIN, WIDTH - MARGIN, top, color=GREY, linewidth=0.4)
        for k, line in enumerate(foot):
            page.text(MARGIN, top + 0.14 + 0.13 * k, line, size=SMALL, color=GREY)
        page.canvas.draw()
        return page.figure


def _title(shown: Overview) -> str:
    models = shown.summary["models"]
    if len(models) == 1:
        name, verdict = literal(models[0]["model"]), models[0]["verdict"]
        return wrap(f"{name}: {verdict}", INNER, HEADLINE, 1, "bold")[0]
    if shown.reference is not None:
        return f"{len(models)} models against references without correspondence"
    name = "flicker" if shown.summary["primary"] == ENDPOINTS["flicker"] else "energy"
    read = [model["model"] for model in models if model[name]["enough"]]
    if len(read) < 2:
        which = f"only of {literal(read[0])} are most" if read else "of none are most"
        return wrap(f"{len(models)} models: {which} clips measurable", INNER, HEADLINE, 1, "bold")[
            0
        ]
    first, last = read[0], read[-1]
    between = _between(shown.summary, {first, last})
    title = f"{len(models)} models: no difference found between them"
    if between is None:
        title = f"{len(models)} models: the first and the last have no reference in common"
    elif between["units"] < LEAST_UNITS_TWO_SIDED:
        title = f"{len(models)} models: too few clips to tell them apart"
    elif between["p_holm"] < ALPHA:
        title = f"{literal(first)} flickers least, {literal(last)} most"
    return wrap(title, INNER, HEADLINE, 1, "bold")[0]


def _between(summary: Mapping[str, Any], pair: set[str]) -> Mapping[str, Any] | None:
    """The paired test of two models in what they are ranked by."""
    rows: list[Mapping[str, Any]] = summary["differences"]
    for row in rows:
        if row["name"] == summary["primary"] and {row["model"], row["against"]} == pair:
            return row
    return None


def _head(shown: Overview) -> list[str]:
    summary = shown.summary
    references = summary["pooled"]["reference"]["clips"]
    models = len(summary["models"])
    text = (
        f"Clips: {summary['clips']['text']}; {models} model{'' if models == 1 else 's'}, "
        f"{references} reference{'' if references == 1 else 's'} with spectra; segments of "
        f"{summary['segment']} frames."
    )
    return wrap(text, INNER, BODY, 2)
