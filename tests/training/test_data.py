"""The form of training data on disk: written and read again; what has another form is refused with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kb_assistant.errors import DatasetError
from kb_assistant.training.data import Conversation, Passage, read_data, write_data

PAIR = Conversation((("user", "年假有几天？"), ("assistant", "十天。")), source="a.csv:2")
LONG = Conversation(
    (("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d [1]")),
    "grounded",
    "kb",
    (Passage("text", "/a.md", "A > B"),),
    "last",
    "/a.md",
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_data(tmp_path / "train.jsonl", [PAIR, LONG])
    assert read_data(tmp_path / "train.jsonl") == [PAIR, LONG]
    first = json.loads((tmp_path / "train.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first == {
        "messages": [{"role": "user", "content": "年假有几天？"}, {"role": "assistant", "content": "十天。"}],
        "style": "chat",
        "source": "a.csv:2",
    }


def test_parts_of_a_conversation() -> None:
    assert (LONG.system, LONG.question, LONG.answer) == ("Be brief.", "c", "d [1]")
    assert LONG.turns == (("a", "b"), ("c", "d [1]"))
    assert (PAIR.system, PAIR.turns) == ("", (("年假有几天？", "十天。"),))


def messages(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": "x"} for role in roles]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([], "isn't an object"),
        ({}, "no list of messages"),
        ({"messages": ["x"]}, "message 1 has no role"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "message 1 has no role"),
        ({"messages": messages("user", "user", "assistant")}, "message 2 is of user"),
        ({"messages": messages("system", "assistant")}, "message 2 is of assistant"),
        ({"messages": messages("user", "assistant", "user")}, "no answer comes last"),
        ({"messages": messages("system")}, "no answer comes last"),
        ({"messages": [*messages("user"), {"role": "assistant", "content": " \n"}]}, "message 2 is empty"),
        ({"messages": messages("user", "assistant"), "style": "odd"}, "style is 'odd'"),
        ({"messages": messages("user", "assistant"), "style": "grounded"}, "passages go with"),
        ({"messages": messages("user", "assistant"), "prompt": messages("user", "assistant")}, "prompt must end"),
        ({"messages": messages("user", "assistant"), "prompt": []}, "no list of messages"),
        ({"messages": messages("user", "assistant"), "style": "grounded", "passages": [3]}, "no text"),
        ({"messages": messages("user", "assistant"), "learned": 3}, "learned is 3"),
        ({"messages": messages("user", "assistant"), "source": 3}, "must be texts"),
    ],
)
def test_another_form_is_refused_with_its_line(row: object, said: str, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text(json.dumps(PAIR.to_json()) + "\n\n" + json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="line 3") as refused:
        read_data(file)
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("content", "said"), [(b"\n", "no conversation"), (b"\xff\xfe{", "UTF-8"), (b"[" * 99999, "line 1")]
)
def test_what_isnt_such_a_file_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DatasetError) as refused:
        read_data(tmp_path / "a.jsonl")
    assert said in refused.value.message
    assert "kb train data" in refused.value.hint
