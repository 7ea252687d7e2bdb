"""A process that forks after a model was loaded: both go on, and both end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chatglm2_data import TINY_INT4
from tests.forking import run_forking

pytestmark = pytest.mark.engine

LLAMA = """
from pathlib import Path
from kb_assistant.llm.llamacpp import LlamaCppChat
chat = LlamaCppChat(model_path=Path(sys.argv[1]), context_tokens=256, max_tokens=6, threads=2)
"""


def test_a_child_loads_a_gguf_file_for_itself(models_home: Path) -> None:
    code = LLAMA + (
        "told = chat.invoke('Say hello.').text\n"
        "def act():\n"
        "    assert chat.invoke('Say hello.').text == told\n"
        "    print('told again', flush=True)\n"
        "fork(act)\n"
        "assert chat.invoke('Say hello.').text == told\n"
    )
    assert run_forking(code, smollm(models_home)) == "told again\n"


def test_a_child_that_asks_nothing_ends(models_home: Path) -> None:
    """The engine's destructors wait for threads that the child doesn't have."""
    code = LLAMA + (
        "chat.invoke('Say hello.')\ndef act():\n    global chat\n    del chat\nfork(act)\nfork(lambda: None)\n"
    )
    run_forking(code, smollm(models_home))


def test_a_child_cannot_go_on_with_its_parents_answer(models_home: Path) -> None:
    code = LLAMA + (
        "from kb_assistant.errors import ModelError\n"
        "stream = chat.bind(max_tokens=24).stream('Tell me a story.')\n"
        "next(stream)\n"
        "def act():\n"
        "    try:\n"
        "        list(stream)\n"
        "    except ModelError as error:\n"
        "        print(error.message, flush=True)\n"
        "fork(act)\n"
        "assert list(stream)\n"
    )
    assert run_forking(code, smollm(models_home)) == "A forked process can't go on with its parent's answer.\n"


def test_torch_answers_in_a_child_with_the_model_of_its_parent_and_with_one_of_its_own() -> None:
    code = (
        "from pathlib import Path\n"
        "import torch\n"
        "from kb_assistant.llm.torch_chat import TorchChat\n"
        "def chat(context):\n"
        "    return TorchChat(folder=Path(sys.argv[1]), context_tokens=context, max_tokens=6, temperature=0,\n"
        "                     device='cpu')\n"
        "torch.set_num_threads(4)\n"
        "torch.randn(4_000_000).exp().sum()  # torch's helper threads have begun\n"
        "mine = chat(128)\n"
        "told = mine.invoke('hi').text\n"
        "def act():\n"
        "    assert mine.invoke('hi').text == told\n"
        "    assert chat(64).invoke('hi').text == told\n"
        "    torch.randn(4_000_000).exp().sum()\n"
        "fork(act)\n"
    )
    run_forking(code, TINY_INT4)


def smollm(models_home: Path) -> Path:
    return next((models_home / "models" / "smollm2-135m-instruct").glob("*.gguf"))
