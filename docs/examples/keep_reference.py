"""Measure a reference once, keep it, and compare every model with it."""

from pathlib import Path

import numpy as np

import flickerscope

noise = np.random.default_rng(0)
reference = noise.integers(100, 150, size=(48, 64)) + np.zeros((48, 1, 1), int)

# ladder=True keeps several segment lengths, so that shorter predictions can be compared as well.
path = Path("reference.json")
flickerscope.analyze(reference.astype(np.uint8), fps=24, ladder=True).save(path)

kept = flickerscope.Measurement.load(path)
excess = {}
for model, strength in {"first": 1.0, "second": 4.0}.items():
    brightness = np.round(noise.normal(0, strength, size=(48, 1, 1)))
    prediction = (reference + brightness).astype(np.uint8)
    excess[model] = flickerscope.compare(prediction, kept, fps=24).flicker_db
    print(f"{model}: {excess[model]:+.1f} dB")

assert excess["second"] > excess["first"] > 0
