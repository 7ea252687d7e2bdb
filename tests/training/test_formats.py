"""The forms in which people have questions and answers; what is broken is told with its line, the rest is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.training.data import Conversation
from kb_assistant.training.formats import Fields, Read, read_file

PAIRS = [{"content": "年假有几天？", "summary": "十天。"}, {"content": "谁审批？", "summary": "部门负责人。"}]
SAID = [("年假有几天？", "十天。"), ("谁审批？", "部门负责人。")]


def read(tmp_path: Path, content: str | bytes, name: str = "a.json", **options: Any) -> Read:
    file = tmp_path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_file(file, **options)


def said(found: Read) -> list[tuple[str, str]]:
    return [(one.question, one.answer) for one in found.conversations]


def lines(rows: list[Any], end: str = "\n") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + end for row in rows)


CSV = "content,summary\n年假有几天？,十天。\n谁审批？,部门负责人。\n"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(PAIRS),
        json.dumps(PAIRS, indent=2, ensure_ascii=False),
        "\ufeff" + json.dumps(PAIRS),
        lines(PAIRS),
        lines(PAIRS, "\r\n"),
        lines(PAIRS, "\n\n").rstrip(),
        json.dumps({"version": "1.0", "data": PAIRS}),
        json.dumps({"version": "1.0", "data": PAIRS}, indent=1),
        "".join(json.dumps(row, indent=2) + "\n" for row in PAIRS),
        CSV,
        "\ufeff" + CSV.replace("\n", "\r\n"),
        CSV.replace(",", "\t"),
        CSV.replace(",", ";"),
        CSV.replace(",", ",,").replace("\n", ",x\n"),
        'Prompt , Response\n"年假有几天？","十天。"\n\n谁审批？,部门负责人。\n,\n',
        "问题,答案\n年假有几天？,十天。\n谁审批？,部门负责人。",
        CSV.encode("utf-16"),
        "\tcontent\tsummary\n1\t年假有几天？\t十天。\n2\t谁审批？\t部门负责人。\n",
        lines([{"instruction": "年假有几天？", "input": "", "output": "十天。"}, PAIRS[1]]),
        lines([{"conversations": [{"from": "human", "value": SAID[0][0]}, {"from": "gpt", "value": "十天。"}]},
               {"messages": [{"role": "user", "content": [{"type": "text", "text": "谁审批？"}]},
                             {"role": "assistant", "content": "部门负责人。"}]}]),
        lines([Conversation((("user", SAID[0][0]), ("assistant", "十天。")), "plain", "x").to_json(), PAIRS[1]]),
    ],
)  # fmt: skip
def test_known_forms_are_recognised_by_themselves(content: str | bytes, tmp_path: Path) -> None:
    found = read(tmp_path, content, "odd-suffix.txt")
    assert said(found) == SAID
    assert found.faults == []
    assert sum(found.forms.values()) == 2


def test_sources_are_file_and_line(tmp_path: Path) -> None:
    text = '[\n {"content": "a",\n  "summary": "b"},\n\n {"content": "c", "summary": "d"}]'
    assert [one.source for one in read(tmp_path, text).conversations] == ["a.json:2", "a.json:5"]
    table = 'question,answer\n"a\nb","c\nd"\ne,f\n'
    found = read(tmp_path, table, "b.csv")
    assert [(one.source, one.question) for one in found.conversations] == [("b.csv:2", "a\nb"), ("b.csv:5", "e")]


def test_a_history_and_an_input_belong_to_the_prompt(tmp_path: Path) -> None:
    row = {"content": "几天？", "summary": "十天。", "history": [["有年假吗？", "有。"]], "system": "简短。"}
    (one,) = read(tmp_path, lines([row])).conversations
    assert one.messages == (
        ("system", "简短。"), ("user", "有年假吗？"), ("assistant", "有。"),
        ("user", "几天？"), ("assistant", "十天。"),
    )  # fmt: skip
    assert one.learned == "last"
    (other,) = read(tmp_path, lines([{"instruction": "Translate.", "input": "茶", "output": "tea"}])).conversations
    assert other.question == "Translate.\n茶"
    table = 'content,summary,history\n几天？,十天。,"[[""有年假吗？"",""有。""]]"\n'
    assert read(tmp_path, table).conversations[0].turns[0] == ("有年假吗？", "有。")


def test_names_of_ones_own(tmp_path: Path) -> None:
    rows = [{"Frage": "Wie lange?", "Antwort": "Zehn Tage.", "prompt": "no"}]
    found = read(tmp_path, lines(rows), fields=Fields("Frage", "Antwort"))
    assert said(found) == [("Wie lange?", "Zehn Tage.")]
    with pytest.raises(DatasetError, match="but: Frage, Antwort") as refused:
        read(tmp_path, "Frage,Antwort\na,b\n")
    assert "--question" in refused.value.hint


GOOD = {"prompt": "a", "response": "b"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"prompt": "a", "response": ', "isn't JSON"),
        ('{"prompt": "a", "prompt": "c", "response": "b"}', "'prompt' twice"),
        ('"text"', "isn't an object"),
        ('["a", "b"]', "isn't an object"),
        ('{"prompt": "a"}', "no answer, but: prompt"),
        ('{"text": "a"}', "no question, but: text"),
        ('{"prompt": "", "response": "b"}', "prompt is empty"),
        ('{"prompt": "a", "response": " \\n"}', "response is empty"),
        ('{"prompt": "a", "response": null}', "response is empty"),
        ('{"prompt": "a", "response": NaN}', "response is empty"),
        ('{"prompt": {"x": 1}, "response": "b"}', "prompt isn't a text"),
        ('{"prompt": "a", "response": "b", "history": "c"}', "history isn't a list"),
        ('{"prompt": "a", "response": "b", "history": [["c"]]}', "history isn't a list"),
        ('{"messages": []}', "no list of messages"),
        ('{"messages": [{"role": "user", "content": "a"}]}', "no answer comes last"),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', "message 1 is of assistant"),
        ('{"messages": [{"role": "tool", "content": "a"}]}', "'tool', which isn't learned"),
        ('{"messages": [{"role": "user"}]}', "message 1 has no role and content"),
        ('{"messages": [["user", "a"]]}', "message 1 has no role and content"),
        ('{"messages": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_row_is_told_with_its_line_and_the_others_are_read(row: str, reason: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"{json.dumps(GOOD)}\n\n{row}\n{json.dumps(GOOD)}\n")
    assert said(found) == [("a", "b")] * 2
    ((fault,),) = [found.faults]
    assert fault.line == 3
    assert reason in fault.reason


def test_marks_of_byte_order_count_for_nothing(tmp_path: Path) -> None:
    assert said(read(tmp_path, b"\xef\xbb\xbf" * 2 + json.dumps(GOOD).encode())) == [("a", "b")]


def test_numbers_are_texts(tmp_path: Path) -> None:
    assert said(read(tmp_path, '{"prompt": "six times seven", "response": 42}')) == [("six times seven", "42")]


def test_an_array_ends_where_it_breaks_and_says_so(tmp_path: Path) -> None:
    found = read(
        tmp_path, f'[{json.dumps(GOOD)},\n{json.dumps(GOOD)},\n{{"prompt": broken}},\n{json.dumps(GOOD)}]'
    )
    assert (len(found.conversations), [fault.line for fault in found.faults]) == (2, [3])
    assert "Nothing after it is read" in found.faults[0].reason
    two = read(tmp_path, f"[{json.dumps(GOOD)}]\n[{json.dumps(GOOD)}]\n")
    assert (len(two.conversations), two.faults[0].reason) == (
        1,
        "something else stands after the array. It isn't read.",
    )
    cut = read(tmp_path, f"[{json.dumps(GOOD)},\n")
    assert (len(cut.conversations), cut.faults[0].line) == (1, 2)


def test_tables_with_stray_quotes_and_commas(tmp_path: Path) -> None:
    table = 'question,answer\na,b\nc,"d" e\nf,g,h\ni,"say ""hi"", then go"\nk\nl,"never closed\nm,n\n'
    found = read(tmp_path, table)
    assert said(found) == [("a", "b"), ("i", 'say "hi", then go')]
    assert [fault.line for fault in found.faults] == [3, 4, 6, 7]
    assert "a quote isn't closed" in found.faults[-1].reason
    assert "3 cells for 2 columns" in found.faults[1].reason


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"", {}, "is empty"),
        (b" \n\t", {}, "is empty"),
        (b"\xef\xbb\xbf", {}, "is empty"),
        (CSV.encode("gb18030"), {}, "line 2 isn't UTF-8"),
        (CSV.encode(), {"encoding": "odd"}, "no encoding 'odd'"),
        (b"just a text\nof two lines\n", {}, "no columns of questions and answers"),
        (b"question,answer,answer\n", {}, "'answer' twice"),
    ],
)
def test_what_no_row_can_be_read_of_is_refused(
    content: bytes, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as refused:
        read(tmp_path, content, **options)
    assert message in refused.value.message


def test_another_encoding_is_read_if_it_is_named(tmp_path: Path) -> None:
    assert said(read(tmp_path, CSV.encode("gb18030"), encoding="gb18030")) == SAID


def test_styles(tmp_path: Path) -> None:
    own = Conversation((("user", "a"), ("assistant", "b")), "plain", "x").to_json()
    found = read(tmp_path, lines([GOOD, own]), style="chat")
    assert [(one.style, one.source) for one in found.conversations] == [("chat", "a.json:1"), ("plain", "x")]
    assert found.forms == {"prompt/response": 1, "kb train": 1}
