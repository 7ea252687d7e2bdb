"""A prompt that goes on where the last one ended: passages found again keep their place and number.

What stood in the last prompt, passages and answer, is repeated word for word, and only new passages and the
question follow. An engine that keeps its memory of the last prompt then reads nothing else. It is done for models
that take turns as messages, while most of what was found stood there already and at most twice as many passages as
were found stand there: others would only lead astray. Then a prompt begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kb_assistant.answering.prompts import (
    Prompt,
    PromptForm,
    instruction_parts,
    instructions,
    numbered,
    passage_values,
    render,
)
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.prompt_template import DEFAULT, fill
from kb_assistant.text.wording import language_for, wording
from kb_assistant.types import Dropped, Hit, Turn

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from kb_assistant.retrieval.federated import FederatedSearcher
    from kb_assistant.retrieval.searcher import Searcher

_MOST = 2
"""Passages in such a prompt, for each that was found."""


def go_on(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    count: Callable[[list[BaseMessage]], int],
    limit: int,
    documents: Searcher | FederatedSearcher,
    *,
    language: Language | None = None,
    form: PromptForm,
    begun: str = "",
) -> Prompt | None:
    """The last prompt with this turn behind it; None if a new one is better, or it doesn't fit `limit`.

    Args:
        hits, count, limit, language, form, begun: As `fit` takes them.
        documents: Where a passage that wasn't found again must still be, as it was.
    """
    whole, found = standing(hits, history, form), {hit.id for hit in hits}
    other = [hit for hit in whole if hit.id not in found]
    if not whole or len(documents.still_there(other)) < len(other):
        return None
    messages = render_on(question, whole, history, language=language, form=form, begun=begun)
    if count(messages) > limit:
        return None
    return Prompt(messages, whole, Dropped(), instructions(question, whole, language=language, form=form))


def standing(hits: Sequence[Hit], history: Sequence[Turn], form: PromptForm) -> tuple[Hit, ...]:
    """The passages of the prompt that goes on, in their places; none if a new one is better.

    Args:
        hits: What was found now, best first.
        history: Earlier turns. Their `shown` are the passages that stood in their prompts.
    """
    if not hits or not history or not form.native_history or form.template != DEFAULT:
        return ()
    found = {hit.id: hit for hit in hits}
    shown = history[-1].shown
    again = sum(hit.id in found for hit in shown)
    stand = tuple(found.get(hit.id, hit) for hit in shown)
    known = {hit.id for hit in shown}
    whole = (*stand, *(hit for hit in hits if hit.id not in known))
    return whole if 2 * again > len(hits) and len(whole) <= _MOST * len(hits) else ()


def render_on(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    *,
    language: Language | None = None,
    form: PromptForm,
    begun: str = "",
) -> list[BaseMessage]:
    """The messages of a turn that goes on.

    Args:
        hits: As `standing` gives them: number n is hits[n - 1].
        language, form, begun: As `render` takes them.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    language = language or language_of(question)
    first = _first(history)
    *messages, opening = render(history[first].question, history[first].shown, history[:first], form=form)
    messages += [HumanMessage(str(opening.text)), AIMessage(history[first].answer)]
    told = history[first].shown
    for turn in history[first + 1 :]:
        asked = _asked(turn.question, turn.shown, len(told), language_of(turn.question), form)
        messages += [HumanMessage(asked), AIMessage(turn.answer)]
        told = turn.shown
    text = _asked(question, hits, len(told), language, form)
    if begun:
        messages += [HumanMessage(text), AIMessage(begun)]
        text = wording(language_for(form.language, language)).go_on
    values = passage_values(question, hits, history, language)
    return [*messages, HumanMessage(text, additional_kwargs=values)]


def _first(history: Sequence[Turn]) -> int:
    """The turn at which the last prompt began: each one after it shows what the one before it did, and more."""
    first = len(history) - 1
    while first and _begins(history[first].shown, history[first - 1].shown):
        first -= 1
    return first


def _begins(shown: Sequence[Hit], before: Sequence[Hit]) -> bool:
    return bool(before) and [hit.id for hit in shown[: len(before)]] == [hit.id for hit in before]


def _asked(question: str, hits: Sequence[Hit], known: int, language: Language, form: PromptForm) -> str:
    """A message of such a turn: the passages after the known ones, then task and question."""
    new = numbered(hits[known:], known + 1)
    parts = instruction_parts(language, hits, form) | {"role": "", "passages": new, "question": question}
    return fill(DEFAULT, parts if new else parts | {"rules": ""})
