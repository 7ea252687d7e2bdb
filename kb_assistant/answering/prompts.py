"""The prompt: earlier turns unchanged, then rules, passages and question in the last message.

Earlier turns are always rendered the same way and without their passages, so that the model's cache of them serves
the next turn. For small models the previous turn stands next to the question instead, because they lose the
meaning of "it" otherwise; and they are asked for one short sentence. For them, too, the best passage comes last
and the task follows it. The rules stand in the last message because some models, such as ChatGLM2, have no system
role. The answer must be in the question's language, whatever the passages' language. Passages, with file names and
headings, are fenced as data. Passages that don't fit the context are left out whole; earlier turns are first
shortened to the first sentence of their answers, then left out whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.sentences import sentences
from kb_assistant.text.wording import WORDINGS, Wording, wording
from kb_assistant.types import Dropped, Hit, Turn

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_FENCE = re.compile(r"[<＜](?=\s*[/／]?\s*passage\b)", re.IGNORECASE)
# Most characters of a shortened answer.
_SHORTENED = 200
# The beginning of a turn in ChatGLM2's prompt: a passage must not open one.
_ROUND = re.compile(r"\[(?=\s*Round\s+\d+\s*\])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages that fit, their passages (number n is hits[n - 1]) and what was left out."""

    messages: list[BaseMessage]
    hits: tuple[Hit, ...]
    dropped: Dropped


def fit(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    count: Callable[[list[BaseMessage]], int],
    limit: int,
    *,
    language: Language | None = None,
    native_history: bool = False,
    full_answers: bool = False,
) -> Prompt:
    """The most complete prompt of at most `limit` tokens.

    The question gets room first, then passages, best first, then turns, latest first. A passage too long for the
    remaining room is skipped in favour of shorter ones. From the first turn that doesn't fit, turns are shortened;
    they end at the first that doesn't fit even so, so that no conversation has a gap.

    Args:
        hits: Passages, best first; without any the model answers by itself.
        count: Tokens of messages, by the model's own tokenizer and template.
        limit: Tokens for the whole prompt, without the answer.
        language, native_history, full_answers: See render.

    Raises:
        ModelError: not even one passage fits, or, without passages, not even the question.
    """
    made = partial(render, question, language=language, native_history=native_history, full_answers=full_answers)

    def fits(passages: Sequence[Hit], turns: Sequence[Turn]) -> bool:
        return count(made(passages, turns)) <= limit

    everything = made(hits, history)
    if count(everything) <= limit:  # as a rule; counting is the work of a tokenizer
        return Prompt(everything, tuple(hits), Dropped())
    kept: list[Hit] = []
    for hit in hits:
        if fits([*kept, hit], ()):
            kept.append(hit)
    if not kept and (hits or not fits((), ())):
        raise ModelError(
            _("Question and passage don't fit {limit} prompt tokens.", limit=limit),
            _("Raise context_tokens, lower max_tokens, or ask more briefly."),
        )
    left, told = list(history), list[Turn]()
    while left and fits(kept, [left[-1], *told]):
        told.insert(0, left.pop())
    whole = len(told)
    while left and fits(kept, [shortened(left[-1]), *told]):
        told.insert(0, shortened(left.pop()))
    dropped = Dropped(turns=len(left), passages=len(hits) - len(kept), shortened=len(told) - whole)
    return Prompt(made(kept, told), tuple(kept), dropped)


def shortened(turn: Turn) -> Turn:
    """A turn with only the first sentence of its answer, truncated if long."""
    first = next(iter(sentences(unmarked(turn.answer, turn.cited))), "")
    return replace(turn, answer=first if len(first) <= _SHORTENED else f"{first[:_SHORTENED]}…")


def render(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    *,
    language: Language | None = None,
    native_history: bool = False,
    full_answers: bool = False,
) -> list[BaseMessage]:
    """The messages of one turn. `additional_kwargs` of the last carry question, language and passages as values.

    Args:
        language: The question's language, if already known.
        native_history: All earlier turns are separate messages; without it, the last of them stands in the
            question's message.
        full_answers: The model may answer at any length; without it, a sentence or two is requested.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    messages: list[BaseMessage] = []
    apart = history if native_history else history[:-1]
    for turn in apart:
        messages += [HumanMessage(turn.question), AIMessage(unmarked(turn.answer, turn.cited))]
    language = language or language_of(question)
    words = wording(language)
    passages = [_passage(n, hit) for n, hit in enumerate(hits, start=1)]
    before = [f"{turn.question} {unmarked(turn.answer, turn.cited)}" for turn in history[len(apart) :]]
    asked = "\n".join([*_task(words, language, hits, full_answers), " ".join([*before, question])])
    text = "\n\n".join([words.rules, *reversed(passages), asked]) if passages else asked
    values = {
        "question": question,
        "language": language,
        "earlier": history[-1].question if history else "",
        "passages": [hit.text for hit in hits],
    }
    return [*messages, HumanMessage(text, additional_kwargs=values)]


def _task(words: Wording, language: Language, hits: Sequence[Hit], full_answers: bool) -> list[str]:
    task = (words.task, words.alone) if full_answers else (words.short_task, words.short_alone)
    said = [task[0] if hits else task[1]]
    if any(language_of(hit.text) != language for hit in hits):
        said.append(words.foreign)
    elif language not in WORDINGS:
        said.append(words.same_language)
    return said


def _passage(n: int, hit: Hit) -> str:
    """A passage between fences that its text can't close."""
    label = f"[{n}] {Path(hit.source).name}"
    if hit.locator.heading:
        label += f", {hit.locator.heading}"
    return f"<passage>\n{_defuse(' '.join(label.split()))}\n{_defuse(hit.text)}\n</passage>"


def _defuse(text: str) -> str:
    return _ROUND.sub("‹", _FENCE.sub("‹", text))
