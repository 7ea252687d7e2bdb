"""`kb bundle`: a folder that installs without a network.

The fast tests pack a tiny project that stands in for this one, with dependencies of its own; `make test-slow`
packs this one, installs it where there is no network, and asks it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.namespaces import namespace
from tests.samples import SAMPLE_DOCS
from tests.shell import KB, Done, kb_process
from tests.waiting import PATIENCE

SETTINGS = """
import os
from pathlib import Path
import tiny_part

class Settings:
    @classmethod
    def load(cls):
        return cls()
    models_dir = Path(os.environ["KB_HOME"]) / "models"
"""


def write_wheel(folder: Path, name: str, files: dict[str, bytes], *metadata: str, version: str = "1.0") -> Path:
    """A wheel of these files, with these lines of METADATA."""
    stem = f"{name.replace('-', '_')}-{version}"
    head = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *metadata]
    members = {
        **files,
        f"{stem}.dist-info/METADATA": ("\n".join(head) + "\n").encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{one},,\n" for one in (*members, f"{stem}.dist-info/RECORD"))
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for member, content in {**members, f"{stem}.dist-info/RECORD": record.encode()}.items():
            archive.writestr(member, content)
    return folder / f"{stem}-py3-none-any.whl"


class Shop:
    """A home with two small models, a wheel to pack, and an index that holds what it needs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.index = folder, folder / "home", folder / "index"
        package = {"kb_assistant/__init__.py": b"", "kb_assistant/settings.py": SETTINGS.encode()}
        self.wheel = write_wheel(
            folder / "own",
            "kb-assistant",
            package,
            "Requires-Dist: tiny-part>=1",
            "Provides-Extra: cpu",
            'Requires-Dist: tiny-more; extra == "cpu"',
            "Provides-Extra: gpu",
        )
        for name in ("tiny-part", "tiny-more"):
            write_wheel(self.index, name, {f"{name.replace('-', '_')}.py": random.Random(name).randbytes(600_000)})
        (self.index / "tiny_part-1.0-py3-none-any.whl").unlink()
        write_wheel(self.index, "tiny-part", {"tiny_part.py": b""})
        weights = folder / "elsewhere" / "small.gguf"
        weights.parent.mkdir()
        weights.write_bytes(b"GGUF" + bytes(range(256)))
        for name in ("small", "second"):
            done = self.run("models", "add", weights, "--name", name)
            assert done.code == 0, done.stderr

    def environment(self) -> dict[str, str]:
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.index)}
        return own | {"PIP_CONSTRAINT": "", "HOME": str(self.folder)}

    def run(self, *arguments: str | Path) -> Done:
        return kb_process(*arguments, home=self.home, env=self.environment())

    def bundle(self, folder: Path, *more: str | Path) -> Done:
        return self.run("bundle", folder, "--wheel", self.wheel, "--extra", "cpu", *more)


def install(bundle: Path, target: Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Its script, in a network namespace without a network."""
    if not namespace():
        pytest.skip("this system allows no network namespace")
    return subprocess.run(
        [*namespace(), "/bin/sh", str(bundle / "install.sh"), str(target)],
        env={"PATH": os.environ["PATH"], "HOME": str(home.parent), "KB_HOME": str(home), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def digests(bundle: Path) -> dict[str, str]:
    rows = [line.split("  ", 1) for line in (bundle / "SHA256SUMS").read_text().splitlines()]
    return {name: digest for digest, name in rows}


def is_whole(bundle: Path) -> bool:
    """Every file is listed with its digest, and nothing else is there."""
    files = {file.relative_to(bundle).as_posix(): file for file in bundle.rglob("*") if file.is_file()}
    del files["SHA256SUMS"]
    return digests(bundle) == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def made(shop: Shop) -> Path:
    """A bundle; not to be written into."""
    done = shop.bundle(shop.folder / "made", "--json")
    assert done.code == 0, done.stderr
    told = done.json
    assert (told["extras"], told["wheels"], told["models"]) == (["cpu"], 3, ["second", "small"])
    assert told["sha256"] == hashlib.sha256((shop.folder / "made" / "SHA256SUMS").read_bytes()).hexdigest()
    return shop.folder / "made"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy"))


def test_it_installs_without_a_network_and_again_changes_nothing(made: Path, tmp_path: Path) -> None:
    assert is_whole(made)
    target, home = tmp_path / "new env", tmp_path / "home"
    for _ in range(2):
        done = install(made, target, home)
        assert done.returncode == 0, done.stderr
        assert len(list(target.glob("lib/*/site-packages/tiny_*.py"))) == 2, "the extra's package, too"
    weights = home / "models" / "small" / "small.gguf"
    assert weights.read_bytes().startswith(b"GGUF")
    assert json.loads((weights.parent / "model.json").read_text())["path"] == "small.gguf"
    assert kb_process("models", "rm", "small", home=home).code == 0, "it is a model of this home"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("models/small/small.gguf", "Damaged or missing: models/small/small.gguf"),
        ("wheels/tiny_part-1.0-py3-none-any.whl", "Damaged or missing: wheels/tiny_part"),
        ("requirements.txt", "Damaged or missing: requirements.txt"),
        ("SHA256SUMS", "Damaged or missing"),
    ],
)
def test_a_damaged_file_is_refused(copy: Path, tmp_path: Path, what: str, said: str) -> None:
    content = bytearray((copy / what).read_bytes())
    content[3] ^= 1
    (copy / what).write_bytes(content)
    refuses(copy, tmp_path, said)


@pytest.mark.parametrize(
    ("what", "said"),
    [("wheels/tiny_part-1.0-py3-none-any.whl", "Damaged or missing"), ("SHA256SUMS", "isn't complete")],
)
def test_a_missing_file_is_refused(copy: Path, tmp_path: Path, what: str, said: str) -> None:
    (copy / what).unlink()
    refuses(copy, tmp_path, said)


def test_an_added_file_is_refused(copy: Path, tmp_path: Path) -> None:
    write_wheel(copy / "wheels", "tiny-part", {}, version="9.0")
    refuses(copy, tmp_path, "wheels/ and models/ hold")


def test_an_empty_list_and_another_system_are_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "SHA256SUMS").write_text("")
    refuses(copy, tmp_path, "Nothing was installed.")


def refuses(bundle: Path, tmp_path: Path, said: str) -> None:
    done = install(bundle, tmp_path / "env", tmp_path / "home")
    assert done.returncode == 1
    assert said in done.stderr, done.stderr
    assert not (tmp_path / "env").exists()
    assert not (tmp_path / "home").exists()


def test_a_folder_with_something_else_stays_as_it_is(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "letters.txt"):
        done = shop.bundle(folder)
        assert done.code == 2
        assert "Name " in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["letters.txt"]


def test_the_environment_is_made_in_no_foreign_folder(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters.txt").write_text("mine")
    done = install(made, tmp_path / "mine", tmp_path / "home")
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["letters.txt"]


def test_run_again_it_mends_what_is_damaged_and_drops_what_is_no_longer_wanted(shop: Shop, copy: Path) -> None:
    before = digests(copy)
    (copy / "wheels" / "tiny_more-1.0-py3-none-any.whl").write_bytes(b"half")
    (copy / "models" / "small" / "small.gguf").write_bytes(b"GG")
    (copy / "models" / "small" / "stray.txt").write_text("stray")
    (copy / "wheels" / "stray.whl").write_text("stray")
    assert shop.bundle(copy).code == 0
    assert (digests(copy), is_whole(copy)) == (before, True)
    assert shop.bundle(copy, "--model", "second").code == 0
    assert set(before) - set(digests(copy)) == {"models/small/small.gguf", "models/small/model.json"}


def test_killed_at_any_moment_it_is_incomplete_and_goes_on(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    command = [KB, "bundle", folder, "--wheel", shop.wheel, "--extra", "cpu"]
    for moment in (
        folder / "bundle.json",
        folder / "wheels" / "tiny_part-1.0-py3-none-any.whl",
        folder / "models",
    ):
        process = subprocess.Popen(
            [str(part) for part in command],
            env=os.environ | shop.environment() | {"KB_HOME": str(shop.home)},
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        while process.poll() is None and not moment.exists():
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert moment.exists()
    for left in (".install.sh.0", "models/small/.small.gguf.part"):
        (folder / left).parent.mkdir(parents=True, exist_ok=True)
        (folder / left).write_bytes(b"a part")
    assert shop.bundle(folder).code == 0
    assert is_whole(folder)


def test_a_folder_that_was_not_marked_yet_is_taken_again(shop: Shop, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    (folder / ".work").mkdir(parents=True)
    (folder / ".bundle.json.0").touch()
    assert shop.bundle(folder).code == 0
    assert is_whole(folder)


@pytest.fixture
def full_disk(tmp_path: Path) -> list[str]:
    """What to put before a command that fills `tmp_path / "disk"`: a real disk of 300 KB."""
    (tmp_path / "disk").mkdir()
    mount = f'mount -t tmpfs -o size=300k x "{tmp_path}/disk" && exec "$@"'
    before = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*before, "true"], capture_output=True).returncode:
        pytest.skip("this system allows no mount namespace")
    return before


@pytest.mark.parametrize("what", ["own", "package", "model"])
def test_a_full_disk_is_told(shop: Shop, tmp_path: Path, full_disk: list[str], what: str) -> None:
    wheel, more = shop.wheel, ["--no-models"]
    if what == "own":
        wheel = write_wheel(tmp_path / "own", "kb-assistant", {"x": bytes(400_000)})
    elif what == "package":
        more += ["--extra", "cpu"]
    else:
        (tmp_path / "big.gguf").write_bytes(b"GGUF" + bytes(400_000))
        more = ["--model", str(tmp_path / "big.gguf")]
    arguments = ["bundle", tmp_path / "disk" / "bundle", "--wheel", wheel, *more]
    done = kb_process(*arguments, home=shop.home, env=shop.environment(), before=full_disk)
    assert done.code == 2
    assert ("No space left" in done.stderr) or ("are needed" in done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("extras", "said"), [(["nonsense"], "There is no extra 'nonsense'"), (["cpu", "gpu"], "exclude each other")]
)
def test_extras_that_are_none_or_exclude_each_other(
    shop: Shop, tmp_path: Path, extras: list[str], said: str
) -> None:
    flags = [word for extra in extras for word in ("--extra", extra)]
    done = shop.run("bundle", tmp_path / "bundle", "--wheel", shop.wheel, *flags)
    assert (done.code, said in done.stderr) == (2, True), done.stderr


def test_a_package_that_no_index_has_and_a_model_that_isnt_there(shop: Shop, tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path / "own", "kb-assistant", {}, "Requires-Dist: tiny-missing", "Provides-Extra: cpu")
    done = shop.run("bundle", tmp_path / "bundle", "--wheel", wheel, "--extra", "cpu")
    assert (done.code, "tiny-missing" in done.stderr) == (2, True), done.stderr
    done = shop.bundle(tmp_path / "other", "--model", "nonsense")
    assert (done.code, "'nonsense' isn't installed" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
@pytest.mark.engine
def test_this_program_installs_and_answers_without_a_network(models_home: Path, tmp_path: Path) -> None:
    bundle, target, home = tmp_path / "bundle", tmp_path / "env", tmp_path / "home"
    done = kb_process("bundle", bundle, "--extra", "cpu", "--extra", "llama", home=models_home)
    assert done.code == 0, done.stderr
    assert is_whole(bundle)
    assert install(bundle, target, home).returncode == 0

    def offline(*arguments: str | Path) -> str:
        ended = subprocess.run(
            [*namespace(), str(target / "bin" / "kb"), *map(str, arguments), "--home", str(home)],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert "failed" not in offline("ingest", SAMPLE_DOCS)
    assert "Okafor" in offline("ask", "Who founded the Aldersea Station?")

    # What was installed from a wheel packs that wheel again.
    again = tmp_path / "again"
    ended = subprocess.run(
        [target / "bin" / "kb", "bundle", again, "--no-models", "--home", home, "--extra", "cpu"]
    )
    assert ended.returncode == 0
    first, second = (next((one / "wheels").glob("kb_assistant-*.whl")) for one in (bundle, again))
    with zipfile.ZipFile(first) as one, zipfile.ZipFile(second) as two:
        assert set(one.namelist()) == set(two.namelist())
    done = install(again, tmp_path / "env2", tmp_path / "home2")
    assert done.returncode == 0, done.stderr
