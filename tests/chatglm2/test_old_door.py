"""The module under which ChatGLM2's loader was documented before it moved."""

from __future__ import annotations

from importlib import import_module

import pytest

import kb_assistant.chatglm2 as moved


@pytest.mark.engine
@pytest.mark.parametrize("name", ["load_model", "load_tokenizer", "render"])
def test_the_old_door_warns_and_hands_on(name: str) -> None:
    old = import_module("kb_assistant.llm.chatglm2")
    with pytest.warns(
        DeprecationWarning, match=rf"{name} has moved: import it from kb_assistant\.chatglm2"
    ) as told:
        assert getattr(old, name) is getattr(moved, name)
    assert told[0].filename == __file__, "it names the caller's line"


def test_the_old_door_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="Template"):
        _ = import_module("kb_assistant.llm.chatglm2").Template
