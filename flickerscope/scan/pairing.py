"""Finds which prediction belongs to which reference: by name, never by order."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from flickerscope.errors import InputError, SettingsError
from flickerscope.order import natural_order
from flickerscope.scan.finding import find_videos, stem_of
from flickerscope.scan.remote import is_remote, join
from flickerscope.stats import LEAST_UNITS, average_within

__all__ = [
    "Pair",
    "PairBy",
    "Pairing",
    "Unpaired",
    "few_units",
    "pair_folders",
    "pair_list",
    "pair_names",
]

PairBy = Literal["stem", "name", "regex"]

COLUMNS: Final = "pred", "ref", "model", "prompt", "seed"
ONE_MODEL: Final = "pred"
"""Name of the model where there is only one and nobody named it."""
SHOWN: Final = 5
"""Files that an error names before it only counts the rest."""

INDEXED = re.compile(r"(?P<prompt>.+)-(?P<seed>\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A prediction and the reference that it is held against."""

    model: str
    name: str
    """Of the prediction: its path below the model's folder, with forward slashes."""
    pred: str
    """Path."""
    ref: str
    """Path; several predictions may share it."""
    prompt: str | None
    """What the seeds of one prompt have in common; ``None``: not known."""
    seed: str | None
    """Which of them this is."""


@dataclass(frozen=True, slots=True)
class Unpaired:
    """A file without its counterpart."""

    role: Literal["pred", "ref"]
    """Whose file this is: a ``ref`` has no prediction by this model."""
    model: str
    path: str
    reason: str | None = None
    """What else there is to say than that it has none."""

    def __str__(self) -> str:
        if self.reason is not None:
            return self.reason
        if self.role == "pred":
            return f"{self.path}: no reference"
        return f"{self.path}: no prediction by {self.model}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs, and every file that is in none."""

    pairs: tuple[Pair, ...]
    """Model by model as given; in a model, in natural order of names (in a list, its order)."""
    unpaired: tuple[Unpaired, ...]

    def check(self, *, allow_missing: bool = False) -> None:
        """Raise `InputError` where nothing of a model pairs, or not all does, unless allowed."""
        paired = {pair.model for pair in self.pairs}
        for model in dict.fromkeys(file.model for file in self.unpaired):
            if model not in paired:
                files = [file for file in self.unpaired if file.model == model]
                raise InputError(f"nothing of {model} pairs: {_some(files)}")
        if self.unpaired and not allow_missing:
            count = len(self.unpaired)
            what = "1 file does" if count == 1 else f"{count} files do"
            raise InputError(f"{what} not pair: {_some(self.unpaired)}")
        if not self.pairs:
            raise InputError("there are no videos to pair")


def _some(files: Sequence[Unpaired]) -> str:
    rest = [f"and {len(files) - SHOWN} more"] if len(files) > SHOWN else []
    return "; ".join([*map(str, files[:SHOWN]), *rest])


def pair_folders(
    models: Mapping[str, str | os.PathLike[str]],
    ref: str | os.PathLike[str],
    *,
    names: Iterable[str] | None = None,
    by: PairBy = "stem",
    pattern: str | None = None,
) -> Pairing:
    """Pair the videos of every model's folder with those of one folder of references.

    ``names``: of the references, where ``ref`` is no folder but a file that holds them all. See
    `pair_names` for ``by`` and ``pattern``. Raises `InputError` and `SettingsError`.
    """
    if not models:
        raise SettingsError("name at least one folder of predictions")
    _ = _reader(by, pattern)  # complains before folders are searched
    theirs = find_videos(ref) if names is None else list(names)
    found = []
    for model, folder in models.items():
        if os.path.realpath(folder) == os.path.realpath(ref):
            raise SettingsError(f"{folder}: is both the predictions' and the references' folder")
        pairing = pair_names(find_videos(folder), theirs, model=model, by=by, pattern=pattern)
        found.append(_placed(pairing, folder, ref))
    return Pairing(
        tuple(pair for pairing in found for pair in pairing.pairs),
        tuple(file for pairing in found for file in pairing.unpaired),
    )


def pair_names(
    preds: Iterable[str],
    refs: Iterable[str],
    *,
    model: str = ONE_MODEL,
    by: PairBy = "stem",
    pattern: str | None = None,
) -> Pairing:
    """Pair relative paths; looks at no file.

    Args:
        preds: of one model, with forward slashes.
        refs: likewise.
        model: their name.
        by: ``stem``: the same path but for the suffix; a prediction ``{prompt}-{index}`` without
            a reference of just this name takes the one named ``{prompt}``. The indices are seeds,
            unless each prediction has a reference of just its name: then they only number the
            clips. ``name``: the same path. ``regex``: what the groups of ``pattern`` hold.
        pattern: a regular expression that is searched in each path. Its groups are the key, or
            only the group ``key`` where there is one; groups ``prompt`` and ``seed`` are what they
            say, and ``seed`` is never part of the key.

    Raises:
        InputError: two files claim one name.
        SettingsError: ``by`` or ``pattern`` makes no sense.
    """
    read = _reader(by, pattern)
    theirs: dict[str, str] = {}
    unpaired, used = [], set()
    for name in sorted(refs, key=natural_order):
        key = read(name).key
        if key is None:
            unpaired.append(Unpaired("ref", model, name))
        elif key in theirs:
            raise InputError(_ambiguous("references", theirs[key], name, by))
        else:
            theirs[key] = name
    pairs: list[Pair] = []
    only_numbers = by == "stem"
    taken: dict[tuple[str | None, str | None], str] = {}
    for name in sorted(preds, key=natural_order):
        label = read(name)
        if label.key is not None:
            identity = (label.key, label.seed if by == "regex" else None)
            first = taken.setdefault(identity, name)
            if first != name:
                raise InputError(_ambiguous("predictions", first, name, by))
        key = next((key for key in (label.key, label.fallback) if key in theirs), None)
        if key is None:
            unpaired.append(Unpaired("pred", model, name))
            continue
        used.add(key)
        only_numbers &= key == label.key
        pairs.append(
            Pair(
                model=model,
                name=name,
                pred=name,
                ref=theirs[key],
                prompt=label.prompt,
                seed=label.seed,
            )
        )
    if only_numbers:
        pairs = [p if p.seed is None else replace(p, prompt=None, seed=None) for p in pairs]
    unpaired += [Unpaired("ref", model, name) for key, name in theirs.items() if key not in used]
    return Pairing(tuple(pairs), tuple(unpaired))


def pair_list(path: str | os.PathLike[str]) -> Pairing:
    """Read the pairs of a ``.csv`` (with a header) or ``.jsonl`` file.

    Columns: pred and ref, and where wanted model, prompt and seed. Relative paths start at the
    list's folder. A row whose file is missing is unpaired; what a URL leads to is found out when
    it is measured. Raises `InputError`, also for a prediction that is there twice, however its
    path is spelled.
    """
    folder = Path(path).parent
    pairs, unpaired = [], []
    seen: dict[tuple[str, str], int] = {}
    for line, row in _rows(Path(path)):
        model = row.get("model") or ONE_MODEL
        pred, ref = (
            row[role] if is_remote(row[role]) else str(folder / row[role])
            for role in ("pred", "ref")
        )
        first = seen.setdefault((model, pred if is_remote(pred) else os.path.normpath(pred)), line)
        if first != line:
            raise InputError(
                f"{path}:{line}: {row['pred']} of {model} is already in line {first}; "
                "list every prediction once"
            )
        gone = [row[role] for role, file in (("pred", pred), ("ref", ref)) if not _may_exist(file)]
        if gone:
            what = "is not there" if len(gone) == 1 else "are not there"
            reason = f"{path}:{line}: {' and '.join(gone)} {what}"
            left = Unpaired("ref", model, ref, reason)
            unpaired.append(left if row["pred"] in gone else Unpaired("pred", model, pred, reason))
        else:
            name = row["pred"] if is_remote(pred) else PurePosixPath(row["pred"]).as_posix()
            prompt, seed = row.get("prompt") or None, row.get("seed") or None
            pairs.append(Pair(model=model, name=name, pred=pred, ref=ref, prompt=prompt, seed=seed))
    return Pairing(tuple(pairs), tuple(unpaired))


def few_units(
    model: str, prompts: Sequence[str | None], refs: Sequence[str | None]
) -> Iterator[str]:
    """A warning where a model's clips are too few independent units for any test, and seem more.

    ``prompts``, ``refs``: of each clip.
    """
    units = len(average_within([0.0] * len(refs), prompts, refs)) if refs else 0
    if units < LEAST_UNITS < len(refs):
        yield (
            f"{model}: {len(refs)} clips are {units} unit{'' if units == 1 else 's'}, as clips of "
            "one prompt or one reference are averaged; where the numbers in their names are no "
            "seeds, see --pair"
        )


def _may_exist(path: str) -> bool:
    return is_remote(path) or os.path.exists(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """What a name says."""

    key: str | None
    """What a prediction and its reference have in common; ``None``: nothing."""
    fallback: str | None = None
    """The key to try where no reference has the first."""
    prompt: str | None = None
    seed: str | None = None


def _reader(by: str, pattern: str | None) -> Callable[[str], _Label]:
    if by not in ("stem", "name", "regex"):
        raise SettingsError(f"pairing: one of stem, name, regex, got {by!r}")
    if (by == "regex") != (pattern is not None):
        raise SettingsError("pairing by regex, and only that, needs a pattern")
    if pattern is None:
        return _read_stem if by == "stem" else _read_name
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SettingsError(f"{pattern!r} is no regular expression: {error}") from error
    if compiled.groups == ("seed" in compiled.groupindex):
        raise SettingsError(
            f"{pattern!r}: needs a group that predictions and references share, as in (.+)_gen"
        )
    return lambda name: _read_match(compiled, name)


def _read_stem(name: str) -> _Label:
    stem = stem_of(name)
    match = INDEXED.fullmatch(stem)
    if match is None:
        return _Label(key=stem, prompt=stem)
    return _Label(key=stem, fallback=match["prompt"], prompt=match["prompt"], seed=match["seed"])


def _read_name(name: str) -> _Label:
    return _Label(key=name)


def _read_match(pattern: re.Pattern[str], name: str) -> _Label:
    match = pattern.search(name)
    if match is None:
        return _Label(key=None)
    named = match.groupdict()
    if "key" in named:
        parts = [named["key"]]
    else:
        seed = pattern.groupindex.get("seed")
        parts = [match[i] for i in range(1, pattern.groups + 1) if i != seed]
    if all(part is None for part in parts):
        return _Label(key=None)
    key = "\0".join(part or "" for part in parts)
    prompt = named.get("prompt") or key.replace("\0", "/")
    return _Label(key=key, prompt=prompt, seed=named.get("seed"))


def _ambiguous(which: str, first: str, second: str, by: str) -> str:
    remedy = {
        "stem": "rename one, or pair by name",
        "name": "rename one",
        "regex": "let a group of the pattern tell them apart",
    }[by]
    return f"two {which} of one name: {first} and {second}; {remedy}"


def _placed(
    pairing: Pairing, preds: str | os.PathLike[str], refs: str | os.PathLike[str]
) -> Pairing:
    """The same with paths below their folders."""
    return Pairing(
        tuple(
            replace(pair, pred=join(preds, pair.pred), ref=join(refs, pair.ref))
            for pair in pairing.pairs
        ),
        tuple(
            replace(f, path=join(preds if f.role == "pred" else refs, f.path))
            for f in pairing.unpaired
        ),
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and columns of every row of a list."""
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    read = readers.get(path.suffix.lower())
    if read is None:
        raise InputError(f"{path}: a list is a .csv or .jsonl file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list: {error}") from error
    empty = True
    for line, row in read(path, text):
        empty = False
        unknown = [str(name) for name in row if name not in COLUMNS]
        if unknown:
            raise InputError(
                f"{path}:{line}: unknown column {unknown[0]!r}; allowed are {', '.join(COLUMNS)}"
            )
        kept = {name: str(value) for name, value in row.items() if value not in (None, "")}
        for name in ("pred", "ref"):
            if name not in kept:
                raise InputError(f"{path}:{line}: has no {name}")
        yield line, kept
    if empty:
        raise InputError(f"{path}: lists no pairs")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if None in row:
                raise InputError(f"{path}:{reader.line_num}: has more columns than the header")
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: is not CSV: {error}") from error


def _jsonl_rows(path: Path, text: str) -> Iterator[tuple[int, dict[Any, Any]]]:
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}:{line}: is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}:{line}: is no object with pred and ref")
        yield line, row
