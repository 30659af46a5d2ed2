"""The hottest loops, compiled by numba where torch would take many passes over memory."""
