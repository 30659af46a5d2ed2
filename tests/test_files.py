"""Files are written whole or not at all, and trouble is found before anything is measured."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from flickerscope import files
from flickerscope.errors import OutputError
from flickerscope.files import (
    check_writable,
    make_folder,
    replacing,
    write_all,
    write_bytes,
    write_text,
)

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def deny(monkeypatch: pytest.MonkeyPatch, denied: Path) -> None:
    """No right to write to one path: root, as whom tests often run, has every right."""
    real = os.access

    def access(path, rights, **options):
        if Path(path) == denied and rights & os.W_OK:
            return False
        return real(path, rights, **options)

    monkeypatch.setattr(os, "access", access)


# --- Writing --------------------------------------------------------------------------------------


def test_text_is_written_as_utf_8_with_its_line_ends_as_they_are(tmp_path):
    write_text(tmp_path / "a.txt", "flacker – 瞬き 😀\nz\r\n")
    assert (tmp_path / "a.txt").read_bytes() == "flacker – 瞬き 😀\nz\r\n".encode()


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_bytes_come_back_and_leave_nothing_else_behind(tmp_path, size):
    data = os.urandom(size)
    for _ in range(2):
        write_bytes(tmp_path / "a.bin", data)
    assert (tmp_path / "a.bin").read_bytes() == data
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_a_name_that_is_too_long_is_told_as_such(tmp_path):
    path = tmp_path / ("x" * 300)
    with pytest.raises(OutputError, match=r"/x+: cannot be written: File name too long$"):
        write_bytes(path, b"")
    with pytest.raises(OutputError, match=r"/x+: cannot be written: File name too long$"):
        write_all([(path, b"")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [b"earlier results", None])
def test_a_failure_leaves_the_old_file_and_no_temporary_one(
    tmp_path, monkeypatch, broken, error, old
):
    target = tmp_path / "report.json"
    if old is not None:
        target.write_bytes(old)

    def fail(*arguments):
        raise error

    monkeypatch.setattr(os, broken, fail)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected) as caught:
        write_bytes(target, b"new results")
    if expected is OutputError:
        assert str(caught.value) == f"{target}: cannot be written: No space left on device"
    if old is None:
        assert list(tmp_path.iterdir()) == []
    else:
        assert [p.name for p in tmp_path.iterdir()] == ["report.json"]
        assert target.read_bytes() == old


def test_a_failure_in_the_midst_of_writing_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "report.json"
    target.write_bytes(b"earlier results")
    real = files.tempfile.NamedTemporaryFile

    def full(*arguments, **options):
        file = real(*arguments, **options)

        def write(data):
            file.file.write(data[:3])
            raise OSError(28, "No space left on device")

        file.write = write
        return file

    monkeypatch.setattr(files.tempfile, "NamedTemporaryFile", full)
    with pytest.raises(OutputError, match="No space left"):
        write_bytes(target, b"new results")
    assert target.read_bytes() == b"earlier results"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_of_several_files_none_is_replaced_before_all_are_complete(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"old")

    def contents():
        yield first, b"new"
        assert first.read_bytes() == b"old"
        yield second, b"new"
        assert not second.exists()
        yield tmp_path / "absent" / "third", b"new"

    with pytest.raises(OutputError, match=r"absent.third: cannot be written: No such file"):
        write_all(contents())
    assert first.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["first"]
    write_all([(first, b"new"), (second, b"too")])
    assert (first.read_bytes(), second.read_bytes()) == (b"new", b"too")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "second"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), KeyboardInterrupt(), None])
def test_a_replacement_takes_its_place_in_the_end_or_leaves_nothing(tmp_path, error):
    target = tmp_path / "a.mp4"
    target.write_bytes(b"old")
    expected = nullcontext() if error is None else pytest.raises(type(error))
    with expected, replacing(target) as new:
        assert new.suffix == ".mp4"
        new.write_bytes(b"new")
        assert target.read_bytes() == b"old"
        if error is not None:
            raise error
    assert target.read_bytes() == (b"new" if error is None else b"old")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.skipif(os.name == "nt", reason="no POSIX permissions")
@pytest.mark.parametrize("bits", [0o600, 0o640, 0o664, 0o755])
def test_an_existing_file_keeps_its_permissions(tmp_path, bits):
    target = tmp_path / "a.txt"
    target.write_text("old")
    target.chmod(bits)
    write_text(target, "new")
    assert target.read_text() == "new"
    assert mode(target) == bits


@pytest.mark.skipif(os.name == "nt", reason="no POSIX permissions")
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "new")
        assert mode(tmp_path / "a.txt") == 0o666 & ~mask
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_stays_a_link_and_its_file_is_written(tmp_path):
    (tmp_path / "data").mkdir()
    real, link = tmp_path / "data" / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(Path("data") / "real.txt")
    check_writable(link)
    write_text(link, "new")
    assert link.is_symlink()
    assert os.readlink(link) == os.path.join("data", "real.txt")
    assert real.read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_file_that_is_not_there_yet_makes_it(tmp_path):
    link = tmp_path / "link.txt"
    link.symlink_to("later.txt")
    check_writable(link)
    write_text(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "later.txt").read_text() == "new"
    lost = tmp_path / "lost.txt"
    lost.symlink_to(tmp_path / "absent" / "a.txt")
    with pytest.raises(OutputError, match="there is no folder"):
        check_writable(lost)
    with pytest.raises(OutputError, match=r"lost\.txt: cannot be written: No such file"):
        write_text(lost, "new")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_itself_is_no_traceback(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    try:
        check_writable(loop)
        write_text(loop, "new")
    except OutputError as error:
        assert "loop" in str(error)  # noqa: PT017
    else:
        assert loop.read_text() == "new"


@pytest.mark.skipif(not os.path.exists("/dev/null"), reason="needs /dev")
def test_a_device_is_written_in_place():
    before = os.stat("/dev/null")
    check_writable("/dev/null")
    write_bytes("/dev/null", b"gone")
    after = os.stat("/dev/null")
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    if os.path.exists("/dev/full"):
        with pytest.raises(OutputError, match="No space left"):
            write_bytes("/dev/full", b"x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_in_place(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_bytes(pipe, b"through the pipe")
    reader.join(timeout=10)
    assert received == [b"through the pipe"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_missing_folder_and_a_folder_in_place_of_the_file_are_output_errors(tmp_path):
    for path in (tmp_path / "absent" / "a.txt", tmp_path):
        with pytest.raises(OutputError, match="cannot be written"):
            write_text(path, "new")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written: Not a directory"):
        write_text(tmp_path / "file" / "a.txt", "new")


@pytest.mark.skipif(ROOT or os.name == "nt", reason="root may write everywhere")
def test_a_folder_without_permission_is_an_output_error(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written: Permission denied"):
        write_text(folder / "a.txt", "new")
    with pytest.raises(OutputError, match="no permission"):
        check_writable(folder / "a.txt")
    with pytest.raises(OutputError, match="no permission"):
        make_folder(folder)


# --- Looking before ------------------------------------------------------------------------------


def test_what_can_be_written_passes_the_check_which_touches_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.txt").write_text("old")
    for path in ("old.txt", "new.txt", tmp_path / "new.txt", Path("old.txt")):
        check_writable(path)
    assert [p.name for p in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_what_cannot_be_written_is_named_with_the_reason(tmp_path):
    with pytest.raises(OutputError) as caught:
        check_writable(tmp_path)
    assert str(caught.value) == f"{tmp_path}: is a folder; name a file"
    missing = tmp_path / "absent" / "a.txt"
    with pytest.raises(OutputError) as caught:
        check_writable(missing)
    assert str(caught.value) == f"{missing}: there is no folder {tmp_path / 'absent'}"
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="there is no folder"):
        check_writable(tmp_path / "file" / "a.txt")


@pytest.mark.parametrize(
    ("existing", "closed"), [(True, "file"), (True, "folder"), (False, "folder")]
)
def test_no_permission_is_found_before_anything_is_written(tmp_path, monkeypatch, existing, closed):
    target = tmp_path / "a.txt"
    if existing:
        target.write_text("old")
    deny(monkeypatch, target if closed == "file" else tmp_path)
    with pytest.raises(OutputError) as caught:
        check_writable(target)
    assert str(caught.value) == f"{target}: no permission to write there"


# --- Folders --------------------------------------------------------------------------------------


def test_a_folder_is_made_with_those_above_it_and_may_exist(tmp_path):
    folder = make_folder(tmp_path / "a" / "b c")
    assert folder.is_dir()
    (folder / "kept.txt").write_text("x")
    assert make_folder(str(folder)) == folder
    assert (folder / "kept.txt").read_text() == "x"


def test_a_file_in_place_of_the_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(OutputError, match="cannot make this folder") as caught:
            make_folder(path)
        assert str(caught.value).startswith(f"{path}: ")
    assert (tmp_path / "file").read_text() == "x"


def test_a_folder_that_cannot_be_written_into_is_an_output_error(tmp_path, monkeypatch):
    deny(monkeypatch, tmp_path)
    with pytest.raises(OutputError) as caught:
        make_folder(tmp_path)
    assert str(caught.value) == f"{tmp_path}: no permission to write into this folder"
