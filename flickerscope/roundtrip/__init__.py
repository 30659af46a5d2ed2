"""The flicker that an autoencoder adds to a video that goes through it."""

from flickerscope.roundtrip.autoencoder import Autoencoder
from flickerscope.roundtrip.run import Passage, roundtrip

__all__ = ["Autoencoder", "Passage", "roundtrip"]
