"""Stop a training run, or a build, when a model starts to flicker."""

import numpy as np

import flickerscope

LIMIT_DB = 3.0


def check(prediction: np.ndarray, reference: np.ndarray) -> bool:
    """Tell whether the prediction stays within the limit; what cannot be measured does not."""
    flicker_db = flickerscope.compare(prediction, reference, fps=24).flicker_db
    return flicker_db is not None and flicker_db <= LIMIT_DB


reference = np.full((32, 48, 64), 128, np.uint8)
flickering = reference.copy()
flickering[::2] -= 2

assert check(reference, reference)
assert not check(flickering, reference)
