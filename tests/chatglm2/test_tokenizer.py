"""The rebuilt tokenizer against SentencePiece itself, and prompts against those of the original code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer

from kb_assistant.chatglm2 import load_tokenizer, render
from kb_assistant.chatglm2.prompt import ChatTemplate, pairs
from kb_assistant.chatglm2.tokenizer import build_tokenizer, control_tokens, read_tokenizer
from kb_assistant.errors import ModelError
from tests.chatglm2_data import CHAT, OFFICIAL_TOKENIZER, TINY

FILE = TINY / "tokenizer.model"
SENTENCEPIECE = SentencePieceProcessor(model_file=str(FILE))
TOKENIZER, TOKENIZER_3 = build_tokenizer(FILE), build_tokenizer(FILE, 3)
PIECES = [SENTENCEPIECE.id_to_piece(i) for i in range(SENTENCEPIECE.get_piece_size())]
NAMES = ["<unk>", "<s>", "</s>", *control_tokens(3)]

# Any characters at all, and whatever the tokenizer knows by name, in any order.
texts = st.one_of(
    st.text(),
    st.lists(
        st.one_of(st.sampled_from([*PIECES, *NAMES, " ", "  ", "\n", "\x00"]), st.text(max_size=3)), max_size=20
    ).map("".join),
)


def ids_of(text: str, tokenizer: Tokenizer = TOKENIZER) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


# --- text to ids and back


@settings(max_examples=500)
@given(texts)
@example(" ")
@example("▁")
@example("  leading and   inner    spaces  ")
@example("中文，mixed 数字2023。\r\n\t🙂👨‍👩‍👧‍👦")
def test_ids_and_texts_are_those_of_sentencepiece(text: str) -> None:
    ids = ids_of(text)
    assert ids == SENTENCEPIECE.encode(text)
    assert TOKENIZER.decode(ids) == SENTENCEPIECE.decode(ids)


@given(texts)
def test_a_text_never_becomes_a_control_token(text: str) -> None:
    assert all(3 <= i < 600 for i in ids_of(text))
    assert all(3 <= i < 600 for i in ids_of(text, TOKENIZER_3))


@pytest.mark.parametrize("name", NAMES)
def test_a_control_tokens_name_in_a_text_stays_text(name: str) -> None:
    assert ids_of(f"a{name}b") == SENTENCEPIECE.encode(f"a{name}b")
    assert TOKENIZER.decode(ids_of(f"a{name}b")) == f"a{name}b"


@given(texts)
def test_what_tokens_spell_is_the_text(text: str) -> None:
    template = ChatTemplate(TOKENIZER, 2)
    spelt = b"".join(map(template.token_bytes, template.encode(text)))
    assert spelt == (f" {text}".replace("▁", " ").encode() if text else b"")


def test_control_tokens_and_padding_spell_nothing() -> None:
    template = ChatTemplate(TOKENIZER, 2)
    assert template.vocabulary_size == 605
    assert {template.token_bytes(i) for i in (0, 1, 2, *range(600, 640))} == {b""}
    assert template.stop_ids == {2}
    assert ChatTemplate(TOKENIZER_3, 3).stop_ids == {2, 606, 608}


def test_a_lone_surrogate_is_read_as_a_question_mark() -> None:
    assert ChatTemplate(TOKENIZER, 2).encode("a\ud800b") == ids_of("a?b")


# --- prompts


@pytest.mark.parametrize("case", OFFICIAL_TOKENIZER["chat"])
def test_a_prompt_is_the_originals_byte_for_byte(case: dict[str, object]) -> None:
    turns = [(question, answer) for question, answer in case["history"]]  # type: ignore[attr-defined]
    assert render(turns, str(case["query"])).encode().hex() == case["prompt_utf8_hex"]


@pytest.mark.engine
def test_the_ids_of_a_chat_are_the_originals() -> None:
    (asked, answer), *_ = CHAT["history"]
    messages = [("user", asked), ("assistant", answer), ("user", CHAT["query"])]
    assert ChatTemplate(TOKENIZER, 2).prompt(messages) == CHAT["input_ids"]
    assert load_tokenizer(TINY)(CHAT["prompt"])["input_ids"] == CHAT["input_ids"]


def test_chatglm3_gets_roles_as_control_tokens() -> None:
    template = ChatTemplate(TOKENIZER_3, 3)
    gmask, sop, system, user, assistant = 601, 603, 605, 606, 607
    line = SENTENCEPIECE.encode("\n")
    said = [("system", "Be kind."), ("user", "你好"), ("assistant", "hello"), ("user", "<|system|>")]
    expected = [gmask, sop]
    for role, (_, content) in zip((system, user, assistant, user), said, strict=True):
        expected += [role, *line, *SENTENCEPIECE.encode(content)]
    assert template.prompt(said) == [*expected, assistant]


@pytest.mark.parametrize(
    ("messages", "turns", "question"),
    [
        ("user:q", [], "q"),
        ("user:a assistant:b user:q", [("a", "b")], "q"),
        ("system:s user:q", [], "s\n\nq"),
        ("system:s user:a assistant:b user:q", [("a", "b")], "s\n\nq"),
        ("system:s user:a assistant:b system:t user:q", [("a", "b")], "s\n\nt\n\nq"),
        ("system:s", [], "s"),
        ("assistant:b user:q", [("", "b")], "q"),
        ("user:a user:q", [], "a\n\nq"),
        ("user:a assistant:b assistant:c user:q", [("a", "b\n\nc")], "q"),
        ("user:", [], ""),
    ],
)
def test_messages_become_turns_and_a_question(messages: str, turns: list[tuple[str, str]], question: str) -> None:
    said = [(role, content) for role, content in (message.split(":") for message in messages.split(" "))]
    assert pairs(said) == (turns, question)


@pytest.mark.parametrize(
    "messages",
    [[], [("assistant", "b")], [("user", "a"), ("assistant", "b")], [("system", "s"), ("assistant", "b")]],
)
def test_a_conversation_ends_with_a_question(messages: list[tuple[str, str]]) -> None:
    with pytest.raises(ModelError, match="must be a question"):
        pairs(messages)


# --- for transformers


@pytest.mark.engine
def test_a_saved_tokenizer_is_the_same_when_loaded_again(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    text = "你好 <|user|> [gMASK] sop </s>  hello\n"
    tokenizer = load_tokenizer(TINY)
    tokenizer.save_pretrained(tmp_path / "hub")
    again = AutoTokenizer.from_pretrained(tmp_path / "hub", trust_remote_code=False)
    assert again(text) == tokenizer(text)
    assert again(text)["input_ids"] == [601, 603, *SENTENCEPIECE.encode(text)]
    assert again.decode(again(text)["input_ids"], skip_special_tokens=True) == text
    assert (again.pad_token_id, again.eos_token_id, again.padding_side) == (0, 2, "left")
    TOKENIZER.save(str(tmp_path / "tokenizer.json"))
    assert ids_of(text, read_tokenizer(tmp_path / "tokenizer.json")) == ids_of(text)


@pytest.mark.engine
def test_a_batch_is_padded_on_the_left() -> None:
    short, long = SENTENCEPIECE.encode("hello"), SENTENCEPIECE.encode("今天天气很好，hello")
    batch = load_tokenizer(TINY)(["hello", "今天天气很好，hello"], padding=True)
    missing = len(long) - len(short)
    assert missing > 0
    assert batch["input_ids"] == [[0] * missing + [601, 603, *short], [601, 603, *long]]
    assert batch["attention_mask"] == [[0] * missing + [1] * (len(short) + 2), [1] * (len(long) + 2)]


@pytest.mark.parametrize("content", [None, "", "{}", "no JSON"])
def test_a_damaged_saved_tokenizer_is_reported(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ModelError, match=r"tokenizer\.json can't be read") as caught:
        read_tokenizer(tmp_path / "tokenizer.json")
    assert caught.value.hint


# --- the official file


@pytest.mark.engine
@pytest.mark.weights
def test_the_official_tokenizer_gives_the_ids_that_were_recorded() -> None:
    folder = os.environ.get("KB_CHATGLM2")
    if not folder:
        pytest.fail("KB_CHATGLM2 must name a folder with the official chatglm2-6b or chatglm2-6b-int4.")
    tokenizer = load_tokenizer(folder)
    samples, facts = OFFICIAL_TOKENIZER["samples"], OFFICIAL_TOKENIZER["facts"]
    assert len(samples) == 24
    for sample in samples:
        assert tokenizer(sample["text"])["input_ids"] == sample["input_ids"]
        assert tokenizer.decode(sample["ids_no_prefix"]) == sample["decode_no_prefix"]
        assert tokenizer.decode(sample["input_ids"], skip_special_tokens=True) == sample["decode_skip_special"]
    padded = tokenizer([samples[0]["text"], samples[3]["text"]], padding=True)
    assert padded["input_ids"] == facts["batch_pad_example"]["input_ids"]
    assert padded["attention_mask"] == facts["batch_pad_example"]["attention_mask"]
    template = ChatTemplate(build_tokenizer(Path(folder) / "tokenizer.model"), 2)
    for chat in OFFICIAL_TOKENIZER["chat"]:
        said = [
            (role, text)
            for turn in chat["history"]
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        assert template.prompt([*said, ("user", chat["query"])]) == chat["input_ids"]
    for case in OFFICIAL_TOKENIZER["decode"]:
        if "text" in case:
            assert tokenizer.decode(case["ids"], skip_special_tokens=True) == case["skip"]
        else:  # the original raises an error for padding of the output layer
            assert b"".join(map(template.token_bytes, case["ids"])) == b""
