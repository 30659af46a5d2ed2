"""What the documentation says is run: its examples, and the commands and pictures it names."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((REPOSITORY / "docs" / "examples").glob("*.py"))
SLOW = {"lightning_module", "tensorboard_figure"}
"""Examples with a library that takes many seconds, and warns of its own matters."""
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.slow, pytest.mark.filterwarnings("default")]
            if path.stem in SLOW
            else [],
        )
        for path in EXAMPLES
    ],
)
def test_the_examples_run(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")


def test_every_example_is_shown_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r'^--8<-- "docs/examples/(.*)"$', text, re.MULTILINE)
    assert sorted(shown) == [file.name for file in EXAMPLES]
    assert EXAMPLES


def _fenced(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_readme_begins_with_install_and_try_then_install_and_test() -> None:
    """.ci/run runs the second block as it stands."""
    assert [block.strip() for block in _fenced(REPOSITORY / "README.md")[:2]] == [
        "pip install . && flickerscope demo",
        "pip install '.[test]' && pytest",
    ]


COMMANDS = "compare", "analyze", "measure", "scan", "merge", "roundtrip", "demo", "experiment"


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_option_is_on_the_page_of_the_command_line(command: str) -> None:
    page = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    line = [sys.executable, "-m", "flickerscope", *command.split(), "--help"]
    run = subprocess.run(line, capture_output=True, text=True, check=True)
    options = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", run.stdout))
    assert "--help" in options
    assert [option for option in sorted(options) if f"`{option}`" not in page] == []


def _shown_python(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return [
        block
        for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        if "--8<--" not in block
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_python_on_a_page_is_one_that_compiles(page: Path) -> None:
    for block in _shown_python(page):
        compile(block, str(page), "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_files_that_a_page_links_to_are_there(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
