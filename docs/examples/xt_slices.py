"""Draw one row of the picture over time: motion slants, flicker bands, boiling speckles."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import flickerscope
from flickerscope.demo.scene import scene

HEIGHT, WIDTH, FRAMES = 288, 512, 40
ROW, COLUMNS = 258, slice(110, 366)

SIGMA = 4.0
"""Of the flicker, code values: a still then has about the energy of the pan."""

RENEWED = 0.6
"""Share of the fine detail, by power, that each frame of the boiling clip has to itself."""

Floats = NDArray[np.floating[Any]]


def clips() -> dict[str, Floats]:
    """Four clips of one scene, luma code values, (frames, rows, columns) each."""
    rng = np.random.default_rng(6)
    film = scene(height=HEIGHT, width=WIDTH, frames=FRAMES, rate=8)  # thrice as fast as the demo
    pan = np.stack([picture @ (0.2126, 0.7152, 0.0722) for picture in film])
    still = np.repeat(pan[:1], FRAMES, axis=0)
    brightness = rng.normal(0, SIGMA, (FRAMES, 1, 1))
    detail = still - smooth(still)
    places = rng.integers(8, WIDTH - 8, FRAMES)
    fresh = np.stack([np.roll(x, n, axis=1) for x, n in zip(detail, places, strict=True)])
    boiling = np.sqrt(1 - RENEWED) * detail + np.sqrt(RENEWED) * fresh
    return {
        "Clean pan": pan,
        "Flickering still": still + brightness,
        "Flickering pan": pan + brightness,
        "Boiling texture": still - detail + boiling,
    }


def smooth(x: Floats) -> Floats:
    """Means over 7x7 pixels; the picture repeats beyond its border."""
    for axis in (-1, -2):
        x = np.mean([np.roll(x, shift, axis) for shift in range(-3, 4)], axis=0)
    return x


def draw(ax: Axes, title: str, codes: NDArray[np.uint8], readings: str) -> None:
    """One row of the picture at each time, and what the clip reads."""
    ax.imshow(codes[:, ROW, COLUMNS], cmap="gray", vmin=20, vmax=160, interpolation="nearest")
    ax.set_aspect("auto")
    ax.set_title(title, loc="left", fontsize=8.5, fontweight="bold", pad=4)
    ax.set_xlabel(readings, fontsize=7, loc="left", labelpad=4, linespacing=1.4)
    ax.set_ylabel("time, frames", fontsize=7, labelpad=1)
    ax.set_xticks([])
    ax.set_yticks([0, FRAMES - 1], labels=["0", str(FRAMES - 1)], fontsize=6.5)
    ax.tick_params(length=2, width=0.5)
    for side in ax.spines.values():
        side.set_linewidth(0.5)


figure = Figure(figsize=(7.2, 4.2), layout="constrained")
axes = figure.subplots(2, 2, gridspec_kw={"wspace": 0.03, "hspace": 0.06}).flat
videos = {title: np.rint(x).clip(0, 255).astype(np.uint8) for title, x in clips().items()}
pan = flickerscope.analyze(videos["Clean pan"], fps=24)
flicker = {}
for ax, (title, video) in zip(axes, videos.items(), strict=True):
    comparison = flickerscope.compare(video, pan, fps=24)
    motion = comparison.motion
    assert motion is not None
    assert motion.pred.texture is not None
    flicker[title] = motion.pred.rms
    readings = (
        f"high-frequency energy {comparison.headline.pred_rms:.1f} rms\n"
        f"motion-compensated flicker {motion.pred.rms:.1f} rms, "
        f"texture renewed {100 * motion.pred.texture:.0f} %"
    )
    draw(ax, title, video, readings)
    print(title, readings.replace("\n", ", "), sep=": ")
figure.savefig("xt_slices.png", dpi=200)

assert flicker["Flickering pan"] > 10 * flicker["Clean pan"]
