"""Questions from documents and from saved chats: with the passages of a real search, in the prompt of the chat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.answering.prompts import PromptForm
from kb_assistant.chatglm2.checkpoint import read_checkpoint
from kb_assistant.errors import DatasetError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.base import role_texts
from kb_assistant.settings import Settings
from kb_assistant.text.wording import is_refusal
from kb_assistant.training.data import Conversation, read_data, write_data
from kb_assistant.training.encode import Encoder, encoder_for
from kb_assistant.training.mine import from_documents, from_model
from kb_assistant.training.mine_chats import from_chats
from kb_assistant.types import Turn
from kb_assistant.workspace.chats import ChatStore
from tests.chatglm2_data import TINY
from tests.fakes import HashEmbeddings, ScriptedChat

TRAVEL = """# Travel

## How do I book a train?

Book it on the portal. Tickets are sent by mail.

## Costs

Q: Who pays for the hotel?
A: The department pays,
up to 120 euros a night.

Q: Is breakfast included?
A: Yes, it is.

1. 问：打车可以报销吗？
   答：可以，凭发票报销。

## Shoes

Any pair will do.
"""
CANTEEN = "问题,答案\n食堂几点开门？,食堂早上七点开门。\n打印机在哪里？,打印机在二楼走廊尽头。\n"


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "travel.md").write_text(TRAVEL, encoding="utf-8")
    (docs / "canteen.csv").write_text(CANTEEN, encoding="utf-8")
    for n in range(3):
        (docs / f"other{n}.md").write_text(f"# Tides {n}\n\nThe tide table of pier {n} hangs in the hall.\n")
    with KnowledgeBase(Settings(home=tmp_path / "home", refuse_below=0.0), embedder=HashEmbeddings()) as made:
        made.ingest(docs)
        yield made


def told(made: list[Conversation]) -> dict[str, str]:
    return {one.question: one.answer for one in made if not is_refusal(one.answer)}


def test_headings_blocks_and_tables_give_their_answers_with_the_passages_of_a_search(base: KnowledgeBase) -> None:
    made = from_documents(base)
    said = told(made)
    assert set(said) == {
        "How do I book a train?", "Who pays for the hotel?", "Is breakfast included?", "打车可以报销吗？",
        "食堂几点开门？", "打印机在哪里？",
    }  # fmt: skip
    assert said["Who pays for the hotel?"].startswith("The department pays,\nup to 120 euros a night. [")
    assert said["How do I book a train?"].startswith("Book it on the portal. Tickets are sent by mail. [")
    assert said["打车可以报销吗？"].startswith("可以，凭发票报销。 [")
    for one in made:
        if not is_refusal(one.answer):
            answer, _, number = one.answer.rpartition(" [")
            passage = one.passages[int(number.rstrip("]")) - 1]
            assert answer in " ".join([passage.text, passage.text.replace("\n", " ")]) or answer in passage.text
            assert one.group == passage.source
            assert one.style == "grounded"


def test_a_tenth_is_refused_on_passages_without_the_answer(base: KnowledgeBase) -> None:
    made = from_documents(base)
    (refused,) = [one for one in made if is_refusal(one.answer)]
    answer = told(made)[refused.question].rpartition(" [")[0]
    assert refused.passages
    assert not any(answer in passage.text or passage.source == refused.group for passage in refused.passages)


def test_documents_with_readers_of_their_own_are_left_out(base: KnowledgeBase, tmp_path: Path) -> None:
    base.set_readers([tmp_path / "docs" / "travel.md"], ["user:ann"])
    made = from_documents(base)
    assert set(told(made)) == {"食堂几点开门？", "打印机在哪里？"}
    assert not [passage for one in made for passage in one.passages if "travel" in passage.source]


def test_documents_that_ask_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Tides\n\nThe tide is high.\n", encoding="utf-8")
    with KnowledgeBase(Settings(home=tmp_path / "home"), embedder=HashEmbeddings()) as base:
        base.ingest(tmp_path / "a.md")
        with pytest.raises(DatasetError, match="no questions with answers") as refused:
            from_documents(base)
    assert "--write-questions" in refused.value.hint


class Writing(ScriptedChat):
    """Writes a question on the tide table, and answers it from the first passage."""

    question: str

    def _stream(self, messages: Any, *options: Any, **named: Any) -> Any:
        asks = "one question" in str(messages[-1].content)
        self.pieces = [self.question] if asks else ["The tide table of pier 1 hangs in the hall [1]."]
        yield from super()._stream(messages, *options, **named)


@pytest.mark.parametrize(
    ("question", "kept"),
    [("Where hangs the tide table of pier 1?", True), ("Where is the moon?", False), ("Tide table.", False)],
)
def test_a_models_question_is_kept_if_its_passage_is_found_first(
    question: str, kept: bool, base: KnowledgeBase
) -> None:
    chat = Writing(pieces=[], question=question)
    shares: list[float] = []
    with KnowledgeBase(base.settings, embedder=HashEmbeddings(), chat_model=chat) as asking:
        if not kept:
            with pytest.raises(DatasetError, match="wrote no question that holds"):
                from_model(asking, 20, done=shares.append)
            return
        made = from_model(asking, 20, done=shares.append)
    assert shares[-1] == 1.0
    good = told(made)
    assert good == {question: "The tide table of pier 1 hangs in the hall [1]."}


def test_without_a_model_that_writes_it_says_so(base: KnowledgeBase) -> None:
    with pytest.raises(DatasetError, match="No chat model is there") as refused:
        from_model(base, 3)
    assert "--model" in refused.value.hint


def answered(
    base: KnowledgeBase,
    store: ChatStore,
    chat: str,
    question: str,
    pieces: list[str],
    settings: Settings | None = None,
) -> list[Any]:
    """Ask as the page does, save the turn, and give the prompt that the model got."""
    before = [one.turn for one in store.turns(chat) if one.state == "done"]
    model = ScriptedChat(pieces=pieces, native_history=True, full_answers=True)
    with KnowledgeBase(settings or base.settings, embedder=HashEmbeddings(), chat_model=model) as asking:
        turn = store.begin(chat, question)
        reply = asking.ask(question, before)
        text = str(reply)
        store.save(turn, text, "done", {k: v for k, v in reply.to_json().items() if k != "answer"})
        store.keep_prompt(turn, role_texts(reply.prompt))
    return model.prompts


def test_a_turn_with_a_thumb_up_is_learned_in_exactly_the_prompt_it_was_answered_with(
    base: KnowledgeBase, tmp_path: Path
) -> None:
    store = ChatStore(tmp_path / "chats.sqlite")
    chat = store.create("local", "default")
    one_passage = base.settings.but(k=1)  # another one each time, so that no prompt goes on from the last
    answered(base, store, chat.id, "Where is the tide table of pier 1?", ["In the hall [1]."], one_passage)
    (prompt,) = answered(base, store, chat.id, "Is breakfast included there?", ["Yes, it is [1]."], one_passage)
    first, second = store.turns(chat.id)
    assert first.turn == Turn(first.question, first.answer, first.turn.hits)
    store.rate(chat.id, second.id, 1)
    (one,) = from_chats(base, store, ["local"]).good
    encoder = encoder_for(read_checkpoint(TINY), base.settings)
    assert encoder.messages(one) == role_texts(prompt)
    assert len(list(encoder.encode(one))) == 1  # the turn before isn't rated
    assert (one.answer, one.group) == (second.answer, f"chat {chat.id}")


@pytest.fixture
def went_on(base: KnowledgeBase, tmp_path: Path) -> tuple[ChatStore, str, list[Any]]:
    """Chats, the id of one whose second turn went on from the first and is rated, and the second's prompt."""
    store = ChatStore(tmp_path / "chats.sqlite")
    chat = store.create("local", "default").id
    answered(base, store, chat, "Who pays for the hotel?", ["The department pays [1]."])
    (prompt,) = answered(base, store, chat, "Is breakfast included there?", ["Yes, it is [1]."])
    assert len(prompt) == 3
    assert "<passage>" in prompt[0].text, "the first message is as it was, with its passages"
    store.rate(chat, store.turns(chat)[1].id, 1)
    return store, chat, prompt


def test_a_turn_whose_prompt_went_on_from_the_last_is_learned_in_that_very_prompt(
    base: KnowledgeBase, went_on: tuple[ChatStore, str, list[Any]], tmp_path: Path
) -> None:
    store, _chat, prompt = went_on
    (one,) = from_chats(base, store, ["local"]).good
    encoder = encoder_for(read_checkpoint(TINY), base.settings)
    write_data(tmp_path / "data.jsonl", [one])
    assert read_data(tmp_path / "data.jsonl") == [one]
    assert encoder.messages(one) == role_texts(prompt)
    assert (one.question, one.answer) == ("Is breakfast included there?", "Yes, it is [1].")


def begun_anew(base: KnowledgeBase, store: ChatStore) -> None:
    (one,) = from_chats(base, store, ["local"]).good
    assert not one.prompt
    *_, (_, asked) = encoder_for(read_checkpoint(TINY), base.settings).messages(one)
    assert asked.count("<passage>") == len(one.passages)
    assert "Is breakfast included there?" in asked


def test_a_turn_of_an_earlier_version_is_learned_as_if_begun_anew(
    base: KnowledgeBase, went_on: tuple[ChatStore, str, list[Any]]
) -> None:
    store, chat, prompt = went_on
    second = store.turns(chat)[1].id
    text = "\n".join(f"--- {role}\n{said}" for role, said in role_texts(prompt))
    assert store.prompt(chat, second) == text
    with sqlite3.connect(store.file) as db:  # as it was kept before
        db.execute("UPDATE prompts SET prompt = ? WHERE turn = ?", (text, second))
    assert store.prompt(chat, second) == text
    begun_anew(base, store)


def test_what_was_asked_again_since_is_not_learned_with_the_turn_after_it(
    base: KnowledgeBase, went_on: tuple[ChatStore, str, list[Any]]
) -> None:
    store, chat, _prompt = went_on
    first = store.turns(chat)[0]
    store.save(first.id, "The guest pays [1].", "done", first.reply)
    begun_anew(base, store)


def test_a_prompt_that_asks_as_the_chat_does_no_more_is_rendered_anew(
    base: KnowledgeBase, went_on: tuple[ChatStore, str, list[Any]]
) -> None:
    store, _chat, prompt = went_on
    (one,) = from_chats(base, store, ["local"]).good
    for changed, same in (
        ({}, True),
        ({"role": "You are the desk of Tidewell."}, False),
        ({"answer_length": "short"}, False),
        ({"answer_language": "fr"}, False),
        ({"prompt_template": "Read this.\n{passages}\n{question}"}, False),
    ):
        messages = encoder_for(read_checkpoint(TINY), base.settings.but(**changed)).messages(one)
        assert (messages == role_texts(prompt)) == same, changed
    small = Encoder(encoder_for(read_checkpoint(TINY)).template, PromptForm())
    assert small.messages(one) != role_texts(prompt)


def test_a_turn_after_an_answer_from_a_document_with_readers_is_not_learned(
    base: KnowledgeBase, tmp_path: Path
) -> None:
    store = ChatStore(tmp_path / "chats.sqlite")
    chat = store.create("local", "default")
    one_passage = base.settings.but(k=1)
    answered(base, store, chat.id, "Who pays for the hotel?", ["The department pays [1]."], one_passage)
    tides = ["The tide table of pier 1 hangs in the hall [1]."]
    answered(base, store, chat.id, "And where is the tide table of pier 1?", tides, one_passage)
    second = store.turns(chat.id)[1]
    cited = second.reply["hits"][:1]  # without the other passages, the first document's among them
    assert "other1" in cited[0]["source"]
    store.save(second.id, second.answer, "done", {**second.reply, "hits": cited})
    store.rate(chat.id, second.id, 1)
    (one,) = from_chats(base, store, ["local"]).good
    assert "The department pays" in one.turns[0][1]
    base.set_readers([tmp_path / "docs" / "travel.md"], ["user:ann"])
    found = from_chats(base, store, ["local"])
    assert (found.good, list(found.left_out.values())) == ([], [1])
    assert "readers of its own" in next(iter(found.left_out))


def test_what_isnt_fit_to_learn_is_told_by_its_reason(base: KnowledgeBase, tmp_path: Path) -> None:
    store = ChatStore(tmp_path / "chats.sqlite")
    chat = store.create("local", "default")
    others = store.create("ann", "default")
    elsewhere = store.create("local", "another")
    for where, pieces in (
        (chat, ["Nobody knows the colour of the moon over Leeds [1]."]),  # not supported
        (chat, ["The department pays [1]."]),  # thumb down
        (chat, ["The department pays [1]."]),  # the document changes below
        (others, ["The department pays [1]."]),
        (elsewhere, ["The department pays [1]."]),
    ):
        answered(base, store, where.id, "Who pays for the hotel?", pieces)
    first, second, third = store.turns(chat.id)
    for where, turn, rating in (
        (chat, first, 1), (chat, second, -1), (chat, third, 1),
        (others, store.turns(others.id)[0], 1), (elsewhere, store.turns(elsewhere.id)[0], 1),
    ):  # fmt: skip
        store.rate(where.id, turn.id, rating)
    found = from_chats(base, store, ["local"])
    assert len(found.good) == 1
    assert list(found.left_out.values()) == [1]
    assert [one["question"] for one in found.wrong] == ["Who pays for the hotel?"]
    assert len(from_chats(base, store, ["local", "ann"]).good) == 2
    travel = tmp_path / "docs" / "travel.md"
    travel.write_text(TRAVEL.replace("120 euros", "90 euros"), encoding="utf-8")
    base.ingest(tmp_path / "docs")
    found = from_chats(base, store, ["local"])
    assert (found.good, sum(found.left_out.values())) == ([], 2)
    assert any("isn't in the index any more" in reason for reason in found.left_out)
    with pytest.raises(DatasetError, match="thumb"):
        from_chats(base, store, ["nobody"])
