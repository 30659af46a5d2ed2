"""Fixtures that every test module may use: the test media, its manifest, a CUDA device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from flickerscope.compiled.kept import MODULES, are_kept

# Examples are not timed: the first one pays for imports, and machines are shared.
settings.register_profile("flickerscope", settings.default, deadline=None)
settings.load_profile("flickerscope")

# Where tests run side by side, each process keeps to a core of its own: the threads of all of them
# would only get in each other's way.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def pytest_configure() -> None:
    """Compile the loops where that is not done yet: once, and not in each process of the tests."""
    if "PYTEST_XDIST_WORKER" in os.environ or are_kept():
        return
    line = "import flickerscope.compiled.{}"
    parts = [subprocess.Popen([sys.executable, "-P", "-c", line.format(name)]) for name in MODULES]
    for part in parts:
        part.wait()


REPOSITORY = Path(__file__).resolve().parent.parent


def _media_folder() -> Path:
    """Return the folder of the test media, or skip: the media are not part of the repository."""
    setting = os.environ.get("FLICKERSCOPE_MEDIA")
    folder = Path(setting) if setting else REPOSITORY.parent / "shared" / "media"
    if not folder.is_dir():
        pytest.skip(f"no test media at {folder}; set FLICKERSCOPE_MEDIA to their folder")
    return folder


@pytest.fixture(scope="session")
def media() -> Callable[[str], Path]:
    """Give the path of one test file, as in ``media("pairs/cvvdp_flicker/ref.mp4")``.

    The test skips where the media folder or the file is absent.
    """

    def find(name: str) -> Path:
        path = _media_folder() / name
        if not path.exists():
            pytest.skip(f"no test file {name} under {_media_folder()}")
        return path

    return find


@pytest.fixture(scope="session")
def media_manifest() -> list[dict[str, Any]]:
    """Give the entries of the media manifest, one dictionary a file, each with its ``path``."""
    path = _media_folder() / "manifest.json"
    if not path.is_file():
        pytest.skip(f"no manifest.json under {path.parent}")
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["files"]
    return entries


@pytest.fixture(scope="session")
def cuda_device() -> str:
    """Give ``"cuda"``, or skip without a CUDA GPU.

    Where FLICKERSCOPE_REQUIRE_CUDA is set (a machine that is there to run these tests) a missing
    GPU is a failure: a suite that skips them all must not look like one that passed.
    """
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get("FLICKERSCOPE_REQUIRE_CUDA"):
        pytest.fail("FLICKERSCOPE_REQUIRE_CUDA is set, but torch finds no CUDA GPU")
    pytest.skip("no CUDA GPU")
