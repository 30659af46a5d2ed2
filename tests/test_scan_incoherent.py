"""Clips that have no flicker reading because their motion is lost: rank, verdict, title and gate.

One rule for all of them: such a clip stands above every number, and its unit with it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from matplotlib.text import Text
from test_scan_summary import SETTINGS, batch, breaches, record
from test_scan_unpaired import incoherent, sets
from test_scan_unpaired import record as lone_record

from flickerscope.cli.running import show
from flickerscope.cli.scan_summary import scan_summary
from flickerscope.cli.unpaired_summary import unpaired_summary
from flickerscope.report.overview.page import overview_figure
from flickerscope.report.strict import fold_infinite, to_json, unfold_infinite
from flickerscope.scan.drawing import overview_of, overview_of_sets
from flickerscope.scan.gate import find_shifts_above
from flickerscope.scan.gather import gather
from flickerscope.scan.readings import place_of
from flickerscope.scan.summary import summarize
from flickerscope.scan.unpaired.summary import gather_sets, summarize_sets

INF = math.inf


def torn(numbers: Any, *, ref: str = "r", **labels: Any) -> list[dict[str, Any]]:
    """Clips whose pictures are drawn anew, with the energy of their references."""
    labels = {"verdict": "incoherent", "energy": 0.0} | labels
    return [record(None, name=f"{i}", ref=f"{ref}{i}", **labels) for i in numbers]


def calm(numbers: Any, value: float, model: str) -> list[dict[str, Any]]:
    return [record(value, name=f"{i}", ref=f"r{i}", model=model) for i in numbers]


def rivals(bad: int) -> list[dict[str, Any]]:
    """Twenty clips of a model, so many of them incoherent and the others quiet, and of a better."""
    clips = torn(range(bad), model="bad") + calm(range(bad, 20), -0.5, "bad")
    return clips + calm(range(20), 0.5, "good")


@pytest.mark.parametrize(
    ("text", "value", "place"),
    [
        ("incoherent", None, INF),
        ("flickers more", 7.5, 7.5),  # along the motion of the reference
        ("flickers more", None, INF),  # by the area, say
        ("flickers less", -4.0, -4.0),
        ("not measurable", None, None),
    ],
)
def test_where_a_clip_without_a_reading_stands(text, value, place) -> None:
    clip = record(None, energy=1.0, verdict=text)
    clip["verdict"]["value_db"] = value
    assert place_of(clip) == place
    assert place_of(clip | {"headline": {"value": 2.0}}) == 2.0
    clip["motion"]["pred"] = clip["motion"]["ref"] = None  # as with --no-motion
    assert place_of(clip) is None


def test_a_model_of_incoherent_clips_ranks_last_and_is_called_so() -> None:
    summary = summarize(gather(rivals(15)), SETTINGS)
    good, bad = summary["models"]
    assert (good["model"], good["verdict"]) == ("good", "no difference found")
    assert (bad["model"], bad["verdict"]) == ("bad", "incoherent")
    row = bad["flicker"]
    assert (row["units"], row["incoherent"], row["clips"]["measured"]) == (20, 15, 20)
    # Ranks 6 to 15 of 20 bound the median: the sixth is infinite already.
    assert row["infinite"] == {"median": "above", "low": "above", "high": "above",
                               "lower_bound": "above"}  # fmt: skip
    assert (row["median"], row["low"]) == (None, None)
    assert bad["energy"]["infinite"] == {}
    json.loads(to_json(summary), parse_constant=pytest.fail)


def test_a_median_below_the_incoherent_clips_has_no_upper_bound() -> None:
    """Of 20 values the 6th and the 15th are the bounds; 8 are infinite."""
    row = next(m for m in summarize(gather(rivals(8)), SETTINGS)["models"] if m["model"] == "bad")
    assert (row["flicker"]["median"], row["flicker"]["low"]) == (-0.5, -0.5)
    assert row["flicker"]["infinite"] == {"high": "above"}


def test_of_incoherent_models_that_with_more_such_clips_comes_last() -> None:
    clips = torn(range(6), model="all") + torn(range(4), model="most")
    clips += calm(range(4, 6), 9.0, "most") + calm(range(6), 9.0, "none")
    clips += [record(None, model="unread")]
    ranked = [m["model"] for m in summarize(gather(clips), SETTINGS)["models"]]
    assert ranked == ["none", "most", "all", "unread"]


def test_models_differ_infinitely_where_one_is_incoherent_and_not_at_all_where_both_are() -> None:
    """60 of 68 units differ by +inf and 8 by -1: the signed-rank test is of these ranks."""
    clips = torn(range(60), model="bad") + calm(range(60, 68), -0.5, "bad")
    clips += calm(range(68), 0.5, "good") + torn(range(60), model="like")
    rows = {
        (r["model"], r["against"]): r
        for r in summarize(gather(clips), SETTINGS)["differences"]
        if r["name"].startswith("motion")
    }
    assert rows["bad", "good"]["infinite"]["median"] == "above"
    assert rows["bad", "good"]["p_holm"] < 1e-6
    assert rows["good", "like"]["infinite"]["median"] == "below"
    assert (rows["bad", "like"]["median"], rows["bad", "like"]["p"]) == (0.0, 1.0)


@pytest.mark.parametrize("order", [1, -1])
def test_models_are_told_apart_over_the_same_units_in_any_order(order) -> None:
    """Only one of them has prompts: its six clips are of one prompt, hence one unit."""
    clips = batch([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], model="a", prompt="P")
    clips += batch([1.0, 1.1, 1.2, 1.3, 1.4, 1.5], model="b")
    rows = summarize(gather(clips[::order]), SETTINGS)["differences"]
    assert [row["units"] for row in rows] == [1, 1]
    assert abs(rows[0]["median"]) == pytest.approx(1.0)


def test_every_prompt_of_a_reference_links_its_clips() -> None:
    """The second clip of reference x has the prompt of y."""
    clips = []
    for model, value in (("a", 0.0), ("b", 2.0)):
        for ref, prompt in (("x", "p"), ("x", "q"), ("y", "q"), ("z", None)):
            clips.append(record(value, model=model, ref=ref, prompt=prompt))
    rows = summarize(gather(clips), SETTINGS)["differences"]
    assert [(row["references"], row["units"]) for row in rows] == [(3, 2), (3, 2)]


def test_the_gate_counts_units_and_not_incoherent_clips() -> None:
    """Six prompts at 0 dB beside one of eight incoherent seeds: one unit of seven."""
    clips = [record(0.0, name=f"p{i}", ref=f"r{i}", prompt=f"p{i}") for i in range(6)]
    seeds = [record(None, energy=0.0, name=f"q-{i}", ref="q", prompt="q", verdict="incoherent")
             for i in range(8)]  # fmt: skip
    assert breaches(clips + seeds) == []
    assert breaches(clips[:1] + seeds) == [
        "m: median over 9 of 9 clips: incoherent, above the limit of 3"
    ]


@pytest.mark.parametrize(("calm_clips", "breached"), [(11, False), (9, True)])
def test_the_gate_counts_clips_that_flicker_more_by_another_reading(calm_clips, breached) -> None:
    clips = batch([0.0] * calm_clips)
    clips += torn(range(10), ref="x", verdict="flickers more", energy=9.0)
    assert bool(breaches(clips)) == breached
    carried = torn(range(10), ref="x", verdict="flickers more")
    for clip in carried:
        clip["verdict"]["value_db"] = 2.0
    assert breaches(batch([0.0] * 9) + carried) == []  # 2 dB, below the limit of 3


def test_the_rank_the_verdict_the_gate_and_the_title_agree() -> None:
    gathered = gather(rivals(15))
    summary = summarize(gathered, SETTINGS)
    figure = overview_figure(overview_of(gathered, summary))
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert "good flickers least, bad most" in texts
    assert texts.count("incoherent") == 2 and "15" in texts  # number and verdict; clips beyond
    assert [text.split(":")[0] for text in breaches(rivals(15))] == ["bad"]


def test_few_units_are_too_few_to_tell_models_apart() -> None:
    """Of five signs the two-sided p is 2/32 at best."""
    for units, expected in ((5, "too few clips to tell them apart"), (6, "flickers least")):
        gathered = gather(calm(range(units), 0.0, "a") + calm(range(units), 5.0, "b"))
        shown = overview_of(gathered, summarize(gathered, SETTINGS))
        assert any(expected in text.get_text() for text in overview_figure(shown).texts)


def test_the_terminal_says_incoherent_and_never_nan(capsys) -> None:
    show(scan_summary(summarize(gather(rivals(15)), SETTINGS), "out"))
    text = capsys.readouterr().out
    assert "Incoherent. 20 of 20 measured; with a flicker reading: 5 of 20." in text
    assert "inf dB" in text and "nan" not in text
    assert max(map(len, text.splitlines())) <= 80
    few = calm(range(4), 0.0, "a") + calm(range(4), 5.0, "b")
    show(scan_summary(summarize(gather(few), SETTINGS), "out"))
    assert "too few units" in capsys.readouterr().out


def test_infinite_numbers_are_named_where_json_has_none() -> None:
    row = {"low": 1.0, "high": INF, "least": -INF, "p": None, "higher": True, "units": 3}
    folded = fold_infinite(row)
    assert folded["infinite"] == {"high": "above", "least": "below"}
    assert (folded["high"], folded["low"]) == (None, 1.0)
    assert unfold_infinite(json.loads(to_json(folded))) == row


def test_a_clip_by_itself_is_incoherent_only_where_it_has_no_reading(capsys) -> None:
    read = incoherent(7) | {"headline": {"value": 3.0}}
    found = gather_sets([*sets([10.0] * 6, [10.0] * 6), read])
    summary = summarize_sets(found, SETTINGS)
    assert summary["models"][0]["incoherent"] == 0
    assert [clip["verdict"] for clip in summary["worst"]] == [""] * 7
    show(unpaired_summary(summary, "out"))
    assert "incoherent" not in capsys.readouterr().out


@pytest.mark.parametrize("both", [False, True])
def test_a_set_of_incoherent_clips_lies_infinitely_above_one_of_others(both, capsys) -> None:
    references = [incoherent(i, role="ref") for i in range(5)] if both else []
    clips = [*sets([10.0], [10.0]), *references, *(incoherent(i + 9) for i in range(6))]
    clips += [] if both else [lone_record(10.0, 30 + i, role="ref") for i in range(5)]
    found = gather_sets(clips)
    summary = summarize_sets(found, SETTINGS)
    model = summary["models"][0]
    breached = list(
        find_shifts_above(summary, limit=3.0, gate="verdict", allow_unmeasured=False)
    )  # fmt: skip
    show(unpaired_summary(summary, "out"))
    shown = capsys.readouterr().out
    overview_figure(overview_of_sets(found, summary))
    to_json(summary)
    assert (model["incoherent"], model["flicker"]["clips"]["measured"]) == (6, 7)
    if both:  # nor do they differ where the references are as incoherent
        assert (model["flicker"]["shift"], model["verdict"]) == (0.0, "no difference found")
        assert breached == []
    else:
        assert model["flicker"]["infinite"]["shift"] == "above"
        assert model["verdict"] == "incoherent"
        assert breached == ["m: shift of 7 of 7 clips: incoherent, above the limit of 3"]
        assert "flicker: more than half incoherent" in shown


def lone_summary(ours: list[Any], theirs: list[Any]) -> tuple[dict[str, Any], list[str]]:
    """The model of a summary of unpaired clips, and what the gate says at 3 dB."""
    summary = summarize_sets(gather_sets(theirs + ours), SETTINGS)
    gate = find_shifts_above(summary, limit=3.0, gate="verdict", allow_unmeasured=False)
    return summary["models"][0], list(gate)


def unread(number: int, role: str) -> dict[str, Any]:
    """A clip whose motion is too fast to be followed."""
    return lone_record(10.0, number, role=role) | {"headline": {"value": None}}


def test_a_sound_set_is_not_incoherent_because_its_references_are() -> None:
    ours = [lone_record(10.0, i) for i in range(6)]
    theirs = [incoherent(i, role="ref") for i in range(5)]
    model, breached = lone_summary(ours, [*theirs, lone_record(10.0, 9, role="ref")])
    assert model["flicker"]["infinite"]["shift"] == "below"
    assert (model["verdict"], breached) == ("no difference found", [])


@pytest.mark.parametrize("read", [(3, 20), (20, 3)])
def test_sets_most_of_which_cannot_be_read_are_not_measurable(read) -> None:
    sides = [
        [lone_record(10.0, i, role=role) for i in range(count)]
        + [unread(i, role) for i in range(count, 20)]
        for role, count in zip(("pred", "ref"), read, strict=True)
    ]
    model, breached = lone_summary(*sides)
    assert (model["verdict"], model["flicker"]["enough"]) == ("not measurable", False)
    counts = f"{read[0]} of 20 clips and {read[1]} of 20 references"
    assert breached == [f"m: not measurable: {counts} have a reading"]


def test_a_model_most_of_whose_clips_are_not_measurable_ranks_last() -> None:
    """As the gate has it: what 7 of 20 clips read says nothing of them all."""
    lost = torn(range(13), model="bad", verdict="not measurable")
    clips = lost + calm(range(13, 20), -0.5, "bad") + calm(range(20), 0.5, "good")
    gathered = gather(clips)
    summary = summarize(gathered, SETTINGS)
    assert [(m["model"], m["verdict"]) for m in summary["models"]] == [
        ("good", "no difference found"),
        ("bad", "not measurable"),
    ]
    assert breaches(clips) == ["bad: not measurable: 7 of 20 clips have a reading"]
    texts = [text.get_text() for text in overview_figure(overview_of(gathered, summary)).texts]
    assert "2 models: only of good are most clips measurable" in texts


def test_without_the_motion_no_flicker_is_missing() -> None:
    clips = [record(None, energy=0.0, name=f"{i}", ref=f"{i}") for i in range(6)]
    assert summarize(gather(clips), SETTINGS)["models"][0]["verdict"] == "no difference found"
