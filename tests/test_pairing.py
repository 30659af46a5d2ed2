"""Which prediction belongs to which reference."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from flickerscope.errors import InputError, SettingsError
from flickerscope.order import natural_order
from flickerscope.scan.finding import find_videos
from flickerscope.scan.pairing import (
    Pairing,
    few_units,
    pair_folders,
    pair_list,
    pair_names,
)


def couples(pairing: Pairing) -> list[tuple[str, str]]:
    return [(pair.pred, pair.ref) for pair in pairing.pairs]


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_numbers_sort_by_value_and_case_does_not_count() -> None:
    names = ["clip2", "Clip10", "clip1", "clip02", "a/9", "a/10", "", "7", "²"]
    wanted = ["", "7", "a/9", "a/10", "clip1", "clip02", "clip2", "Clip10", "²"]
    assert sorted(names, key=natural_order) == wanted


def test_videos_pair_by_path_and_stem_whatever_the_order() -> None:
    preds = ["b/2.mp4", "a/2.mp4", "a/10.mp4"]
    refs = ["a/10.mov", "b/2.mov", "a/2.mov"]
    random.Random(0).shuffle(refs)
    found = pair_names(preds, refs)
    assert couples(found) == [
        ("a/2.mp4", "a/2.mov"),
        ("a/10.mp4", "a/10.mov"),
        ("b/2.mp4", "b/2.mov"),
    ]
    assert not found.unpaired


def test_seeds_share_the_reference_of_their_prompt_and_are_grouped() -> None:
    found = pair_names(["a cat-0.mp4", "a cat-1.mp4"], ["a cat.mp4"])
    assert [(p.ref, p.prompt, p.seed) for p in found.pairs] == [
        ("a cat.mp4", "a cat", "0"),
        ("a cat.mp4", "a cat", "1"),
    ]


def test_a_seed_with_a_reference_of_its_own_takes_that() -> None:
    found = pair_names(["x-0.mp4", "x-1.mp4"], ["x.mp4", "x-1.mp4"])
    assert couples(found) == [("x-0.mp4", "x.mp4"), ("x-1.mp4", "x-1.mp4")]
    assert {pair.prompt for pair in found.pairs} == {"x"}


def test_numbers_are_no_seeds_where_each_clip_has_a_reference_of_its_own() -> None:
    names = [f"clip-{i}.mp4" for i in range(8)]
    found = pair_names(names, names)
    labels = [(pair.prompt, pair.seed) for pair in found.pairs]
    assert labels == [(None, None)] * 8
    assert not list(few_units("m", [prompt for prompt, _ in labels], names))
    assert {p.prompt for p in pair_names(names, names, by="name").pairs} == {None}
    pattern = r"(?P<key>(?P<prompt>.+)-\d+)"
    seeds = pair_names(names, names, by="regex", pattern=pattern).pairs
    assert [(p.ref, p.prompt) for p in seeds] == [(name, "clip") for name in names]


def test_many_clips_that_are_few_units_are_warned_of() -> None:
    seeds = [f"{prompt}-{i}.mp4" for prompt in "abcd" for i in range(2)]
    pairs = pair_names(seeds, [f"{prompt}.mp4" for prompt in "abcd"]).pairs
    labels = [pair.prompt for pair in pairs], [pair.ref for pair in pairs]
    (text,) = few_units("m", *labels)
    assert text.startswith("m: 8 clips are 4 units, as clips of one prompt or one reference")
    assert not list(few_units("m", labels[0][:5], labels[1][:5]))  # plainly too few
    assert not list(few_units("m", [None] * 8, [None] * 8))


def test_what_does_not_pair_is_named_on_both_sides() -> None:
    found = pair_names(["1.mp4", "3.mp4"], ["1.mp4", "2.mp4"], model="m")
    assert [str(file) for file in found.unpaired] == [
        "3.mp4: no reference",
        "2.mp4: no prediction by m",
    ]
    with pytest.raises(InputError, match=r"2 files do not pair: 3\.mp4: no reference"):
        found.check()
    found.check(allow_missing=True)


def test_nothing_paired_is_an_error_even_if_missing_files_are_allowed() -> None:
    found = pair_names([f"{i}.mp4" for i in range(9)], ["x.mp4"])
    with pytest.raises(InputError, match=r"nothing of pred pairs: 0\.mp4: .*; and 5 more"):
        found.check(allow_missing=True)


def test_a_model_of_which_nothing_pairs_is_an_error_beside_one_that_does(tmp_path: Path) -> None:
    ref = folder(tmp_path / "r", "1.mp4", "2.mp4")
    models = {"good": folder(tmp_path / "g", "1.mp4"), "other": folder(tmp_path / "o", "x.mp4")}
    found = pair_folders(models, ref)
    with pytest.raises(InputError, match=r"nothing of other pairs: .*x\.mp4: no reference"):
        found.check(allow_missing=True)


def test_by_name_the_suffix_counts() -> None:
    found = pair_names(["1.mp4", "1.mkv"], ["1.mkv"], by="name")
    assert couples(found) == [("1.mkv", "1.mkv")]
    assert [file.path for file in found.unpaired] == ["1.mp4"]


def test_by_regex_the_groups_are_the_key_and_a_seed_is_not() -> None:
    pattern = r"(?:gen|gt)_(\d+)(?:_s(?P<seed>\d+))?"
    found = pair_names(["gen_7_s1.mp4", "gen_7_s2.mp4"], ["gt_7.mp4"], by="regex", pattern=pattern)
    assert couples(found) == [("gen_7_s1.mp4", "gt_7.mp4"), ("gen_7_s2.mp4", "gt_7.mp4")]
    assert [(pair.prompt, pair.seed) for pair in found.pairs] == [("7", "1"), ("7", "2")]


def test_by_regex_several_groups_make_a_prompt_that_can_be_read() -> None:
    (pair,) = pair_names(["a_7.mp4"], ["a_7.mov"], by="regex", pattern=r"(\w)_(\d)").pairs
    assert pair.prompt == "a/7"


def test_by_regex_a_name_that_does_not_match_is_unpaired() -> None:
    found = pair_names(["a1", "other"], ["b1"], by="regex", pattern=r"[ab](?P<key>\d)")
    assert couples(found) == [("a1", "b1")]
    assert [file.path for file in found.unpaired] == ["other"]


@pytest.mark.parametrize(
    ("preds", "refs", "options", "files"),
    [
        (["1.mp4", "1.mkv"], ["1.mp4"], {}, "predictions of one name: 1.mkv and 1.mp4"),
        (["1.mp4"], ["1.mp4", "1.mkv"], {}, "references of one name: 1.mkv and 1.mp4"),
        (["a1", "b1"], ["c1"], {"by": "regex", "pattern": r"(\d)"}, "a1 and b1"),
    ],
)
def test_two_files_of_one_name_are_refused(preds, refs, options, files) -> None:
    with pytest.raises(InputError, match=files):
        pair_names(preds, refs, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"by": "order"},
        {"by": "regex"},
        {"by": "stem", "pattern": "(x)"},
        {"by": "regex", "pattern": "("},
        {"by": "regex", "pattern": "x"},
        {"by": "regex", "pattern": r"(?P<seed>\d)"},
    ],
)
def test_a_way_of_pairing_that_makes_no_sense_is_refused(options) -> None:
    with pytest.raises(SettingsError):
        pair_names(["1"], ["1"], **options)


def test_folders_are_searched_below_and_hidden_files_left_out(tmp_path: Path) -> None:
    folder(tmp_path, "b/2.MP4", "b/10.mp4", "a.mkv", ".hidden.mp4", ".git/x.mp4", "notes.txt")
    assert find_videos(tmp_path) == ["a.mkv", "b/2.MP4", "b/10.mp4"]


def test_links_to_folders_are_followed_and_lead_round_in_no_circle(tmp_path: Path) -> None:
    root = folder(tmp_path / "p", "1.mp4", "sub/2.mp4")
    other = folder(tmp_path / "other", "3.mp4")
    for link, target in (
        (root / "more", other),
        (root / "again", other),  # not the way that the first one came
        (root / "sub" / "up", root),
        (other / "back", root),
    ):
        link.symlink_to(target)
    assert find_videos(root) == ["1.mp4", "again/3.mp4", "more/3.mp4", "sub/2.mp4"]
    assert find_videos(other)[:3] == ["3.mp4", "back/1.mp4", "back/sub/2.mp4"]
    (root / "up").symlink_to(tmp_path)  # nor out of the folder to what it lies in
    assert find_videos(root) == ["1.mp4", "again/3.mp4", "more/3.mp4", "sub/2.mp4"]


def test_every_model_meets_the_same_references(tmp_path: Path) -> None:
    ref = folder(tmp_path / "ref", "1.mp4", "2.mp4")
    models = {
        "new": folder(tmp_path / "n", "1.mp4", "2.mp4"),
        "base": folder(tmp_path / "b", "2.mp4"),
    }
    found = pair_folders(models, ref)
    assert [(pair.model, pair.name) for pair in found.pairs] == [
        ("new", "1.mp4"),
        ("new", "2.mp4"),
        ("base", "2.mp4"),
    ]
    assert {pair.ref for pair in found.pairs} == {str(ref / "1.mp4"), str(ref / "2.mp4")}
    assert [str(file) for file in found.unpaired] == [f"{ref / '1.mp4'}: no prediction by base"]


def test_folders_that_cannot_be_scanned_are_refused(tmp_path: Path) -> None:
    good = folder(tmp_path / "good", "1.mp4")
    (tmp_path / "empty").mkdir()
    for bad in (tmp_path / "empty", tmp_path / "gone", good / "1.mp4"):
        with pytest.raises(InputError, match=bad.name):
            find_videos(bad)
    with pytest.raises(SettingsError, match="both"):
        pair_folders({"m": good}, good)
    with pytest.raises(SettingsError, match="at least one"):
        pair_folders({}, good)


ROWS = [
    {"pred": "p/1.mp4", "ref": "r.mp4", "model": "m", "prompt": "a, b", "seed": "3"},
    {"pred": "p/2.mp4", "ref": "r.mp4"},
    {"pred": "p/2.mp4", "ref": "gone.mp4", "model": "m"},
    {"pred": "gone.mp4", "ref": "r.mp4", "model": "m"},
]


def test_a_prompt_may_hold_any_line_break(tmp_path: Path) -> None:
    folder(tmp_path, "1.mp4", "r.mp4")
    prompt = "one\u2028two"
    row = json.dumps({"pred": "1.mp4", "ref": "r.mp4", "prompt": prompt}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(row, encoding="utf-8")
    (tmp_path / "a.csv").write_text('pred,ref,prompt\n1.mp4,r.mp4,"a\nb"\n')
    assert [pair.prompt for pair in pair_list(tmp_path / "a.jsonl").pairs] == [prompt]
    assert [pair.prompt for pair in pair_list(tmp_path / "a.csv").pairs] == ["a\nb"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_lists_of_both_kinds_say_the_same(tmp_path: Path, kind: str) -> None:
    folder(tmp_path, "p/1.mp4", "p/2.mp4", "r.mp4")
    path = tmp_path / f"pairs.{kind}"
    if kind == "csv":
        path.write_text(
            "pred,ref,model,prompt,seed\n"
            'p/1.mp4,r.mp4,m,"a, b",3\n'
            "p/2.mp4,r.mp4,,,\np/2.mp4,gone.mp4,m,,\ngone.mp4,r.mp4,m,,\n"
        )
    else:
        path.write_text("\n".join(json.dumps(row) for row in ROWS) + "\n\n")
    found = pair_list(path)
    assert [(p.model, p.name, p.prompt, p.seed) for p in found.pairs] == [
        ("m", "p/1.mp4", "a, b", "3"),
        ("pred", "p/2.mp4", None, None),
    ]
    assert [(file.role, Path(file.path).name) for file in found.unpaired] == [
        ("pred", "2.mp4"),
        ("ref", "r.mp4"),
    ]
    with pytest.raises(InputError, match=r"pairs\.\w+:\d: gone\.mp4 is not there; .*:\d: gone"):
        found.check()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.csv", "pred,reff\n1,2\n", ":2: unknown column 'reff'"),
        ("a.csv", "pred,ref\n1,\n", ":2: has no ref"),
        ("a.csv", "pred,ref\n1,2,3\n", ":2: has more columns"),
        ("a.csv", "pred,ref\n", "lists no pairs"),
        ("a.csv", 'pred,ref\n"1,2\n', "is not CSV"),
        ("a.csv", "pred,ref\n1,2\n1,3\n", ":3: 1 of pred is already in line 2"),
        ("a.jsonl", '{"pred": "1"}\n', ":1: has no ref"),
        ("a.jsonl", '\n{"pred": \n', ":2: is not JSON"),
        ("a.jsonl", "[" * 100_000, ":1: is not JSON"),
        ("a.jsonl", "[1, 2]\n", ":1: is no object"),
        ("a.txt", "", "a list is a .csv or .jsonl file"),
    ],
)
def test_a_bad_list_is_refused_with_its_line(tmp_path, name, text, complaint) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=complaint):
        pair_list(path)


def test_a_list_names_a_prediction_once_however_it_is_spelled(tmp_path: Path) -> None:
    folder(tmp_path, "p/1.mp4", "r.mp4")
    for other in ("./p/1.mp4", "p/../p/1.mp4", "p//1.mp4", str(tmp_path / "p" / "1.mp4")):
        (tmp_path / "a.csv").write_text(f"pred,ref\np/1.mp4,r.mp4\n{other},r.mp4\n")
        with pytest.raises(InputError, match=r"a\.csv:3: .* of pred is already in line 2"):
            pair_list(tmp_path / "a.csv")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as a list"):
        pair_list(tmp_path / "a.csv")
