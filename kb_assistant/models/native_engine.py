"""llama.cpp built for this machine's processor, kept beside the packaged one.

The wheel of xllamacpp runs on every processor with AVX2. Built here, llama.cpp uses all that this one has: with
AVX-512 and VNNI it reads a prompt of ChatGLM2 in INT4 in less than half the time. A build is kept for each version
and each kind of processor, since a home may lie on a disk of several machines, and an instruction that a processor
lacks ends the process.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from kb_assistant.errors import ModelError
from kb_assistant.lock import writing
from kb_assistant.messages import _
from kb_assistant.priority import lower_priority
from kb_assistant.processor import cpu_flags, usable_cores

_log = logging.getLogger(__name__)

PACKAGE = "xllamacpp"
_OPTIONS = "-DGGML_NATIVE=ON -DLLAMA_BUILD_BORINGSSL=OFF -DLLAMA_LLGUIDANCE=OFF"
_COMPILED = re.compile(r"Building C(XX)? object")
_FILES = 200
"""Files that are compiled, about; for the progress."""
_TOLD = 15
"""Last lines of the build that an error tells."""
_TRY = "import sys; sys.path.insert(0, sys.argv[1]); import xllamacpp as x; print(x.__file__, x.get_system_info())"
_TRY_S = 120.0

_homes: list[Path] = []
"""The home whose build `import_engine` takes, once one was chosen."""


@dataclass(frozen=True, slots=True)
class Built:
    """A build that is kept.

    Attributes:
        path: The folder to import from.
        seconds: How long it took; 0 for one that was there.
        system: What llama.cpp says of itself: the instructions that it uses.
    """

    path: Path
    seconds: float
    system: str


def engine_folder(home: Path) -> Path:
    """Where the build for the installed version and this kind of processor lies, if there is one."""
    features = " ".join(sorted(cpu_flags())) or platform.processor()
    kind = f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"
    return home / "engines" / f"{PACKAGE}-{version(PACKAGE)}-{kind}"


def prefer(home: Path) -> None:
    """From now on `import_engine` takes this home's build, if there is one."""
    _homes[:] = [home]


def import_engine() -> ModuleType:
    """xllamacpp: the build for this processor, or else the package.

    Raises:
        ImportError: there is neither.
    """
    if PACKAGE not in sys.modules and _homes and (native := engine_folder(_homes[0])).is_dir():
        sys.path.insert(0, str(native))
        try:
            return __import__(PACKAGE)
        except Exception as error:  # damaged, or of another Python: the package is there
            _log.warning(
                "%s", _("{path} can't be used, so the packaged engine is: {reason}", path=native, reason=error)
            )
            for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
                del sys.modules[name]
        finally:
            sys.path.remove(str(native))
    return __import__(PACKAGE)


def build_engine(
    home: Path, on_progress: Callable[[float], None] = lambda _: None, again: bool = False, source: str = ""
) -> Built:
    """Build the installed version of xllamacpp from its source, in the background's priority, and keep it.

    Interrupted or killed, it leaves the engine as it was.

    Args:
        home: The home to keep it in.
        on_progress: Called with the share that is done, about, from 0 to 1.
        again: Build it even if it is there.
        source: A folder or an archive of the source instead of the package index.

    Raises:
        ModelError: a tool is missing, the build fails, or what it makes doesn't run.
        BusyError: another process builds.
    """
    _check_tools()
    kept = engine_folder(home)
    kept.parent.mkdir(parents=True, exist_ok=True)
    with writing(kept.parent, 0, _("the engine"), "build"):
        if kept.is_dir() and not again:
            return Built(kept, 0.0, _tried(kept))
        began = time.monotonic()
        with _work(kept.parent) as work:
            _compile(source or f"{PACKAGE}=={version(PACKAGE)}", work, on_progress)
            made = _unpacked(work)
            system = _tried(made)
            if kept.is_dir():
                kept.rename(work / "before")
            made.rename(kept)
    return Built(kept, time.monotonic() - began, system)


def _check_tools() -> None:
    if find_spec(PACKAGE) is None:
        raise ModelError(_("Package xllamacpp is missing."), _('pip install "kb-assistant[llama]"'))
    if find_spec("pip") is None:
        raise ModelError(
            _("pip is missing; it does the downloads."), _("{executable} -m ensurepip", executable=sys.executable)
        )
    compiler = os.environ.get("CXX", "").split()[:1] or ["c++", "g++", "clang++"]
    if not shutil.which("cmake") or not any(map(shutil.which, compiler)):
        raise ModelError(
            _("llama.cpp can't be built: CMake or a C++ compiler is missing."),
            _("Install both, as with: sudo apt install cmake g++"),
        )


@contextmanager
def _work(folder: Path) -> Iterator[Path]:
    """A folder to build in; those of killed builds are deleted."""
    for stale in folder.glob(".building-*"):
        shutil.rmtree(stale, ignore_errors=True)
    work = folder / f".building-{os.getpid()}"
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile(source: str, work: Path, on_progress: Callable[[float], None]) -> None:
    """Let pip make a wheel in `work`."""
    lower_priority()
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-input", "--disable-pip-version-check"]
    # A wheel in pip's cache may be another processor's.
    command += ["--no-cache-dir", "--no-deps", "--no-binary", PACKAGE, "-w", str(work / "wheel"), source]
    given = {"TMPDIR": str(work.absolute()), "NPROC": str(max(1, usable_cores() // 2))}
    given["CMAKE_ARGS"] = f"{_OPTIONS} {os.environ.get('CMAKE_ARGS', '')}".strip()
    # A session of its own: Ctrl-C ends it through this process, with all that it started.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | given,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    last: deque[str] = deque(maxlen=_TOLD)
    done = 0
    try:
        assert process.stdout
        for line in process.stdout:
            last.append(line.rstrip())
            if _COMPILED.search(line):
                done += 1
                on_progress(min(0.95, done / _FILES))
        code = process.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if code:
        raise ModelError(
            _("llama.cpp couldn't be built; the packaged engine stays in use."),
            _("The build's last lines: {lines}", lines="\n".join(last)),
        )


def _unpacked(work: Path) -> Path:
    """The folder that holds what the wheel does."""
    try:
        (wheel,) = (work / "wheel").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(work / "made")
    except (ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            _("llama.cpp couldn't be built; the packaged engine stays in use."), _("pip left no wheel")
        ) from error
    return work / "made"


def _tried(folder: Path) -> str:
    """What the engine in a folder says of itself, in a process of its own, which it may end."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRY, str(folder)],
            capture_output=True,
            text=True,
            timeout=_TRY_S,
            check=False,
        )
        said, code = done.stdout, done.returncode
        why = (done.stderr.strip().splitlines() or [_("exit code {code}", code=code)])[-1]
    except subprocess.TimeoutExpired:
        said, code, why = "", 1, _("it didn't answer")
    path, __, system = said.partition(" ")
    if code or not Path(path).is_relative_to(folder):
        raise ModelError(
            _("The engine built in {path} doesn't run: {reason}", path=folder, reason=why),
            _("The packaged engine stays in use. Build it again: kb models build-engine --again"),
        )
    return system.strip()
