"""What is learned: the answer and its end, after exactly the prompt that the chat uses."""

from __future__ import annotations

import pytest

from kb_assistant.answering.prompts import render
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.chatglm2.prompt import ChatTemplate
from kb_assistant.chatglm2.tokenizer import build_tokenizer
from kb_assistant.llm.base import role_texts
from kb_assistant.training.data import Conversation, Passage
from kb_assistant.training.encode import IGNORED, LARGE, Encoder, Example, TooLong, encoded, encoder_for
from kb_assistant.types import Hit, Locator, Turn
from tests.chatglm2_data import TINY

END = 2


def encoder(limit: int = 0) -> Encoder:
    return encoder_for(read_checkpoint(TINY), limit=limit)


def talk(*said: str, **others: object) -> Conversation:
    roles = ("user", "assistant")
    return Conversation(tuple((roles[i % 2], text) for i, text in enumerate(said)), **others)  # type: ignore[arg-type, misc]


def text_of(ids: tuple[int, ...]) -> str:
    template = encoder().template
    assert isinstance(template, ChatTemplate)
    return b"".join(map(template.token_bytes, ids)).decode()


def one(conversation: Conversation) -> Example:
    (example,) = encoder().encode(conversation)
    assert isinstance(example, Example)
    return example


def test_only_the_answer_and_its_end_are_learned() -> None:
    example = one(talk("年假有几天？", "有十天。"))
    learned = [place for place, label in enumerate(example.labels) if label != IGNORED]
    assert learned == list(range(example.prompt, len(example.ids)))
    assert len(example.labels) == len(example.ids)
    assert example.learned == len(learned)
    assert text_of(example.ids[example.prompt :]) == " 有十天。"
    assert example.ids[-1] == END
    assert END not in example.ids[:-1]
    assert text_of(example.ids[: example.prompt]).endswith("[Round 1]\n\n问：年假有几天？\n\n答：")


def test_every_answer_of_a_conversation_is_learned_after_what_was_said_before() -> None:
    made = list(encoder().encode(talk("甲？", "一。", "乙？", "二。")))
    assert [text_of(one.ids[one.prompt :]) for one in made if isinstance(one, Example)] == [" 一。", " 二。"]
    last = made[1]
    assert isinstance(last, Example)
    expected = "[Round 1]\n\n问：甲？\n\n答：一。\n\n[Round 2]\n\n问：乙？\n\n答："
    assert text_of(last.ids[: last.prompt]).strip() == expected
    assert list(encoder().encode(talk("甲？", "一。", "乙？", "二。", learned="last"))) == made[1:]


def test_the_prompt_is_the_one_of_the_chat() -> None:
    passages = (Passage("Leave is ten days.", "/docs/leave.md", "Leave > Days"), Passage("Tea is free."))
    turns = [Turn("Who signs?", "The director.", cited=())]
    hits = [
        Hit("a", "Leave is ten days.", "/docs/leave.md", Locator(heading="Leave > Days"), 1.0),
        Hit("b", "Tea is free.", "", Locator(), 0.5),
    ]
    given = talk("Who signs?", "The director.", "How long?", "Ten days [1].", style="grounded", passages=passages)
    assert encoder().messages(given) == role_texts(render("How long?", hits, turns, form=LARGE))
    assert (
        "<passage>\n[1] leave.md, Leave > Days\nLeave is ten days.\n</passage>" in encoder().messages(given)[-1][1]
    )
    assert encoder().messages(given, 0) == [("user", "Who signs?")]  # the passages are those of the last question


def test_styles_differ_where_the_chat_says_more_than_the_question() -> None:
    asked = "休暇は何日ですか？"
    assert encoder().messages(talk(asked, "十日です。")) != [("user", asked)]
    assert encoder().messages(talk(asked, "十日です。", style="plain")) == [("user", asked)]


def test_a_system_message_stands_where_the_chat_puts_it() -> None:
    given = Conversation((("system", "You are brief."), ("user", "Why?"), ("assistant", "So.")), "plain")
    assert text_of(one(given).ids).strip() == "[Round 1]\n\n问：You are brief.\n\nWhy?\n\n答： So."


def test_control_tokens_in_a_text_stay_text() -> None:
    example = one(talk("what is </s>?", "the end </s> of it, [gMASK] and sop", style="plain"))
    assert list(example.ids).count(END) == 1
    assert text_of(example.ids[example.prompt :]) == " the end </s> of it, [gMASK] and sop"


def test_nothing_is_cut_what_is_too_long_is_left_out_and_counted() -> None:
    whole = one(talk("年假有几天？", "有十天。", source="a.csv:3"))
    length = len(whole.ids)
    examples, left = encoded([talk("年假有几天？", "有十天。", source="a.csv:3")], encoder(length))
    assert (examples, left) == ([whole], [])
    examples, left = encoded([talk("年假有几天？", "有十天。", source="a.csv:3")], encoder(length - 1))
    assert (examples, left) == ([], [TooLong(length, "a.csv:3")])


def test_a_long_conversation_is_learned_as_far_as_it_fits() -> None:
    said = [text for number in range(200) for text in (f"question {number}", f"answer {number}")]
    examples, left = encoded([talk(*said)], encoder(300))
    assert 1 < len(examples) < 60
    assert len(left) == 1
    assert all(len(one.ids) <= 300 for one in examples)


@pytest.mark.parametrize("answer", ["好", "a\nb", "  two", "𝄞", "\ud800"])
def test_an_answer_is_encoded_by_itself(answer: str) -> None:
    example = one(talk("问？", answer))
    template = encoder().template
    assert isinstance(template, ChatTemplate)
    assert example.ids[example.prompt :] == (*template.encode(answer), END)


def test_the_third_generation_ends_the_line_of_the_role_first() -> None:
    template = ChatTemplate(build_tokenizer(TINY / "tokenizer.model", 3), 3)
    assert template.answer("Yes.") == [*template.encode("\n"), *template.encode("Yes."), END]
