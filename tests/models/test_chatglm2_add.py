"""`kb models add` on official folders: what is said, what is made, and what happens when it is broken off."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.gguf_writer import Precision, write_gguf
from kb_assistant.errors import BusyError, ModelError
from kb_assistant.models.chatglm2_add import Engine, choose_engine
from kb_assistant.models.home import ModelHome
from tests.chatglm2_data import TINY, TINY_INT4, copied
from tests.shell import kb, kb_process

pytestmark = pytest.mark.engine

# Adds a folder as "m", telling the share that is written; amid it, it waits for its input to end.
WAITING = """
import sys
from pathlib import Path
from kb_assistant.models.home import ModelHome
def tell(share):
    print(share, flush=True)
    if share > 0.3:
        sys.stdin.read()
ModelHome(Path(sys.argv[1])).add(Path(sys.argv[2]), "m", engine="llama", on_progress=tell)
"""


@pytest.fixture
def models_dir(tmp_path: Path) -> ModelHome:
    return ModelHome(tmp_path / "home" / "models")


def converted(source: Path, file: Path, kind: Precision = "q4_0") -> bytes:
    """The file as it is written without a break."""
    write_gguf(read_checkpoint(source), file, kind)
    return file.read_bytes()


@contextmanager
def adding(models: ModelHome, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is amid adding the folder as "m"."""
    command = [sys.executable, "-c", WAITING, str(models.folder), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if float(line) > 0.3:
                break
        yield process
        process.communicate()


# --- both engines


def test_for_llama_cpp_the_folder_is_written_anew(models_dir: ModelHome, tmp_path: Path) -> None:
    said: list[str] = []
    told: list[float] = []
    model = models_dir.add(TINY_INT4, engine="llama", on_message=said.append, on_progress=told.append)
    assert said == [
        "ChatGLM2, 1 million parameters, INT4, 0.00 GB, context 8,192 tokens (at most 32,768).",
        "Its weights have a licence of their own, which limits some uses: read MODEL_LICENSE in its folder.",
        f"Writing it for llama.cpp into {models_dir.folder / 'tiny-chatglm2-int4'}. "
        "Broken off, the same command goes on.",
    ]
    assert (told[0], told[-1]) == (0, 1)
    assert (model.name, model.kind, model.template, model.languages) == (
        *("tiny-chatglm2-int4", "chat", "chatglm2"),
        ("zh", "en"),
    )
    assert (model.context_tokens, model.longest_context) == (8192, 32768)
    assert model.path == models_dir.folder / "tiny-chatglm2-int4" / "model.gguf"
    assert model.path.read_bytes() == converted(TINY_INT4, tmp_path / "m.gguf")
    assert sorted(file.name for file in model.path.parent.iterdir()) == [
        *("model.gguf", "model.json", "tokenizer.json")
    ]
    assert shown(models_dir) == ["tiny-chatglm2-int4"]
    assert models_dir.get("tiny-chatglm2-int4", "chat") == model == models_dir.installed()[0]


def test_for_torch_it_stays_where_it_lies(models_dir: ModelHome) -> None:
    said: list[str] = []
    model = models_dir.add(TINY_INT4, "mine", engine="torch", on_message=said.append)
    assert said[-1] == "It will be run by torch, from where it lies."
    assert (model.name, model.path, model.template) == ("mine", TINY_INT4, "chatglm2")
    assert [file.name for file in (models_dir.folder / "mine").iterdir()] == ["model.json"]
    assert models_dir.get("mine", "chat") == model
    assert models_dir.get(str(TINY_INT4), "chat").sha256 == model.sha256
    models_dir.remove("mine")
    assert (TINY_INT4 / "pytorch_model.bin").is_file()


@pytest.mark.parametrize(
    ("wanted", "cuda", "llama", "chosen"),
    [
        ("auto", False, True, "llama"),
        ("auto", True, True, "torch"),
        ("auto", False, False, "torch"),
        ("llama", True, True, "llama"),
        ("torch", False, True, "torch"),
    ],
)
def test_the_engine_is_the_one_that_is_there(
    monkeypatch: pytest.MonkeyPatch, wanted: Engine, cuda: bool, llama: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr("kb_assistant.models.chatglm2_add.is_installed", lambda _: llama)
    assert choose_engine(wanted) == chosen


def test_a_missing_engine_says_how_to_install_it(models_dir: ModelHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.models.chatglm2_add.is_installed", lambda _: False)
    with pytest.raises(ModelError, match=r"llama\.cpp is missing") as caught:
        models_dir.add(TINY_INT4, engine="llama")
    assert caught.value.hint == 'pip install "kb-assistant[llama]"'
    assert not models_dir.folder.exists()


@pytest.mark.parametrize("kind", ["q4_0", "q8_0", "f16", "f32"])
def test_a_float_folder_gets_the_precision_asked_for(
    models_dir: ModelHome, tmp_path: Path, kind: Precision
) -> None:
    model = models_dir.add(TINY, "m", engine="llama", precision=kind)
    assert model.path.read_bytes() == converted(TINY, tmp_path / "m.gguf", kind)


def test_chatglm3_is_known_as_such(models_dir: ModelHome, tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "three", _name_or_path="THUDM/chatglm3-6b")
    said: list[str] = []
    assert {
        models_dir.add(folder, name, engine=name, on_message=said.append).template for name in ("torch", "llama")
    } == {"chatglm3"}
    assert said[0].startswith("ChatGLM3, ")


def test_a_taken_name_is_refused_before_anything_is_written(models_dir: ModelHome) -> None:
    models_dir.add(TINY, "m", engine="torch")
    with pytest.raises(ModelError, match="'m' is already there") as caught:
        models_dir.add(TINY_INT4, "m", engine="llama")
    assert "kb models rm m" in caught.value.hint
    assert [entry.name for entry in models_dir.folder.iterdir() if entry.is_dir()] == ["m"]


def test_a_folder_that_may_only_be_read_is_left_as_it_is(models_dir: ModelHome, tmp_path: Path) -> None:
    folder = copied(TINY_INT4, tmp_path / "read only")
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder, *folder.iterdir())}
    for engine in ("llama", "torch"):
        models_dir.add(folder, engine, engine=engine)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in (folder, *folder.iterdir())} == before
    folder.chmod(0o755)


# --- broken off


def test_an_add_that_was_killed_goes_on(models_dir: ModelHome, tmp_path: Path) -> None:
    with adding(models_dir, TINY_INT4) as process:
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert models_dir.installed() == []
    told: list[float] = []
    model = models_dir.add(TINY_INT4, "m", engine="llama", on_progress=told.append)
    assert 0 < told[0] < 1
    assert model.path.read_bytes() == converted(TINY_INT4, tmp_path / "m.gguf")
    assert shown(models_dir) == ["m"]


def shown(models: ModelHome) -> list[str]:
    """The names in a folder of models, without what it keeps for itself."""
    return [entry.name for entry in models.folder.iterdir() if not entry.name.startswith(".")]


def interrupted(models: ModelHome, source: Path, name: str = "m") -> None:
    """Leave an add unfinished, as Ctrl-C does."""

    def interrupt(share: float) -> None:
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        models.add(source, name, engine="llama", on_progress=interrupt)


def test_an_unfinished_add_can_be_removed(models_dir: ModelHome) -> None:
    interrupted(models_dir, TINY_INT4)
    assert models_dir.installed() == []
    assert list(models_dir.folder.iterdir()) == [models_dir.folder / ".add-m"]
    done = kb("models", "rm", "m", home=models_dir.folder.parent)
    assert (done.code, done.stdout) == (0, "m removed\n")
    assert list(models_dir.folder.iterdir()) == []
    assert kb("models", "rm", "m", home=models_dir.folder.parent).code == 2


@pytest.mark.parametrize("written", ["partly", "whole"])
def test_what_an_unfinished_add_of_another_folder_left_is_not_taken(
    models_dir: ModelHome, tmp_path: Path, written: str
) -> None:
    interrupted(models_dir, TINY)
    if written == "whole":  # broken off while the file was read for its fingerprint
        left = models_dir.folder / ".add-m" / "model"
        (left / "model.gguf.part").unlink()
        converted(TINY, left / "model.gguf")
    model = models_dir.add(TINY_INT4, "m", engine="llama")
    assert model.path.read_bytes() == converted(TINY_INT4, tmp_path / "m.gguf")


def test_a_written_file_of_the_same_folder_is_not_written_again(models_dir: ModelHome) -> None:
    interrupted(models_dir, TINY_INT4)
    left = models_dir.folder / ".add-m" / "model"
    whole = converted(TINY_INT4, left / "model.gguf")
    told: list[float] = []
    model = models_dir.add(TINY_INT4, "m", engine="llama", on_progress=told.append)
    assert all(share > 0.9 for share in told)
    assert model.path.read_bytes() == whole


def test_a_second_add_at_the_same_time_is_refused(models_dir: ModelHome, tmp_path: Path) -> None:
    with adding(models_dir, TINY_INT4) as process:
        with pytest.raises(BusyError, match=rf"writing to the model 'm': process {process.pid}"):
            models_dir.add(TINY_INT4, "m", engine="llama")
        models_dir.add(TINY_INT4, "other", engine="llama")
    assert process.returncode == 0
    assert [model.name for model in models_dir.installed()] == ["m", "other"]
    assert models_dir.get("m", "chat").path.read_bytes() == converted(TINY_INT4, tmp_path / "m.gguf")


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_disk_that_fills_up_is_reported_and_the_add_goes_on_later(tmp_path: Path) -> None:
    """The largest file that may be written stands for the disk."""
    home = tmp_path / "home"
    arguments = ("models", "add", TINY_INT4, "--name", "m", "--engine", "llama")
    done = kb_process(*arguments, home=home, before=["prlimit", "--fsize=400000"])
    assert done.code == 2
    assert "kb: m can't be written: " in done.stderr
    assert "Traceback" not in done.stderr
    assert kb(*arguments, home=home).code == 0
    assert (home / "models" / "m" / "model.gguf").read_bytes() == converted(TINY_INT4, tmp_path / "m.gguf")


# --- the command


@pytest.mark.parametrize("engine", ["llama", "torch"])
def test_the_command_says_what_it_does_and_gives_json(tmp_path: Path, engine: str) -> None:
    folder = copied(TINY_INT4, tmp_path / "我的 模型" / "chatglm2 量化")
    arguments = ("models", "add", folder, "--name", "问答", "--engine", engine)
    done = kb(*arguments, "--json", home=tmp_path / "家 1")
    path = folder if engine == "torch" else tmp_path / "家 1" / "models" / "问答" / "model.gguf"
    assert (done.code, done.json) == (
        0,
        {
            "name": "问答",
            "kind": "chat",
            "installed": True,
            "licence": "ChatGLM model licence",
            "languages": ["zh", "en"],
            "context_tokens": 8192,
            "path": str(path),
        },
    )
    assert "ChatGLM2, 1 million parameters, INT4" in done.stderr
    assert done.json in kb("models", "list", "--json", home=tmp_path / "家 1").json
    assert kb(*arguments, home=tmp_path / "家 1").code == 2
    assert kb(*arguments, home=tmp_path / "家 2").stdout.startswith("问答: chat, ")


def test_the_folders_name_is_the_models_where_it_can_be(tmp_path: Path) -> None:
    named = kb("models", "add", copied(TINY_INT4, tmp_path / "模型-6b.int4"), home=tmp_path / "home")
    assert named.stdout.startswith("模型-6b.int4: chat, ")
    spaced = kb("models", "add", copied(TINY_INT4, tmp_path / "my model"), home=tmp_path / "home")
    assert (spaced.code, spaced.stdout) == (2, "")
    assert "'my model' can't name a model" in spaced.stderr


@pytest.mark.parametrize("engine", ["llama", "torch"])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b'{"model_type": "chatglm"}', "holds ChatGLM-6B, the first generation"),
        ("config.json", b"{", "config.json can't be read"),
        ("tokenizer.model", None, "has no tokenizer.model"),
        ("pytorch_model.bin", None, "has no weights"),
    ],
)
def test_a_folder_that_cannot_be_used_is_an_error_and_leaves_no_model(
    tmp_path: Path, engine: str, file: str, content: bytes | None, message: str
) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    done = kb("models", "add", folder, "--engine", engine, "--json", home=tmp_path / "home")
    assert done.code == 2
    assert message in done.json["error"]
    assert done.json["hint"]
    assert ModelHome(tmp_path / "home" / "models").installed() == []


@pytest.mark.parametrize("engine", ["llama", "torch"])
@pytest.mark.parametrize("file", ["tokenizer.model", "pytorch_model.bin"])
def test_a_damaged_file_is_an_error_and_leaves_no_model(tmp_path: Path, engine: str, file: str) -> None:
    folder = copied(TINY_INT4, tmp_path / "m")
    (folder / file).write_bytes((folder / file).read_bytes()[:5000])
    done = kb("models", "add", folder, "--engine", engine, "--json", home=tmp_path / "home")
    assert done.code == 2
    assert f"{file} is damaged" in done.json["error"]
    assert done.json["hint"]
    assert ModelHome(tmp_path / "home" / "models").installed() == []


def test_the_path_that_add_printed_is_the_model_with_its_prompts(tmp_path: Path) -> None:
    """The file alone doesn't say how ChatGLM2 is asked; a file of the same form elsewhere is another model."""
    models = ModelHome(tmp_path / "models")
    added = models.add(TINY_INT4, "glm", engine="llama")
    assert models.get(str(added.path), "chat") == models.get("glm", "chat")
    assert models.get(str(added.path), "chat").template == "chatglm2"
    elsewhere = Path(shutil.copy(added.path, tmp_path / "model.gguf"))
    assert models.get(str(elsewhere), "chat").template == ""
