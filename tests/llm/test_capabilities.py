"""How long answers may be, and what room that leaves for the prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_assistant.llm.capabilities import answer_tokens, prompt_tokens
from kb_assistant.settings import Settings
from tests.fakes import ScriptedChat


@pytest.mark.parametrize(
    ("length", "small", "large"),
    [("short", 256, 256), ("medium", 256, 512), ("long", 1024, 1024), ("400", 800, 800)],
)
def test_the_longest_answer_goes_with_the_wanted_length(length: str, small: int, large: int) -> None:
    settings = Settings(Path("/none"), answer_length=length)
    for full, most in ((False, small), (True, large)):
        model = ScriptedChat(pieces=[], full_answers=full)
        assert answer_tokens(model, settings) == most
        assert prompt_tokens(model, settings) == 4096 - most


def test_what_is_set_counts_and_half_of_a_small_context_stays_for_the_prompt() -> None:
    model = ScriptedChat(pieces=[], full_answers=True)
    assert answer_tokens(model, Settings(Path("/none"), max_tokens=77, answer_length="long")) == 77
    tight = Settings(Path("/none"), context_tokens=300, answer_length="long")
    assert (answer_tokens(model, tight), prompt_tokens(model, tight)) == (150, 150)
