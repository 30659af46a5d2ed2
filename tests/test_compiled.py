"""How the loops are compiled; what they compute is tested beside the torch that they replace."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch

from flickerscope.compiled import jit
from flickerscope.compiled.door import takes


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
