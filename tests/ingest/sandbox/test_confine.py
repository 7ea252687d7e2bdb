"""What a reader process may do: write in a folder of its own, talk to nobody, and leave nothing behind."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from ingest.sandbox import process as reader_process
from ingest.sandbox.pool import Item, Outcome, ReaderPool, hash_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files and processes as POSIX has them")

# As Python code does it, and as a native library would, past all hooks.
FORBIDDEN = {
    "write": "open(PLACE, 'w')",
    "append": "open(KEPT, 'a')",
    "move": "open('inside', 'w').close(); os.rename('inside', PLACE)",
    "delete": "os.remove(KEPT)",
    "make a folder": "os.mkdir(PLACE)",
    "connect": "import socket; socket.create_connection(('127.0.0.1', PORT), 2)",
    "send": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "look up": "import socket; socket.getaddrinfo('example.com', 80)",
}
FORBIDDEN_NATIVE = {
    "write": "check(libc.open(PLACE.encode(), 0o101, 0o600))",
    "truncate": "check(libc.truncate(KEPT.encode(), 0))",
    "delete": "check(libc.unlink(KEPT.encode()))",
    "connect": "fd = libc.socket(2, 1, 0); check(libc.connect(fd, address, 16))",
    "another program": "check(-os.waitstatus_to_exitcode(os.system(f'echo x 2>/dev/null > {PLACE}')))",
}
NATIVE = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
address = struct.pack('=H', 2) + struct.pack('>H', PORT) + bytes((127, 0, 0, 1)) + bytes(8)
def check(code):
    if code < 0:
        raise OSError(ctypes.get_errno(), "no")
"""
ALLOWED = """
import subprocess, tempfile
with tempfile.TemporaryDirectory() as folder:
    open(folder + '/a', 'w').write('x')
open('left behind', 'w').write(str(subprocess.run(['true']).returncode))
open(os.devnull, 'w').write('x')
"""
OBEY = """
def read(name, data, *more, **named):
    exec(data.decode(), {'os': os})
    return Content('', (Block('done'),))
worker.read = read
"""
TRAP = """
calls = []
def read(name, data, *more, **named):
    calls.append(name)
    if len(calls) > 1:
        os.abort()
    return Content('', (Block('x'),))
worker.read = read
"""


def become(readers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put other readers in the place of the real ones."""
    code = (
        "import os\nfrom ingest.sandbox import worker\n"
        f"from ingest.readers.blocks import Block, Content\n{readers}"
    )
    before, imports, after = reader_process._START.partition("import work;")
    assert imports, "or the real readers would stay, and the tests prove nothing"
    monkeypatch.setattr(reader_process, "_START", f"{before}{imports} exec({code!r});{after}")


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers that run what the file says."""
    become(OBEY, monkeypatch)


def landlock() -> bool:
    """Whether the kernel can keep a process from writing and from TCP."""
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) >= 4


def read(paths: list[Path], seconds: float = 20) -> list[Outcome]:
    with ReaderPool(1, seconds, 512, 1, 30) as pool:
        return list(pool.read(Item(str(path), str(path)) for path in paths))


def tried(folder: Path, code: str) -> str:
    """What came of code that a reader runs: an error, or nothing."""
    kept, place = folder / "kept", folder / "place"
    kept.write_text("text")
    script = folder / "script.txt"
    with socket.create_server(("127.0.0.1", 0)) as server:
        names = f"PLACE, KEPT, PORT = {str(place)!r}, {str(kept)!r}, {server.getsockname()[1]}\n"
        script.write_text(names + code)
        (outcome,) = read([script])
    assert kept.read_text() == "text"
    assert not place.exists()
    return outcome.error


@pytest.mark.usefixtures("obedient")
@pytest.mark.parametrize("deed", FORBIDDEN)
def test_readers_write_nowhere_and_talk_to_nobody(tmp_path: Path, deed: str) -> None:
    assert "PermissionError" in tried(tmp_path, FORBIDDEN[deed])


@pytest.mark.usefixtures("obedient")
@pytest.mark.skipif(not landlock(), reason="this system has no Landlock: there only Python code is held")
@pytest.mark.parametrize("deed", FORBIDDEN_NATIVE)
def test_native_code_in_readers_is_held_by_the_kernel(tmp_path: Path, deed: str) -> None:
    assert "Error" in tried(tmp_path, NATIVE + FORBIDDEN_NATIVE[deed])


@pytest.mark.usefixtures("obedient")
@pytest.mark.skipif(
    os.system("unshare -n true 2>/dev/null") != 0, reason="this system allows no network namespace"
)
def test_readers_see_no_network_device_but_their_own_loopback(tmp_path: Path) -> None:
    code = "assert [line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line] == ['lo']"
    assert tried(tmp_path, code) == ""


@pytest.mark.usefixtures("obedient")
def test_readers_have_a_folder_to_write_in_that_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a killed process left goes with the next one."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (temporary / "kb-readers-999999999-x" / "y").mkdir(parents=True)
    assert tried(tmp_path, ALLOWED) == ""
    assert list(temporary.iterdir()) == []


def test_a_file_is_not_blamed_for_what_an_earlier_one_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two files in one process meets a trap that the first has laid."""
    become(TRAP, monkeypatch)
    paths = [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]
    for path in paths:
        path.write_text("x")
    assert [outcome.error for outcome in read(paths)] == ["", "", ""]


@pytest.mark.usefixtures("obedient")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_a_reader_started_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "script.txt"
    script.write_text("import subprocess, time; subprocess.Popen(['sleep', '98765.4']); time.sleep(60)")
    (outcome,) = read([script], seconds=1)
    assert "longer than 1 s" in outcome.error
    assert b"sleep\x0098765.4\0" not in [command_of(process) for process in Path("/proc").glob("[0-9]*")]


def command_of(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def read_while(change: str, path: Path) -> list[Outcome]:
    """The file ten times, while a thread changes it all the time: by writing it anew, or at its end."""
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            for letter in "xyz":
                with path.open(change) as file:
                    file.write(letter * 100_000 if change == "w" else letter)

    path.write_text("x" * 100_000)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        return read([path] * 10)
    finally:
        done.set()
        writer.join()


def test_of_a_file_that_changes_meanwhile_one_state_is_read_or_none(tmp_path: Path) -> None:
    for outcome in read_while("w", tmp_path / "a.txt"):
        if outcome.content is None:
            assert outcome.error.startswith("The file kept changing while it was being read. Ingest it again")
    (outcome,) = read([tmp_path / "a.txt"])
    assert outcome.content is not None


def test_a_log_that_grows_all_the_time_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    for outcome in read_while("a", tmp_path / "a.log"):
        assert outcome.content is not None or "larger than 1 MB" in outcome.error


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these files")
def test_files_that_tell_no_size_are_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("/proc/meminfo")
    (tmp_path / "b.txt").symlink_to("/proc/kallsyms")
    meminfo, symbols = read([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert meminfo.content is not None
    assert symbols.error == "The file is larger than 1 MB. Split it, or raise file_megabytes."
    assert hash_file(tmp_path / "a.txt")[1] > 0
    with pytest.raises(OSError, match="not a regular file"):
        hash_file(Path("/dev/zero"))
