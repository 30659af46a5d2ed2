"""The rules of the house, read from the source: who may import what, what is public, what is quick.

None of these tests looks at a number; they hold the structure that the other tests rely on.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "flickerscope"

FLOORS = {
    "compiled": 1,
    "errors": 1,
    "files": 1,
    "order": 1,
    "suffixes": 1,
    "resources": 1,
    "settings": 1,
    "units": 1,
    "align": 2,
    "grid": 2,
    "planes": 2,
    "inputs": 2,
    "segments": 2,
    "spectrum": 2,
    "tracks": 2,
    "video": 2,
    "histogram": 3,
    "kernel": 3,
    "losses": 3,
    "motion": 3,
    "measure": 4,
    "measurement": 4,
    "repeats": 2,
    "rungs": 4,
    "comparison": 5,
    "shift": 5,
    "stats": 5,
    "demo": 6,
    "metrics": 6,
    "experiment": 7,
    "report": 6,
    "roundtrip": 6,
    "scan": 7,
    "__main__": 8,
    "cli": 8,
    "": 9,  # the face of the package, flickerscope/__init__.py
}
"""Imports go down or stay on their floor. Parts of a sub-package stand on its parent's floor."""

ONLY_IN = {
    "av": ("video",),
    "fsspec": ("scan.remote",),
    "matplotlib": ("report",),
    "numba": ("compiled",),
    "pyarrow": ("scan.parquet",),
    "ray": ("scan.cluster",),
    "rich": ("cli",),
    "scipy": ("stats",),
    "torchmetrics": ("metrics",),
    "torchvision": ("motion",),
    "typer": ("cli",),
}
"""One outside library, one place. Libraries that are not named here may be used anywhere."""

BY_EXTRA = {"fsspec": "remote", "pyarrow": "parquet", "ray": "ray", "torchmetrics": "metrics"}
"""Libraries that come with an extra only, and its name: what imports them must be asked for."""

MAY_PRINT = ("cli",)

PUBLIC = {
    "Comparison",
    "DeviceError",
    "FlickerscopeError",
    "InputError",
    "Measurement",
    "OutputError",
    "Settings",
    "SettingsError",
    "TooShortError",
    "__version__",
    "analyze",
    "compare",
}

HEAVY = ("av", "matplotlib", "numpy", "rich", "scipy", "torch", "typer")

LOCK_FILES = {
    "Pipfile.lock",
    "conda-lock.yml",
    "package-lock.json",
    "pdm.lock",
    "pixi.lock",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pylock.toml",
    "uv.lock",
    "yarn.lock",
}

# Written in pieces, so that this file does not hold what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.>~}])/(?:home|root|Users|work|mnt)/\w")
CHECKOUT = re.compile(rf"(?<![\w./]){re.escape(str(REPOSITORY))}\b")
DOWNLOAD_ADDRESS = re.compile(
    "|".join(
        [
            "files.python" + "hosted",
            "download.py" + "torch",
            "pypi.org/" + "simple",
            "index" + "-url",
        ]
    )
)


def _name(path: Path) -> str:
    """Return the module's name inside the package: ``video``, ``report.html``, ``""``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {
    name: ast.parse(path.read_text(encoding="utf-8"), str(path)) for name, path in MODULES.items()
}

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda name: name or "__init__")


def _names_imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield each imported name, dotted, with its line; imports inside functions count too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _outside(module: str) -> Iterator[tuple[str, int]]:
    """Yield each outside library (its top name) that a module imports, with the line."""
    for name, line in _names_imported(TREES[module]):
        top = name.partition(".")[0]
        if top != "flickerscope" and top not in sys.stdlib_module_names:
            yield top, line


def _inside(module: str) -> Iterator[tuple[str, int]]:
    """Yield each module of the package that a module imports, with the line.

    The version may be asked of the face by all: it is there before anything else is.
    """
    for name, line in _names_imported(TREES[module]):
        top, _, rest = name.partition(".")
        if top != "flickerscope" or rest == "__version__":
            continue
        while rest and rest not in MODULES:
            rest = rest.rpartition(".")[0]
        yield rest, line


def _within(module: str, places: tuple[str, ...]) -> bool:
    """Tell whether a module is one of the places, lies in one, or is a part of one (cli_xyz)."""
    return any(module == place or module.startswith((f"{place}.", f"{place}_")) for place in places)


def _floor(module: str) -> int | None:
    return FLOORS.get(module.partition(".")[0])


def _where(module: str, line: int) -> str:
    return f"{MODULES[module].relative_to(REPOSITORY)}:{line}"


@every_module
def test_an_outside_library_is_imported_in_its_one_place_only(module: str) -> None:
    broken = [
        f"{_where(module, line)} imports {library}, allowed in {ONLY_IN[library] or 'no module'}"
        for library, line in _outside(module)
        if library in ONLY_IN and not _within(module, ONLY_IN[library])
    ]
    assert not broken, "\n".join(broken)


def _declared(extra: str | None = None) -> set[str]:
    """Return the libraries that pyproject.toml declares: of the package, or of an extra."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] if extra is None else extras[extra]
    nested = [re.findall(r"^flickerscope\[(.*)\]", line) for line in lines]
    within = [part for found in nested for names in found for part in names.split(",")]
    own = {re.split(r"[^\w-]", line)[0] for line in lines} - {"flickerscope"}
    return own.union(*(_declared(part) for part in within))


def test_imported_libraries_and_declared_dependencies_are_the_same() -> None:
    imported = {library for module in MODULES for library, _ in _outside(module)}
    assert imported == _declared() | BY_EXTRA.keys()
    assert [x for x, extra in BY_EXTRA.items() if x not in _declared(extra)] == []


def test_the_tests_import_nothing_that_is_not_declared() -> None:
    """A library that happens to be on this machine may be missing on the next one."""
    files = list((REPOSITORY / "tests").rglob("*.py"))
    own = {file.stem for file in files} | {"flickerscope"}
    imported = {
        name.partition(".")[0]
        for file in files
        for name, _ in _names_imported(ast.parse(file.read_text(encoding="utf-8")))
    }
    assert imported - own - set(sys.stdlib_module_names) <= _declared() | _declared("test")


@every_module
def test_every_module_has_a_floor(module: str) -> None:
    assert _floor(module) is not None, f"give {module} a floor in FLOORS"


def test_the_table_of_floors_names_no_module_that_is_gone() -> None:
    assert FLOORS.keys() == {module.partition(".")[0] for module in MODULES}


@every_module
def test_imports_go_down_the_floors(module: str) -> None:
    floor = _floor(module)
    broken = [
        f"{_where(module, line)}: {module} (floor {floor}) imports {target or 'flickerscope'} "
        f"(floor {_floor(target)})"
        for target, line in _inside(module)
        if floor is not None and (_floor(target) or floor) > floor
    ]
    assert not broken, "\n".join(broken)


def test_imports_make_no_cycle() -> None:
    graph = {module: {target for target, _ in _inside(module)} - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


@every_module
def test_only_the_command_line_prints(module: str) -> None:
    calls = [
        _where(module, node.lineno)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not calls or _within(module, MAY_PRINT), f"print at {', '.join(calls)}"


@every_module
def test_checks_raise_and_are_never_asserts(module: str) -> None:
    """Python drops asserts under -O, and what they refused gets through."""
    found = [
        _where(module, node.lineno)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Assert)
    ]
    assert not found, f"assert at {', '.join(found)}"


@every_module
def test_modules_name_each_other_in_full(module: str) -> None:
    """The other tests here follow absolute imports only."""
    found = [
        _where(module, node.lineno)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.ImportFrom)
        and (node.level or any(alias.name == "*" for alias in node.names))
    ]
    assert not found, f"relative or starred import at {', '.join(found)}"


@every_module
def test_every_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(TREES[module]), f"{MODULES[module]} has no docstring"


def test_the_public_names_are_these() -> None:
    import flickerscope

    assert set(flickerscope.__all__) == PUBLIC
    assert len(flickerscope.__all__) == len(PUBLIC)
    assert set(dir(flickerscope)) >= PUBLIC
    missing = [name for name in PUBLIC if not hasattr(flickerscope, name)]
    assert not missing


def test_a_public_name_is_never_hidden_by_a_module_of_the_same_name() -> None:
    """A module called compare would take the place of the function when it is imported."""
    assert not PUBLIC & {module.partition(".")[0] for module in MODULES}


def test_an_unknown_name_is_an_attribute_error() -> None:
    import flickerscope

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = flickerscope.no_such_name


def _loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and return which heavy libraries it loaded."""
    report = f"import json, sys; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def test_importing_flickerscope_loads_nothing_heavy() -> None:
    assert _loaded_by("import flickerscope") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["compare", "--help"]], ids=" ".join
)
def test_help_loads_nothing_heavier_than_typer(arguments: list[str]) -> None:
    code = f"""
import sys
from flickerscope.cli import main
sys.argv = ["flickerscope", *{arguments!r}]
try:
    main()
except SystemExit as end:
    if end.code:
        raise
"""
    assert _loaded_by(code) <= {"rich", "typer"}


def _repository_files() -> list[Path]:
    """Return what git tracks, or would if it were added now."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    files = [REPOSITORY / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file()]


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for file in _repository_files():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
            for number, line in enumerate(text.splitlines(), 1)
            if pattern.search(line)
        ]
    return found


@pytest.mark.parametrize(
    "pattern",
    [MACHINE_PATH, CHECKOUT, DOWNLOAD_ADDRESS],
    ids=["home folder", "this checkout", "download address"],
)
def test_the_repository_names_no_machine(pattern: re.Pattern[str]) -> None:
    found = _lines_with(pattern)
    assert not found, "\n".join(found)


def test_the_repository_holds_no_lock_file() -> None:
    assert not [file for file in _repository_files() if file.name in LOCK_FILES]
