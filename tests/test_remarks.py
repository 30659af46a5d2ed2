from __future__ import annotations

import numpy as np
import pytest

from flickerscope import compare
from flickerscope.comparison.remarks import swap_warnings


@pytest.mark.parametrize(
    ("pred", "ref", "hinted"),
    [
        ("gt.mp4", "pred.mp4", True),
        ("data/real/0001.mp4", "data/generated/0001.mp4", True),
        ("ground_truth.mp4", "reconstruction.mp4", True),
        ("pred.mp4", "gt.mp4", False),
        ("pred/ref_7.mp4", "pred/gen_7.mp4", True),
        ("clip.mp4", "pred.mp4", False),
        ("gt.mp4", "clip.mp4", False),
        ("ref_pred.mp4", "gen.mp4", False),
        ("target.mp4", "unreal.mp4", False),
        ("array", "array", False),
    ],
)
def test_names_that_look_swapped_are_hinted_at(pred: str, ref: str, hinted: bool) -> None:
    assert bool(swap_warnings(pred, ref)) is hinted


def test_the_hint_stands_in_the_report_and_changes_nothing_else(tmp_path) -> None:
    video = np.full((8, 8, 8), 128, np.uint8)
    paths = [tmp_path / name for name in ("gt.npy", "gen.npy", "a.npy")]
    for path in paths:
        np.save(path, video)
    swapped = compare(paths[0], paths[1], motion=False)
    plain = compare(paths[2], paths[2], motion=False)
    assert swapped.warnings[0].startswith("the names look swapped: the prediction is called 'gt'")
    assert swapped.warnings[1:] == plain.warnings
    assert swapped.verdict == plain.verdict


def test_a_reference_that_pulses_as_an_autoencoder_does_looks_like_the_generated_one() -> None:
    still = np.random.default_rng(0).normal(128, 20, (1, 96, 128))
    clean = still.repeat(96, 0).round().clip(0, 255).astype(np.uint8)
    pulsing = clean.copy()
    pulsing[1::8] += 3
    swapped, right = (
        compare(*sides, fps=24, texture=False, device="cpu", scales=("block",))
        for sides in ((clean, pulsing), (pulsing, clean))
    )
    hint = "the reference looks like the generated one: it pulses every 8 frames"
    assert sum(hint in text for text in swapped.warnings) == 1
    assert not any("generated one" in text for text in right.warnings)
