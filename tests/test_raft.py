"""RAFT as a motion field: its sizes, its scaling, its weights; the network itself is random."""

from __future__ import annotations

import math
import runpy
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from flickerscope.errors import DeviceError, SettingsError
from flickerscope.motion import flicker
from flickerscope.motion import raft as raft_module
from flickerscope.motion.raft import Raft

models = pytest.importorskip("torchvision.models.optical_flow")


def random_network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = models.raft_small(weights=None)
    return network


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return random_network()


def texture(*shape: int, seed: int = 0) -> torch.Tensor:
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
    return functional.avg_pool2d(255 * noise, 3, 1, 1)


class Known(nn.Module):
    """In the network's place: keeps what it is shown, and answers with a flow made of that."""

    def __init__(self, answer: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.answer = answer
        self.seen: list[tuple[torch.Tensor, torch.Tensor, int]] = []

    def __deepcopy__(self, memo: object) -> Known:
        return self  # all threads' copies report to one place

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, *, num_flow_updates: int
    ) -> list[torch.Tensor]:
        self.seen.append((first, second, num_flow_updates))
        worse = torch.full_like(first[:, :2], math.nan)
        return [worse] * (num_flow_updates - 1) + [self.answer(first, second)]


def constant(x: float, y: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    def answer(first: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return torch.tensor([x, y]).view(1, 2, 1, 1).expand(len(first), 2, *first.shape[-2:])

    return answer


def places(first: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    """Column and row of each pixel that the network sees."""
    sides = [torch.arange(float(n)) for n in first.shape[-2:]]
    rows, columns = torch.meshgrid(*sides, indexing="ij")
    return torch.stack([columns, rows]).expand(len(first), -1, -1, -1)


def brightness(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return torch.cat([first[:, :1], second[:, :1]], 1)


@pytest.mark.parametrize(("neighbours", "size"), [(1, (130, 133)), (2, (72, 76)), (1, (36, 40))])
def test_each_neighbour_of_each_anchor_gets_a_motion_of_the_pictures_size(
    network, neighbours, size
):
    anchors = texture(2, *size)
    flow = Raft(network, updates=1)(anchors, texture(neighbours, 2, *size, seed=1))
    assert flow.shape == (neighbours, 2, 2, *size)
    assert flow.isfinite().all()


def test_the_network_sees_three_equal_channels_from_minus_one_to_one_as_in_torchvision():
    field = Raft(known := Known(constant(0, 0)), updates=7)
    anchors, neighbours = texture(1, 128, 128), texture(1, 1, 128, 128, seed=1)
    field(anchors, neighbours)
    ((first, second, updates),) = known.seen
    gray = [(x.view(1, 1, 128, 128) / 255).expand(1, 3, -1, -1) for x in (anchors, neighbours)]
    theirs = models.Raft_Small_Weights.DEFAULT.transforms()(*gray)
    torch.testing.assert_close((first, second), theirs, rtol=0, atol=1e-6)
    assert updates == 7


@pytest.mark.parametrize("size", [(128, 128), (130, 171), (288, 163), (129, 135)])
def test_sides_become_multiples_of_8_by_repeating_the_border_and_the_rest_stays(size):
    field = Raft(known := Known(places))
    anchors = texture(1, *size)
    flow = field(anchors, anchors[None])
    first = known.seen[0][0]
    height, width = first.shape[-2:]
    assert height % 8 == width % 8 == 0
    assert 0 <= height - size[0] < 8 and 0 <= width - size[1] < 8
    # The flow that comes back names the pixel that was shown at each place: its own.
    columns, rows = flow[0, 0].long()
    shown = first[0, 0][rows, columns]
    torch.testing.assert_close(shown, anchors[0] / 127.5 - 1, rtol=0, atol=1e-6)
    top, left = int(rows[0, 0]), int(columns[0, 0])
    assert (first[0, 0, : top + 1] == first[0, 0, top]).all()
    assert (first[0, 0, :, left + size[1] :] == first[0, 0, :, [left + size[1] - 1]]).all()


@pytest.mark.parametrize(
    ("size", "times"),
    [((72, 128), 2), ((100, 64), 2), ((36, 40), 4), ((16, 30), 8), ((127, 300), 2)],
)
def test_small_pictures_are_enlarged_and_the_motion_is_scaled_back(size, times):
    field = Raft(known := Known(constant(3.0, -1.5)))
    flow = field(texture(1, *size), texture(1, 1, *size, seed=1))
    seen = known.seen[0][0].shape[-2:]
    assert min(seen) >= 128
    assert all(times * n <= s < times * n + 8 for n, s in zip(size, seen, strict=True))
    assert flow.shape == (1, 1, 2, *size)
    torch.testing.assert_close(flow[0, 0, 0], torch.full(size, 3.0 / times))
    torch.testing.assert_close(flow[0, 0, 1], torch.full(size, -1.5 / times))


def test_a_motion_found_in_enlarged_pictures_comes_back_to_the_pixel_that_it_is_of():
    flow = Raft(Known(places))(texture(1, 72, 88), texture(1, 1, 72, 88, seed=1))
    # Enlarged twice, pixel x lies at 2 x + .5; 144 x 176 needs no padding.
    columns, rows = flow[0, 0]
    torch.testing.assert_close(columns, (torch.arange(88) + 0.25).expand(72, -1))
    torch.testing.assert_close(rows, (torch.arange(72) + 0.25)[:, None].expand(-1, 88))


def test_the_neighbours_stay_with_their_anchors_also_in_chunks(monkeypatch):
    anchors = torch.arange(5.0).view(5, 1, 1).expand(5, 128, 128)
    neighbours = torch.stack([anchors + 10, anchors + 100])
    whole = Raft(Known(brightness))(anchors, neighbours)
    for k, n in ((0, 0), (0, 4), (1, 0), (1, 3)):
        first, second = ((whole[k, n].mean((1, 2)) + 1) * 127.5).tolist()
        assert (first, second) == pytest.approx((n, n + (10, 100)[k]), abs=1e-3)
    monkeypatch.setattr(raft_module, "PIXELS_AT_ONCE", 3 * 128 * 128)
    field = Raft(known := Known(brightness))
    assert torch.equal(field(anchors, neighbours), whole)
    assert [len(first) for first, _, _ in known.seen] == [3, 3, 3, 1]


def test_a_picture_larger_than_a_chunk_is_computed_alone(monkeypatch):
    monkeypatch.setattr(raft_module, "PIXELS_AT_ONCE", 1)
    field = Raft(known := Known(constant(1, 1)))
    field(texture(3, 128, 128), texture(2, 3, 128, 128))
    assert [len(first) for first, _, _ in known.seen] == [1] * 6


def test_the_same_pictures_give_the_same_motion_in_any_chunk_and_thread(network, monkeypatch):
    anchors, neighbours = texture(3, 128, 128), texture(2, 3, 128, 128, seed=1)
    field = Raft(network, updates=2)
    flow = field(anchors, neighbours)
    assert torch.equal(field(anchors, neighbours), flow)
    with ThreadPoolExecutor(2) as pool:  # the network keeps correlations in itself
        parts = list(pool.map(lambda i: field(anchors[[i]], neighbours[:, [i]]), range(3)))
    torch.testing.assert_close(torch.cat(parts, 1), flow, rtol=0, atol=1e-3)


def test_flow_has_the_type_of_the_pictures_and_no_gradient(network):
    flow = Raft(network, updates=1)(texture(1, 128, 128).double(), texture(1, 1, 128, 128))
    assert flow.dtype == torch.float64
    assert not flow.requires_grad
    assert not network.training


def test_weights_from_a_file_are_the_networks(network, tmp_path):
    file = tmp_path / "small.pth"
    torch.save(network.state_dict(), file)
    before = torch.random.get_rng_state()
    field = Raft.load(size="small", weights=file)
    assert torch.equal(torch.random.get_rng_state(), before)
    anchors, neighbours = texture(1, 128, 128), texture(2, 1, 128, 128, seed=1)
    field, ours = (replace(x, updates=1) for x in (field, Raft(network)))
    assert torch.equal(field(anchors, neighbours), ours(anchors, neighbours))
    assert field.name == "raft_small (small.pth)"
    assert field.rows == 288


@pytest.mark.parametrize("size", ["large", "small"])
def test_the_default_weights_are_taken_from_the_folder_of_torch_hub(size, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    known = {"large": models.Raft_Large_Weights, "small": models.Raft_Small_Weights}[size]
    builder = {"large": models.raft_large, "small": models.raft_small}[size]
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    folder.mkdir(parents=True)
    assert folder.is_relative_to(tmp_path)
    file = folder / known.DEFAULT.url.rpartition("/")[2]
    torch.save(builder(weights=None).state_dict(), file)
    assert Raft.load(size=size).name == f"raft_{size} ({file.name})"


def refused(kind: type[Exception], load: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_missing_weights_are_named_with_their_place_and_are_not_downloaded(tmp_path, monkeypatch):
    def no_network(*args: object, **options: object) -> None:
        pytest.fail("asked for the network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    message = refused(DeviceError, Raft.load)
    assert models.Raft_Large_Weights.DEFAULT.url in message
    assert str(tmp_path / "hub" / "checkpoints") in message


def test_a_machine_without_torchvision_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.models.optical_flow", None)
    assert "pip install 'flickerscope[raft]'" in refused(DeviceError, Raft.load)


def cut_short(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def code_to_run(file: Path) -> None:
    torch.save({"weights": Path}, file)


@pytest.mark.parametrize(
    "spoil",
    [
        Path.unlink,
        cut_short,
        code_to_run,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"<html>not found</html>"),
        lambda file: torch.save([1, 2], file),
        lambda file: torch.save({"a": torch.zeros(1)}, file),
        lambda file: torch.save(torch.zeros(3), file),
    ],
    ids=["missing", "cut short", "code", "empty", "a page", "a list", "another's", "a tensor"],
)
def test_a_file_that_holds_no_such_weights_is_named_in_one_line(network, tmp_path, spoil):
    file = tmp_path / "small.pth"
    torch.save(network.state_dict(), file)
    spoil(file)
    assert str(file) in refused(SettingsError, lambda: Raft.load(size="small", weights=file))


def test_weights_of_the_other_size_are_refused(network, tmp_path):
    file = tmp_path / "small.pth"
    torch.save(network.state_dict(), file)
    assert "not of raft_large" in refused(SettingsError, lambda: Raft.load(weights=file))


def test_only_the_two_sizes_are_allowed():
    assert "large, small" in refused(SettingsError, lambda: Raft.load(size="huge"))  # type: ignore[arg-type]


def test_importing_the_module_does_not_need_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "Raft" in runpy.run_path(raft_module.__file__)


def test_flicker_is_measured_along_the_motion_of_the_network(network):
    reading = flicker(texture(6, 72, 88), field=Raft(network, updates=1))
    assert all(math.isfinite(x) for x in (reading.flicker, reading.coverage, reading.speed))
    assert reading.frames == [1, 2, 3, 4]


def test_a_pan_that_the_network_knows_reads_no_flicker_and_its_speed(monkeypatch):
    monkeypatch.setattr(raft_module, "PIXELS_AT_ONCE", 1 << 20)  # all pairs at once
    wide = functional.avg_pool2d(texture(1, 1, 160, 400)[0], 9, 1, 4)[0]
    frames = torch.stack([wide[8:152, 2 * t + 4 : 2 * t + 260] for t in range(8)])
    # The scene moves 2 pixels to the left in each frame: anchors find it at -2 in the next one.
    motion = torch.tensor([-2.0, 2.0]).view(2, 1, 1, 1, 1)

    class Pan(nn.Module):
        def forward(self, first: torch.Tensor, second: torch.Tensor, *, num_flow_updates: int):
            flow = torch.zeros(2, len(first) // 2, 2, *first.shape[-2:])
            flow[:, :, :1] = motion
            return [flow.flatten(0, 1)]

    reading = flicker(frames, field=Raft(Pan(), rows=144))
    assert reading.flicker == pytest.approx(0, abs=1e-3)
    assert reading.speed == pytest.approx(1, abs=1e-3)  # of pictures of 72 rows
