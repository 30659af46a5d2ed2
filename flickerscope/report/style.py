"""The look of the figures: colours, type, and text that is shown as it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from matplotlib import font_manager
from matplotlib import style as mpl_style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text

__all__ = [
    "BLUE",
    "BODY",
    "DIVERGING",
    "FAINT",
    "GREY",
    "HEADLINE",
    "INK",
    "INNER",
    "MARGIN",
    "ORANGE",
    "SEQUENTIAL",
    "SMALL",
    "TITLE",
    "WIDTH",
    "Page",
    "decibels",
    "literal",
    "number",
    "paper",
    "percent",
    "shorten",
    "text_width",
    "wrap",
]

WIDTH: Final = 7.2  # inches: two columns of most journals
MARGIN: Final = 0.1
INNER: Final = WIDTH - 2 * MARGIN
SMALL, BODY, TITLE, HEADLINE = 7.0, 7.5, 8.5, 12.0  # points
SLACK: Final = 1.03  # hinting makes a line a little longer at one resolution than at another

# Okabe & Ito: told apart with every kind of colour vision.
ORANGE: Final = "#D55E00"
BLUE: Final = "#0072B2"
INK, GREY, FAINT = "#1a1a1a", "#5c5c5c", "#c8c8c8"

DIVERGING = LinearSegmentedColormap.from_list(
    "less and more", ["#004b7a", BLUE, "#ffffff", ORANGE, "#8f3d00"]
)
SEQUENTIAL = LinearSegmentedColormap.from_list("power", ["#ffffff", "#56B4E9", BLUE, "#00263d"])

# Fonts that have what DejaVu Sans lacks, where one of them is installed.
FALLBACKS: Final = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans",
    "Arial Unicode MS",
)
MISSING: Final = "\N{REPLACEMENT CHARACTER}"


@lru_cache(maxsize=1)
def _families() -> tuple[str, ...]:
    installed = set(font_manager.fontManager.get_font_names())
    return ("DejaVu Sans", *(name for name in FALLBACKS if name in installed))


@lru_cache(maxsize=1)
def _faces() -> tuple[Any, ...]:
    """The bold face first, which has fewer signs than the regular one."""
    found = [FontProperties(family=[name], weight="bold") for name in _families()]
    return tuple(font_manager.get_font(font_manager.findfont(face)) for face in found)


@contextmanager
def paper() -> Iterator[None]:
    """Matplotlib as it comes, with our type, whatever the user has set; put back afterwards."""
    own = {
        "font.family": list(_families()),
        "font.size": BODY,
        "axes.linewidth": 0.6,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "axes.labelsize": SMALL,
        "axes.labelpad": 2.5,
        "axes.unicode_minus": True,
        "text.color": INK,
        "mathtext.fontset": "dejavusans",
        "lines.linewidth": 1.4,
        "lines.solid_capstyle": "round",
        "svg.hashsalt": "flickerscope",
        "pdf.fonttype": 42,
    }
    with mpl_style.context([own], after_reset=True):
        yield


def literal(text: str) -> str:
    """A name as a line of signs that the fonts have: control characters as Python writes them."""
    return "".join(_sign(sign) for sign in text)


@lru_cache(maxsize=1024)
def _sign(sign: str) -> str:
    if not sign.isprintable() and unicodedata.category(sign) != "Zs":
        return MISSING if "\ud800" <= sign <= "\udfff" else ascii(sign)[1:-1]
    if any(face.get_char_index(ord(sign)) for face in _faces()):
        return sign
    return MISSING


@lru_cache(maxsize=1)
def _renderer() -> RendererAgg:
    return RendererAgg(8, 8, 720)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = BODY, weight: str = "normal") -> float:
    """Inches; with a little room to spare."""
    font = FontProperties(family=list(_families()), size=size, weight=weight)
    width, _, _ = _renderer().get_text_width_height_descent(text, font, False)
    return float(width) / 720 * SLACK


def shorten(text: str, width: float, size: float = BODY, weight: str = "normal") -> str:
    """The text with an ellipsis in place of its middle, so that it is no wider than ``width``."""
    if text_width(text, size, weight) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        keep = (low + high + 1) // 2
        if text_width(_ends(text, keep), size, weight) <= width:
            low = keep
        else:
            high = keep - 1
    return _ends(text, low) if low else ""


def _ends(text: str, keep: int) -> str:
    """The first and the last ``keep`` signs in all; a little more of the end, with its suffix."""
    tail = (keep + 1) // 2
    return text[: keep - tail] + "…" + text[len(text) - tail :]


def wrap(
    text: str, width: float, size: float = BODY, most: int = 3, weight: str = "normal"
) -> list[str]:
    """Lines no wider than ``width``, at most so many; what is left over ends in an ellipsis."""
    lines: list[str] = []
    words = text.split(" ")
    while words:
        count = len(words)
        while count > 1 and text_width(" ".join(words[:count]), size, weight) > width:
            count -= 1
        if len(lines) == most - 1:
            count = len(words)
        lines.append(shorten(" ".join(words[:count]), width, size, weight))
        words = words[count:]
    return lines


def number(value: float) -> str:
    """Three digits, without an exponent where it can be helped."""
    if value == 0:
        return "0"
    if abs(value) < 0.0005:
        return "<0.001" if value > 0 else "−<0.001"
    text = f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 10 else None
    return (text or (f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}")).replace("-", "−")


def decibels(value: float) -> str:
    """Signed, one decimal."""
    rounded = round(value, 1)
    return "0.0" if rounded == 0 else f"{rounded:+.1f}".replace("-", "−")


def percent(share: float) -> str:
    """A share of 0..1; 0 and 100 only where it is all or nothing."""
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    value = 100 * share
    if value < 1:
        return "<1 %"
    return ">99 %" if value > 99 else f"{value:.0f} %"


class Page:
    """A figure on which things are placed in inches from its upper left corner."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(WIDTH, height), facecolor="white")
        self.canvas = FigureCanvasAgg(self.figure)
        self.height = height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes with the house's ticks."""
        box = (
            left / WIDTH,
            1 - (top + height) / self.height,
            width / WIDTH,
            height / self.height,
        )
        axes = self.figure.add_axes(box)
        axes.tick_params(
            which="both",
            labelsize=SMALL,
            labelcolor=INK,
            color=GREY,
            length=2.5,
            width=0.6,
            pad=2,
        )
        axes.tick_params(which="minor", length=1.5, width=0.4)
        axes.spines[["top", "right"]].set_visible(False)
        return axes

    def text(self, left: float, top: float, text: str, *, size: float = BODY, **style: Any) -> Text:
        """One line; ``top`` is its baseline. Never read as mathematics."""
        place = left / WIDTH, 1 - top / self.height
        return self.figure.text(*place, text, fontsize=size, parse_math=False, **style)

    def line(self, left: float, right: float, top: float, **style: Any) -> Line2D:
        """A horizontal line."""
        y = 1 - top / self.height
        line = Line2D(
            [left / WIDTH, right / WIDTH], [y, y], transform=self.figure.transFigure, **style
        )
        self.figure.add_artist(line)
        return line

    def heading(
        self, left: float, top: float, letter: str, title: str, below: str, width: float
    ) -> None:
        """A panel's letter, its title, and under it a line that explains."""
        self.text(left, top + 0.13, letter, size=TITLE, weight="bold")
        self.text(left + 0.15, top + 0.13, shorten(title, width - 0.15, TITLE), size=TITLE)
        self.text(
            left + 0.15, top + 0.265, shorten(below, width - 0.15, SMALL), size=SMALL, color=GREY
        )
