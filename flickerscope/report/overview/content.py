"""What the figure of a scan shows, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flickerscope.report.style import BLUE, INK, ORANGE

__all__ = ["ENDPOINTS", "HEAD", "Look", "Overview", "Picture"]

Floats = npt.NDArray[np.float64]

ENDPOINTS: Final = {"flicker": "motion-compensated flicker", "energy": "high-frequency energy"}
"""By their names in a summary; the first is what models are ranked by, where it was measured."""
GREEN, LILAC, AMBER, SKY = "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLOURS: Final = (ORANGE, GREEN, LILAC, AMBER, SKY, INK)
"""Of models; Okabe & Ito."""
HEAD: Final = 0.36
"""Inches of a panel above what it shows."""
MOST_MODELS: Final = 16
"""Rows of a panel: those of the least and of the most flicker."""
DASHED: Final = (0, (3.2, 1.8))


@dataclass(frozen=True, slots=True)
class Look:
    """How a set of clips is drawn."""

    label: str
    colour: str
    dash: Any
    """Line style: colour is never the only difference from the references."""


REFERENCE: Final = Look("references", BLUE, DASHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A clip that flickers much."""

    clip: Mapping[str, Any]
    """As in the summary."""
    grey: npt.NDArray[np.uint8] | None
    """A frame, (rows, columns)."""
    map: Floats | None
    """Flicker of each tile along the motion, rms code values; NaN: not measured."""
    cover: tuple[float, float]
    """Share of the frame's height and width that the tiles take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A scan, ready to be drawn."""

    summary: Mapping[str, Any]
    readings: Mapping[str, Mapping[str, Floats]]
    """By model and endpoint, of every clip that has one, dB; infinite: above every number."""
    pictures: Sequence[Picture]
    """The worst clips first."""
    citation: str
    reference: Mapping[str, Any] | None = None
    """Of sets without correspondence, the references as a row of their own, like the models'; the
    readings are then levels, dB re 1 code^2."""

    @property
    def centre(self) -> str:
        """Name of the number in the middle of a model's interval."""
        return "median" if self.reference is None else "shift"

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """Sets of clips whose readings are shown."""
        return self.models if self.reference is None else [*self.models, self.reference]

    @property
    def models(self) -> list[Mapping[str, Any]]:
        """Those that are shown, from the least flicker to the most."""
        ranked = list(self.summary["models"])
        if len(ranked) <= MOST_MODELS:
            return ranked
        half = MOST_MODELS // 2
        return ranked[:half] + ranked[-half:]

    @property
    def left_out(self) -> int:
        """Models of middling flicker that are not shown."""
        return len(self.summary["models"]) - len(self.models)

    @property
    def drawn(self) -> list[str]:
        """Models of which there are curves: as many as there are colours."""
        names = [str(model["model"]) for model in self.models]
        half = len(COLOURS) // 2
        return names if len(names) <= len(COLOURS) else names[:half] + names[-half:]

    def look(self, model: str) -> Look:
        """Of a model."""
        if self.reference is not None and model == self.reference["model"]:
            return REFERENCE
        names = self.drawn
        colour = COLOURS[names.index(model)] if model in names else "#7f7f7f"
        return Look(model, colour, "-")
