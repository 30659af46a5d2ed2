"""The experiment: closed forms against the losses, readings against injections, and its run."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math

import numpy as np
import pytest
import torch

from flickerscope import cli
from flickerscope.cli.findings import experiment_summary
from flickerscope.cli.running import show
from flickerscope.errors import InputError, SettingsError
from flickerscope.experiment import run
from flickerscope.experiment.arms import (
    FRAME,
    SMOOTHED,
    Arm,
    diff_form,
    first_form,
    flicker_form,
)
from flickerscope.experiment.clips import CANVAS, CLASSES, moved, render, to_pixels, to_spatial
from flickerscope.experiment.document import experiment_csv, experiment_document
from flickerscope.experiment.families import FAMILIES, KL_CONTROL, Sampler, _coarse
from flickerscope.experiment.figure import _Figure
from flickerscope.experiment.findings import Repeats, find, least_error
from flickerscope.experiment.footage import load_footage, split
from flickerscope.experiment.linear import (
    Channel,
    Statistics,
    clip_filter,
    covariances,
    frame_gain,
    null_gradient,
    product_gain,
)
from flickerscope.experiment.models import ClipNet, Coder, _patches, _pixels
from flickerscope.experiment.plan import FORMAT, Plan
from flickerscope.experiment.pooling import Pool, pool
from flickerscope.experiment.readings import BANDS, EPSILON, SMOOTHING, Reading, Target, smoothed
from flickerscope.experiment.sizes import LARGE, SMALL, size_on
from flickerscope.experiment.training import Numbers, Training, trained_arms
from flickerscope.experiment.words import describe, ranged
from flickerscope.losses import FlickerLoss, SpectralLoss, csf
from flickerscope.report.strict import to_json
from flickerscope.resources import pick_resources
from flickerscope.scan.finding import find_videos
from flickerscope.stats import Interval

FRAMES = 16
TINY = Plan(seeds=2, train_clips=6, test_clips=3, size=16)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_covariances(count=5, seed=0):
    x = torch.randn(count, FRAMES, 40, generator=seeded(seed), dtype=torch.float64)
    return Statistics(torch.zeros(count, dtype=torch.float64), x @ x.mT)


def white(noise, count=5):
    eye = torch.eye(FRAMES, dtype=torch.float64)
    return Channel(torch.full((count,), float(noise), dtype=torch.float64), eye)


# --- The losses as quadratic forms ----------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0])
def test_the_form_of_a_flicker_loss_is_that_loss(scale):
    error = torch.randn(1, FRAMES, generator=seeded(), dtype=torch.float64)
    expected = FlickerLoss(scale)(error, torch.zeros_like(error))
    assert float(error @ flicker_form(scale, FRAMES) @ error.T) == pytest.approx(float(expected))


def test_the_form_of_the_first_frame_and_the_differences_adds_these_two():
    e = torch.randn(FRAMES, generator=seeded(), dtype=torch.float64)
    expected = e[0] ** 2 + e.diff().square().mean()
    assert float(e @ first_form(FRAMES) @ e) == pytest.approx(float(expected))


# --- Linear models --------------------------------------------------------------------------------


def test_without_differences_the_gain_of_single_frames_is_wieners():
    statistics = random_covariances()
    s = statistics.variance
    gain = frame_gain(statistics, white(7), flicker_form(0, FRAMES))
    torch.testing.assert_close(gain, s / (s + 7))


@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0])
def test_on_still_content_the_difference_loss_weighs_the_noise_1_plus_2_s_times(scale):
    still = Statistics(torch.zeros(1), 50 * torch.ones(1, FRAMES, FRAMES, dtype=torch.float64))
    gain = frame_gain(still, white(20, 1), flicker_form(scale, FRAMES))
    assert float(gain) == pytest.approx(50 / (50 + 20 * (1 + 2 * scale)))


def test_the_gain_of_single_frames_is_where_the_flicker_loss_is_least():
    """Against the loss itself, on clips whose sample covariances are exact."""
    x = torch.randn(400, FRAMES, generator=seeded(1), dtype=torch.float64).cumsum(1)
    n = 3 * torch.randn(400, FRAMES, generator=seeded(2), dtype=torch.float64)
    n -= x @ torch.linalg.lstsq(x, n).solution  # no correlation with x, in this very sample
    over_time = n.T @ n / 400
    channel = Channel(torch.ones(1, dtype=torch.float64), over_time)
    statistics = Statistics(torch.zeros(1), (x.T @ x / 400)[None])
    gain = frame_gain(statistics, channel, flicker_form(8, FRAMES)).requires_grad_()
    FlickerLoss(8)(gain * (x + n), x).backward()
    assert float(gain.grad.abs().max()) < 1e-10


@pytest.mark.parametrize("loss", [FlickerLoss(0), FlickerLoss(8), SpectralLoss(csf(24))])
def test_the_best_clip_wide_model_is_best_for_every_loss(loss):
    """The null hypothesis, at the optimum: by the gradient of the losses themselves."""
    x = torch.randn(500, FRAMES, generator=seeded(3), dtype=torch.float64).cumsum(1)
    y = x + 2 * torch.randn(500, FRAMES, generator=seeded(4), dtype=torch.float64)
    y -= x @ torch.linalg.lstsq(x, y - x).solution
    noise = (y - x).T @ (y - x) / 500
    channel = Channel(torch.ones(1, dtype=torch.float64), noise)
    w = clip_filter(Statistics(torch.zeros(1), (x.T @ x / 500)[None]), channel)[0]
    w.requires_grad_()
    loss(y @ w.T, x).backward()
    assert float(w.grad.abs().max()) < 1e-9
    best = (y @ w.T).detach()
    assert float(loss(0.9 * best, x)) > float(loss(best, x))


def test_the_gradient_of_the_null_hypothesis_is_rounding():
    assert null_gradient(random_covariances(), white(9), flicker_form(8, FRAMES)) < 1e-12


def test_what_is_not_seen_is_not_guessed():
    channel = Channel(torch.full((5,), math.inf, dtype=torch.float64), torch.eye(FRAMES))
    assert float(frame_gain(random_covariances(), channel, flicker_form(0, FRAMES)).sum()) == 0
    assert float(clip_filter(random_covariances(), channel).abs().sum()) == 0


def test_a_noisy_latent_of_the_forward_channel_has_the_distortion_asked_for():
    """Cover & Thomas, section 10.3: N = S D / (S - D) is decoded by 1 - D/S with the error D."""
    s, d = 90.0, 25.0
    statistics = Statistics(torch.zeros(1), s * torch.eye(FRAMES, dtype=torch.float64)[None])
    noise = s * d / (s - d)
    gain = float(frame_gain(statistics, white(noise, 1), flicker_form(0, FRAMES)))
    assert gain == pytest.approx(1 - d / s)
    assert (1 - gain) ** 2 * s + gain**2 * noise == pytest.approx(d)


def test_the_product_of_both_losses_is_stationary_at_its_gain():
    statistics, channel = random_covariances(1), white(30, 1)
    gain = product_gain(statistics, channel).requires_grad_()
    c = statistics.covariance[0]
    product = 1.0
    for form in (flicker_form(0, FRAMES), diff_form(FRAMES)):
        signal, noise = (form * c).sum(), 30 * form.trace()
        product = product * ((1 - gain) ** 2 * signal + gain**2 * noise)
    product.sum().backward()
    assert float(gain.grad.abs().max()) < 1e-6 * float(product.detach())


def test_covariances_are_those_of_numpy_in_each_spatial_frequency():
    clips = 128 + 5 * torch.randn(9, FRAMES, 4, 4, generator=seeded())
    found = covariances(clips)
    x = to_spatial(clips.double() - 128).flatten(2)[..., 6] - found.mean[6]
    expected = np.cov(x.T.numpy(), bias=True) + np.outer(x.mean(0), x.mean(0))
    np.testing.assert_allclose(found.covariance[6], expected + 1e-3 * np.eye(FRAMES), rtol=1e-9)


# --- Networks -------------------------------------------------------------------------------------


def is_moved_by(net, clips, frame):
    """Frames of the output that change when one frame of the input does."""
    changed = clips.clone()
    changed[:, :, frame] += 1
    with torch.no_grad():
        differs = (net(changed) - net(clips)).abs().amax((0, 1, 3, 4)) > 1e-6
    return differs.nonzero().flatten().tolist()


def test_a_network_of_single_frames_sees_one_frame_and_a_clip_wide_one_nine():
    clips = torch.randn(1, 1, FRAMES, 8, 8, generator=seeded())
    torch.manual_seed(0)
    assert is_moved_by(ClipNet(1, 1, clip_wide=False), clips, 7) == [7]
    # Blocks that look 1 and 3 frames to either side reach these through one another.
    assert is_moved_by(ClipNet(1, 1, clip_wide=True), clips, 7) == [3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("temporal", [False, True])
def test_an_autoencoder_codes_single_frames_and_its_decoder_may_see_all(temporal):
    torch.manual_seed(0)
    coder = Coder(sampled=False, temporal=temporal)
    clips = torch.randn(2, 1, FRAMES, 16, 16, generator=seeded())
    noise = torch.zeros(Coder.latent(clips.shape))
    made, divergence = coder(clips, noise)
    assert made.shape == clips.shape and float(divergence) == 0
    seen = is_moved_by(lambda x: coder(x, noise)[0], clips, 7)
    assert seen == ([3, 4, 5, 6, 7, 8, 9, 10, 11] if temporal else [7])


def test_the_divergence_of_a_latent_is_that_of_normal_distributions():
    """Against torch's own, a pixel of the picture."""
    torch.manual_seed(0)
    coder = Coder(sampled=True, temporal=False)
    clips = torch.randn(1, 1, FRAMES, 8, 8, generator=seeded())
    noise = torch.randn(Coder.latent(clips.shape), generator=seeded(1))
    kept = []
    coder.encoder.register_forward_hook(lambda *found: kept.append(found[2]))
    _, divergence = coder(clips, noise)
    mean, logarithm = kept[0].chunk(2, 1)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(
        normal(mean, (logarithm / 2).exp()), normal(torch.zeros(()), torch.ones(()))
    )
    assert float(divergence.detach()) == pytest.approx(float(theirs.sum().detach() / clips.numel()))


def test_patches_of_a_picture_are_put_back_where_they_were():
    clips = torch.randn(2, 1, FRAMES, 8, 12, generator=seeded())
    assert torch.equal(_pixels(_patches(clips)), clips)


@dataclasses.dataclass
class Echo:
    """A task whose network is one factor; it keeps what it is given."""

    loss_name: str
    measure: object
    given: list = dataclasses.field(default_factory=list)

    def build(self, size):
        return torch.nn.Conv3d(1, 1, 1)

    def loss(self, net, x, draw):
        self.given.append((x, draw.normal(x.shape)))
        return self.measure(net(x), x)

    def make(self, net, x, draw):
        return {"echo": net(x)}


def test_trainings_that_differ_in_their_loss_only_share_weights_batches_and_noise():
    clips = render("slow", 4, 24, seeded())
    tasks = [Echo(FRAME, FlickerLoss(0, time_dim=2)), Echo("s=8", FlickerLoss(8, time_dim=2))]
    training = Training(seed=1, device=torch.device("cpu"), checkpoints=(3,), rate=1e-2)
    before = torch.random.get_rng_state()
    made = dict(trained_arms(tasks, clips, {"slow": clips}, training))
    assert torch.equal(torch.random.get_rng_state(), before)
    for (x, noise), (other_x, other_noise) in zip(*(task.given for task in tasks), strict=True):
        assert torch.equal(x, other_x) and torch.equal(noise, other_noise)
        assert x.shape == (4, 1, FRAMES, 20, 20)
    assert not torch.equal(tasks[0].given[0][0], tasks[0].given[1][0])
    assert set(made) == {Arm("echo", FRAME, "trained"), Arm("echo", "s=8", "trained")}
    assert made[Arm("echo", FRAME, "trained")]["slow"].shape == clips.shape


def test_networks_are_large_on_a_cuda_gpu_and_small_elsewhere():
    assert size_on("cuda:1") == LARGE
    assert size_on("cpu") == size_on(torch.device("mps")) == SMALL
    large, small = (
        [task.build(size) for family in FAMILIES.values() for task in family()]
        for size in (LARGE, SMALL)
    )
    for wide, narrow in zip(large, small, strict=True):
        pairs = zip(wide.modules(), narrow.modules(), strict=False)
        assert {type(a) for a, _ in pairs} == {type(b) for b in narrow.modules()}
        assert sum(p.numel() for p in wide.parameters()) > 16 * sum(
            p.numel() for p in narrow.parameters()
        )


def test_a_large_network_sees_as_far_as_the_reaches_of_its_blocks_add_up():
    clips = torch.randn(1, 1, 20, 4, 4, generator=seeded())
    torch.manual_seed(0)
    net = ClipNet(1, 1, clip_wide=True, channels=8, reach=LARGE.reach)
    reached = {1 * a + 3 * b for a in (-2, -1, 0, 1, 2) for b in (-2, -1, 0, 1, 2)}
    assert is_moved_by(net, clips, 9) == [9 + by for by in sorted(reached)]


def test_a_large_training_takes_larger_steps_at_a_smaller_rate(monkeypatch):
    rates = []
    adam = torch.optim.Adam
    monkeypatch.setattr(torch.optim, "Adam", lambda p, rate: rates.append(rate) or adam(p, rate))
    clips = render("slow", 2, 40, seeded())
    task = Echo(FRAME, FlickerLoss(0, time_dim=2))
    training = Training(seed=0, device=torch.device("cpu"), checkpoints=(1,), rate=8e-3, size=LARGE)
    dict(trained_arms([task], clips, {"slow": clips}, training))
    assert task.given[0][0].shape == (16, 1, FRAMES, 32, 32)
    assert rates == [2e-3]  # four times as wide


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
def test_a_gpu_trains_to_the_same_numbers_again():
    plan = Plan(seeds=1, train_clips=24, test_clips=4, size=16, train=True, steps=5)
    jobs = [run.Job(plan, part, 0, "cuda:0") for part in plan.parts[1:]]
    assert [run.do_part(job) for job in jobs] == [run.do_part(job) for job in jobs]


def test_checkpoints_are_read_on_the_way():
    clips = render("slow", 2, 24, seeded())
    task = Echo(FRAME, FlickerLoss(0, time_dim=2))
    training = Training(seed=1, device=torch.device("cpu"), checkpoints=(1, 4), rate=1e-2)
    made = dict(trained_arms([task], clips, {"slow": clips}, training))
    assert [arm.made for arm in made] == ["trained, 1 steps", "trained, 4 steps"]
    assert len(task.given) == 4
    assert len({float(by_content["slow"].sum()) for by_content in made.values()}) == 2


def test_a_sampler_that_knows_the_clip_draws_it_and_shared_noise_is_shared():
    """With a network that gives what is missing, Euler's steps end in the clip itself."""
    x = torch.randn(2, 1, FRAMES, 8, 8, generator=seeded())
    coarse = _coarse(x)
    draw = Numbers(0, 0, torch.device("cpu"))
    sampler = Sampler("per-frame sampler", False, 0.0)
    made = sampler.make(lambda seen: x - coarse, x, draw)
    torch.testing.assert_close(made["per-frame sampler"], x)
    blind = sampler.make(lambda seen: 0.5 * seen[:, :1], torch.zeros_like(x), draw)
    own, alike = blind["per-frame sampler"], blind["sampler, shared noise"]
    assert torch.equal(alike[:, :, :1].expand_as(alike), alike)
    assert not torch.equal(own[:, :, :1].expand_as(own), own)


def test_the_coarse_picture_of_a_flat_one_is_itself():
    flat = torch.full((1, 1, FRAMES, 8, 8), 3.0)
    torch.testing.assert_close(_coarse(flat), flat)


def test_the_kl_control_differs_from_the_frame_loss_in_the_weight_of_the_divergence_alone():
    tasks = [t for t in FAMILIES["autoencoders"]() if t.model == "autoencoder, sampled"]
    by_loss = {task.loss_name: task for task in tasks}
    control = dataclasses.replace(
        by_loss[KL_CONTROL], loss_name=FRAME, divergence_weight=by_loss[FRAME].divergence_weight
    )
    assert control == by_loss[FRAME]
    ratio = by_loss[FRAME].divergence_weight / by_loss[KL_CONTROL].divergence_weight
    assert ratio == pytest.approx(17)  # 1 + 2 s, for s = 8


@pytest.mark.parametrize(
    ("name", "expected"), [(FRAME, 5 / 16), ("s=8", 5 / 16 + 8 * 6 / 15), ("first", 4 + 6 / 15)]
)
def test_denoisers_are_trained_by_the_losses_they_are_named_after(name, expected):
    """Errors of 2 in the first frame and 1 in the fifth: squares 4 + 1, differences 4 + 1 + 1."""
    (task,) = [t for t in FAMILIES["denoisers"]() if t.loss_name == name and not t.clip_wide]
    error = torch.zeros(1, 1, FRAMES, 2, 2)
    error[:, :, 0], error[:, :, 4] = 2, 1
    assert float(task.measure(error, torch.zeros_like(error))) == pytest.approx(expected)


@pytest.mark.slow
def test_trained_networks_of_single_frames_flicker_and_the_difference_loss_lessens_it():
    plan = Plan(seeds=1, train_clips=24, test_clips=4, size=16, train=True, long=True,
                steps=60, long_steps=(20, 60))  # fmt: skip
    result = run.run_experiment(plan, device="cpu", threads=1)
    arms = result.records
    assert {arm.made for arm in arms} == {
        "closed form", "trained", "trained, 20 steps", "trained, 60 steps",
    }  # fmt: skip
    found = {
        (f.arm.model, f.arm.loss): f.values["high_db"].estimate
        for f in result.findings
        if f.arm.made == "trained" and f.content == "slow"
    }
    assert found["per-frame denoiser", FRAME] > 15
    assert found["per-frame denoiser", "s=8"] < found["per-frame denoiser", FRAME] - 2
    assert abs(found["sampler, shared noise", FRAME]) < 2
    again = run.run_experiment(plan, device="cpu", threads=1)
    assert to_json(experiment_document(again)) == to_json(experiment_document(result))
    show(experiment_summary(result, "x"))


# --- The user's videos ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Videos of moving texture, and two that give no clips."""
    place = tmp_path_factory.mktemp("videos")
    for i in range(5):
        texture = render("slow", 1, 64, seeded(i))[0].repeat_interleave(1, 0)
        np.save(place / f"video{i}.npy", texture.clamp(0, 255).byte().numpy())
    np.save(place / "short.npy", np.full((9, 64, 64), 99, np.uint8))
    np.save(place / "flat.npy", np.full((20, 64, 64), 99, np.uint8))
    return place


@pytest.fixture(scope="module")
def footage(folder):
    return load_footage(folder, size=16, resources=pick_resources("cpu", threads=1))


def test_clips_are_cut_from_videos_and_those_that_give_none_are_named(footage, folder):
    assert footage.sources == tuple(f"video{i}.npy" for i in range(5))
    assert all(clips.shape[1:] == (FRAMES, 16, 16) and len(clips) == 16 for clips in footage.clips)
    assert [text.split(":")[0] for text in footage.left_out] == [
        str(folder / "flat.npy"), str(folder / "short.npy"),
    ]  # fmt: skip
    flat, short = (text.split(": ")[1] for text in footage.left_out)
    assert flat == "0 of 320 clips tried are neither dark, bright nor flat; 4 are needed"
    assert short == "9 frames that do not repeat in its longest shot; 16 are needed"
    frames = torch.from_numpy(np.load(folder / "video2.npy")).float()
    windows = frames[0].unfold(0, 16, 1).unfold(1, 16, 1).flatten(0, 1)
    first = footage.clips[2][0, 0]
    assert float((windows - first).abs().amax((1, 2)).min()) < 1e-3


def test_no_video_is_trained_and_tested_on(footage):
    for seed in range(6):
        train, test = split(footage, seed)
        assert not set(train.sources) & set(test.sources)
        assert set(train.sources) | set(test.sources) == set(footage.sources)
        assert len(train.clips) == len(train.sources) == 32 and len(test.clips) == 48
    assert len({split(footage, seed)[0].sources for seed in range(6)}) > 1


@pytest.mark.slow
def test_an_experiment_on_videos_pools_them_by_video(footage, folder, capsys):
    plan = Plan(seeds=1, size=16)
    result = run.run_experiment(plan, clips=folder, device="cpu", threads=1)
    assert result.sources == footage.sources
    (found,) = [f for f in result.findings if f.arm == Arm("per-frame denoiser", FRAME)]
    assert found.content == "real"
    readings = result.records[Arm("per-frame denoiser", FRAME)]["real"][0]
    assert {reading.source for reading in readings} == set(split(footage, 0)[1].sources)
    # Half of the videos are too few for an interval.
    assert len({reading.source for reading in readings}) < 6
    assert (found.values["high_db"].low, found.verdict) == (None, "undecided")
    assert (found.seeds, found.videos) == (1, 3)
    document = experiment_document(result)
    assert document["left_out"] == list(result.left_out)
    show(experiment_summary(result, "x"))
    words = " ".join(capsys.readouterr().out.split())
    assert "the clips tested on are of 3 videos, 6 are needed" in words


def test_too_few_videos_are_refused(tmp_path):
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", render("slow", 1, 64, seeded(i))[0].byte().numpy())
    with pytest.raises(InputError, match="3 of 3 videos give clips, 4 are needed"):
        load_footage(tmp_path, size=16, resources=pick_resources("cpu", threads=1))


@pytest.mark.slow
def test_real_videos_give_clips(media):
    found = load_footage(media("real"), size=32, resources=pick_resources("cpu", threads=2))
    assert len(found.sources) >= 10
    assert all(torch.isfinite(clips).all() for clips in found.clips)


@pytest.mark.slow
def test_damaged_videos_are_named_and_left_out(media, tmp_path):
    """One file of each kind of damage, among four that are whole."""
    for path in (*media("real/exo").glob("bear*"), *media("broken").glob("*/*")):
        (tmp_path / path.name).symlink_to(path)
    found = load_footage(tmp_path, size=32, resources=pick_resources("cpu", threads=2))
    assert {name for name in found.sources if name.startswith("bear")} == {
        "bear_720p_frag.mp4", "bear_hevc_frag.mp4", "bear_vp9.webm", "bear_vp9_odd.webm",
    }  # fmt: skip
    named = {text.removeprefix(f"{tmp_path}/").split(": ", 1)[0] for text in found.left_out}
    assert named | set(found.sources) == set(find_videos(tmp_path))
    assert not named & set(found.sources)
    damaged = next(text for text in found.left_out if "corrupted.mp4" in text)
    assert "corrupted.mp4: damaged: " in damaged


# --- Clips ----------------------------------------------------------------------------------------


def test_the_spatial_transform_is_orthonormal_and_inverts():
    x = torch.randn(3, 8, 8, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(to_pixels(to_spatial(x)), x)
    torch.testing.assert_close(to_spatial(x).square().sum(), x.square().sum())


def test_textures_move_by_their_velocity():
    texture = torch.randn(1, CANVAS, CANVAS, generator=seeded(), dtype=torch.float64)
    clip = moved(texture, torch.tensor([[1.0, 2.0]], dtype=torch.float64), 40)[0]
    torch.testing.assert_close(clip[3][3:, 6:], clip[0][:-3, :-6], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", CLASSES)
def test_clips_are_the_same_for_the_same_seed_and_stay_in_range(name):
    one, two = (render(name, 4, 16, seeded(5)) for _ in range(2))
    assert torch.equal(one, two)
    assert one.shape == (4, FRAMES, 16, 16)
    assert 100 < float(one.mean()) < 156 and 10 < float(one.std()) < 60


# --- Readings -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def still():
    """Clips in which nothing changes."""
    picture = render("slow", 4, 32, seeded(8))[:, :1]
    return picture.expand(-1, FRAMES, -1, -1).contiguous()


@pytest.fixture(scope="module")
def alternation():
    return ((-1.0) ** torch.arange(FRAMES)).reshape(FRAMES, 1, 1)


def test_a_perfect_model_reads_zero_everywhere():
    clips = render("fast", 4, 16, seeded(9))
    values = pool([Target("", clips).read(clips)]).values()
    assert values["high_db"] == values["median_db"] == values["motion_db"] == 0
    assert values["frame_error"] == values["diff_error"] == 0
    assert values["slope"] == pytest.approx(1) and values["gain"] == pytest.approx(1)
    assert values["high_error"] == pytest.approx(0, abs=1e-9)


def test_an_alternation_on_still_clips_reads_its_closed_forms(still, alternation):
    reading = Target("", still).read(still + alternation)
    values = pool([reading]).values()
    assert values["high_db"] == pytest.approx(10 * math.log10((1 + EPSILON) / EPSILON), abs=0.01)
    assert values["high_db"] == pytest.approx(12.72, abs=0.01)  # estimators.md, case 19
    assert values["motion_db"] == pytest.approx(10 * math.log10((4 + 0.1) / 0.1), abs=0.1)
    assert values["frame_error"] == pytest.approx(1, rel=1e-4)
    assert values["diff_error"] == pytest.approx(4, rel=1e-4)
    assert values["slope"] == pytest.approx(0, abs=1e-6)
    assert values["unexplained"] == pytest.approx(1, rel=1e-3)
    assert "gain" not in values  # of a reference that is still


def test_contrast_lost_is_gain_lost_and_no_flicker():
    clips = render("fast", 4, 16, seeded(10))
    values = pool([Target("", clips).read(128 + 0.5 * (clips - 128))]).values()
    assert values["gain"] == pytest.approx(0.5, rel=1e-3)
    assert values["slope"] == pytest.approx(2, rel=1e-3)
    assert values["unexplained"] == pytest.approx(0, abs=1e-3 * values["high_pred"])


def test_smoothing_removes_an_alternation_and_leaves_what_is_still(still, alternation):
    noisy = still + alternation
    torch.testing.assert_close(smoothed(noisy, 1)[:, 1:-1], still[:, 1:-1])
    torch.testing.assert_close(
        smoothed(noisy, 0.25)[:, 4] - still[:, 4], 0.75 * alternation[4].expand(4, 32, 32)
    )
    torch.testing.assert_close(smoothed(still, 1.5), still)


def test_a_reading_survives_json(still, alternation):
    reading = Target("a", still).read(still + alternation, smoothing=True)
    assert Reading.from_dict(json.loads(json.dumps(reading.to_dict()))) == reading
    assert len(reading.smoothing) == len(SMOOTHING) + 1
    assert reading.smoothing[0] == (
        pytest.approx(reading.frame_error),
        pytest.approx(reading.bands["HF"].error),
    )


def test_black_clips_have_no_motion_to_read_and_do_not_hide_the_others(still):
    clips = still.clone()
    clips[1] = 0
    reading = Target("", clips).read(clips)
    assert len(reading.motion[0]) == len(clips) - 1


# --- Findings -------------------------------------------------------------------------------------


def reading(high_db, *, frame_error=1.0, source="", ref=1000.0, smoothing=(), flicker=0.0):
    """One clip whose high-frequency excess is known."""
    pred = (ref + EPSILON) * 10 ** (high_db / 10) - EPSILON
    sums = {"pred": pred, "ref": ref, "joint": min(pred, ref), "unexplained": 0.1}
    return Reading.from_dict(
        {
            "source": source,
            "clips": 1,
            "frame_error": frame_error,
            "diff_error": frame_error,
            "bands": dict.fromkeys(BANDS, sums),
            "high": [[pred], [ref]],
            "motion": [[flicker], [0.0]],
            "coverage": [1, 1],
            "spectra": {},
            "magnitudes": [[], []],
            "smoothing": smoothing,
        }
    )


def by_seed(*values, **options):
    return {seed: [reading(value, **options)] for seed, value in enumerate(values)}


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((5.0, 5.2, 5.1), "excess"),
        ((-5.0, -5.2, -5.1), "deficit"),
        ((0.1, -0.1, 0.2), "calibrated"),
        ((3.0, -3.0, 1.0), "undecided"),
        ((1.0, 1.2, 1.1), "undecided"),
        ((9.0,), "undecided"),
    ],
)
def test_the_verdict_is_what_the_interval_over_seeds_allows(values, verdict):
    (found,), _ = find({Arm("m", FRAME): {"c": by_seed(*values)}})
    assert found.verdict == verdict
    assert (found.seeds, found.videos) == (len(values), 0)
    assert found.values["high_db"].estimate == pytest.approx(np.mean(values))


def test_flicker_along_the_motion_is_excess_where_the_energy_shows_none():
    records = {Arm("m", FRAME): {"c": by_seed(-4.0, -4.1, -3.9, flicker=2.0)}}
    (found,), _ = find(records)
    assert (found.verdict, found.basis) == ("excess", "motion")


def test_effects_are_paired_by_seed():
    """Seeds that differ by far more than the loss does still show what it does."""
    base, other = by_seed(20.0, 0.0, -20.0), by_seed(17.0, -3.1, -22.9, frame_error=1.5)
    records = {Arm("m", FRAME): {"c": base}, Arm("m", "s=8"): {"c": other}}
    _, (effect,) = find(records)
    assert effect.outcome == "less"
    assert effect.change_db.estimate == pytest.approx(-3)
    assert effect.change_db.high is not None and effect.change_db.high < -2
    assert effect.frame_ratio.estimate == pytest.approx(1.5)
    assert effect.p < 0.001
    assert effect.matched_db is None


def test_effects_are_taken_over_the_seeds_that_both_have():
    base, other = by_seed(1.0, 2.0, 3.0), by_seed(0.0, 99.0, 2.0)
    del other[1]
    records = {Arm("m", FRAME): {"c": base}, Arm("m", "s=8"): {"c": other}}
    findings, (effect,) = find(records)
    assert effect.change_db.estimate == pytest.approx(-1)
    assert [found.seeds for found in findings] == [3, 2]
    assert effect.seeds == 2


def test_a_training_that_diverged_is_named_and_left_out(monkeypatch):
    plan = Plan(seeds=1, train_clips=2, test_clips=3, size=16, train=True)

    def made(tasks, clips, test, training):
        yield Arm("net", FRAME, "trained"), test
        yield Arm("net", "s=8", "trained"), {name: of * math.nan for name, of in test.items()}

    monkeypatch.setattr(run, "trained_arms", made)
    record = run.do_part(run.Job(plan, "samplers", 0, "cpu"))
    assert record["diverged"] == [{"model": "net", "loss": "s=8", "made": "trained"}]
    assert {plain["loss"] for plain in record["readings"]} == {FRAME, SMOOTHED}
    # Records of this format hold these fields; others need another format.
    assert FORMAT == 2
    assert set(record) == {"key", "seed", "part", "readings", "diverged"}
    assert set(record["readings"][0]) == {
        "model", "loss", "made", "content", "source", "clips", "frame_error", "diff_error", "bands",
        "high", "motion", "coverage", "spectra", "magnitudes", "smoothing",
    }  # fmt: skip


def test_p_values_are_adjusted_for_the_number_of_effects():
    base = {"c": by_seed(1.0, 2.0, 3.0)}
    other = {"c": by_seed(0.0, 1.1, 1.9)}
    one = {Arm("m", FRAME): base, Arm("m", "s=8"): other}
    two = one | {Arm("m", "s=1"): base}
    alone = find(one)[1][0].p
    assert next(e.p for e in find(two)[1] if e.arm.loss == "s=8") == pytest.approx(2 * alone)


def test_a_loss_is_held_against_smoothing_at_its_own_frame_error():
    """The curve passes frame error 1.5 halfway between errors of 4 and 2."""
    curve = [[1.0, 4.0], [2.0, 2.0]]
    other = by_seed(0.0, 0.0, frame_error=1.5)
    records = {
        Arm("m", FRAME): {"c": by_seed(1.0, 1.0, smoothing=curve)},
        Arm("m", "s"): {"c": other},
    }
    _, (effect,) = find(records)
    assert effect.matched_db is not None
    expected = 10 * math.log10((0 + EPSILON) / (3 + EPSILON))
    assert effect.matched_db.estimate == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("allowed", "least"), [(1.0, 4.0), (1.5, 3.0), (2.0, 2.0), (9.0, 1.0), (0.5, 4.0)]
)
def test_the_least_error_on_a_curve_is_interpolated(allowed, least):
    assert least_error([(1, 4), (2, 2), (3, 1), (4, 2)], allowed) == pytest.approx(least)


def test_clips_of_several_videos_are_drawn_video_by_video():
    """Of six videos 1 to 5 are among the three of +10 dB in 95 % of the draws: binomial."""
    videos = {0: [reading(10.0 * (i % 2), source=f"{i}") for i in range(6)] * 10}
    repeats = Repeats(videos)
    assert not repeats.are_seeds
    values = [one["high_db"] for one in repeats.values]
    interval = repeats.interval(values, repeats.whole.values()["high_db"])
    assert interval.low == pytest.approx(10 * math.log10((10 + 5) / 6), abs=0.1)
    assert interval.high == pytest.approx(10 * math.log10((50 + 1) / 6), abs=0.1)
    assert {one.clips for one in repeats.pools} == {60}


def test_a_few_videos_give_no_interval():
    """Drawn from two, it would cover the truth half of the time at best."""
    repeats = Repeats({0: [reading(float(i), source=f"{i}") for i in range(5)]})
    values = [one["high_db"] for one in repeats.values]
    interval = repeats.interval(values, 2.0)
    assert (interval.estimate, interval.low, interval.high) == (2.0, None, None)
    assert repeats.p(values) == 1


def test_pools_join_in_any_grouping_and_any_number_of_times():
    parts = [pool([reading(v, frame_error=v + 2)]) for v in (0.0, 3.0, 6.0)]
    whole = Pool.joined(parts)
    assert Pool.joined([Pool.joined(parts[:2]), parts[2]]).values() == pytest.approx(whole.values())
    twice = Pool.joined(parts, [2, 0, 1]).values()
    assert twice["frame_error"] == pytest.approx((2 * 2 + 8) / 3)
    assert twice["median_db"] == pytest.approx(0, abs=1e-6)
    assert whole.values()["median_db"] == pytest.approx(3)


# --- The run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole run of the smallest size, and its journal."""
    journal = tmp_path_factory.mktemp("experiment") / "journal.jsonl"
    return run.run_experiment(TINY, device="cpu", threads=1, journal=journal), journal


def test_the_checks_hold_to_rounding(finished):
    result, _ = finished
    assert result.checks.null_gradient < 1e-9
    assert result.checks.identity < 1e-10


def test_models_of_single_frames_flicker_and_shared_noise_does_not(finished):
    """The essay's prediction, which at this size of effect any run shows."""
    verdicts = {
        (f.arm.model, f.content): f.values["high_db"].estimate
        for f in finished[0].findings
        if f.arm.loss == FRAME
    }
    for content in ("light", "slow"):
        assert verdicts["per-frame denoiser", content] > 15
        assert verdicts["per-frame sampler", content] > 15
        assert abs(verdicts["sampler, shared noise", content]) < 1


def test_every_loss_but_the_frame_loss_has_an_effect_for_every_class(finished):
    effects = finished[0].effects
    assert {e.content for e in effects} == set(CLASSES)
    assert {e.arm.loss for e in effects} >= {"s=1", "s=8", "first", "product", SMOOTHED}


def test_a_run_goes_on_where_it_stopped_and_comes_to_the_same(finished, tmp_path, monkeypatch):
    result, journal = finished
    first, second = journal.read_text().splitlines(keepends=True)
    half = tmp_path / "half.jsonl"
    half.write_text(first + '{"key": "cut')
    done = []
    monkeypatch.setattr(run, "do_part", lambda job: done.append(job.seed) or json.loads(second))
    told = []
    again = run.run_experiment(
        TINY, device="cpu", threads=1, journal=half, progress=lambda *counts: told.append(counts)
    )
    assert done == [1]
    assert told == [("experiment", 1, 2), ("experiment", 2, 2)]
    assert to_json(experiment_document(again)) == to_json(experiment_document(result))


@pytest.mark.slow
def test_the_same_plan_gives_the_same_numbers(finished):
    again = run.run_experiment(TINY, device="cpu", threads=1)
    assert to_json(experiment_document(again)) == to_json(experiment_document(finished[0]))


@pytest.mark.slow
def test_a_long_training_that_was_interrupted_goes_on_and_comes_to_the_same(tmp_path):
    plan = Plan(seeds=2, train_clips=4, test_clips=3, size=16, long=True, long_steps=(1, 3))
    told = []

    def stop(what, done, count):
        told.append((what, done, count))
        if done == 3:
            raise KeyboardInterrupt

    options = {"device": "cpu", "threads": 1}
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        run.run_experiment(plan, journal=journal, progress=stop, **options)
    result = run.run_experiment(
        plan, journal=journal, progress=lambda *counts: told.append(counts), **options
    )
    assert told == [("experiment", done, 4) for done in (0, 1, 2, 3, 3, 4)]
    made = {arm.made for arm in result.records}
    assert made == {"closed form", "trained, 1 steps", "trained, 3 steps"}
    whole = run.run_experiment(plan, **options)
    assert to_json(experiment_document(result)) == to_json(experiment_document(whole))


def test_a_finished_run_is_not_done_again(finished, monkeypatch):
    monkeypatch.setattr(run, "do_part", lambda job: pytest.fail("done again"))
    run.run_experiment(TINY, device="cpu", threads=1, journal=finished[1])


def test_another_plan_shares_nothing_and_more_seeds_share_all(finished):
    def keys(plan):
        return {run.Job(plan, "linear", seed, "cpu").key for seed in range(plan.seeds)}

    more = Plan(seeds=3, train_clips=6, test_clips=3, size=16)
    other = Plan(seeds=2, train_clips=6, test_clips=4, size=16)
    assert keys(TINY) < keys(more)
    assert not keys(TINY) & keys(other)


@pytest.mark.slow
def test_processes_change_no_number(finished):
    spread = run.run_experiment(TINY, device="cpu", threads=2)
    assert to_json(experiment_document(spread)) == to_json(experiment_document(finished[0]))


def test_a_file_that_is_no_journal_is_left_alone(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text("mine\n")
    with pytest.raises(InputError, match=r"notes\.jsonl"):
        run.run_experiment(TINY, device="cpu", journal=path)
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize(
    "wrong",
    [
        {"seeds": 0},
        {"seeds": 10**6},
        {"train_clips": 1},
        {"test_clips": 2},
        {"size": 8},
        {"steps": 0},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(SettingsError, match=rf"^{name}: a whole number from"):
        Plan(**wrong)


# --- What is written and printed ------------------------------------------------------------------


def test_the_table_has_a_row_for_each_model_loss_and_class(finished):
    result, _ = finished
    rows = list(csv.DictReader(io.StringIO(experiment_csv(result))))
    assert len(rows) == sum(len(contents) for contents in result.records.values())
    row = next(r for r in rows if r["model"] == "per-frame denoiser" and r["loss"] == "s=8")
    assert row["outcome"] == "less" and float(row["frame_ratio"]) > 1
    assert float(row["high_db_low"]) < float(row["high_db"]) < float(row["high_db_high"])


def test_the_document_is_strict_json_and_says_what_it_measures(finished):
    document = json.loads(to_json(experiment_document(finished[0])))
    names = set().union(*(finding["values"] for finding in document["findings"]))
    assert names <= set(document["measures"])
    assert document["plan"]["seeds"] == TINY.seeds


@pytest.fixture
def tiny_command(finished, monkeypatch):
    """The command with the plan of the fixture, whatever is asked for."""
    monkeypatch.setattr("flickerscope.experiment.plan.Plan", lambda **_: TINY)

    def call(*arguments):
        return cli.run(["experiment", *(str(argument) for argument in arguments)])

    return call


def test_the_command_writes_its_files_and_prints_80_columns(
    finished, tiny_command, tmp_path, capsys
):
    (tmp_path / "experiment.jsonl").write_bytes(finished[1].read_bytes())
    assert tiny_command("-o", tmp_path, "--device", "cpu", "-v") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(len(line) for line in out.splitlines()) <= 80
    assert out.count("clip-wide, by class") == 1 + len(CLASSES)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == {f"experiment.{kind}" for kind in ("json", "csv", "png", "jsonl")}
    assert files["experiment.png"].startswith(b"\x89PNG") and len(files["experiment.png"]) > 50_000


def test_without_verbose_only_verdicts_and_effects_are_printed(finished, tmp_path, capsys):
    show(experiment_summary(finished[0], str(tmp_path)))
    out = capsys.readouterr().out
    assert out.count("clip-wide, by class") == 1
    assert {"excess", "undecided"} <= {word.rstrip("*") for word in out.split()}
    assert max(len(line) for line in out.splitlines()) <= 80
    assert "…" not in out


def test_a_line_says_what_was_trained_for_how_long_and_where(finished):
    result = dataclasses.replace(finished[0], plan=Plan(train=True, long=True), device="cuda:0")
    assert describe(result) == (
        "5 seeds, 32 test clips a class, rendered; linear models in closed form; "
        "64 channels trained on cuda:0, 300 steps, denoisers for up to 1000"
    )
    assert describe(finished[0]).endswith("; linear models in closed form")


@pytest.mark.parametrize(
    ("ends", "text"),
    [((3.2, 4.2), "+3.7 ±0.5"), ((-0.4, 8.0), "+3.7 +0..+8"), ((None, None), "+3.7")],
)
def test_a_skew_interval_is_shown_by_its_ends(ends, text):
    assert ranged(Interval(3.7, *ends)) == text


def test_what_is_left_out_is_named_in_the_summary(finished, capsys):
    diverged = [(Arm("net", "s=8", "trained"), seed) for seed in (0, 3)]
    result = dataclasses.replace(
        finished[0],
        sources=("a.mp4",),
        left_out=tuple(f"videos/{i}.mp4: is\x1bbroken" for i in range(7)),
        diverged=tuple(diverged),
    )
    show(experiment_summary(result, "x"))
    out = capsys.readouterr().out
    assert "of 8 videos 7 that gave no clips:\n  videos/0.mp4: is\\x1bbroken\n" in out
    assert "videos/4.mp4" in out and "videos/5.mp4" not in out
    assert "  and 2 more, in experiment.json" in out
    assert "and their pairs:\n  net s=8, trained: seeds 0, 3\n" in out


def test_the_figure_falls_back_to_models_that_came_to_numbers(finished):
    """All trained denoisers diverged, and an autoencoder did not."""
    result = finished[0]
    coder = Arm("autoencoder", FRAME, "trained")
    finding = dataclasses.replace(result.findings[0], arm=coder)
    records = {**result.records, coder: result.records[Arm("autoencoder", FRAME)]}
    left = dataclasses.replace(result, findings=[*result.findings, finding], records=records)
    figure = _Figure(left)
    assert (figure.made, len(figure.shown)) == ("closed form", 2)


def test_quiet_prints_nothing(finished, tiny_command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("flickerscope.experiment.figure.draw_experiment", lambda result: b"")
    (tmp_path / "experiment.jsonl").write_bytes(finished[1].read_bytes())
    assert tiny_command("-o", tmp_path, "--device", "cpu", "-q") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code", "about"),
    [
        (("--seeds", "0"), 2, "seeds: a whole number from 1"),
        (("--seeds", "many"), 2, "seeds"),
        (("--device", "abacus"), 2, "device: auto, cpu"),
        (("--threads", "0"), 2, "threads: 1 to"),
        (("extra",), 2, "extra"),
        (("--clips", "none"), 1, "none: is not there"),
        (("--clips", "file"), 1, "file: is a file"),
        (("--clips", "foreign"), 1, "foreign: holds no videos"),
        (("--out", "file"), 1, "file: cannot make this folder"),
        (("--out", "taken"), 1, "is a folder; name a file"),
        (("--out", "foreign"), 1, "foreign/experiment.jsonl:1: is no record"),
    ],
)
def test_bad_input_is_one_line_and_its_exit_code(
    arguments, code, about, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "do_part", lambda job: pytest.fail("something was run"))
    (tmp_path / "file").write_text("x")
    (tmp_path / "taken" / "experiment.png").mkdir(parents=True)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "experiment.jsonl").write_text("mine\n")
    assert cli.run(["experiment", *arguments]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("flickerscope: ") and err.count("\n") == 1
    assert about in err
