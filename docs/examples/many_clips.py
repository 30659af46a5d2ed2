"""Hold a model against its references over many clips, with tests that allow for shared ones."""

import numpy as np

import flickerscope
from flickerscope.scan.pairing import pair_names
from flickerscope.stats import average_within, judge_batch, place_in_batch, summarize_batch

# Two seeds of each prompt; the reference of a prompt serves both.
predictions = [f"prompt {p}-{seed}.mp4" for p in range(1, 6) for seed in (0, 1)]
pairing = pair_names(predictions, [f"prompt {p}.mov" for p in range(1, 6)])
pairing.check()

noise = np.random.default_rng(0)
texture = noise.integers(100, 150, size=(32, 32))
energy, flicker, prompts, references = [], [], [], []
for pair in pairing.pairs:  # in place of files: a still picture, and the same with flicker
    reference = np.broadcast_to(texture, (16, 32, 32)).astype(np.uint8)
    flash = np.round(noise.normal(0, 4, size=(16, 1, 1)))
    result = flickerscope.compare((reference + flash).astype(np.uint8), reference, fps=24)
    energy.append(result.energy_db)
    # An incoherent clip has no number, and counts as above every one.
    verdict, rests_on = result.verdict, result.ruling.value_db
    value = place_in_batch(result.flicker_db, verdict, rests_on, looked=result.motion is not None)
    if value is not None:  # None: its motion cannot be followed
        flicker.append((value, pair.prompt, pair.ref))
    prompts.append(pair.prompt)
    references.append(pair.ref)

batch = summarize_batch(average_within(energy, prompts, references))
along_motion = summarize_batch(average_within(*zip(*flicker, strict=True)))
verdict = judge_batch(batch, along_motion)
print(f"{verdict}: {along_motion.centre.estimate:+.1f} dB over {along_motion.units} prompts")

assert verdict == "flickers more"
assert batch.units == 5
