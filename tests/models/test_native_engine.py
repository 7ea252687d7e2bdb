"""The engine built for this processor: made beside the packaged one, taken where it runs, and never in its way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kb_assistant.errors import BusyError, ModelError
from kb_assistant.lock import writing
from kb_assistant.models import native_engine
from kb_assistant.models.native_engine import build_engine, engine_folder
from tests.waiting import PATIENCE, until

ENGINE = "def get_system_info():\n    return 'CPU : AVX512 = 1 | '\n"
BACKEND = """
import os, pathlib, sys, time, zipfile

INFO = "xllamacpp-9.9.dist-info"

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    made = pathlib.Path(folder, INFO)
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\\nName: xllamacpp\\nVersion: 9.9\\n")
    (made / "WHEEL").write_text("Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return INFO

def build_wheel(folder, config_settings=None, metadata_directory=None):
    print("with", os.environ["CMAKE_ARGS"], "by", os.environ["NPROC"])
    for number in range(20):
        print(f"  [ 10%] Building CXX object one{number}.cpp.o", flush=True)
    {then}
    with zipfile.ZipFile(pathlib.Path(folder, "xllamacpp-9.9-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("xllamacpp/__init__.py", {engine!r})
        for name in ("METADATA", "WHEEL"):
            wheel.write(pathlib.Path(metadata_directory, name), f"{INFO}/{name}")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "xllamacpp-9.9-py3-none-any.whl"
"""


def source(folder: Path, engine: str = ENGINE, then: str = "pass") -> str:
    """A package whose build makes an engine of one Python file."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    code = BACKEND.replace("{then}", then).replace("{engine!r}", repr(engine))
    (folder / "backend.py").write_text(textwrap.dedent(code))
    return str(folder)


@pytest.fixture(autouse=True)
def _tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that has CMake and a compiler; the processes that build keep this one's priority."""
    monkeypatch.setattr(native_engine.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(native_engine, "lower_priority", lambda: None)


def left(home: Path) -> set[str]:
    """What a build leaves, but for its locks."""
    return {file.name for file in (home / "engines").iterdir() if not file.name.startswith("build.")}


def used(home: Path) -> str:
    """What a process takes for the engine that prefers this home's."""
    code = (
        "import sys; from pathlib import Path\n"
        "from kb_assistant.models.native_engine import import_engine, prefer\n"
        "prefer(Path(sys.argv[1])); engine = import_engine(); print(engine.__file__, len(sys.path))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True)
    return done.stdout


def test_a_build_is_kept_and_taken(tmp_path: Path) -> None:
    home, shares = tmp_path / "home", list[float]()
    built = build_engine(home, shares.append, source=source(tmp_path / "source"))
    assert built.path == engine_folder(home)
    assert built.system == "CPU : AVX512 = 1 |"
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
    assert left(home) == {built.path.name}
    assert used(home).startswith(str(built.path))
    again = build_engine(home, source="/nowhere")
    assert (again.path, again.seconds) == (built.path, 0.0)


def test_what_fails_to_build_leaves_the_packaged_engine(tmp_path: Path) -> None:
    broken = source(tmp_path / "source", then="sys.exit('error: no such instruction')")
    with pytest.raises(ModelError, match="couldn't be built") as failed:
        build_engine(tmp_path / "home", source=broken)
    assert "no such instruction" in failed.value.hint
    assert left(tmp_path / "home") == set()
    assert "site-packages" in used(tmp_path / "home")


@pytest.mark.parametrize("engine", ["import os; os.kill(os.getpid(), 4)", "raise ImportError('GLIBC')", "x = 1"])
def test_what_does_not_run_is_not_kept(tmp_path: Path, engine: str) -> None:
    with pytest.raises(ModelError, match="doesn't run"):
        build_engine(tmp_path / "home", source=source(tmp_path / "source", engine))
    assert left(tmp_path / "home") == set()


def test_a_worse_build_does_not_replace_a_good_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    good = build_engine(home, source=source(tmp_path / "source"))
    with pytest.raises(ModelError):
        build_engine(home, again=True, source=source(tmp_path / "bad", "1 / 0"))
    assert used(home).startswith(str(good.path))
    better = build_engine(home, again=True, source=source(tmp_path / "better", ENGINE + "new = 1\n"))
    assert "new = 1" in (better.path / "xllamacpp" / "__init__.py").read_text()
    assert left(home) == {good.path.name}


def test_a_damaged_build_is_passed_over(tmp_path: Path) -> None:
    package = engine_folder(tmp_path) / "xllamacpp"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import missing")
    said = used(tmp_path)
    assert "site-packages" in said
    assert str(tmp_path) not in said


def test_another_processor_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = build_engine(tmp_path / "home", source=source(tmp_path / "source")).path
    monkeypatch.setattr(native_engine, "cpu_flags", lambda: {"avx2"})
    assert engine_folder(tmp_path / "home") != here
    assert not engine_folder(tmp_path / "home").exists()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_stopped_it_leaves_nothing_in_the_way(tmp_path: Path, sent: signal.Signals) -> None:
    home, began = tmp_path / "home", tmp_path / "began"
    slow = source(tmp_path / "source", then=f"open({str(began)!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    code = "import sys; from pathlib import Path; from kb_assistant.models import native_engine as n\n"
    code += "n._check_tools = lambda: None; n.build_engine(Path(sys.argv[1]), source=sys.argv[2])"
    with subprocess.Popen([sys.executable, "-c", code, str(home), slow], stderr=subprocess.DEVNULL) as process:
        until(lambda: began.exists() and began.read_text() != "")
        process.send_signal(sent)
        process.wait(PATIENCE)
    builder = int(began.read_text())
    if sent == signal.SIGINT:
        until(lambda: not _runs(builder))
        assert left(home) == set()
    else:
        os.kill(builder, signal.SIGKILL)
    built = build_engine(home, source=source(tmp_path / "quick"))
    assert left(home) == {built.path.name}


def test_two_do_not_build_at_once(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    ready = tmp_path / "ready"
    code = (
        "import sys, time; from pathlib import Path; from kb_assistant.lock import writing\n"
        "with writing(Path(sys.argv[1]), 0, 'the engine', 'build'): Path(sys.argv[2]).touch(); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "engines"), str(ready)]) as other:
        until(ready.exists)
        with pytest.raises(BusyError):
            build_engine(tmp_path, source=source(tmp_path / "source"))
        other.kill()
    with writing(tmp_path / "engines", 0, "the engine", "build"):
        pass


def test_without_tools_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_engine.shutil, "which", lambda name: None if name == "cmake" else name)
    with pytest.raises(ModelError, match="CMake") as failed:
        build_engine(tmp_path)
    assert "apt install cmake" in failed.value.hint


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_the_real_one_builds_and_answers(tmp_path: Path, models_home: Path) -> None:
    command = [sys.executable, "-m", "kb_assistant"]
    done = subprocess.run(
        [*command, "models", "build-engine", "--json", "--home", str(tmp_path)], capture_output=True, check=False
    )
    if b"CMake" in done.stdout:
        pytest.skip("no compiler here")
    told = json.loads(done.stdout)
    assert used(tmp_path).startswith(told["path"])
    code = (
        "import sys; from pathlib import Path; from kb_assistant.llm.llama_server import open_server\n"
        "from kb_assistant.models.native_engine import prefer; prefer(Path(sys.argv[1]))\n"
        "server = open_server(Path(sys.argv[2]), 512, 1); print(server.tokens('hello', control=False))"
    )
    (model,) = (models_home / "models" / "smollm2-135m-instruct").glob("*.gguf")
    answered = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(model)], capture_output=True, check=True
    )
    assert json.loads(answered.stdout)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
