"""Clips by URL: they measure as local files do, and what cannot be fetched has failed."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flickerscope.cli import run
from flickerscope.errors import InputError, SettingsError
from flickerscope.scan.finding import find_videos
from flickerscope.scan.job import Choices
from flickerscope.scan.ledger import RECORDS
from flickerscope.scan.pairing import Pair, Pairing, pair_folders, pair_list
from flickerscope.scan.pool import run_here
from flickerscope.scan.remote import Cache, Copies, is_remote, join, remote_identity
from flickerscope.scan.run import run_scan
from flickerscope.scan.sets import load_set, measure_folder
from flickerscope.settings import Settings

fsspec = pytest.importorskip("fsspec")

CLIPS = 3
QUICK = Settings(motion=False, segment=16, scales=("block",))
CHOICES = Choices(settings=QUICK, fps="24")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    noise = np.random.default_rng(0)
    for folder in ("pred", "ref"):
        (root / folder / "sub").mkdir(parents=True)
        for number in range(CLIPS):
            clip = noise.integers(90, 160, (18, 24, 24)).astype(np.uint8)
            np.save(root / folder / "sub" / f"{number}.npy", clip)
        (root / folder / ".hidden.npy").write_bytes(b"")
        (root / folder / "notes.txt").write_bytes(b"")
    return root


@pytest.fixture
def store(folders: Path) -> Iterator[str]:
    """The same folders in fsspec's memory."""
    memory = fsspec.filesystem("memory")
    memory.put(f"{folders}/", "/clips/", recursive=True)
    yield "memory://clips"
    memory.rm("/clips", recursive=True)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a web server of a folder, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(f"{self.command} {self.path}")

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scanned(pairing: Pairing, out: Path, **options: Any) -> list[dict[str, Any]]:
    run_scan(pairing, out, **{"choices": CHOICES, "engine": run_here, **options})
    return [json.loads(line) for line in (out / RECORDS).read_text().splitlines()]


def readings(records: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """All but where the clips lie, and these."""
    left_out = ("key", "pred", "ref", *names)
    return [{k: v for k, v in record.items() if k not in left_out} for record in records]


def pairing_of(root: str | Path) -> Pairing:
    found = pair_folders({"m": join(root, "pred")}, join(root, "ref"))
    found.check()
    return found


@pytest.mark.parametrize(
    ("path", "remote"),
    [("s3://b/x.mp4", True), ("https://x/y.mp4", True), ("C:\\x.mp4", False), ("a/b.mp4", False)],
)
def test_a_url_is_told_from_a_path(path: str, remote: bool) -> None:
    assert is_remote(path) is remote


def test_a_folder_in_a_store_holds_what_the_same_folder_here_does(folders, store) -> None:
    names = find_videos(f"{store}/pred/")
    assert names == find_videos(folders / "pred") == [f"sub/{i}.npy" for i in range(CLIPS)]


def test_clips_in_a_store_measure_as_local_files_do(folders, store, tmp_path) -> None:
    ours = scanned(pairing_of(store), tmp_path / "store")
    theirs = scanned(pairing_of(folders), tmp_path / "local")
    assert [record["status"] for record in ours] == ["measured"] * CLIPS
    assert readings(ours) == readings(theirs)
    assert ours[0]["pred"] == "memory://clips/pred/sub/0.npy"


def test_a_scan_of_urls_goes_on_and_measures_again_what_changed(store, tmp_path) -> None:
    scanned(pairing_of(store), tmp_path)
    memory = fsspec.filesystem("memory")
    memory.pipe("/clips/pred/sub/1.npy", memory.cat("/clips/ref/sub/0.npy"))
    steps: list[Any] = []
    scanned(pairing_of(store), tmp_path, progress=steps.append)
    assert steps[0].resumed == CLIPS - 1
    assert [step.record["name"] for step in steps[1:]] == ["sub/1.npy"]


def test_clips_of_a_web_server_measure_as_local_files_do(folders, tmp_path) -> None:
    names = [f"sub/{i}.npy" for i in range(CLIPS)]
    listed = tmp_path / "pairs.jsonl"
    with served(folders) as (address, asked):
        rows = [{"pred": f"{address}/pred/{n}", "ref": f"{address}/ref/{n}"} for n in names]
        listed.write_text("\n".join(map(json.dumps, rows)))
        pairing = pair_list(listed)
        pairing.check()
        ours = scanned(pairing, tmp_path / "web")
    theirs = scanned(pairing_of(folders), tmp_path / "local")
    strip = ("model", "name", "prompt", "seed")
    assert readings(ours, *strip) == readings(theirs, *strip)
    assert sorted(line for line in asked if line.startswith("GET")) == [
        f"GET /{folder}/{name}" for folder in ("pred", "ref") for name in names
    ]  # each once, as the segment length is given


def test_what_cannot_be_fetched_is_a_clip_that_failed(store, tmp_path) -> None:
    fsspec.filesystem("memory").pipe("/clips/pred/sub/1.npy", b"no array")
    pairs = list(pairing_of(store).pairs)
    ref = pairs[0].ref
    pairs += [
        Pair(model="m", name=url, pred=url, ref=ref, prompt=None, seed=None)
        for url in (f"{store}/pred/gone.npy", "http://127.0.0.1:9/x.npy")
    ]
    *good, gone, away = scanned(Pairing(tuple(pairs), ()), tmp_path)
    assert [record["status"] for record in good] == ["measured", "failed", "measured"]
    assert good[1]["reason"].startswith("memory://clips/pred/sub/1.npy: ")
    assert gone["reason"] == "memory://clips/pred/gone.npy: is not there"
    assert gone["status"] == away["status"] == "failed"
    assert away["reason"].startswith("http://127.0.0.1:9/x.npy: cannot be fetched: ")
    assert away["crashed"]  # the next run tries again


def test_a_page_that_is_not_there_is_said_to_be_so(folders) -> None:
    with served(folders) as (address, _):
        url = f"{address}/none.npy"
        with pytest.raises(InputError, match=r"none\.npy: is not there"):
            remote_identity(url)
        with pytest.raises(InputError, match=r"none\.npy: is not there"), Copies().holding(url):
            pass


def test_the_identity_of_a_file_is_what_the_store_says_of_its_content(folders, store) -> None:
    memory = fsspec.filesystem("memory")
    url = f"{store}/pred/sub/0.npy"
    before = remote_identity(url)
    assert before == remote_identity(url)
    assert before[0] == f"size={(folders / 'pred' / 'sub' / '0.npy').stat().st_size}"
    time.sleep(0.001)
    memory.pipe("/clips/pred/sub/0.npy", memory.cat("/clips/pred/sub/0.npy"))
    assert remote_identity(url) != before  # written again
    with pytest.raises(InputError, match="is a folder"):
        remote_identity(f"{store}/pred")


def test_copies_go_with_their_use(store) -> None:
    copies = Copies()
    with copies.holding(f"{store}/pred/sub/0.npy") as place:
        assert Path(place).name == "0.npy"
        assert copies.named(f"{place}: is no array") == f"{store}/pred/sub/0.npy: is no array"
    assert not Path(place).parent.exists()


def test_a_cache_fetches_once_and_again_what_changed(tmp_path) -> None:
    cache = Cache(str(tmp_path / "cache"), 1.0)
    clip = tmp_path / "web" / "0.npy"
    clip.parent.mkdir()
    clip.write_bytes(b"one")
    with served(clip.parent) as (address, asked):
        for content in (b"one", b"one", b"other"):
            if content == b"other":
                clip.write_bytes(content)
            with Copies(cache).holding(f"{address}/0.npy?signed=yes") as place:
                assert Path(place).read_bytes() == content
                assert Path(place).name == "0.npy"
    assert sum(line.startswith("GET") for line in asked) == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_a_cache_drops_what_was_not_used_for_longest(store, tmp_path) -> None:
    memory = fsspec.filesystem("memory")
    cache = Cache(str(tmp_path), 2.5e-6)  # two and a half kilobytes
    urls = [f"{store}/{i}.npy" for i in range(3)]
    for i, url in enumerate(urls):
        memory.pipe(f"/clips/{i}.npy", bytes([i]) * 1000)
        with Copies(cache).holding(url) as place:
            os.utime(place, (i, i))
    assert {file.read_bytes()[0] for file in tmp_path.iterdir()} == {1, 2}


def test_what_a_cache_drops_stays_for_who_reads_it(store, tmp_path) -> None:
    killed = tmp_path / ".held-killed"
    killed.mkdir()
    os.utime(killed, (0, 0))
    small = Cache(str(tmp_path), 1e-9)
    with Copies(small).holding(f"{store}/pred/sub/0.npy") as place:
        assert not killed.exists()
        assert [file.name for file in tmp_path.iterdir()] == [Path(place).parent.name]
        assert np.load(place).shape == (18, 24, 24)
    assert list(tmp_path.iterdir()) == []


def test_a_set_of_references_may_be_measured_from_a_store(folders, store, tmp_path) -> None:
    for root, name in ((store, "store.json"), (folders, "local.json")):
        measure_folder(join(root, "ref"), tmp_path / name, choices=CHOICES, engine=run_here)
    ours, theirs = (load_set(tmp_path / name).clips for name in ("store.json", "local.json"))
    assert [clip.name for clip in ours] == [clip.name for clip in theirs]
    assert [clip.segments for clip in ours] == [clip.segments for clip in theirs]


def test_a_set_may_lie_in_a_store_itself(folders, store, tmp_path) -> None:
    made = tmp_path / "set.json"
    measure_folder(folders / "ref", made, choices=CHOICES, engine=run_here)
    fsspec.filesystem("memory").put(str(made), "/clips/set.json")
    refs = load_set(f"{store}/set.json")
    assert list(refs.by_path()) == [f"{store}/set.json/sub/{i}.npy" for i in range(CLIPS)]
    names = [clip.name for clip in refs.clips]
    pairing = pair_folders({"m": folders / "pred"}, refs.path, names=names)
    records = scanned(pairing, tmp_path / "out", saved=refs.by_path())
    assert [record["status"] for record in records] == ["measured"] * CLIPS
    with pytest.raises(InputError, match=r"gone\.json: is not there"):
        load_set(f"{store}/gone.json")


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("nosuch://x/y", "nosuch"), ("memory://nothing/here", "holds no videos|is not there")],
)
def test_a_folder_that_is_none_is_refused(url: str, complaint: str) -> None:
    with pytest.raises((InputError, SettingsError), match=complaint):
        find_videos(url)


def test_a_package_that_is_missing_is_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(SettingsError, match=r"gs://b/x\.mp4: cannot be read: .*gcsfs"):
        remote_identity("gs://b/x.mp4")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(SettingsError, match=r"pip install 'flickerscope\[remote\]'"):
        remote_identity("s3://b/x.mp4")


def test_the_command_line_takes_urls_and_a_cache(folders, tmp_path, capsys) -> None:
    out = str(tmp_path / "out")
    with served(folders) as (address, asked):
        line = ["scan", f"{address}/pred/", "--ref", f"{address}/ref/", "-o", out, "--fps", "24"]
        line += ["--no-motion", "--scales", "block", "--device", "cpu", "--workers", "1", "--quiet"]
        assert run([*line, "--cache-size", "1"]) == 2
        assert run([*line, "--cache", str(tmp_path / "c"), "--cache-size", "0"]) == 2
        capsys.readouterr()
        assert run([*line, "--cache", str(tmp_path / "c")]) == 0
    gets = [x for x in asked if x.startswith("GET") and x.endswith(".npy")]
    assert len(gets) == len(set(gets)) == 2 * CLIPS  # for their lengths and for their frames
    records = [json.loads(x) for x in (Path(out) / RECORDS).read_text().splitlines()]
    assert [record["name"] for record in records] == [f"sub/{i}.npy" for i in range(CLIPS)]
    assert records[0]["model"] == "pred"
