"""A machine without torch, or without the GPU that is asked for: every model says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.errors import ModelError
from kb_assistant.llm.memory import estimate
from kb_assistant.llm.open import best_installed
from kb_assistant.llm.torch_chat import TorchChat
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from kb_assistant.torch_runtime import gpu_errors, torch_device
from tests.chatglm2_data import TINY_INT4
from tests.samples import ROOT

CHATGLM2 = Model("m", "chat", TINY_INT4, "", context_tokens=64, template="chatglm2")
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["sentence_transformers"] = sys.modules["transformers"] = None
from pathlib import Path
from kb_assistant.errors import ModelError
from kb_assistant.llm.memory import estimate
from kb_assistant.llm.torch_chat import TorchChat
from kb_assistant.model_folder import Model
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings

folder, home = Path(sys.argv[1]), Path(sys.argv[2])
model = Model("m", "chat", folder, "", context_tokens=64, template="chatglm2")
tries = [lambda engine=engine: ModelHome(home).add(folder, engine=engine) for engine in ("auto", "torch", "llama")]
tries += [lambda: TorchChat(folder=folder, device="cpu").invoke("hi")]
tries += [lambda: estimate(model, Settings(home=home, device="cpu"))]
for one in tries:
    try:
        one()
    except ModelError as error:
        print(error.hint)
"""


def test_without_torch_chatglm2_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, TINY_INT4, tmp_path / "models"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == 5 * 'pip install "kb-assistant[torch]"\n'
    assert not (tmp_path / "models").exists()


@pytest.mark.engine
def test_without_torch_auto_takes_no_model_that_needs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_assistant.llm.open.SMALLEST", 0)
    home = ModelHome(tmp_path)
    home.add(TINY_INT4, "m", engine="torch")
    best = best_installed(home)
    assert best is not None
    assert best.name == "m"
    monkeypatch.setitem(sys.modules, "torch", None)
    assert best_installed(home) is None


@pytest.mark.engine
def test_a_missing_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert torch_device("auto") == "cpu"
    with pytest.raises(ModelError, match="no CUDA device"):
        TorchChat(folder=TINY_INT4, device="cuda").invoke("hi")
    with pytest.raises(ModelError, match="no CUDA device"):
        estimate(CHATGLM2, Settings(home=tmp_path, device="cuda"))


@pytest.mark.engine
def test_the_parents_gpu_is_refused_in_a_fork_and_other_errors_pass() -> None:
    with pytest.raises(ModelError, match="forked from one that uses it") as caught, gpu_errors():
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")
    assert "spawn" in caught.value.hint
    with pytest.raises(RuntimeError, match="shape"), gpu_errors():
        raise RuntimeError("a wrong shape")


@pytest.mark.engine
def test_passages_are_not_embedded_on_the_parents_gpu(models_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess.")

    model = ModelHome(models_home / "models").get("multilingual-e5-small", "embedder")
    embedder = LocalEmbeddings(model, "cpu", by_torch=True)
    monkeypatch.setattr(embedder._network, "encode", refuse)
    with pytest.raises(ModelError, match="forked from one that uses it"):
        embedder.encode_passages(["x"])
