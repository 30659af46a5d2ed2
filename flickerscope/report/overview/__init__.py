"""A scan as one figure, fit for a paper."""
