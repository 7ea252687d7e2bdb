from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from kb_assistant.errors import ModelError
from kb_assistant.llm import open as opening
from kb_assistant.llm.capabilities import count_tokens, full_answers, languages, native_history
from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.llm.open import open_chat_model, who_answers
from kb_assistant.models.home import ModelHome
from kb_assistant.settings import Settings
from tests.waiting import PATIENCE

SMOL = "smollm2-135m-instruct"


@pytest.fixture
def settings(models_home: Path) -> Settings:
    return Settings(home=models_home, threads=1, context_tokens=1024, max_tokens=16)


@pytest.fixture
def models(settings: Settings) -> ModelHome:
    return ModelHome(settings.models_dir)


def test_extract_gets_the_embeddings(settings: Settings, models: ModelHome) -> None:
    embeddings = object()
    model = open_chat_model(settings.but(model="extract"), models, embeddings)
    assert isinstance(model, ExtractChat)
    assert model.embeddings is embeddings
    assert languages(model) == ()


def test_auto_takes_the_largest_installed_chat_model(
    settings: Settings, models: ModelHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SMALLEST", 0)
    model = open_chat_model(settings, models, None)
    assert isinstance(model, LlamaCppChat)
    assert model.model_name == SMOL
    assert languages(model) == ("en",)
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    copy = ModelHome(tmp_path / "models")
    copy.add(tmp_path / "tiny.gguf")
    copy.add(models.get(SMOL, "chat").path, "larger")
    chosen = open_chat_model(settings, copy, None)
    assert isinstance(chosen, LlamaCppChat)
    assert chosen.model_name == "larger"


def test_auto_quotes_rather_than_ask_a_very_small_model(settings: Settings, models: ModelHome) -> None:
    assert isinstance(open_chat_model(settings, models, None), ExtractChat)
    assert who_answers(settings, models) == ("extract", "quotes")


def test_auto_quotes_where_nothing_can_write(
    settings: Settings, models: ModelHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(open_chat_model(settings, ModelHome(tmp_path), None), ExtractChat)
    monkeypatch.setattr(opening, "is_installed", lambda _: False)
    with pytest.raises(ModelError) as caught:
        open_chat_model(settings.but(model=SMOL), models, None)
    assert caught.value.hint == 'pip install "kb-assistant[llama]"'


def test_who_answers_is_told_without_opening_it(settings: Settings, models: ModelHome, tmp_path: Path) -> None:
    assert who_answers(settings.but(model=SMOL), models) == (SMOL, "llama.cpp")
    assert who_answers(settings, ModelHome(tmp_path)) == ("extract", "quotes")
    assert who_answers(settings.but(model="extract"), models) == ("extract", "quotes")
    assert who_answers(settings.but(model="openai:qwen"), models) == ("qwen", "openai")
    with pytest.raises(ModelError):
        who_answers(settings.but(model="none"), models)


def test_a_name_or_a_path_opens_the_file_with_the_settings(settings: Settings, models: ModelHome) -> None:
    path = models.get(SMOL, "chat").path
    for name in (SMOL, str(path)):
        model = open_chat_model(settings.but(model=name, temperature=0.5, seed=3), models, None)
        assert isinstance(model, LlamaCppChat)
        assert (model.model_path, model.context_tokens, model.max_tokens) == (path, 1024, 16)
        assert (model.temperature, model.seed, model.threads) == (0.5, 3, 1)


def test_the_context_is_no_longer_than_the_model_allows(settings: Settings, models: ModelHome) -> None:
    model = open_chat_model(settings.but(model=SMOL, context_tokens=100_000), models, None)
    assert isinstance(model, LlamaCppChat)
    assert model.context_tokens == models.get(SMOL, "chat").context_tokens == 8192


def test_what_is_no_chat_model_is_refused(settings: Settings, models: ModelHome) -> None:
    with pytest.raises(ModelError, match="isn't installed"):
        open_chat_model(settings.but(model="nothing"), models, None)
    with pytest.raises(ModelError, match="is not a chat model"):
        open_chat_model(settings.but(model="multilingual-e5-small"), models, None)


def test_a_server_that_speaks_the_openai_api_answers(
    settings: Settings, models: ModelHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other server is real: the engine's own port. A proxy that is set must not see the question."""
    local = open_chat_model(settings.but(model=SMOL), models, None)
    assert isinstance(local, LlamaCppChat)
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", local.server.key)
    remote = open_chat_model(
        settings.but(model=f"openai:{SMOL}", base_url=f"{local.server.address}/v1"), models, None
    )
    question: list[BaseMessage] = [HumanMessage("Repeat the word river.")]
    assert "".join(chunk.text for chunk in remote.stream(question)) == local.invoke(question).text
    assert languages(remote) == ()


def test_a_server_on_this_machine_needs_no_key(
    settings: Settings, models: ModelHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for address in ("http://127.0.0.1:9/v1", "http://localhost:9/v1", "http://[::1]:9/v1"):
        open_chat_model(settings.but(model="openai:x", base_url=address), models, None)
    with pytest.raises(ModelError, match="wants an API key") as caught:
        open_chat_model(settings.but(model="openai:x", base_url="https://example.org/v1"), models, None)
    assert "OPENAI_API_KEY" in caught.value.hint


def test_a_missing_or_unknown_provider_says_what_to_do(
    settings: Settings, models: ModelHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with pytest.raises(ModelError) as caught:
        open_chat_model(settings.but(model="anthropic:x"), models, None)
    assert caught.value.hint == "pip install langchain-anthropic"
    with pytest.raises(ModelError, match="Unsupported"):
        open_chat_model(settings.but(model="nobody:x"), models, None)


def test_a_foreign_models_tokens_are_estimated(settings: Settings, models: ModelHome) -> None:
    foreign = FakeListChatModel(responses=["x"])
    messages: list[BaseMessage] = [SystemMessage("abcd"), HumanMessage("灯塔 lamp")]
    assert count_tokens(foreign, messages) == (8 + 2) + (8 + 2 + 2)
    assert count_tokens(foreign, []) == 0
    local = open_chat_model(settings.but(model=SMOL), models, None)
    prose = "The lamp of the lighthouse is seen from far away when the night is clear and the sea is calm. "
    assert count_tokens(foreign, [HumanMessage(prose * 9)]) > local.get_num_tokens(prose * 9)


def test_own_models_count_exactly(settings: Settings, models: ModelHome) -> None:
    messages: list[BaseMessage] = [HumanMessage("Who keeps the lighthouse?")]
    local = open_chat_model(settings.but(model=SMOL), models, None)
    usage = local.invoke(messages).usage_metadata
    assert usage is not None
    assert count_tokens(local, messages) == usage["input_tokens"]
    assert count_tokens(ExtractChat(), messages) == 0


def test_importing_loads_no_engine() -> None:
    code = (
        "import sys, kb_assistant.llm\n"
        "heavy = {'xllamacpp', 'torch', 'transformers', 'langchain_core', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_a_provider_brings_is_no_small_model(settings: Settings, models: ModelHome) -> None:
    served = open_chat_model(settings.but(model="openai:x", base_url="http://localhost:9/v1"), models, None)
    given = FakeListChatModel(responses=["x"])
    assert [(native_history(model), full_answers(model)) for model in (served, given)] == [(True, True)] * 2
    small = open_chat_model(settings.but(model=SMOL), models, None)
    quotes = open_chat_model(settings.but(model="extract"), models, None)
    assert [(native_history(model), full_answers(model)) for model in (small, quotes)] == [(False, False)] * 2


@pytest.mark.parametrize(
    ("columns", "bits", "is_large"),
    [(1_543_714_304, 4, True), (1_543_714_304, 16, True), (999_885_952, 4, True), (494_032_768, 16, False)],
)
def test_a_model_is_large_by_its_weights_however_many_bits_they_have(
    tmp_path: Path, columns: int, bits: int, is_large: bool
) -> None:
    """The sizes are those of Qwen2.5-1.5B, Gemma 3 1B and Qwen2.5-0.5B: a file of any may take 1 GB."""
    file = gguf_file(tmp_path / "m.gguf", columns // 32, 32, bits)
    with file.open("r+b") as opened:
        opened.truncate(columns * bits // 8)  # a hole, no bytes on disk
    model = LlamaCppChat(model_path=file)
    assert (native_history(model), full_answers(model)) == (is_large, is_large)


def test_a_file_that_cannot_be_read_is_a_small_model_until_it_is_loaded(tmp_path: Path) -> None:
    assert not native_history(LlamaCppChat(model_path=tmp_path / "none.gguf"))


def gguf_file(path: Path, rows: int, columns: int, bits: int) -> Path:
    """The header of a file with one matrix."""
    kind = {4: GGMLQuantizationType.Q4_0, 16: GGMLQuantizationType.F16}[bits]
    writer = GGUFWriter(path, "llama")
    writer.add_tensor_info("token_embd.weight", (rows, columns), np.dtype(np.float32), 0, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    return path
