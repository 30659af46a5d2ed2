"""The metrics against `compare`, `analyze` and scipy; merged, gathered, refused."""

from __future__ import annotations

import functools
import importlib
import json
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio

from flickerscope import InputError, Settings, SettingsError, TooShortError, analyze, compare
from flickerscope.metrics import ExcessFlicker, Flicker
from flickerscope.metrics.summary import summarize_pairs

STILL = Settings(motion=False)
ONE_THREAD = {"threads": 1, "fps": 24}
Values = dict[str, float]


def _numbers(values: dict[str, Tensor]) -> Values:
    return {name: float(value) for name, value in values.items()}


def _same(one: Values, other: Values) -> bool:
    """Equal in every digit; repr, because NaN does not equal itself."""
    return repr(one) == repr(other)


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    """Six pairs (6, 16, 3, 40, 56): textured pans, and the same with flicker of several sizes."""
    noise = torch.Generator().manual_seed(3)
    coarse = torch.rand(6, 3, 10, 24, generator=noise)
    wide = torch.nn.functional.interpolate(coarse, (40, 96), mode="bicubic").clamp(0, 1)
    wide = 0.2 + 0.6 * wide
    target = torch.stack([wide[..., t : t + 56] for t in range(16)], dim=1)
    sigma = torch.tensor([0.0, 0.004, 0.006, 0.008, 0.010, 0.012])
    flicker = torch.randn(6, 16, 1, 1, 1, generator=noise) * sigma[:, None, None, None, None]
    return target + flicker, target


@pytest.fixture(scope="module")
def results(batch: tuple[Tensor, Tensor]) -> list[Any]:
    """What `compare` says of every pair."""
    return [compare(pred, ref, **ONE_THREAD) for pred, ref in zip(*batch, strict=True)]


@pytest.fixture(scope="module")
def paired(batch: tuple[Tensor, Tensor]) -> ExcessFlicker:
    metric = ExcessFlicker(**ONE_THREAD)
    metric.update(batch[0][:4], batch[1][:4])
    metric.update(batch[0][4:], batch[1][4:])
    return metric


def test_pairs_read_what_compare_reads(paired: ExcessFlicker, results: list[Any]) -> None:
    values = _numbers(paired.compute())
    flicker = [result.flicker_db for result in results]
    energy = [result.energy_db for result in results]
    assert None not in flicker
    assert values["flicker_db"] == pytest.approx(sum(sorted(flicker)[2:4]) / 2, abs=1e-12)
    assert values["energy_db"] == pytest.approx(sum(sorted(energy)[2:4]) / 2, abs=1e-12)
    # Six values: the exact 95 % interval of the median is the smallest to the largest.
    assert (values["flicker_db_low"], values["flicker_db_high"]) == (min(flicker), max(flicker))
    assert values["flicker_db_p"] == pytest.approx(
        stats.wilcoxon([x for x in flicker if x], alternative="greater", method="exact").pvalue
    )
    verdicts = [result.verdict for result in results]
    assert values["more"] == verdicts.count("flickers more") > 0
    assert values["pairs"] == values["measured"] == 6
    assert values["flickers_more"] == 1


def test_one_pair_reads_exactly_what_compare_reads(batch: tuple[Tensor, Tensor]) -> None:
    result = compare(batch[0][5], batch[1][5], **ONE_THREAD)
    values = _numbers(ExcessFlicker(**ONE_THREAD)(batch[0][5:], batch[1][5:]))
    assert values["flicker_db"] == result.flicker_db
    assert values["energy_db"] == result.energy_db


def test_a_clip_reads_exactly_what_analyze_reads(batch: tuple[Tensor, Tensor]) -> None:
    clip = analyze(batch[0][4], **ONE_THREAD).clips[0]
    values = _numbers(Flicker(**ONE_THREAD)(batch[0][4:5]))
    assert clip.motion is not None
    for name in ("flicker", "area", "pop", "coverage", "speed"):
        assert values[name] == getattr(clip.motion, name)
    assert values["flicker_rms"] == math.sqrt(clip.motion.flicker)
    assert values["clips"] == values["measured"] == 1


def test_an_alternation_reads_its_closed_form() -> None:
    """+-1 on a still picture: flicker 4 code^2, and +12.72 dB of energy (estimators.md, 19)."""
    still = torch.full((1, 32, 1, 48, 64), 128, dtype=torch.uint8)
    signs = torch.tensor([1, -1], dtype=torch.int16).repeat(16)[None, :, None, None, None]
    flickering = (still + signs).to(torch.uint8)
    values = _numbers(ExcessFlicker(**ONE_THREAD)(flickering, still))
    assert values["energy_db"] == pytest.approx(12.72, abs=0.01)
    assert values["flicker_db"] == pytest.approx(10 * math.log10(4.1 / 0.1), abs=0.2)
    assert _numbers(Flicker(**ONE_THREAD)(flickering))["flicker_rms"] == pytest.approx(2, rel=0.02)


def test_axes_and_ranges_change_nothing_but_the_way_a_batch_is_given(
    batch: tuple[Tensor, Tensor],
) -> None:
    pred, ref = (side[4:] for side in batch)
    expected = _numbers(ExcessFlicker(**ONE_THREAD, settings=STILL)(pred, ref))
    metric = ExcessFlicker(
        **ONE_THREAD, settings=STILL, layout="BCTHW", value_range=(-1, 1), clamp=True
    )
    moved = [2 * side.double().transpose(1, 2) - 1 for side in (pred, ref)]
    moved[1][0, 0, 0, 0, 0] = 1 + 1e-9  # a hair beyond white
    values = _numbers(metric(*moved))
    assert values["energy_db"] == pytest.approx(expected["energy_db"], abs=0.01)


def test_two_sets_are_held_against_each_other_by_mann_whitney(
    batch: tuple[Tensor, Tensor],
) -> None:
    metric = ExcessFlicker(paired=False, **ONE_THREAD)
    metric.update(batch[0][1:])
    metric.update(target=batch[1][:2])
    metric.update(target=batch[1][2:5])
    values = _numbers(metric.compute())
    sides = [[analyze(x, **ONE_THREAD) for x in clips] for clips in (batch[0][1:], batch[1][:5])]
    levels = [
        [10 * math.log10(max(one.clips[0].motion.flicker, 0) + 0.1) for one in side]
        for side in sides
    ]
    shifts = sorted(a - b for a in levels[0] for b in levels[1])
    assert values["flicker_db"] == pytest.approx(shifts[12], abs=1e-9)
    test = stats.mannwhitneyu(*levels, alternative="greater")  # by the normal limit: ties
    assert values["flicker_db_p"] == pytest.approx(test.pvalue)
    assert (values["preds"], values["refs"], values["refs_measured"]) == (5, 5, 5)
    pool = compare(*(functools.reduce(lambda a, b: a + b, side) for side in sides))
    assert metric.comparison().energy_db == pytest.approx(pool.energy_db, abs=1e-12)
    assert metric.comparison().flicker_db == pytest.approx(pool.flicker_db, abs=1e-12)


def test_one_clip_against_one_other_is_their_comparison(batch: tuple[Tensor, Tensor]) -> None:
    result = compare(batch[0][5], batch[1][0], paired=False, **ONE_THREAD)
    values = _numbers(ExcessFlicker(paired=False, **ONE_THREAD)(batch[0][5:], batch[1][:1]))
    assert values["flicker_db"] == pytest.approx(result.flicker_db, abs=1e-9)
    assert values["energy_db"] == pytest.approx(result.energy_db, abs=1e-9)


def test_latents_are_measured_if_asked_for() -> None:
    noise = torch.Generator().manual_seed(0)
    pred, ref = (torch.randn(1, 16, 8, 12, 16, generator=noise) for _ in range(2))
    latent = Settings(latent=True)
    values = _numbers(ExcessFlicker(settings=latent, threads=1)(pred, ref))
    assert values["energy_db"] == compare(pred[0], ref[0], latent=True, threads=1).energy_db
    assert (values["measured"], values["not_measurable"]) == (0, 1)  # there is no motion in one
    with pytest.raises(InputError, match=r"Settings\(latent=True\)"):
        ExcessFlicker()(pred, ref)


def test_a_reference_that_was_measured_before_serves_clips_of_any_length(
    batch: tuple[Tensor, Tensor],
) -> None:
    reference = analyze(batch[1][0], ladder=True, **ONE_THREAD)
    metric = ExcessFlicker(paired=False, reference=reference, **ONE_THREAD)
    pred = batch[0][5:, :15]
    values = _numbers(metric(pred))
    result = compare(pred[0], reference, **ONE_THREAD)
    assert result.segment == 14
    assert values["energy_db"] == pytest.approx(result.energy_db, abs=1e-9)
    assert values["flicker_db"] == pytest.approx(result.flicker_db, abs=1e-9)
    with pytest.raises(InputError, match="measured before"):
        metric.update(pred, pred)


def test_clips_of_mixed_lengths_lose_the_energy_with_a_warning_and_keep_the_flicker(
    batch: tuple[Tensor, Tensor],
) -> None:
    metric = ExcessFlicker(paired=False, **ONE_THREAD)
    metric.update(batch[0][5:], batch[1][5:, :12])
    with pytest.warns(UserWarning, match="no segment length in common"):
        values = _numbers(metric.compute())
    assert math.isnan(values["energy_db"])
    assert values["flicker_db"] > 3


def _pair(flicker_db: float | None, verdict: str, value_db: float | None = None) -> dict[str, Any]:
    """What is kept of a pair whose energy is that of its reference."""
    numbers = {"flicker_db": flicker_db, "energy_db": 0.0, "unexplained_db": None}
    return numbers | {"verdict": verdict, "value_db": value_db, "looked": True}


def test_pairs_that_are_incoherent_count_as_above_every_number() -> None:
    calm = [_pair(0.0, "no difference found", 0.0)] * 2
    torn = [_pair(None, "incoherent")] * 3
    values = summarize_pairs(calm + torn, 1)
    assert (values["flicker_db"], values["flickers_more"]) == (math.inf, 1)
    counts = values["pairs"], values["measured"], values["incoherent"], values["not_measurable"]
    assert counts == (6, 5, 3, 0)
    values = summarize_pairs(calm * 2 + torn, 0)
    assert (values["flicker_db"], values["flickers_more"]) == (0, 0)


def test_pairs_whose_motion_is_lost_count_by_what_their_verdict_rests_on() -> None:
    values = summarize_pairs([_pair(None, "flickers more", 4.0)], 0)
    assert (values["flicker_db"], values["measured"]) == (4, 1)
    unknown = [_pair(None, "not measurable")] * 5
    values = summarize_pairs([*unknown, _pair(0.0, "no difference found", 0.0)], 0)
    assert (values["measured"], values["not_measurable"]) == (1, 5)
    assert math.isnan(values["flickers_more"])


def test_what_is_not_measurable_is_counted_and_never_averaged() -> None:
    picture = torch.full((3, 16, 1, 40, 56), 0.5)
    short = picture[:1, :4]  # too few frames to follow any motion
    metric = ExcessFlicker(**ONE_THREAD, on_error="count")
    metric.update(picture[:2], picture[:2])
    metric.update(short, short + 0.1 * torch.rand(short.shape))
    metric.update(torch.full_like(picture[:1], torch.nan), picture[:1])
    values = _numbers(metric.compute())
    assert values["pairs"] == 4
    assert (values["measured"], values["not_measurable"], values["failed"]) == (2, 1, 1)
    assert values["flicker_db"] == 0
    assert metric.failures == [
        "preds[0], target[0]: array: got NaN or infinity; allowed are finite floats in 0..1"
    ]
    alone = Flicker(**ONE_THREAD, on_error="count")
    values = _numbers(alone(short))
    assert math.isnan(values["flicker"])
    assert (values["clips"], values["measured"], values["not_measurable"]) == (1, 0, 1)
    assert values["energy_rms"] == 0
    alone.update(torch.full_like(short, torch.inf))
    assert _numbers(alone.compute())["failed"] == 1


def test_a_clip_that_cannot_be_measured_is_refused_with_its_place_and_nothing_is_kept() -> None:
    metric = Flicker(**ONE_THREAD)
    clips = torch.full((2, 16, 1, 8, 8), 0.5)
    clips[1] = 7
    with pytest.raises(InputError, match=r"^preds\[1\]: array: got float32 in 0..255"):
        metric.update(clips)
    assert not metric.records
    with pytest.raises(TooShortError, match=r"^preds\[0\]: "):
        metric.update(clips[:1, :2])


BLOCKS = Settings(motion=False, scales=("block",))
BUILDS: list[Callable[[], Any]] = [
    lambda: ExcessFlicker(settings=BLOCKS, threads=1),
    lambda: ExcessFlicker(paired=False, settings=BLOCKS, threads=1),
    lambda: Flicker(settings=BLOCKS, threads=1),
]


def _arguments(metric: Any, pred: Tensor, ref: Tensor) -> tuple[Tensor, ...]:
    return (pred,) if isinstance(metric, Flicker) else (pred, ref)


@pytest.mark.parametrize("build", BUILDS)
def test_states_merge_reset_and_survive_a_checkpoint(
    build: Callable[[], Any], batch: tuple[Tensor, Tensor]
) -> None:
    whole, one, other = build(), build(), build()
    pred, ref = (side[3:] for side in batch)
    whole.update(*_arguments(whole, pred, ref))
    one(*_arguments(one, pred[:2], ref[:2]))
    other.update(*_arguments(other, pred[2:], ref[2:]))
    first = _numbers(one.compute())
    one.merge_state(other)
    one._computed = None
    expected = _numbers(whole.compute())
    assert _same(_numbers(one.compute()), expected)
    assert not _same(first, expected)

    one.persistent(True)
    again = build()
    again.persistent(True)
    again.load_state_dict(pickle.loads(pickle.dumps(one.state_dict())))
    again._update_count = 1
    assert _same(_numbers(again.compute()), expected)
    assert _same(_numbers(pickle.loads(pickle.dumps(one)).compute()), expected)

    one.reset()
    assert one.records == []
    one.update(*_arguments(one, pred[:2], ref[:2]))
    assert _same(_numbers(one.compute()), first)


def test_metrics_that_were_set_up_otherwise_do_not_merge(batch: tuple[Tensor, Tensor]) -> None:
    one, other = Flicker(settings=STILL), Flicker(settings=Settings(segment=14, motion=False))
    for metric in (one, other):
        metric.update(batch[0][:1])
    one.merge_state(other)
    with pytest.raises(SettingsError, match="set up alike"):
        one.compute()


def test_values_lie_on_the_device_of_the_metric_in_full_precision(paired: ExcessFlicker) -> None:
    assert {value.dtype for value in paired.compute().values()} == {torch.float64}
    assert {value.device.type for value in paired.compute().values()} == {"cpu"}


@pytest.mark.cuda
def test_a_gpu_reads_what_the_cpu_reads(
    batch: tuple[Tensor, Tensor], paired: ExcessFlicker, cuda_device: str
) -> None:
    metric = ExcessFlicker(**ONE_THREAD).to(cuda_device)
    metric.update(*(side.to(cuda_device) for side in batch))
    values = metric.compute()
    assert {value.device.type for value in values.values()} == {"cuda"}
    expected = _numbers(paired.compute())
    for name, value in _numbers(values).items():
        assert value == pytest.approx(expected[name], abs=0.02, nan_ok=True)


def test_a_collection_keeps_metrics_apart_that_read_the_same_at_first(
    batch: tuple[Tensor, Tensor],
) -> None:
    pred, target = (side[5:] for side in batch)
    short, long = Settings(segment=16, motion=False), Settings(motion=False)
    metrics = MetricCollection(
        {
            "psnr": PeakSignalNoiseRatio(1.0),
            "alone": Flicker(settings=long),
            "short": ExcessFlicker(settings=short),
            "long": ExcessFlicker(settings=long),
            "same": ExcessFlicker(settings=long),
        },
        prefix="val/",
    )
    metrics.update(preds=pred, target=target)  # 16 frames: both measure the same
    metrics.update(preds=pred.repeat(1, 2, 1, 1, 1), target=target.repeat(1, 2, 1, 1, 1))
    values = metrics.compute()
    assert values["val/short_energy_db"] != values["val/long_energy_db"]
    assert values["val/same_energy_db"] == values["val/long_energy_db"]
    assert values["val/long_pairs"] == values["val/alone_clips"] == 2
    assert "val/psnr" in values


def _as_ranks(metrics: list[Any]) -> list[dict[str, Tensor]]:
    """Compute every metric as if each were that of a process of its own."""
    metrics = [metric.clone() for metric in metrics]
    joined = [torch.cat([torch.zeros(0, dtype=torch.uint8), *m.records]) for m in metrics]
    values = []
    for metric in metrics:

        def gather(sent: Tensor, group: object = None) -> list[Tensor]:
            assert sent.dtype == torch.uint8  # what the backend would need of every process
            return joined

        metric.dist_sync_fn = gather
        metric.distributed_available_fn = lambda: True
        values.append(metric.compute())
    return values


@pytest.mark.parametrize("build", BUILDS)
def test_processes_agree_with_one_that_sees_all_even_if_one_sees_nothing(
    build: Callable[[], Any], batch: tuple[Tensor, Tensor]
) -> None:
    whole, ranks = build(), [build() for _ in range(3)]
    pred, ref = (side[3:] for side in batch)
    whole.update(*_arguments(whole, pred, ref))
    ranks[0].update(*_arguments(whole, pred[:1], ref[:1]))
    ranks[2].update(*_arguments(whole, pred[1:], ref[1:]))
    ranks[1]._update_count = 1  # torchmetrics warns of a metric without any batch
    expected = _numbers(whole.compute())
    assert all(_same(_numbers(values), expected) for values in _as_ranks(ranks))


RANK = """
import json, os, sys, torch
from torch import distributed
from flickerscope.metrics import ExcessFlicker, Flicker

torch.set_num_threads(1)
rank, folder = int(sys.argv[1]), sys.argv[2]
distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
pred, ref = torch.load(f"{folder}/batch.pt", weights_only=True)
part = slice(0, 4) if rank == 0 else slice(4, None)
pairs, alone = ExcessFlicker(fps=24, threads=1), Flicker(fps=24, threads=1)
sets = ExcessFlicker(paired=False, fps=24, threads=1)
pairs.update(pred[part], ref[part])
alone.update(pred[part])
sets.update(pred[part])
if rank == 1:
    sets.update(target=ref)
pool = sets.comparison()  # on both
only_one = Flicker(fps=24, threads=1)
if rank == 1:
    only_one.update(pred)
else:
    only_one._update_count = 1
values = [m.compute() for m in (pairs, alone, sets, only_one)]
texts = [{name: repr(float(value)) for name, value in one.items()} for one in values]
own = len(pairs.records)  # back to this process's own after the sync
print(json.dumps([own, pool.energy_db, texts]))
distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_gloo_processes_read_what_one_does(
    batch: tuple[Tensor, Tensor], paired: ExcessFlicker, tmp_path: Path
) -> None:
    torch.save(list(batch), tmp_path / "batch.pt")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", RANK, str(rank), str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    outputs = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    first, second = (json.loads(out.splitlines()[-1]) for out, _ in outputs)
    assert first[1:] == second[1:]
    assert (first[0], second[0]) == (4, 2)
    alone, sets = Flicker(**ONE_THREAD), ExcessFlicker(paired=False, **ONE_THREAD)
    alone.update(batch[0])
    sets.update(*batch)
    assert first[1] == pytest.approx(sets.comparison().energy_db, abs=1e-9)
    for metric, values in zip((paired, alone, sets, alone), first[2], strict=True):
        assert {k: repr(v) for k, v in _numbers(metric.compute()).items()} == values


def test_without_any_clip_all_is_nan_and_the_counts_are_zero() -> None:
    metric = ExcessFlicker()
    with pytest.warns(UserWarning, match="before the ``update``"):
        values = _numbers(metric.compute())
    assert values["pairs"] == 0
    assert math.isnan(values["flicker_db"])
    with pytest.raises(InputError, match="no clip"):
        metric.plot()


@pytest.mark.slow
def test_the_figure_is_that_of_all_clips(paired: ExcessFlicker) -> None:
    figure, axes = paired.plot()
    texts = [text.get_text() for text in figure.texts]
    assert any("6 videos" in text for text in texts)
    assert axes
    with pytest.raises(SettingsError, match="no axes"):
        paired.plot(ax=axes[0])


FIVE = torch.full((2, 16, 3, 8, 8), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExcessFlicker(layout="TCHW"), "needs B"),
        (lambda: ExcessFlicker(layout="BCXHW"), "layout is"),
        (lambda: ExcessFlicker(value_range=(1, 0)), "value_range"),
        (lambda: ExcessFlicker(fps=-1), "fps"),
        (lambda: ExcessFlicker(on_error="skip"), "on_error"),
        (lambda: ExcessFlicker(reference=analyze(FIVE[0], motion=False)), "paired=False"),
        (lambda: ExcessFlicker()(FIVE, FIVE[:1]), "2 in preds, 1 in target"),
        (lambda: ExcessFlicker()(FIVE), "2 in preds"),
        (lambda: ExcessFlicker()(), "got 0"),
        (lambda: ExcessFlicker()(FIVE[0], FIVE[0]), "allowed is layout BTCHW"),
        (lambda: Flicker()(FIVE.numpy()), "a tensor is needed"),
        (lambda: Flicker(layout="BCTHW")(FIVE), "C must be 1"),
        (lambda: Flicker()(FIVE[:0]), "got shape"),
        (lambda: Flicker()(FIVE.long()), "got int64"),
        (lambda: Flicker()(2 * FIVE - 2), "value_range"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises((InputError, SettingsError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_without_torchmetrics_the_import_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [n for n in sys.modules if n.startswith("flickerscope.metrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(ImportError, match=r"pip install 'flickerscope\[metrics\]'"):
        importlib.import_module("flickerscope.metrics")
