"""Compare two videos that are already arrays: the same error in every frame, one flickers."""

import numpy as np

import flickerscope

picture = np.random.default_rng(0).integers(60, 190, size=(48, 64))
reference = np.repeat(picture[None], 32, axis=0).astype(np.uint8)

steady = reference + np.uint8(1)
flickering = reference.copy()
flickering[0::2] += 1
flickering[1::2] -= 1

for name, prediction in {"steady": steady, "flickering": flickering}.items():
    comparison = flickerscope.compare(prediction, reference, fps=24)
    print(f"{name}: {comparison.verdict}, {comparison.basis}")
    print(f"flicker {comparison.flicker_db:+.2f} dB, energy {comparison.energy_db:+.2f} dB")

# steady: +0.00 dB and +0.00 dB; flickering: +16.13 dB (4 code^2) and +12.72 dB
assert abs(comparison.flicker_db - 16.13) < 0.01
assert abs(comparison.energy_db - 12.72) < 0.01
