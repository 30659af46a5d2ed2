"""``python -m flickerscope``."""

from flickerscope.cli import main

main()
