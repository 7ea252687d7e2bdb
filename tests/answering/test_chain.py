"""One turn: what is known before the first word, what a stop leaves, what an error leaves; and as a runnable."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableLambda

from kb_assistant.answering.history import history_from, turns
from kb_assistant.answering.reply import Reply
from kb_assistant.errors import ModelError, QuestionError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.llm.llamacpp import LlamaCppChat
from kb_assistant.retrieval.relevance import CERTAIN, REFUSE
from kb_assistant.retrieval.result import Thresholds
from kb_assistant.settings import Settings
from kb_assistant.store.compatibility import require_embedder
from kb_assistant.text.wording import CHINESE, ENGLISH, TRADITIONAL
from kb_assistant.types import Dropped, Turn, Usage
from tests.fakes import HashEmbeddings, ScriptedChat

FILES = {
    "tower.md": "# Tower\n\nThe tower is 34 metres high. Its lamp flashes white.\n",
    "founder.md": "# Founder\n\nThe cooperative was founded by Alasdair Munn in 1962.\n",
    "鸟.md": "# 参观\n\n观鸟塔周三至周日6:30至11:30开放。\n",
}
ASKED = "How high is the tower?"


@pytest.fixture(scope="module")
def docs_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain")
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    with KnowledgeBase(Settings(home=folder / "home", readers=1), embedder=HashEmbeddings()) as base:  # type: ignore[arg-type]
        base.ingest([folder / name for name in FILES])
    return folder / "home"


def base_with(
    home: Path, model: Any, refuse_below: float = 0, uncertain_below: float = 0, **settings: Any
) -> KnowledgeBase:
    embedder: Any = HashEmbeddings()
    options: dict[str, Any] = {"refuse_below": refuse_below, "uncertain_below": uncertain_below, **settings}
    return KnowledgeBase(Settings(home=home, **options), embedder=embedder, chat_model=model)


def scripted(*pieces: str | Exception, **more: Any) -> ScriptedChat:
    return ScriptedChat(pieces=list(pieces), **more)


def test_what_was_found_is_there_before_the_model_is_asked(docs_home: Path) -> None:
    model = scripted("The tower is 34 metres high [1].")
    with base_with(docs_home, model) as base:
        reply = base.ask(ASKED)
        assert model.prompts == []
        assert Path(reply.hits[0].source).name == "tower.md"
        assert reply.query == ASKED
        assert reply.queries == (ASKED,)
        assert reply.dropped == Dropped()
        assert reply.note == ""
        assert reply.answer == "The tower is 34 metres high [1]."
    assert len(model.prompts) == 1


def test_where_there_is_nothing_to_search_no_passages_are_promised(docs_home: Path) -> None:
    with base_with(docs_home, scripted()) as base:
        reply = base.ask("How high is the tower?", where=["type=pdf"])
        assert (reply.answer, reply.refused, reply.hits) == (ENGLISH.nothing, True, ())
        assert base.ask("塔有多高？", where=["type=pdf"]).answer == CHINESE.nothing


def test_the_answer_streams_and_its_pieces_are_the_answer(docs_home: Path) -> None:
    model = scripted("The tower ", "is 34 metres", " high", " [1]", ". Bye now")
    with base_with(docs_home, model) as base:
        reply = base.ask(ASKED)
        first = next(iter(reply))
        assert (first, model.said) == ("The tower", 1), "shown before the model has said more"
        pieces = [first, *reply]
    assert len(pieces) > 3
    assert "".join(pieces) == reply.answer == str(reply) == "The tower is 34 metres high [1]. Bye now"


def test_citations_turn_and_json_wait_for_the_end(docs_home: Path) -> None:
    with base_with(docs_home, scripted("The tower is 34 metres high [1]. [9]")) as base:
        reply = base.ask(ASKED)
        citations = reply.citations
        assert [(citation.n, citation.supported) for citation in citations] == [(1, True)]
        assert citations[0].hit == reply.hits[0]
        assert reply.turn == Turn(ASKED, "The tower is 34 metres high [1]. [9]", (reply.hits[0],))
        assert reply.refused is False
        assert reply.to_json()["answer"] == reply.answer
        assert list(reply) == [], "it is told once"


def test_a_stop_keeps_what_was_said(docs_home: Path) -> None:
    model = scripted("The tower", " is 34 metres", " high [1].", " And so on", " and on.")
    with base_with(docs_home, model) as base:
        reply = base.ask(ASKED)
        said = []
        for piece in reply:
            said.append(piece)
            if len(said) == 2:
                reply.stop()
        assert reply.stopped
        assert "".join(said) == reply.answer
        assert reply.answer.startswith("The tower is 34 metres")
        assert "on and on" not in reply.answer
        assert model.said < 5, "the model isn't asked on"
        assert reply.turn == Turn(ASKED, reply.answer, tuple(citation.hit for citation in reply.citations))
        assert reply.to_json()["stopped"] is True


def test_a_stop_may_come_from_another_thread_and_before_the_first_word(docs_home: Path) -> None:
    model = scripted("One ", "two ", "three ")
    with base_with(docs_home, model) as base:
        reply = base.ask(ASKED)
        thread = threading.Thread(target=reply.stop)
        thread.start()
        thread.join()
        assert reply.answer == "One"
        assert (reply.turn.answer, model.said) == ("One", 1)


def test_a_reader_who_leaves_can_still_have_the_rest(docs_home: Path) -> None:
    with base_with(docs_home, scripted("One ", "two ", "three")) as base:
        reply = base.ask(ASKED)
        for _ in reply:
            break
        assert reply.answer == "One two three"


@pytest.mark.parametrize("after", [(), ("The tower is", " 34")])
def test_an_error_inside_the_model_is_told_and_leaves_a_usable_reply(
    docs_home: Path, after: tuple[str, ...]
) -> None:
    with base_with(docs_home, scripted(*after, ConnectionError("server gone\nstack"))) as base:
        reply = base.ask(ASKED)
        with pytest.raises(ModelError, match=r"The chat model failed: server gone$") as caught:
            list(reply)
        assert isinstance(caught.value.__cause__, ConnectionError)
        assert reply.answer == "".join(after)
        assert (reply.citations, reply.refused, reply.usage) == ((), False, Usage())
        assert reply.turn.question == ASKED
        assert reply.to_json()["hits"]
        assert base.ask(ASKED).hits == reply.hits, "the knowledge base works on"


def test_a_models_own_error_keeps_its_words(docs_home: Path) -> None:
    with (
        base_with(docs_home, scripted(ModelError("Out of memory.", "Close something."))) as base,
        pytest.raises(ModelError, match=r"^Out of memory\.$"),
    ):
        _ = base.ask(ASKED).answer


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        ("Whereabouts unknown zebra?", ENGLISH.refusal),
        ("斑马怎么样啊？", CHINESE.refusal),
        ("斑馬怎麼樣啊？", TRADITIONAL.refusal),
    ],
)
def test_a_refusal_asks_no_model(docs_home: Path, question: str, refusal: str) -> None:
    model = scripted("never")
    with base_with(docs_home, model, refuse_below=0.5) as base:
        reply = base.ask(question)
        assert reply.answer == refusal
        assert reply.refused
        assert reply.citations == ()
        assert reply.turn.hits == ()
        assert reply.hits, "the nearest passages are shown"
    assert model.prompts == []


def test_what_the_documents_hold_is_not_refused(docs_home: Path) -> None:
    with base_with(docs_home, scripted("Munn [1]."), refuse_below=0.5) as base:
        assert not base.ask("Who founded the cooperative in 1962?").refused


def test_between_the_floors_an_answer_is_given_and_marked(docs_home: Path) -> None:
    with base_with(docs_home, scripted("Munn [1]."), uncertain_below=1) as base:
        reply = base.ask("Who founded the cooperative in 1962?")
        assert reply.uncertain
        assert not reply.refused
        assert reply.to_json()["uncertain"] is True
        assert 0 < reply.evidence < 1
    with base_with(docs_home, scripted("Munn [1].")) as base:
        assert not base.ask("Who founded the cooperative in 1962?").uncertain


def test_a_chinese_question_to_an_english_model_is_answered_with_quotes_and_a_note(docs_home: Path) -> None:
    model = scripted("never", languages=("en",))
    with base_with(docs_home, model) as base:
        reply = base.ask("观鸟塔什么时候开放？")
        assert "未安装中文模型" in reply.note
        assert "No Chinese model" in reply.note
        assert "6:30至11:30" in reply.answer
        assert model.prompts == []
        assert base.ask(ASKED).note == ""


def test_an_english_model_is_not_given_what_it_can_not_read(docs_home: Path) -> None:
    model = scripted("never", languages=("en",))
    with base_with(docs_home, model, k=1) as base:
        reply = base.ask("What is open for 参观 from 6:30?")
        assert Path(reply.hits[0].source).name == "鸟.md"
        assert "the installed model can't read" in reply.note
        assert reply.answer.startswith("Quoted in Chinese:\n观鸟塔")
        assert [citation.supported for citation in reply.citations] == [True]
    assert model.prompts == []


@pytest.mark.parametrize(
    ("question", "source", "said"),
    [
        (
            "水泵出现ERR-1058是什么意思？",
            "pump-manual.pdf",
            "引用的原文不是中文：\nERR-1058 means",
        ),
        ("What does code E12 of the 揉捻机 mean?", "揉捻机手册.pdf", "Quoted in Chinese:"),
    ],
)
def test_across_languages_the_passage_is_quoted_and_the_reader_told(
    sample_kb: KnowledgeBase, question: str, source: str, said: str
) -> None:
    """With real vectors. The floor is off: what is refused has a test of its own."""
    settings = sample_kb.settings.but(refuse_below=0.0)
    with KnowledgeBase(settings, embedder=sample_kb.embedder) as base:
        reply = base.ask(question)
        assert Path(reply.hits[0].source).name == source
        assert said in reply.answer


@pytest.mark.parametrize("languages", [(), ("zh", "en")])
def test_a_model_that_speaks_chinese_or_does_not_tell_is_asked(
    docs_home: Path, languages: tuple[str, ...]
) -> None:
    model = scripted("周三至周日开放[1]。", languages=languages)
    with base_with(docs_home, model) as base:
        reply = base.ask("观鸟塔什么时候开放？")
        assert (reply.answer, reply.note) == ("周三至周日开放[1]。", "")
    assert len(model.prompts) == 1


def test_usage_is_the_models_and_times_are_measured(docs_home: Path) -> None:
    with base_with(docs_home, scripted("One ", "two ", "three", used=(123, 3))) as base:
        usage = base.ask(ASKED).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (123, 3)
    assert usage.first_token_s is not None
    assert 0 <= usage.first_token_s < 5
    assert usage.tokens_per_s is not None
    assert usage.tokens_per_s > 0


def test_a_model_that_counts_nothing_leaves_the_counts_open(docs_home: Path) -> None:
    with base_with(docs_home, scripted("One ", "two")) as base:
        usage = base.ask(ASKED).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.tokens_per_s) == (None, None, None)
    assert usage.first_token_s is not None


def test_what_does_not_fit_is_dropped_and_told(docs_home: Path) -> None:
    model = scripted("So it is.")
    history = [Turn("word " * 300, "word " * 300), Turn("Early?", "Early."), Turn("Short?", "Short.")]
    with base_with(docs_home, model, context_tokens=600, max_tokens=100) as base:
        reply = base.ask(ASKED, history)
        assert reply.dropped == Dropped(turns=1, passages=0)
        _ = reply.answer
    assert [message.text for message in model.prompts[0][:-1]] == ["Early?", "Early."]
    assert "Short? Short. How high is the tower?" in model.prompts[0][-1].text


MESSAGES = [{"role": "user", "text": "Who founded the cooperative?"}, {"role": "assistant", "text": "Munn [2]."}]
TOLD = Turn("Who founded the cooperative?", "Munn [2].")


def test_history_may_be_turns_or_messages(docs_home: Path) -> None:
    prompts = []
    for history in ([TOLD], MESSAGES):
        model = scripted("In 1962.")
        with base_with(docs_home, model) as base:
            _ = base.ask("and when?", history).answer  # type: ignore[arg-type]
            base.as_chain().invoke({"question": "and when?", "history": history})
        prompts += model.prompts
    assert len(prompts) == 4
    assert all(prompt == prompts[0] for prompt in prompts)
    assert prompts[0][-1].text.endswith("Who founded the cooperative? Munn. and when?"), (
        "old marks mean nothing now"
    )


def test_messages_become_turns() -> None:
    user, assistant = {"role": "user", "text": "Q"}, {"role": "assistant", "text": "A"}
    assert history_from([]) == ()
    assert history_from([user, assistant, user, assistant]) == (Turn("Q", "A"),) * 2
    assert history_from([user, user, assistant]) == (Turn("Q", ""), Turn("Q", "A"))
    assert history_from([assistant, user]) == (Turn("", "A"), Turn("Q", ""))
    assert turns((TOLD,)) == (TOLD,)


@pytest.mark.parametrize(
    ("history", "number"),
    [
        (["Who?"], 1),
        ([{"role": "user"}], 1),
        ([{"role": "user", "text": 5}], 1),
        ([{"role": "system", "text": "Obey."}], 1),
        ([{"role": "user", "content": "Who?"}], 1),
        ([*MESSAGES, None], 3),
        ([*MESSAGES, {"role": "user", "text": "x"}, []], 4),
        ([TOLD, {"role": "user", "text": "x"}], 1),
        ("Who?", 1),
        ({"role": "user", "text": "x"}, 1),
    ],
)
def test_a_malformed_history_is_said_with_its_place(docs_home: Path, history: Any, number: int) -> None:
    model = scripted("never")
    with (
        base_with(docs_home, model) as base,
        pytest.raises(QuestionError, match=f"Message {number} of the history") as caught,
    ):
        base.ask(ASKED, history)
    assert "oldest first" in caught.value.hint
    assert model.prompts == []


@pytest.mark.parametrize("question", ["", "  \n"])
def test_an_empty_question_is_said(docs_home: Path, question: str) -> None:
    with base_with(docs_home, scripted("never")) as base, pytest.raises(QuestionError, match="empty"):
        base.ask(question)


def test_the_chain_composes_and_a_whole_turn_is_the_sum_of_its_pieces(docs_home: Path) -> None:
    with base_with(docs_home, scripted("The tower ", "is 34 metres high", " [1].", used=(9, 3))) as base:
        chain = base.as_chain()
        pieces = list(chain.stream({"question": ASKED}))
        whole = chain.invoke({"question": ASKED})
        composed = (RunnableLambda(lambda text: {"question": text}) | chain | RunnableLambda(_answer_of)).invoke(
            ASKED
        )
        batch = (chain | _answer_of).batch([{"question": ASKED}] * 2)
    header = {"queries", "hits", "dropped", "note", "evidence", "uncertain", "kind", "origin", "prompt"}
    assert set(pieces[0]) == header
    assert all(set(piece) == {"answer"} for piece in pieces[1:-1])
    assert set(pieces[-1]) == {"citations", "refused", "usage", "cut"}
    summed = pieces[0]
    for piece in pieces[1:]:
        summed = summed + piece
    assert {**summed, "usage": None} == {**whole, "usage": None}
    assert composed == whole["answer"] == "The tower is 34 metres high [1]."
    assert batch == [composed] * 2


def _answer_of(turn: dict[str, Any]) -> str:
    return str(turn["answer"])


async def test_the_chain_streams_in_an_event_loop_too(docs_home: Path) -> None:
    with base_with(docs_home, scripted("The tower ", "is 34 metres high", " [1].", " Yes indeed.")) as base:
        chain = base.as_chain()
        whole = await chain.ainvoke({"question": ASKED})
        pieces = [piece async for piece in chain.astream({"question": ASKED})]
        ran = [piece async for piece in (chain | _answer_of).astream({"question": ASKED})]
    assert whole["answer"] == "The tower is 34 metres high [1]. Yes indeed."
    assert "".join(piece.get("answer", "") for piece in pieces) == whole["answer"]
    assert len(pieces) > 4
    assert ran == [whole["answer"]]


async def test_turns_run_side_by_side_and_errors_come_through(docs_home: Path) -> None:
    with base_with(docs_home, scripted("Yes [1].")) as base:
        chain = base.as_chain()
        answers = await asyncio.gather(*(chain.ainvoke({"question": ASKED}) for _ in range(4)))
        with pytest.raises(QuestionError):
            await chain.ainvoke({"question": " "})
    assert {answer["answer"] for answer in answers} == {"Yes [1]."}


async def test_a_cancelled_stream_stops_the_model(docs_home: Path) -> None:
    model = scripted(*["word "] * 1000)
    with base_with(docs_home, model) as base:
        pieces = base.as_chain().astream({"question": ASKED})
        async for piece in pieces:
            if "answer" in piece:
                break
        await pieces.aclose()  # type: ignore[attr-defined]
    assert model.said < 1000


def test_any_langchain_chat_model_will_do(docs_home: Path) -> None:
    with base_with(docs_home, FakeListChatModel(responses=["The tower is 34 metres high."])) as base:
        reply = base.ask(ASKED)
        assert len(list(reply)) > 2
        assert reply.answer == "The tower is 34 metres high. [1]"


def test_a_real_model_answers_with_counts(sample_kb: KnowledgeBase, models_home: Path) -> None:
    """SmolLM2 over the sample documents; its prompt was counted exactly before it was sent."""
    path = next((models_home / "models" / "smollm2-135m-instruct").glob("*.gguf"))
    model = LlamaCppChat(model_path=path, languages=("en",), max_tokens=32, threads=1)
    settings = sample_kb.settings.but(k=1)
    with KnowledgeBase(settings, embedder=sample_kb.embedder, chat_model=model) as base:
        reply = base.ask("Who founded the Corran Lighthouse Cooperative?")
        pieces = list(reply)
    assert isinstance(reply, Reply)
    assert len(pieces) > 3
    assert "Munn" in reply.answer
    usage = reply.usage
    assert usage.prompt_tokens is not None
    assert 100 < usage.prompt_tokens < 2048 - 256
    assert usage.completion_tokens is not None
    assert 3 < usage.completion_tokens <= 32
    assert usage.tokens_per_s is not None


def test_an_embedder_that_was_never_measured_refuses_nothing_unless_told(docs_home: Path) -> None:
    embedder: Any = HashEmbeddings()
    with KnowledgeBase(Settings(home=docs_home), embedder=embedder, chat_model=scripted("Zebra.")) as base:
        assert base.thresholds == Thresholds(0, 0)
        assert not base.ask("Whereabouts unknown zebra?").refused
    with KnowledgeBase(Settings(home=docs_home, refuse_below=0.6), embedder=embedder) as base:
        assert base.thresholds == Thresholds(0.6, 0.6)
    embedder.background_cosines = (0.7, 0.04)
    with KnowledgeBase(Settings(home=docs_home), embedder=embedder) as base:
        assert base.thresholds == Thresholds(REFUSE, CERTAIN)


@pytest.mark.parametrize(
    ("question", "begin"),
    [
        ("화성에는 펭귄이 몇 마리 있습니까?", "문서에는 이 질문에"),
        ("火星にペンギンは何羽いますか？", "文書の中にこの"),
    ],
)
def test_japanese_and_korean_questions_are_refused_in_their_language(
    docs_home: Path, question: str, begin: str
) -> None:
    with base_with(docs_home, scripted("never"), refuse_below=1.0) as base:
        reply = base.ask(question)
        assert reply.refused
        assert reply.answer.startswith(begin)


def test_what_an_english_model_can_not_read_is_told_by_its_language(docs_home: Path) -> None:
    model = scripted("never", languages=("en",))
    with base_with(docs_home, model, refuse_below=0.0) as base:
        assert "can't read Japanese" in base.ask("鳥の塔はいつ開きますか？").note
        assert "can't read Korean" in base.ask("새 탑은 언제 열려 있습니까?").note
    assert model.prompts == []


class Told(BaseCallbackHandler):
    """Keeps what a chat model is told."""

    def __init__(self) -> None:
        self.messages: list[BaseMessage] = []

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **_: Any) -> None:
        del serialized
        self.messages = messages[0]


def test_a_model_of_a_provider_is_not_prompted_like_a_small_one(docs_home: Path) -> None:
    told, model = Told(), FakeListChatModel(responses=["34 metres [1]."])
    asked = {"question": "and how high is it?", "history": [Turn("What is Corran Light?", "A tower.")]}
    with base_with(docs_home, None, refuse_below=0.0) as base:
        base.as_chain(chat_model=model).invoke(asked, {"callbacks": [told]})
    *earlier, last = told.messages
    assert [message.text for message in earlier] == ["What is Corran Light?", "A tower."]
    assert "in one sentence" not in last.text
    assert last.text.endswith("\nand how high is Corran Light?")


def test_a_question_is_checked_once(docs_home: Path) -> None:
    """Its history, and whether the index is the embedder's."""
    called: list[str] = []

    def profile(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.append(frame.f_code.co_name)

    with base_with(docs_home, scripted("34 metres [1]."), refuse_below=0.0) as base:
        sys.setprofile(profile)
        try:
            _ = base.ask("and how high is it?", [{"role": "user", "text": "What is Corran Light?"}]).answer
        finally:
            sys.setprofile(None)
    assert (called.count(turns.__name__), called.count(require_embedder.__name__)) == (1, 1)
