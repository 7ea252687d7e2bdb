"""ChatGLM2 as a chat model, by both engines: the same answers, streaming, stopping, remembering."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.chatglm2.tokenizer import build_tokenizer
from kb_assistant.errors import ModelError
from kb_assistant.llm.base import LocalChat, Sampling
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.llm.torch_chat import TorchChat
from kb_assistant.llm.torch_engine import TorchEngine, _Detokenizer
from kb_assistant.models.home import ModelHome
from tests.chatglm2_data import CHAT, TINY, TINY_INT4, as_bin, tensors
from tests.llm.conformance import LocalConformance
from tests.waiting import ProcessorTime

pytestmark = pytest.mark.engine

GOLDEN: list[BaseMessage] = [HumanMessage("hello"), AIMessage("world"), HumanMessage("今天天气很好")]
STORY: list[BaseMessage] = [HumanMessage("很好的内容")]


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in F32, written for llama.cpp."""
    home = ModelHome(tmp_path_factory.mktemp("glm") / "models")
    return home.add(TINY, engine="llama", precision="f32").path


def opened(engine: str, gguf: Path, **options: Any) -> LocalChat:
    options = {"context_tokens": 1024, "max_tokens": 24, "temperature": 0, "threads": 1} | options
    if engine == "torch":
        return TorchChat(folder=TINY, quantize="none", device="cpu", **options)
    return LlamaCppChat(model_path=gguf, tokenizer_path=gguf.with_name("tokenizer.json"), **options)


@pytest.fixture(params=["llama", "torch"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def chat(engine: str, gguf: Path) -> LocalChat:
    return opened(engine, gguf)


def cached(message: BaseMessage) -> int:
    assert isinstance(message, AIMessage)
    assert message.usage_metadata is not None
    return message.usage_metadata["input_token_details"]["cache_read"]


def test_a_conversation_is_answered_as_by_the_original(engine: str, gguf: Path) -> None:
    chat = opened(engine, gguf, max_tokens=CHAT["max_length"] - len(CHAT["input_ids"]))
    answer = chat.invoke(GOLDEN)
    assert answer.text.strip() == CHAT["response"].strip()
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == len(CHAT["input_ids"])
    assert answer.usage_metadata["output_tokens"] == len(CHAT["generated_ids"])
    assert answer.response_metadata["finish_reason"] == "length"


def test_a_stream_is_the_answer_in_pieces_and_says_what_it_cost(chat: LocalChat) -> None:
    whole = AIMessageChunk(content="")
    chunks = list(chat.stream(GOLDEN))
    for chunk in chunks:
        whole += chunk
    assert len(chunks) > 5
    assert whole.text == chat.invoke(GOLDEN).text
    assert chunks[-1].chunk_position == "last"
    assert whole.response_metadata["timings"]["predicted_per_second"] > 0
    assert whole.response_metadata["timings"]["prompt_ms"] > 0


def test_it_samples_as_the_original_does_unless_told_otherwise(engine: str, gguf: Path) -> None:
    chat = opened(engine, gguf, temperature=None)
    chosen = (chat.temperature, chat.top_p, chat.top_k, chat.repeat_penalty)
    assert chosen == (0.8, 0.8, 50, 1.0)


def test_a_seed_decides_a_sampled_answer(chat: LocalChat) -> None:
    def told(seed: int) -> str:
        return str(chat.bind(temperature=1.5, top_p=1.0, seed=seed).invoke(STORY).text)

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_a_repetition_penalty_keeps_words_from_coming_back(chat: LocalChat) -> None:
    plain, varied = (
        chat.bind(repeat_penalty=penalty, max_tokens=80).invoke(GOLDEN).text for penalty in (1.0, 1.8)
    )
    assert plain.count("内容") > 2
    assert varied.count("内容") < plain.count("内容")


def test_few_candidates_make_a_hot_answer_tame(chat: LocalChat) -> None:
    greedy = chat.invoke(GOLDEN).text
    for one_candidate in ({"top_k": 1}, {"top_p": 0.0001}):
        assert chat.bind(temperature=2.0, **one_candidate).invoke(GOLDEN).text == greedy


def test_stop_ends_an_answer_and_is_no_part_of_it(chat: LocalChat) -> None:
    whole = chat.bind(max_tokens=60).invoke(GOLDEN).text
    word = whole[8:11]
    stopped = chat.bind(max_tokens=60).invoke(GOLDEN, stop=["never said", word])
    assert stopped.text == whole[: whole.index(word)]
    assert stopped.response_metadata["finish_reason"] == "stop"


@pytest.fixture(scope="module")
def ending(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, made to end its answer where it would say its sixth token."""
    weights = tensors(TINY)
    output = weights["transformer.output_layer.weight"].clone()
    output[2] = 1.2 * output[CHAT["generated_ids"][5]]
    weights["transformer.output_layer.weight"] = output
    return as_bin(TINY, tmp_path_factory.mktemp("ending") / "ending", weights)


def test_an_answer_ends_at_the_models_own_end(engine: str, ending: Path, tmp_path: Path) -> None:
    if engine == "torch":
        chat: LocalChat = TorchChat(folder=ending, quantize="none", temperature=0, max_tokens=60)
    else:
        file = ModelHome(tmp_path / "models").add(ending, engine="llama", precision="f32").path
        chat = LlamaCppChat(
            model_path=file, tokenizer_path=file.with_name("tokenizer.json"), temperature=0, max_tokens=60
        )
    answer = chat.invoke(GOLDEN)
    assert answer.response_metadata["finish_reason"] == "stop"
    assert CHAT["response"].strip().startswith(answer.text)
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata is not None
    assert 1 <= answer.usage_metadata["output_tokens"] <= 6


def test_the_next_turn_reads_only_what_is_new(chat: LocalChat) -> None:
    first = chat.get_num_tokens_from_messages(GOLDEN)
    chat.invoke(GOLDEN)
    more = [*GOLDEN, AIMessage("很好"), HumanMessage("hello")]
    answer = chat.invoke(more)
    assert first - 1 <= cached(answer) < chat.get_num_tokens_from_messages(more)


def test_two_conversations_in_turn_each_keep_their_own_prefix(chat: LocalChat) -> None:
    one: list[BaseMessage] = [HumanMessage("内容 " * 30)]
    other: list[BaseMessage] = [HumanMessage("weather " * 30)]
    for conversation in (one, other):
        chat.invoke(conversation)
    for conversation in (one, other):
        longer = [*conversation, AIMessage("好"), HumanMessage("hello")]
        assert cached(chat.invoke(longer)) >= chat.get_num_tokens_from_messages(conversation) - 1


def test_a_prefix_that_was_kept_changes_no_answer(engine: str, gguf: Path) -> None:
    chat = opened(engine, gguf, context_tokens=1000 if engine == "torch" else 1024)
    more = [*GOLDEN, AIMessage("很好"), HumanMessage("hello")]
    fresh = opened(engine, gguf, context_tokens=999 if engine == "torch" else 1008).invoke(more)
    chat.invoke(GOLDEN)
    assert chat.invoke(more).text == fresh.text


def test_cancelling_ends_within_a_token(chat: LocalChat) -> None:
    said: list[str] = []
    for chunk in chat.stream(GOLDEN, max_tokens=900, cancelled=lambda: len(said) >= 3):
        if chunk.text:
            said.append(chunk.text)
    assert 3 <= len(said) <= 4


def test_a_waiting_request_can_be_cancelled(chat: LocalChat) -> None:
    busy = chat.stream(GOLDEN, max_tokens=900)
    next(busy)
    clock = ProcessorTime()
    assert "".join(c.text for c in chat.stream(STORY, cancelled=lambda: True)) == ""
    assert clock.seconds < 2
    busy.close()  # type: ignore[attr-defined]
    assert chat.invoke(STORY).text


def test_sessions_at_once_each_get_their_own_answer(chat: LocalChat) -> None:
    prompts = ["hello", "很好", "weather", "内容"]
    alone = [chat.invoke(prompt).text for prompt in prompts]
    together: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda p: together.update({p: chat.invoke(p).text}), args=(p,)) for p in prompts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[prompt] for prompt in prompts] == alone


def test_one_model_is_loaded_once(gguf: Path) -> None:
    one, other = (opened("torch", gguf, temperature=value) for value in (0.1, 0.9))
    assert isinstance(one, TorchChat)
    assert isinstance(other, TorchChat)
    assert one.engine is other.engine
    assert TorchChat(folder=TINY_INT4, device="cpu", context_tokens=1024).engine is not one.engine


def test_a_prompt_longer_than_the_context_says_both_numbers(chat: LocalChat) -> None:
    messages: list[BaseMessage] = [HumanMessage("hello " * 1100)]
    count = chat.get_num_tokens_from_messages(messages)
    with pytest.raises(ModelError, match=rf"has {count} tokens; the context holds 1024") as caught:
        chat.invoke(messages)
    assert "context_tokens" in caught.value.hint
    assert chat.invoke(STORY).text


def test_prompts_are_counted_exactly(chat: LocalChat) -> None:
    for messages in (GOLDEN, STORY, [SystemMessage("Be brief."), HumanMessage("")], [HumanMessage("[gMASK]</s>")]):
        answer = chat.bind(max_tokens=1).invoke(messages)
        assert isinstance(answer, AIMessage)
        assert answer.usage_metadata is not None
        assert chat.get_num_tokens_from_messages(messages) == answer.usage_metadata["input_tokens"]
    assert chat.get_num_tokens("") == 0


def test_without_a_limit_the_context_ends_the_answer(engine: str, gguf: Path) -> None:
    answer = opened(engine, gguf, max_tokens=None, context_tokens=256).invoke(GOLDEN)
    assert isinstance(answer, AIMessage)
    assert answer.usage_metadata is not None
    assert 250 <= answer.usage_metadata["total_tokens"] <= 257
    assert answer.response_metadata["finish_reason"] == "length"


@pytest.mark.parametrize("quantize", ["none", "int4"])
def test_official_int4_weights_answer(quantize: str) -> None:
    chat = TorchChat(folder=TINY_INT4, quantize=quantize, device="cpu", temperature=0, max_tokens=8)
    assert chat.invoke(GOLDEN).text


def template() -> ChatTemplate:
    return ChatTemplate(build_tokenizer(TINY / "tokenizer.model"), 2)


@pytest.mark.parametrize("text", ["灯塔🙂", "a é 灯", " 灯  塔"])
def test_characters_in_several_tokens_come_whole(text: str) -> None:
    spelt = _Detokenizer(template(), ())
    shown = [spelt.feed(3 + byte) for byte in text.encode()]
    assert "".join(shown) == text.lstrip()
    assert all(piece in ("", *text) for piece in shown)


def test_half_a_character_at_the_end_is_left_out() -> None:
    spelt = _Detokenizer(template(), ())
    assert "".join(spelt.feed(3 + byte) for byte in "灯塔".encode()[:-1]) + spelt.rest() == "灯"


@pytest.mark.parametrize(
    ("stop", "shown"), [(["bcd"], "a"), (["cdx"], "abcde"), (["e", "bc"], "a"), ([""], "abcde")]
)
def test_a_stop_word_split_over_tokens_is_found_and_what_only_looks_like_one_is_shown(
    stop: list[str], shown: str
) -> None:
    spelt = _Detokenizer(template(), stop)
    said = ""
    for byte in b"abcde":
        said += spelt.feed(3 + byte)
        if spelt.stopped:
            break
    assert said + spelt.rest() == shown


def test_arithmetic_that_overflows_is_an_error(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = opened("torch", gguf, context_tokens=512)
    monkeypatch.setattr(TorchEngine, "_forward", lambda *_: torch.full((1, 640), float("nan")))
    with pytest.raises(ModelError, match="overflowed"):
        chat.invoke(STORY)


def test_an_error_amid_a_prompt_leaves_nothing_behind_to_go_on_from(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layers' keys may differ in length then."""
    chat = opened("torch", gguf, context_tokens=500)
    expected = chat.invoke(STORY).text
    real, calls = TorchEngine._forward, []

    def broken(self: TorchEngine, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB\nand much more")
        return real(self, *arguments)

    monkeypatch.setattr(TorchEngine, "_forward", broken)
    with pytest.raises(ModelError, match=r"too small: tried to allocate 2 GiB$") as caught:
        chat.invoke(GOLDEN)
    assert "quantize" in caught.value.hint
    assert cached(chat.invoke(GOLDEN)) <= 11, "only how every conversation begins"
    assert chat.invoke(STORY).text == expected


def test_the_defaults_of_sampling_are_those_of_the_official_chat() -> None:
    assert Sampling() == Sampling(temperature=0.8, top_p=0.8, top_k=50, repeat_penalty=1.0, max_tokens=None)


class Torch(LocalConformance):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return TorchChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"folder": TINY, "quantize": "none", "device": "cpu", "context_tokens": 1024}


class TestUnitConformance(Torch, ChatModelUnitTests):
    pass


class TestIntegrationConformance(Torch, ChatModelIntegrationTests):
    pass


class TestLlamaConformance(LocalConformance, ChatModelIntegrationTests):
    """The same suite for a ChatGLM2 file that llama.cpp runs."""

    path: Path

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _path(cls, gguf: Path) -> None:
        cls.path = gguf

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        tokenizer = self.path.with_name("tokenizer.json")
        return {"model_path": self.path, "tokenizer_path": tokenizer, "context_tokens": 1024, "threads": 1}
