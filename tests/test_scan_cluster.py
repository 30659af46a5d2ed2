"""A scan on a Ray cluster: the same files as on one machine, whatever becomes of the nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scanning

from flickerscope.cli import run
from flickerscope.errors import DeviceError, SettingsError
from flickerscope.scan.cluster import ray_engine
from flickerscope.scan.job import Choices
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.pairing import Pairing
from flickerscope.scan.run import SUMMARY, TABLE, run_scan
from flickerscope.settings import Settings

ray = pytest.importorskip("ray")

CHOICES = Choices(settings=Settings(segment=16))
HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(HERE.parent), str(HERE)])
"""Where the processes of a cluster find the package and the functions of the tests."""


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in (RECORDS, TABLE, SUMMARY)}


def scanned(out: Path, count: int, engine: Any, **options: Any) -> dict[str, Any]:
    deadly = options.pop("deadly", ())
    pairing = Pairing(tuple(scanning.pairs(count, deadly)), ())
    work = options.pop("work", scanning.work)
    return run_scan(pairing, out, choices=CHOICES, engine=engine, work=work, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    scanning.scan(str(out), 120)
    return contents(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes of one CPU each; the head computes nothing."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", PATHS)
        found = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "include_dashboard": False},
        )
        for _ in range(3):
            found.add_node(num_cpus=1)
        yield found
        found.shutdown()


@pytest.mark.slow
def test_a_cluster_writes_the_files_that_one_machine_does(cluster, whole, tmp_path) -> None:
    with ray_engine(address=cluster.address) as means:
        assert (means.devices, means.workers, means.threads) == (("cpu",), 3, 1)
        scanned(tmp_path, 120, means.engine)
    assert contents(tmp_path) == whole


@pytest.mark.slow
def test_a_node_that_is_lost_loses_nothing(cluster, whole, tmp_path) -> None:
    steps: list[Any] = []

    def watch(step: Any) -> None:
        steps.append(step)
        if step.done == 20:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    with ray_engine(address=cluster.address) as means:
        scanned(tmp_path, 120, means.engine, progress=watch, work=scanning.slow_work)
        assert means.workers == 3
    assert contents(tmp_path) == whole
    assert [step.done for step in steps] == list(range(121))
    cluster.add_node(num_cpus=1)


@pytest.mark.slow
def test_what_kills_its_process_takes_one_clip_as_on_one_machine(cluster, tmp_path) -> None:
    scanning.scan(str(tmp_path / "local"), 40, deadly=(3, 4, 17))
    with ray_engine(address=cluster.address) as means:
        summary = scanned(tmp_path / "ray", 40, means.engine, deadly=(3, 4, 17))
    assert summary["clips"]["text"] == "37 of 40 measured, 3 failed"
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


@pytest.mark.slow
def test_a_scan_on_a_cluster_that_is_interrupted_goes_on(cluster, whole, tmp_path) -> None:
    def interrupt(step: Any) -> None:
        if step.done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ray_engine(address=cluster.address) as means:
        scanned(tmp_path, 120, means.engine, progress=interrupt)
    steps: list[Any] = []
    with ray_engine(address=cluster.address) as means:
        scanned(tmp_path, 120, means.engine, progress=steps.append)
    assert steps[0].resumed == 30
    assert contents(tmp_path) == whole


def failing(job: Any) -> Any:
    raise ArithmeticError("a mistake of ours")


@pytest.mark.slow
def test_a_bug_is_raised_where_it_is_seen(cluster, tmp_path) -> None:
    with (
        pytest.raises(RuntimeError, match="ArithmeticError: a mistake of ours"),
        ray_engine(address=cluster.address) as means,
    ):
        scanned(tmp_path, 4, means.engine, work=failing)


@pytest.mark.slow
def test_a_gpu_that_the_cluster_lacks_is_an_error(cluster) -> None:
    with (
        pytest.raises(DeviceError, match="the Ray cluster has no GPU"),
        ray_engine(address=cluster.address, device="cuda"),
    ):
        pass


@pytest.mark.slow
def test_the_command_line_measures_on_ray_what_it_measures_here(tmp_path: Path) -> None:
    """With a cluster of its own, which ends with it."""
    noise = np.random.default_rng(0)
    for folder in ("pred", "ref"):
        (tmp_path / folder).mkdir()
        for number in range(6):
            clip = noise.integers(90, 160, (16, 24, 24)).astype(np.uint8)
            np.save(tmp_path / folder / f"{number}.npy", clip)
    for engine in ("local", "ray"):
        line = ["scan", "pred", "--ref", "ref", "-o", engine, "--engine", engine, "--fps", "24"]
        options = ["--workers", "2", "--no-motion", "--device", "cpu", "--quiet", "--timeout", "60"]
        ran = subprocess.run(
            [sys.executable, "-m", "flickerscope", *line, *options],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": PATHS},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    records = (tmp_path / "ray" / RECORDS).read_text().splitlines()
    assert [json.loads(record)["status"] for record in records] == ["measured"] * 6


@pytest.mark.parametrize("address", ["here", "ray://head:10001", "head:port", ":6379"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SettingsError, match="HOST:PORT"), ray_engine(address=address):
        pass


def test_a_cluster_that_is_not_there_is_an_error_at_once() -> None:
    began = time.monotonic()
    with (
        pytest.raises(DeviceError, match=r"127\.0\.0\.1:9: no Ray cluster answers there"),
        ray_engine(address="127.0.0.1:9"),
    ):
        pass
    assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"device": "cuda:0,1"}, "auto, cpu or cuda"),
        ({"workers": 0}, "workers"),
        ({"threads": 0}, "threads"),
        ({"timeout": 0.0}, "timeout"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, complaint) -> None:
    with pytest.raises(SettingsError, match=complaint), ray_engine(**options):
        pass


def test_without_ray_it_is_said_how_to_install_it(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for folder in ("pred", "ref"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "0.npy").write_bytes(b"")
    line = ["scan", str(tmp_path / "pred"), "--ref", str(tmp_path / "ref")]
    line += ["-o", str(tmp_path / "out"), "--quiet"]
    assert run([*line, "--engine", "ray"]) == 2
    assert "pip install 'flickerscope[ray]'" in capsys.readouterr().err
    assert run([*line, "--engine", "dask"]) == 2
    assert "local, ray" in capsys.readouterr().err
    assert run([*line, "--address", "auto"]) == 2
    assert "--engine ray" in capsys.readouterr().err
