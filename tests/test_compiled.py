"""How the loops are compiled; what they compute is tested beside the torch that they replace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
import torch

from flickerscope.compiled import jit
from flickerscope.compiled.door import takes
from flickerscope.compiled.kept import MODULES, PYTHON, are_kept


def test_what_was_compiled_is_kept_while_it_is_newer_than_its_source(tmp_path: Path) -> None:
    sources = [tmp_path / f"{name}.py" for name in MODULES]
    indices = [tmp_path / "__pycache__" / f"{name}.loop-1.{PYTHON}.nbi" for name in MODULES]
    (tmp_path / "__pycache__").mkdir()
    for second, files in ((5, sources), (6, indices)):
        for file in files:
            file.touch()
            os.utime(file, (second, second))
        assert are_kept(tmp_path) == (files is indices)
    indices[0].rename(indices[0].with_name("area.loop-1.py27.nbi"))  # of another Python
    assert not are_kept(tmp_path)
    indices[0].touch()
    assert are_kept(tmp_path)
    os.utime(tmp_path / "motion.py", (7, 7))
    assert not are_kept(tmp_path)


def test_loops_are_compiled_where_no_folder_can_be_written(monkeypatch):
    def refuse_to_cache(signatures, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(signatures, **options)

    monkeypatch.setattr(jit, "njit", refuse_to_cache)

    @jit.compiled("void(f4[::1])")
    def double(x):
        for i in range(len(x)):
            x[i] *= 2

    values = np.arange(3, dtype=np.float32)
    double(values)
    assert values.tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("tensor", "taken"),
    [
        (torch.zeros(3), True),
        (torch.zeros(3, dtype=torch.float64), False),
        (torch.zeros(3, requires_grad=True), False),
        (torch.zeros(3, device="meta"), False),
    ],
)
def test_loops_take_floats_on_the_processor_that_want_no_gradients(tensor, taken):
    assert takes(tensor) is taken
    assert takes(torch.zeros(1), tensor) is taken


DIGEST = """
import hashlib
import numpy as np, torch
from flickerscope import analyze
rng = np.random.default_rng(7)
scene = rng.normal(128, 40, (90, 120)).cumsum(1)
scene = 128 + 60 * np.sin(scene / 80)
frames = np.stack([np.roll(scene, t, 1) + 3 * rng.normal(size=scene.shape) for t in range(16)])
clip = analyze(torch.from_numpy(frames.clip(0, 255).astype(np.uint8)), fps=24, device="cpu")
print(hashlib.sha256(clip.to_json().encode()).hexdigest())
"""


@pytest.mark.slow
def test_numbers_depend_neither_on_the_processor_nor_on_what_is_compiled_already(tmp_path):
    def digest(cache, **environment):
        known = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / cache)} | environment
        run = subprocess.run(
            [sys.executable, "-c", DIGEST], env=known, capture_output=True, text=True, check=True
        )
        return run.stdout

    first = digest("a")
    assert len(first) == 65
    assert digest("a") == first
    assert digest("b", NUMBA_CPU_NAME="generic") == first
