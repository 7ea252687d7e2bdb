"""Conditions on sources."""

from __future__ import annotations

from typing import Any

import pytest

from kb_assistant.errors import QuestionError
from kb_assistant.retrieval.filters import AllOf, AnyOf, Condition, Filter, Not, parse_conditions
from kb_assistant.store import Source

METADATA: dict[str, Any] = {"tags": ["Pump", "水泵"], "date": "2024-05-17", "pages": 12, "title": "The Pump"}


def source(path: str = "/home/me/handbook/pump.md", **metadata: Any) -> Source:
    return Source(path, "", "", "A title", "", False, "", metadata=METADATA | metadata)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("type=md", True),
        ("type = MD", True),
        ("type=pdf", False),
        ("type!=pdf", True),
        ("type=pdf\nmd", True),
        ("type=pdf\ntxt", False),
        ("type!=md\npdf", False),
        ("type!=pdf\nmd", False),
        ("type!=pdf\ntxt", True),
        ("tags!=fan\npump", False),
        ("path=pump.md", True),
        ("path=handbook/*.md", True),
        ("path=/home/*", True),
        ("path=hand/*", False),
        ("path~handbook", True),
        ("tags=pump", True),
        ("tags=水泵", True),
        ("tags=pum", False),
        ("tags~pum", True),
        ("title=the pump", True),
        ("date>=2024-05", True),
        ("date<2024-05-17", False),
        ("date<=2024-05-17", True),
        ("pages>9", True),
        ("pages>100", False),
        ("pages=12", True),
        ("author=me", False),
        ("author!=me", True),
        ("author>a", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    (parsed,) = parse_conditions([condition])
    assert parsed.holds(source()) is holds


def test_traditional_and_full_width_forms_are_the_same() -> None:
    (parsed,) = parse_conditions(["title=檢查ＡＢ"])
    assert parsed.holds(source(title="检查ab"))


def test_a_source_without_a_title_of_its_own_has_its_readers() -> None:
    (parsed,) = parse_conditions(["title=a title"])
    assert parsed.holds(Source("/a.md", "", "", "A title", "", False, ""))


@pytest.mark.parametrize("text", ["pdf", "=pdf", "type", ""])
def test_what_is_no_condition_is_said(text: str) -> None:
    with pytest.raises(QuestionError) as caught:
        parse_conditions([text])
    assert "type=pdf" in caught.value.hint


@pytest.mark.parametrize(
    ("chosen", "holds"),
    [
        (Not(Condition("type", "=", "md")), False),
        (AnyOf((Condition("type", "=", "pdf"), Condition("tags", "=", "pump"))), True),
        (AllOf((Condition("type", "=", "md"), Condition("tags", "=", "fan"))), False),
        (Condition("title", "^=", "THE"), True),
        (Condition("path", "$=", "/pump.md"), True),
        (Condition("path", "$=", "/fan.md"), False),
    ],
)
def test_filters_join_conditions(chosen: Filter, holds: bool) -> None:
    (kept,) = parse_conditions([chosen])
    assert kept.holds(source()) is holds
