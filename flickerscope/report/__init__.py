"""Renders a result: each module here makes one kind of report, and nothing else."""
