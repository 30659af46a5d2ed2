"""A video with known flicker, for whoever has no clip at hand."""
