"""The losses against their algebra: the essay's example, the DCT identity, masks, targets."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
import torch
from scipy.fft import dct
from torch.nn import functional

from flickerscope import FlickerscopeError, InputError, SettingsError, losses
from flickerscope.losses import DiffLoss, FlickerLoss, SpectralLoss

FLAT = torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64)
SAW = torch.tensor([[-1.0, 1.0, -1.0]], dtype=torch.float64)
NOTHING = torch.zeros(1, 3, dtype=torch.float64)


def clips(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_the_two_videos_of_the_essay_differ_in_the_diff_loss_only() -> None:
    target = torch.full((1, 3), 128.0)
    flat, saw = torch.tensor([[129.0, 129, 129]]), torch.tensor([[127.0, 129, 127]])
    assert functional.mse_loss(flat, target) == functional.mse_loss(saw, target) == 1
    assert DiffLoss()(flat, target) == 0
    assert DiffLoss()(saw, target) == 4
    assert FlickerLoss(0.5)(saw, target) == 3


def test_the_spectra_of_the_essays_example_are_those_worked_out_by_hand() -> None:
    basis = losses.dct_basis(3)
    torch.testing.assert_close((basis @ FLAT[0]) ** 2, torch.tensor([3.0, 0, 0]).double())
    torch.testing.assert_close((basis @ SAW[0]) ** 2, torch.tensor([1 / 3, 0, 8 / 3]).double())
    torch.testing.assert_close(losses.diff(1)(3) - 1, torch.tensor([0.0, 1, 3]).double())


@pytest.mark.parametrize("frames", [1, 2, 3, 16, 49, 97])
def test_the_basis_is_the_orthonormal_dct_of_scipy(frames: int) -> None:
    signal = clips(frames)
    expected = torch.from_numpy(dct(signal.numpy(), norm="ortho"))
    assert (losses.dct_basis(frames) @ signal - expected).abs().max() < 1e-12


@pytest.mark.parametrize("frames", [2, 3, 16, 49, 97])
@pytest.mark.parametrize("scale", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("time_dim", [1, 2])
def test_flicker_loss_is_a_weighted_spectrum(frames: int, scale: float, time_dim: int) -> None:
    shape = (2, frames, 3, 4) if time_dim == 1 else (2, 3, frames, 4)
    pred, target = clips(*shape), clips(*shape, seed=1)
    for reduction, s in (("sum", scale), ("mean", scale * frames / (frames - 1))):
        loss = FlickerLoss(scale, time_dim=time_dim, reduction=reduction)(pred, target)
        spectral = SpectralLoss(losses.diff(s), time_dim=time_dim, reduction=reduction)
        assert abs(float(spectral(pred, target) / loss) - 1) < 1e-10


def test_weights_of_one_are_the_mean_squared_error() -> None:
    pred, target = clips(2, 7, 5), clips(2, 7, 5, seed=1)
    loss = SpectralLoss(losses.frame())(pred, target)
    torch.testing.assert_close(loss, functional.mse_loss(pred, target))


def test_the_sensitivity_of_the_eye_is_that_of_watson() -> None:
    # IDMS 10.6: 92.11, 6.506, 1.751 at 17.857, 42.857, 53.571 Hz.
    hertz = torch.tensor([17.857, 42.857, 53.571], dtype=torch.float64)
    expected = torch.tensor([92.11, 6.506, 1.751], dtype=torch.float64)
    squares = (losses.csf(2000)(20000) - 0.1).clamp(min=0)
    steps = (hertz * 20).round().long()  # a step is 1/20 Hz
    ratio = (squares[steps] / squares[steps[0]]).sqrt()
    torch.testing.assert_close(ratio, expected / expected[0], rtol=0.01, atol=0)
    assert abs(float(squares.max()) - 1) < 1e-4  # as near as the steps come to the maximum


def test_a_band_weighs_what_is_in_it() -> None:
    weights = losses.band(4, 8, fps=16, floor=0)(16)  # half a hertz a step
    assert weights.nonzero().flatten().tolist() == list(range(8, 16))
    pred = losses.dct_basis(16)[[2, 12]]
    values = SpectralLoss(losses.band(4, 8, fps=16, floor=0), reduction="none")(
        pred, torch.zeros_like(pred)
    )
    torch.testing.assert_close(values, torch.tensor([0, 1 / 16], dtype=torch.float64))


@pytest.mark.parametrize("distance", ["mse", "l1", "huber"])
@pytest.mark.parametrize("time_dim", [1, 2])
def test_a_named_distance_is_that_of_torch_on_the_differences(distance: str, time_dim: int) -> None:
    function = {
        "mse": functional.mse_loss,
        "l1": functional.l1_loss,
        "huber": functional.huber_loss,
    }[distance]
    pred, target = clips(2, 5, 6, 3), clips(2, 5, 6, 3, seed=1)
    differences = pred.diff(dim=time_dim), target.diff(dim=time_dim)
    expected = function(pred, target) + 2 * function(*differences)
    for given in (distance, function, partial(function, reduction="none")):
        loss = FlickerLoss(2, given, time_dim=time_dim)(pred, target)
        torch.testing.assert_close(loss, expected)


LOSSES = [DiffLoss(), FlickerLoss(2.0), FlickerLoss(1.0, "huber"), SpectralLoss(losses.csf(24))]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_gradient_is_that_of_finite_differences(loss: torch.nn.Module) -> None:
    pred = clips(2, 4, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, clips(2, 4, 3, seed=1)), pred)


def test_the_gradient_through_a_mask_and_weights_is_that_of_finite_differences() -> None:
    pred = clips(2, 4, 3).requires_grad_()
    extra = {
        "mask": torch.tensor([True, True, False, True]),
        "lengths": torch.tensor([4, 2]),
        "weights": torch.tensor([1.0, 3.0]),
    }
    target = clips(2, 4, 3, seed=1)
    for loss in (FlickerLoss(2), SpectralLoss(losses.csf(24))):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, target, **extra), pred)


@pytest.mark.parametrize("time_dim", [1, 2])
def test_padding_counts_for_nothing_even_if_it_is_not_a_number(time_dim: int) -> None:
    pred, target = clips(2, 6, 6), clips(2, 6, 6, seed=1)
    one = FlickerLoss(2, time_dim=time_dim)(
        pred[1:].narrow(time_dim, 0, 4), target[1:].narrow(time_dim, 0, 4)
    )
    both = (FlickerLoss(2, time_dim=time_dim)(pred[:1], target[:1]) + one) / 2
    pred[1].narrow(time_dim - 1, 4, 2).fill_(torch.nan)
    pred.requires_grad_()
    loss = FlickerLoss(2, time_dim=time_dim)(pred, target, lengths=torch.tensor([6, 4]))
    torch.testing.assert_close(loss, both)
    loss.backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


@pytest.mark.parametrize("time_dim", [1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weights", [losses.diff(2), losses.csf(24), losses.band(2, 6, 24)])
def test_padded_clips_have_the_spectra_that_each_has_alone(
    weights: losses.SpectralWeights, reduction: str, time_dim: int
) -> None:
    pred, target = clips(4, 6, 6, 2), clips(4, 6, 6, 2, seed=1)
    lengths = [6, 4, 1, 0]
    loss = SpectralLoss(weights, time_dim=time_dim, reduction=reduction)
    alone = [
        loss(*(x[i : i + 1].narrow(time_dim, 0, n) for x in (pred, target))).sum()
        if n
        else torch.zeros((), dtype=torch.float64)
        for i, n in enumerate(lengths)
    ]
    expected = torch.stack(alone)
    expected = {"mean": expected.mean(), "sum": expected.sum(), "none": expected}[reduction]
    for i, n in enumerate(lengths):
        pred[i].narrow(time_dim - 1, n, 6 - n).fill_(torch.nan)
    pred.requires_grad_()
    value = loss(pred, target, lengths=torch.tensor(lengths))
    torch.testing.assert_close(value, expected)
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    torch.testing.assert_close(loss(pred, target, mask=mask), expected)
    value.sum().backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


@pytest.mark.parametrize("time_dim", [1, 2])
def test_with_holes_too_the_flicker_loss_is_a_weighted_spectrum(time_dim: int) -> None:
    pred, target = clips(2, 7, 7, 3), clips(2, 7, 7, 3, seed=1)
    mask = torch.tensor([[1, 1, 0, 1, 1, 1, 0], [0, 1, 0, 1, 0, 1, 1]]).bool()
    for frames in (mask, mask[0]):
        flicker = FlickerLoss(3, time_dim=time_dim, reduction="sum")
        loss = SpectralLoss(losses.diff(3), time_dim=time_dim, reduction="sum")
        expected = flicker(pred, target, mask=frames)
        torch.testing.assert_close(loss(pred, target, mask=frames), expected, rtol=1e-10, atol=0)


def test_weights_for_one_length_are_refused_for_clips_of_another() -> None:
    loss = SpectralLoss(torch.ones(6))
    pred = clips(2, 6, 3)
    assert loss(pred, -pred, lengths=torch.tensor([6, 6])) == loss(pred, -pred)
    with pytest.raises(InputError, match="clips of 4 frames"):
        loss(pred, -pred, lengths=torch.tensor([6, 4]))


def test_a_difference_counts_where_both_its_frames_do() -> None:
    pred = torch.tensor([[0.0, 1.0, 5.0, 2.0, 4.0]])
    mask = torch.tensor([True, True, False, True, True])
    loss = DiffLoss()(pred, torch.zeros_like(pred), mask=mask)
    assert loss == (1 + 4) / 2
    assert DiffLoss()(pred, torch.zeros_like(pred), mask=torch.zeros(5, dtype=torch.bool)) == 0


def test_weights_scale_the_loss_of_each_clip() -> None:
    pred, target, weights = clips(3, 5, 2), clips(3, 5, 2, seed=1), torch.tensor([1.0, 0.0, 4.0])
    for build in (DiffLoss, partial(FlickerLoss, 2.0), partial(SpectralLoss, losses.diff(2))):
        each = torch.stack([build()(pred[i : i + 1], target[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(build(reduction="none")(pred, target), each)
        loss = build()(pred, target, weights=weights)
        torch.testing.assert_close(loss, (each * weights).mean())


def test_a_single_frame_has_no_difference() -> None:
    pred = clips(2, 1, 3).requires_grad_()
    loss = FlickerLoss(2)(pred, torch.zeros_like(pred))
    torch.testing.assert_close(loss, pred.square().mean())
    loss.backward()
    assert DiffLoss(reduction="none")(pred, torch.zeros_like(pred)).tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_under_autocast_the_loss_is_summed_in_float32(
    loss: torch.nn.Module, dtype: torch.dtype
) -> None:
    pred = (300 * clips(2, 6, 4)).to(dtype).requires_grad_()  # squares overflow float16
    target = torch.zeros_like(pred)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(pred, target)
    assert value.dtype == torch.float32
    expected = loss(pred.double(), target.double())
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=0)
    (value / 1e6).backward()
    assert pred.grad is not None and pred.grad.isfinite().all()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_gpu_returns_what_the_cpu_does(loss: torch.nn.Module) -> None:
    pred, target = clips(2, 9, 4), clips(2, 9, 4, seed=1)
    torch.testing.assert_close(loss(pred.cuda(), target.cuda()).cpu(), loss(pred, target))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_the_compiled_loss_is_the_loss(loss: torch.nn.Module) -> None:
    pred, target = clips(2, 9, 4, dtype=torch.float32), clips(2, 9, 4, seed=1, dtype=torch.float32)
    torch._dynamo.reset()
    try:
        torch.compile(lambda x: x.sin() + 1)(pred)
    except (RuntimeError, OSError, ImportError) as error:  # no compiler on this machine
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
    found = []
    for build in (torch.compile(loss), loss):
        x = pred.clone().requires_grad_()
        value = build(x, target)
        value.backward()
        found.append((value.detach(), x.grad))
    torch.testing.assert_close(*found)


def test_predictions_of_noise_velocity_and_flow_lead_back_to_the_clean_clip() -> None:
    x0, eps = clips(2, 3, 4), clips(2, 3, 4, seed=1)
    alpha = torch.tensor([0.9, 0.2], dtype=torch.float64)
    sigma = (1 - alpha**2).sqrt()
    a, s = alpha[:, None, None], sigma[:, None, None]
    x_t = a * x0 + s * eps
    torch.testing.assert_close(losses.x0_from_eps(x_t, eps, alpha, sigma), x0)
    torch.testing.assert_close(losses.x0_from_v(x_t, a * eps - s * x0, alpha, sigma), x0)
    x_t = (1 - s) * x0 + s * eps
    torch.testing.assert_close(losses.x0_from_flow(x_t, eps - x0, sigma), x0)


def test_the_matching_weights_make_the_x0_loss_that_of_the_target() -> None:
    x_t, right, wrong = clips(2, 5, 4), clips(2, 5, 4, seed=1), clips(2, 5, 4, seed=2)
    alpha = torch.tensor([0.9, 0.2], dtype=torch.float64)
    sigma = (1 - alpha**2).sqrt()
    ratio = losses.snr(alpha, sigma)
    expected = FlickerLoss(2)(wrong, right)
    for turn, weight in (
        (partial(losses.x0_from_eps, alpha=alpha, sigma=sigma), losses.eps_weight(ratio)),
        (partial(losses.x0_from_v, alpha=alpha, sigma=sigma), losses.v_weight(ratio)),
        (partial(losses.x0_from_flow, t=sigma), losses.flow_weight(sigma)),
    ):
        loss = FlickerLoss(2)(turn(x_t, wrong), turn(x_t, right), weights=weight)
        torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("weights", [losses.diff(2), torch.ones(4)])
def test_a_validation_without_gradients_may_come_before_training(
    weights: losses.SpectralWeights | torch.Tensor,
) -> None:
    loss = SpectralLoss(weights)
    with torch.inference_mode():
        before = loss(clips(2, 4, 3), clips(2, 4, 3, seed=1))
    pred = clips(2, 4, 3).requires_grad_()
    after = loss(pred, clips(2, 4, 3, seed=1))
    after.backward()
    assert after == before


@pytest.mark.parametrize("weights", [losses.frame(), losses.csf(24), losses.band(1, 2, 24)])
def test_a_loss_can_be_pickled_with_its_model(weights: losses.SpectralWeights) -> None:
    loss = SpectralLoss(weights)
    again = pickle.loads(pickle.dumps(loss))
    assert again(PAIR, -PAIR) == loss(PAIR, -PAIR)


def test_min_snr_weights_are_capped() -> None:
    weights = losses.min_snr_weight(losses.flow_snr(torch.tensor([0.0, 0.25, 0.5, 1.0])))
    assert weights.tolist() == [5, 5, 1, 0]


@pytest.mark.parametrize(
    "build",
    [
        lambda: DiffLoss(time_dim=0),
        lambda: DiffLoss(reduction="median"),
        lambda: DiffLoss("lpips"),
        lambda: DiffLoss(2),  # type: ignore[arg-type]
        lambda: DiffLoss(["mse"]),  # type: ignore[arg-type]
        lambda: FlickerLoss(-1),
        lambda: FlickerLoss("1"),  # type: ignore[arg-type]
        lambda: FlickerLoss(None),  # type: ignore[arg-type]
        lambda: FlickerLoss(float("nan")),
        lambda: SpectralLoss("frame"),  # type: ignore[arg-type]
        lambda: SpectralLoss(torch.tensor([1.0, -1.0])),
        lambda: SpectralLoss(torch.ones(2, 2)),
        lambda: SpectralLoss([1.0, 1.0]),  # type: ignore[arg-type]
        lambda: SpectralLoss(str)(PAIR, PAIR),  # type: ignore[arg-type]
        lambda: losses.diff(-1),
        lambda: losses.diff("1"),  # type: ignore[arg-type]
        lambda: losses.dct_basis(0),
        lambda: losses.csf(0),
        lambda: losses.band(8, 4, 24),
        lambda: losses.min_snr_weight(torch.ones(1), 0),
    ],
)
def test_settings_that_make_no_sense_are_refused(build: object) -> None:
    with pytest.raises(SettingsError):
        build()  # type: ignore[operator]


PAIR = clips(2, 4, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: DiffLoss()(PAIR, PAIR[:1]),
        lambda: DiffLoss(time_dim=2)(PAIR[0], PAIR[0]),
        lambda: DiffLoss()(PAIR.long(), PAIR.long()),
        lambda: DiffLoss()(PAIR[:0], PAIR[:0]),
        lambda: DiffLoss()(PAIR, PAIR, mask=torch.ones(4)),
        lambda: DiffLoss()(PAIR, PAIR, mask=torch.ones(3, dtype=torch.bool)),
        lambda: DiffLoss()(PAIR, PAIR, lengths=torch.ones(2)),
        lambda: DiffLoss()(PAIR, PAIR, lengths=torch.ones(3).long()),
        lambda: DiffLoss()(PAIR, PAIR, weights=torch.ones(3)),
        lambda: DiffLoss(functional.mse_loss)(PAIR, PAIR, weights=torch.ones(2)),
        lambda: DiffLoss(functional.mse_loss, reduction="none")(PAIR, PAIR),
        lambda: SpectralLoss(torch.ones(5))(PAIR, PAIR),
        lambda: SpectralLoss(losses.frame())(PAIR, PAIR, mask=torch.ones(4)),
        lambda: SpectralLoss(losses.frame())(PAIR, PAIR, lengths=torch.ones(3).long()),
        lambda: losses.x0_from_flow(PAIR, PAIR, torch.ones(3)),
        lambda: losses.x0_from_flow(PAIR, PAIR, [0.5, 0.5]),
        lambda: losses.x0_from_flow(PAIR, PAIR[0], torch.ones(2)),
        lambda: losses.x0_from_v(PAIR.long(), PAIR.long(), torch.ones(2), torch.ones(2)),
        lambda: losses.snr(0.6, 0.8),
        lambda: losses.flow_weight(0.5),
        lambda: losses.min_snr_weight(3.0),
        lambda: DiffLoss()(PAIR.tolist(), PAIR),
        lambda: DiffLoss()(PAIR, PAIR.tolist()),
        lambda: DiffLoss()(PAIR, PAIR, mask=[True] * 4),
        lambda: DiffLoss()(PAIR, PAIR, lengths=[4, 4]),
        lambda: DiffLoss()(PAIR, PAIR, weights=[1.0, 1.0]),
        lambda: DiffLoss()(PAIR, PAIR, lengths=torch.ones(2, dtype=torch.bool)),
        lambda: DiffLoss(lambda pred, target: 1.0)(PAIR, PAIR),
    ],
)
def test_clips_that_do_not_fit_are_refused_in_one_line(call: object) -> None:
    with pytest.raises(FlickerscopeError) as caught:
        call()  # type: ignore[operator]
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", [-1, 5])
@pytest.mark.parametrize("loss", [FlickerLoss(1.0), SpectralLoss(losses.frame())])
def test_lengths_that_no_clip_can_have_are_refused(loss: torch.nn.Module, length: int) -> None:
    with pytest.raises(InputError, match=f"lengths hold {length}; allowed: 0 to 4 frames"):
        loss(PAIR, PAIR, lengths=torch.tensor([4, length]))


def test_noise_without_any_signal_leads_to_no_clip_but_a_velocity_does() -> None:
    alpha, sigma = torch.tensor([0.6, 0.0]), torch.tensor([0.8, 1.0])
    with pytest.raises(InputError, match="alpha holds 0"):
        losses.x0_from_eps(PAIR, PAIR, alpha, sigma)
    assert losses.x0_from_v(PAIR, -PAIR, alpha, sigma).isfinite().all()
