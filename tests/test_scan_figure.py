"""The figure of a scan, and the pictures and pooled curves that it is drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scanning
from matplotlib.text import Text

from flickerscope import analyze
from flickerscope.histogram import EDGES
from flickerscope.report.overview.page import overview_figure, overview_png
from flickerscope.report.style import paper
from flickerscope.scan.drawing import overview_of
from flickerscope.scan.gather import Gathered, gather
from flickerscope.scan.summary import summarize
from flickerscope.scan.thumbnail import open_thumbnail, thumbnail_content
from flickerscope.settings import Settings

FREQUENCY = [k / 16 for k in range(9)]
SETTINGS = Settings(segment=16)


def record(number: int, model: str = "new", *, power: float = 1.0, **changes: Any) -> dict:
    """A clip with white spectra, whose cells are all in the histogram's bin 60."""
    thumbnail = {"rows": 2, "columns": 4, "shades": 64, "cover": [1.0, 1.0]}
    thumbnail["data"] = "eNpjYIAAAAAIAAE="  # eight zeros
    spectrum = {"frequency": FREQUENCY, "pred": [power] * 9, "ref": [0.5] * 9}
    head = {"key": f"{model}{number}", "model": model, "name": f"{number}.mp4"}
    head |= {"pred": f"{model}/{number}.mp4", "ref": f"ref/{number}.mp4"}
    content = scanning.content(number) | {
        "spectrum": spectrum,
        "histogram": {"pred": {"60": 100}, "ref": {"50": 40, "51": 60}},
        "thumbnail": thumbnail,
        "motion_maps": {"pred": [[4.0, None], [0.0, 1.0]], "ref": None},
    }
    return head | {"prompt": None, "seed": None} | content | changes


def clips(*models: str, count: int = 8) -> list[dict[str, Any]]:
    return [record(i, model) for model in models for i in range(count)]


def drawn(records: list[dict[str, Any]]) -> Any:
    gathered = gather(records)
    return overview_figure(overview_of(gathered, summarize(gathered, SETTINGS)))


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def artist(figure: Any, gid: str) -> Any:
    (found,) = figure.findobj(lambda one: one.get_gid() == gid)
    return found


def test_the_same_scan_gives_the_same_figure() -> None:
    def draw(found: Gathered) -> bytes:
        return overview_png(overview_of(found, summarize(found, SETTINGS)), dpi=40)

    data = draw(gather(clips("new", "old")))
    assert data.startswith(b"\x89PNG")
    assert data == draw(gather(clips("new", "old")))


def test_the_figure_shows_the_numbers_of_the_summary() -> None:
    gathered = gather(clips("new"))
    row = summarize(gathered, SETTINGS)["models"][0]["flicker"]
    figure = drawn(clips("new"))
    assert artist(figure, "flicker/new").get_xdata() == [row["median"]]
    sign = f"{row['median']:+.1f}".replace("-", "−")
    assert any(text.startswith(f"{sign} (") for text in texts(figure))
    assert texts(figure).count("8/8") == 2  # of both readings


def test_a_spectrum_is_the_mean_over_the_clips_in_decibels() -> None:
    """Powers of .1 and 10, far above rounding, have the geometric mean 1."""
    figure = drawn([record(0, power=0.1), record(1, power=10.0)])
    assert artist(figure, "spectrum/new").get_ydata() == pytest.approx([1.0] * 9, rel=0.07)
    pooled = gather([record(0, power=0.1), record(1, power=10.0)]).pooled["new"].to_dict()
    assert pooled["power"] == pytest.approx([5.05] * 9)


def test_a_reference_counts_once_however_many_models_have_it() -> None:
    pooled = summarize(gather(clips("new", "old", count=3)), SETTINGS)["pooled"]
    assert pooled["reference"]["clips"] == 3
    assert pooled["reference"]["counts"] == {"50": 120, "51": 180}
    assert pooled["models"]["old"]["counts"] == {"60": 300}
    assert pooled["frames_per_second"] == 24.0


def test_a_histogram_is_of_all_cells_by_the_width_of_its_bins() -> None:
    steps = artist(drawn(clips("new")), "histogram/new").get_data()
    assert steps.edges == pytest.approx(np.sqrt(2 * EDGES))
    width = 10 * np.log10(EDGES[60] / EDGES[59])
    assert steps.values[59] == pytest.approx(100 / width)
    assert steps.values.sum() == steps.values[59]


def test_a_thumbnail_is_the_picture_in_blocks_to_the_nearest_shade() -> None:
    ramp = np.add.outer(np.arange(144), np.arange(256)) * 255 / 398
    video = np.repeat(ramp.astype(np.uint8)[None], 16, axis=0)
    content = thumbnail_content(analyze(video, fps=24, motion=False, scales=("block",)))
    assert content is not None and content["cover"] is None
    opened = open_thumbnail(content).astype(float)
    assert opened.shape == (72, 128)
    blocks = ramp.reshape(72, 2, 128, 2).mean((1, 3))
    assert np.abs(opened - blocks).max() <= 255 / 64 + 1
    assert len(content["data"]) < 9000


def test_everything_is_on_the_page_with_many_models_of_long_names() -> None:
    names = [f"a very long name of a model that goes on and on {i} $x_1$" for i in range(20)]
    figure = drawn(clips(*names, count=6))
    with paper():
        box = figure.bbox
        for text in figure.texts:
            extent = text.get_window_extent()
            assert box.x0 - 1 <= extent.x0 and extent.x1 <= box.x1 + 1, text.get_text()
            assert box.y0 - 1 <= extent.y0 and extent.y1 <= box.y1 + 1, text.get_text()
    assert any("4 models between them are left out" in text for text in texts(figure))


@pytest.mark.parametrize(
    "changes",
    [
        {"headline": {"value": None}, "motion_maps": {"pred": None, "ref": None}},
        {"spectrum": None},
        {"thumbnail": None},
        {"status": "failed", "reason": "broken"},
    ],
    ids=["no motion", "no spectrum", "no picture", "nothing measured"],
)
def test_what_was_not_measured_is_left_out(changes) -> None:
    figure = drawn([record(i, **changes) for i in range(6)])
    shown = " ".join(texts(figure))
    assert ("flicker, dB" in shown) == (
        "headline" not in changes and changes.get("status") != "failed"
    )
    assert ("flicker most" in shown) == (
        changes.get("status") != "failed" and "thumbnail" not in changes
    )
