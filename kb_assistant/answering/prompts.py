"""The prompt: earlier turns unchanged, then rules, passages and question in the last message.

Earlier turns are always rendered the same way and without their passages, so that the model's cache of them serves
the next turn; where most of the passages stood in the last prompt, `continued.py` lets that one go on. For small
models the previous turn stands next to the question instead, because they lose the meaning of "it" otherwise; and
they are asked for one short sentence. For them, too, the best passage comes last and the task follows it.
Template, role, length and language are settings (`PromptForm`). The rules stand in the last message because some
models, such as ChatGLM2, have no system role. The answer must be in the question's language, or in the one that is
set, whatever the passages' language. Passages, with file names and headings, are fenced as data. Passages that
don't fit the context are left out whole; earlier turns are first shortened to the first sentence of their answers,
then left out whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_assistant.answering.instructions import instructions_in
from kb_assistant.errors import ModelError
from kb_assistant.llm.capabilities import full_answers, native_history, plain_questions
from kb_assistant.messages import _
from kb_assistant.retrieval.named import name_path
from kb_assistant.settings import LENGTHS, Settings
from kb_assistant.text.language import Language, language_of
from kb_assistant.text.marks import unmarked
from kb_assistant.text.prompt_template import DEFAULT, fill
from kb_assistant.text.sentences import sentences
from kb_assistant.text.wording import WORDINGS, Wording, language_for, language_name, wording
from kb_assistant.types import Dropped, Hit, Turn

if TYPE_CHECKING:
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

_FENCE = re.compile(r"[<＜](?=\s*[/／]?\s*passage\b)", re.IGNORECASE)
# Most characters of a shortened answer.
_SHORTENED = 200
# The beginning of a turn in ChatGLM2's prompt: a passage must not open one.
_ROUND = re.compile(r"\[(?=\s*Round\s+\d+\s*\])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PromptForm:
    """How prompts are written: for a model, and as the settings wish.

    Attributes:
        native_history: All earlier turns are separate messages; without it, the last of them stands in the
            question's message.
        full_answers: The model may answer at any length; without it, a sentence or two is requested unless
            `length` asks for more.
        template, role: See Settings (`prompt_template`, `role`).
        length: "short", "medium", "long" or a number of words.
        language: The answer's language, a code or a name; "" for the question's.
        plain: Without passages the question stands alone, as an adapter was trained with it.
    """

    native_history: bool = False
    full_answers: bool = False
    template: str = DEFAULT
    role: str = ""
    length: str = "medium"
    language: str = ""
    plain: bool = False


def form_for(model: BaseChatModel, settings: Settings) -> PromptForm:
    """The form that the model understands and the settings ask for."""
    return PromptForm(
        native_history(model),
        full_answers(model),
        settings.prompt_template or DEFAULT,
        settings.role,
        settings.answer_length,
        settings.answer_language,
        plain_questions(model),
    )


_FORM = PromptForm()


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages that fit.

    Attributes:
        hits: Their passages: number n is hits[n - 1].
        dropped: What was left out.
        instructions: The sentences that no answer should repeat: see kb_assistant.answering.instructions.
    """

    messages: list[BaseMessage]
    hits: tuple[Hit, ...]
    dropped: Dropped
    instructions: tuple[str, ...] = ()


def fit(
    question: str,
    hits: Sequence[Hit],
    history: Sequence[Turn],
    count: Callable[[list[BaseMessage]], int],
    limit: int,
    *,
    language: Language | None = None,
    form: PromptForm = _FORM,
    begun: str = "",
) -> Prompt:
    """The most complete prompt of at most `limit` tokens.

    The question gets room first, then passages, best first, then turns, latest first. A passage too long for the
    remaining room is skipped in favour of shorter ones. From the first turn that doesn't fit, turns are shortened;
    they end at the first that doesn't fit even so, so that no conversation has a gap.

    Args:
        hits: Passages, best first; without any the model answers by itself.
        count: Tokens of messages, by the model's own tokenizer and template.
        limit: Tokens for the whole prompt, without the answer.
        language, form, begun: See render.

    Raises:
        ModelError: not even one passage fits, or, without passages, not even the question.
    """
    made = partial(render, question, language=language, form=form, begun=begun)
    told_to = instructions(question, hits, language=language, form=form)

    def fits(passages: Sequence[Hit], turns: Sequence[Turn]) -> bool:
        return count(made(passages, turns)) <= limit

    everything = made(hits, history)
    if count(everything) <= limit:  # as a rule; counting is the work of a tokenizer
        return Prompt(everything, tuple(hits), Dropped(), told_to)
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
    return Prompt(made(kept, told), tuple(kept), dropped, told_to)


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
    form: PromptForm = _FORM,
    begun: str = "",
) -> list[BaseMessage]:
    """The messages of one turn. `additional_kwargs` of the last carry question, language and passages as values.

    Args:
        language: The question's language, if already known.
        form: How the prompt is written. Its template serves prompts with passages only.
        begun: The answer so far, of which the rest is asked for.
    """
    from langchain_core.messages import AIMessage, HumanMessage

    messages: list[BaseMessage] = []
    apart = history if form.native_history else history[:-1]
    for turn in apart:
        messages += [HumanMessage(turn.question), AIMessage(unmarked(turn.answer, turn.cited))]
    language = language or language_of(question)
    before = [f"{turn.question} {unmarked(turn.answer, turn.cited)}" for turn in history[len(apart) :]]
    parts = {
        **instruction_parts(language, hits, form),
        "passages": numbered(hits),
        "question": " ".join([*before, question]),
    }
    values = passage_values(question, hits, history, language)
    text = fill(form.template if hits else DEFAULT, parts)
    if begun:
        messages += [HumanMessage(text), AIMessage(begun)]
        text = wording(language_for(form.language, language)).go_on
    return [*messages, HumanMessage(text, additional_kwargs=values)]


def numbered(hits: Sequence[Hit], first: int = 1) -> str:
    """Passages as a prompt holds them, the best one, which has the first number, at the end."""
    return "\n\n".join(reversed([_passage(n, hit) for n, hit in enumerate(hits, start=first)]))


def passage_values(
    question: str, hits: Sequence[Hit], history: Sequence[Turn], language: Language
) -> dict[str, Any]:
    """What the quoting model reads of a prompt, in place of its text."""
    return {
        "question": question,
        "language": language,
        "earlier": history[-1].question if history else "",
        "passages": [hit.text for hit in hits],
        "names": [name_path(hit) for hit in hits],
        "answers": [(hit.answer.start, hit.answer.end, hit.answer.score) if hit.answer else None for hit in hits],
        "also": [hit.answer.also if hit.answer else None for hit in hits],
    }


def instructions(
    question: str, hits: Sequence[Hit], *, language: Language | None = None, form: PromptForm = _FORM
) -> tuple[str, ...]:
    """What the prompt tells the model to do, for EchoFilter."""
    language = language or language_of(question)
    parts = {**instruction_parts(language, hits, form), "passages": "", "question": ""}
    go_on = wording(language_for(form.language, language)).go_on
    text = fill(form.template if hits else DEFAULT, parts)
    return instructions_in(f"{text}\n{go_on}", [question, *(hit.text for hit in hits)])


def instruction_parts(language: Language, hits: Sequence[Hit], form: PromptForm) -> dict[str, str]:
    """Role, rules and task: whatever of a prompt isn't passages, turns or the question."""
    if form.plain and not hits:
        return {"role": "", "rules": "", "task": ""}
    spoken = language_for(form.language, language)
    words = wording(spoken)
    return {
        "role": form.role,
        "rules": words.rules if hits else "",
        "task": "\n".join(_task(words, language, hits, form)),
    }


def _task(words: Wording, language: Language, hits: Sequence[Hit], form: PromptForm) -> list[str]:
    brief = not form.full_answers and form.length in ("short", "medium")
    if brief:
        said = [words.short_task if hits else words.short_alone]
    else:
        named = form.length if form.length in LENGTHS else "words"
        length = words.lengths.get(named, "").format(count=form.length)
        said = [one for one in (words.task if hits else "", length) if one]
    if form.language:
        said.append(words.in_language.format(language=language_name(form.language, language_of(words.task))))
    elif any(language_of(hit.text) != language for hit in hits):
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
