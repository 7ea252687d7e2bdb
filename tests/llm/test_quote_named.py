"""Quotes keep to the day, the name and the quantity that the question names."""

from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from kb_assistant.llm.extract import ExtractChat
from kb_assistant.llm.extract.narrowed import on_what_is_named

MANUAL = (
    "The maximum flow is 18 L/min. The weight is 4.5 kg. The Halden 40 and Halden 60 support remote control. "
    "The Halden 20 does not support remote control. It has no display."
)
DIODES = "BAS16J is a fast diode for 100 V. BAS16 is a fast diode for 75 V."
MINUTES = ["The committee chose the oak doors.", "The committee chose the blue tiles."]
DAYS = ["minutes > Minutes > 2026-03-11", "minutes > Minutes > 2026-03-04"]
DIARY = "On 4 March 2026 we met. We chose the blue tiles. On 11 March 2026 we met again. We chose the oak doors."


def quoted(question: str, passages: list[str], names: list[str] | None = None, answers: object = None) -> str:
    values = {"question": question, "passages": passages, "names": names or [""] * len(passages)}
    return ExtractChat().invoke([HumanMessage("?", additional_kwargs=values | {"answers": answers})]).text


@pytest.mark.parametrize("day", ["2026-03-04", "4 March 2026", "4.3.2026", "March 4th", "3月4日"])
def test_the_day_in_the_heading_chooses(day: str) -> None:
    marked = [(0, 34, 0.9), (0, 35, 0.9)]
    assert quoted(f"What did the committee choose on {day}?", MINUTES, DAYS, marked) == f"{MINUTES[1]} [2]"


def test_a_sentence_is_on_the_day_named_last_before_it() -> None:
    marked = [(DIARY.index("the blue"), DIARY.index("tiles.") + 5, 0.9)]
    assert quoted("What did we choose on 4 March?", [DIARY], answers=marked) == "We chose the blue tiles. [1]"
    assert "blue tiles" not in quoted("What did we choose on 11 March 2026?", [DIARY], answers=marked)


def test_a_day_in_the_files_name_chooses() -> None:
    names = ["journal > journal-2026-01-06", "journal > journal-2026-01-05"]
    answer = quoted("What did I do on January 5th, 2026?", ["Planted leeks.", "Repaired the heater."], names)
    assert answer == "Repaired the heater. [2]"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What weighs 4.5kg?", "The weight is 4.5 kg. [1]"),
        ("weight 4.5-kilogram", "The weight is 4.5 kg. [1]"),
        ("Halden40 remote control", "The Halden 40 and Halden 60 support remote control. [1]"),
        ("Halden-60 remote control", "The Halden 40 and Halden 60 support remote control. [1]"),
    ],
)
def test_forms_of_a_name_or_quantity_are_one(question: str, answer: str) -> None:
    assert quoted(question, [MANUAL]) == answer
    assert quoted(question, [MANUAL], answers=[(4, 28, 0.9)]) == answer


def test_what_a_pronoun_means_says_which_answer_counts() -> None:
    passages = ["The garden is open from 9:30.", "The tower is open from 6:30."]
    marks = [(0, len(passage), 0.9) for passage in passages]
    history = [HumanMessage("Is there a tower?"), AIMessage("Yes.")]
    values = {"question": "When is it open?", "passages": passages, "answers": marks}

    def told(question: str) -> str:
        last = HumanMessage("", additional_kwargs=values | {"question": question})
        return ExtractChat().invoke([*history, last]).text

    assert told("When is it open?") == "The tower is open from 6:30. [2]"
    assert len(told("When is the place open?").splitlines()) == 2


def test_what_goes_on_about_a_name_is_on_it() -> None:
    marked = [(MANUAL.index("no display"), MANUAL.index("no display") + 10, 0.9)]
    about = "The Halden 20 does not support remote control. [1]"
    assert quoted("Has the Halden20 a display?", [MANUAL], answers=marked) == f"{about}\nIt has no display. [1]"
    assert "no display" not in quoted("Has the Halden40 a display?", [MANUAL], answers=marked)


@pytest.mark.parametrize(("question", "volts"), [("BAS16 volts", "75 V"), ("BAS16J volts", "100 V")])
def test_a_longer_code_is_another(question: str, volts: str) -> None:
    answer = quoted(question, [DIODES])
    assert volts in answer
    assert len(answer.splitlines()) == 1


def test_of_two_contracts_the_named_ones_is_quoted() -> None:
    passages = ["合同期限三年，月薪一万二千元。", "合同期限一年，月薪九千元。"]
    names, marked = ["人事 > 张伟合同", "人事 > 李娜合同"], [(9, 14, 0.9), (9, 12, 0.9)]
    assert quoted("李娜的月薪是多少？", passages, names, marked) == "合同期限一年，月薪九千元。 [2]"
    assert quoted("张伟的月薪是多少？", passages, names) == "合同期限三年，月薪一万二千元。 [1]"


def test_a_name_that_no_passage_has_changes_nothing() -> None:
    assert quoted("What is the maximum flow of the Brenn 7?", [MANUAL]).startswith("The maximum flow")


def test_of_numbered_parts_the_one_that_is_asked_for_is_quoted() -> None:
    passages = ["Interest falls due.", "Secrecy lasts five years.", "第二条 八点打卡。\n\n第三条 加班须申请。"]
    names = ["contract > 3 Pay > 3.1 Late", "contract > 3 Pay > 3.2 Secrecy", "办法"]

    def told(question: str) -> list[str]:
        return [one.text for one in on_what_is_named(question, passages, names)]

    assert told("What does clause 3.2 say?") == ["Secrecy lasts five years."]
    assert told("What does chapter 3 say?") == ["Interest falls due.", "Secrecy lasts five years."]
    assert told("第二条说什么？") == ["第二条 八点打卡。"]
    assert told("What does clause 8 say?") == []


def test_a_rate_names_no_quantity() -> None:
    passages = ["客人可以使用显微镜，但要提前一天登记。", "望远镜每天20元。"]
    answers = [None, (6, 9, 0.9)]
    assert quoted("望远镜租一天多少", passages, answers=answers) == "望远镜每天20元。 [2]"


def test_what_stands_under_a_version_is_quoted_not_what_names_it_in_passing() -> None:
    passages = ["Removed the old printer. Stay on 5.2.4 if you need it.", "Labels may be 40 characters long."]
    names = [f"docs > news > News > {version}" for version in ("5.3.0 (May)", "5.2.4 (March)")]
    marks = [(25, 53, 0.9), (0, 33, 0.3)]
    assert quoted("and in 5.2.4?", passages, names, marks) == f"{passages[1]} [2]"


def test_of_versions_the_one_that_is_asked_for_is_quoted() -> None:
    passages = ["Dark colours. Use the keyboard until 3.5.1.", "Import of old files was removed."]
    names = ["docs > halden > 3.5 (May)", "docs > halden > 3.4 (March)"]
    assert quoted("What was removed in Halden 3.4?", passages, names) == "Import of old files was removed. [2]"
