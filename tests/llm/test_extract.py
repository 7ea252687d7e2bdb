from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from kb_assistant.embedding.local import LocalEmbeddings
from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.extract.ranked import Vectors, quote
from kb_assistant.models.home import ModelHome
from kb_assistant.text.sentences import sentences
from tests.llm.conformance import Conformance

LIGHTHOUSE = [
    "Aldersea lighthouse was founded in 1871 by Marta Keel. She had lost two brothers at sea. Its lamp is seen "
    "from 18 miles away.",
    "Today the Harbour Trust looks after the tower. The present keeper is Jonas Reed, who has a family.",
    "The museum in Aldersea opens at nine on Saturdays. Tickets cost four pounds.",
]
LIBRARY = [
    "海东图书馆由周明远先生捐资创办。馆内藏书约三十二万册。",
    "图书馆每周二至周日开放，时间为上午九点到下午六点。周一闭馆。",
    "办理借书证需要身份证和五十元押金。每人一次最多借八本书。",
]


def asked(question: str, passages: list[str]) -> HumanMessage:
    return HumanMessage(
        f"Answer from the passages: {question}", additional_kwargs={"question": question, "passages": passages}
    )


def test_a_picture_alone_is_not_quoted() -> None:
    passage = "The regions are spread over three data centres.\n\n![three-regions-map](/three-regions.png)"
    answer = ExtractChat().invoke([asked("Where is the three regions map?", [passage])]).text
    assert answer == "The regions are spread over three data centres. [1]"


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("Who founded the lighthouse?", LIGHTHOUSE, "Aldersea lighthouse was founded in 1871 by Marta Keel. [1]"),
        ("How far is the lamp seen?", LIGHTHOUSE, "Its lamp is seen from 18 miles away. [1]"),
        ("When does the museum open?", LIGHTHOUSE, "The museum in Aldersea opens at nine on Saturdays. [3]"),
        ("How much is a ticket?", LIGHTHOUSE, "Tickets cost four pounds. [3]"),
        ("Which keepers have families?", LIGHTHOUSE, "The present keeper is Jonas Reed, who has a family. [2]"),
        ("圖書館什麼時候開放？", LIBRARY, "图书馆每周二至周日开放，时间为上午九点到下午六点。 [2]"),
        ("图书馆是谁创办的？", LIBRARY, "海东图书馆由周明远先生捐资创办。 [1]"),
        ("图书馆什么时候开放？", LIBRARY, "图书馆每周二至周日开放，时间为上午九点到下午六点。 [2]"),
        ("一次可以借几本书？", LIBRARY, "每人一次最多借八本书。 [3]"),
        ("押金多少钱？", LIBRARY, "办理借书证需要身份证和五十元押金。 [3]"),
    ],
)
def test_the_sentence_that_answers_is_quoted(question: str, passages: list[str], answer: str) -> None:
    assert ExtractChat().invoke([asked(question, passages)]).text == answer


@pytest.mark.parametrize(
    ("question", "passages", "answer"),
    [
        ("What does E-12 mean?", ["代码E-12表示电机过热。"], "Quoted in Chinese:\n代码E-12表示电机过热。 [1]"),
        ("E-12是什么意思？", ["E-12: motor too hot."], "引用的原文不是中文：\nE-12: motor too hot. [1]"),
        (
            "What does E-12 mean?",
            ["代码E-12表示电机过热。", "Both mean E-12."],
            "Both mean E-12. [2]\nQuoted in Chinese:\n代码E-12表示电机过热。 [1]",
        ),
        ("E-12是什么意思？", ["故障代码一览：\n\n    E-12 = motor too hot"], "E-12 = motor too hot [1]"),
    ],
)
def test_quotes_in_another_language_come_last_and_are_announced(
    question: str, passages: list[str], answer: str
) -> None:
    assert ExtractChat().invoke([asked(question, passages)]).text == answer


def test_what_the_passage_said_before_counts_for_its_next_sentences() -> None:
    passage = "Corran Lighthouse Cooperative owns the tower. It was founded by Alasdair Munn. It sells fish."
    answer = ExtractChat(sentences=1).invoke([asked("Who founded the Corran Lighthouse Cooperative?", [passage])])
    assert answer.text == "It was founded by Alasdair Munn. [1]"


def test_a_line_that_only_names_what_a_sentence_tells_is_not_quoted() -> None:
    passage = (
        "ERR-1058\nERR-1058 means that the motor is hot.\nERR-1042\nERR-1042 means that the inlet is blocked."
    )
    answer = ExtractChat().invoke([asked("What does ERR-1058 mean?", [passage])])
    assert answer.text == "ERR-1058 means that the motor is hot. [1]"


def test_a_row_of_a_table_is_quoted_by_itself() -> None:
    passage = (
        "Destination | Meal allowance a day | Hotel limit\nPort Lorne | 24 euros | 85 euros\nAbroad | 54 euros | 9"
    )
    assert ExtractChat().invoke([asked("Port Lorne", [passage])]).text == "Port Lorne | 24 euros | 85 euros [1]"


def test_a_follow_up_is_about_what_was_asked_before() -> None:
    history: list[BaseMessage] = [asked("图书馆是谁创办的？", LIBRARY), AIMessage("周明远先生。 [1]")]
    passages = ["体育馆的票价是二十元。", "海东图书馆的票价是免费的。"]
    alone = ExtractChat(sentences=1).invoke([asked("票价呢？", passages)])
    after = ExtractChat(sentences=1).invoke([*history, asked("票价呢？", passages)])
    assert alone.text == "体育馆的票价是二十元。 [1]"
    assert after.text == "海东图书馆的票价是免费的。 [2]"


def test_a_follow_up_in_other_words_is_found_by_meaning(models_home: Path) -> None:
    model = ModelHome(models_home / "models").get("multilingual-e5-small", "embedder")
    embeddings = LocalEmbeddings(model, device="cpu", threads=1)
    history: list[BaseMessage] = [
        asked("Who founded the Aldersea lighthouse?", LIGHTHOUSE),
        AIMessage("Keel. [1]"),
    ]
    answer = ExtractChat(embeddings=embeddings).invoke([*history, asked("and who runs it now?", LIGHTHOUSE)])
    assert "The present keeper is Jonas Reed, who has a family. [2]" in answer.text.splitlines()


class FixedEmbeddings:
    """A question points along the first axis; a passage does so where it holds the word."""

    def __init__(self, word: str) -> None:
        self.word = word

    def encode_queries(self, texts: list[str]) -> Vectors:
        return np.array([[1, 0]] * len(texts), np.float32)

    def encode_passages(self, texts: list[str]) -> Vectors:
        return np.array([[1, 0] if self.word in text else [0, 1] for text in texts], np.float32)


def test_meaning_finds_what_shares_no_word() -> None:
    answer = ExtractChat(embeddings=FixedEmbeddings("Tickets")).invoke([asked("门票多少钱？", LIGHTHOUSE)])
    assert answer.text == "引用的原文不是中文：\nTickets cost four pounds. [3]"


def test_sentences_come_in_the_order_of_the_passages_and_only_once() -> None:
    passages = [
        "The boiler is checked in May.",
        "The boiler is checked in May!",
        "Every boiler here is checked again in October.",
    ]
    answer = ExtractChat().invoke([asked("When is the boiler checked?", passages)])
    assert answer.text == "The boiler is checked in May. [1]\nEvery boiler here is checked again in October. [3]"


def test_an_answer_is_short_unless_its_best_sentence_is_long() -> None:
    long = "The boiler " + "and the pipe " * 30 + "are checked in May."
    assert ExtractChat().invoke([asked("When is the boiler checked?", [long])]).text == f"{long} [1]"
    many = [f"Boiler {name} is checked in May by the {name} team." for name in ("north", "south", "east", "west")]
    found = quote("When is the boiler checked?", many)
    assert len(found) == 3
    assert len(quote("When is the boiler checked?", many, characters=100)) == 2


def test_marks_of_the_source_are_not_taken_for_citations() -> None:
    answer = ExtractChat().invoke([asked("Who built the tower?", ["The tower was built by Ada Lund [12]."])])
    assert answer.text == "The tower was built by Ada Lund. [1]"


@pytest.mark.parametrize("passages", [[], [""], ["---\n\n***"]])
def test_no_sentence_gives_no_answer(passages: list[str]) -> None:
    assert ExtractChat().invoke([asked("Who?", passages)]).text == ""


def test_an_answer_streams_a_sentence_at_a_time() -> None:
    passages = ["The north boiler is checked in May.", "The south boiler is checked every June by a firm."]
    chunks = [chunk.text for chunk in ExtractChat().stream([asked("When is the boiler checked?", passages)])]
    assert chunks == [
        "The north boiler is checked in May. [1]\n",
        "The south boiler is checked every June by a firm. [2]",
        "",
    ]


def test_stop_cuts_the_answer() -> None:
    assert (
        ExtractChat().invoke([asked("How much is a ticket?", LIGHTHOUSE)], stop=[" four"]).text == "Tickets cost"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("水泵坏了。换新的！要多久？两天；也许三天", ["水泵坏了。", "换新的！", "要多久？", "两天；", "也许三天"]),
        ("他说：“水泵坏了。”然后走了。", ["他说：“水泵坏了。”", "然后走了。"]),
        (
            "Dr. J. Smith paid 3.5 pounds. See Fig. 3, e.g. there.",
            ["Dr. J. Smith paid 3.5 pounds.", "See Fig. 3, e.g. there."],
        ),
        ('"Why?" he asked. Nobody knew.', ['"Why?" he asked.', "Nobody knew."]),
        ("Hours: 9-17\nPhone: 555-0101", ["Hours: 9-17", "Phone: 555-0101"]),
        (
            "# Opening\n- first\n* second. Third\n1. one\n（二）第二条",
            ["Opening", "first", "second.", "Third", "1. one", "（二）第二条"],
        ),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        (
            "```\npip install x\nrun it. now\n```\n    indented code",
            ["pip install x", "run it. now", "indented code"],
        ),
        (
            "The lighthouse of Aldersea was founded by Marta\nKeel. She had lost two brothers, and their boat\n"
            "of many years.",
            [
                "The lighthouse of Aldersea was founded by Marta Keel.",
                "She had lost two brothers, and their boat of many years.",
            ],
        ),
        (
            "灯塔由玛塔·基尔建立，她在海上失去了两个兄弟，因此决定\n在悬崖上建造灯塔。",
            ["灯塔由玛塔·基尔建立，她在海上失去了两个兄弟，因此决定在悬崖上建造灯塔。"],
        ),
        (
            "It broke in the great storm of that winter, and was re\xad\nbuilt.",
            ["It broke in the great storm of that winter, and was rebuilt."],
        ),
        (" \n\n--- \n", []),
        ("- The span - 5 m - holds <b>10 t</b>.", ["The span - 5 m - holds <b>10 t</b>."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


class Quoting(Conformance):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ExtractChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {}

    @property
    def returns_usage_metadata(self) -> bool:
        return False


class TestUnitConformance(Quoting, ChatModelUnitTests):
    pass


class TestIntegrationConformance(Quoting, ChatModelIntegrationTests):
    pass


def test_what_only_looks_like_a_mark_is_quoted() -> None:
    answer = ExtractChat().invoke(
        [asked("Where is the file's name?", ["The file's name is sys.argv[1], see [404]."])]
    )
    assert answer.text == "The file's name is sys.argv[1], see [404]. [1]"


def test_a_row_in_two_languages_is_foreign_to_neither() -> None:
    row = "船 Boat: 白鹭号 White Heron | 价格 Fare per hour: 三十元 thirty yuan | 座位 Seats: 六个 six"
    for question in ("白鹭号多少钱？", "What does the White Heron cost?"):
        assert ExtractChat().invoke([asked(question, [row])]).text.startswith(row[:6])
