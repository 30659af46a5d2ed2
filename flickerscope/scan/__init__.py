"""Many clips at once: which prediction belongs to which reference."""
