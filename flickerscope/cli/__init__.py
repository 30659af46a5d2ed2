"""The command line: parse, call one function, print, exit."""

from flickerscope.cli.app import main, run

__all__ = ["main", "run"]
