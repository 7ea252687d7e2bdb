"""Sums up a document that is longer than the context: notes on each of its parts, then one answer from the notes.

This is map and reduce: each part is consecutive passages that fit a prompt together; the model answers the
question for each part; the notes then stand in the last prompt where passages stand. What that answer cites is the
passage which the note cites first, so that every citation points to the document's own text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from kb_assistant.answering.prompts import Prompt
from kb_assistant.errors import ModelError
from kb_assistant.text.code_mask import masked
from kb_assistant.text.marks import marks_in, unmarked
from kb_assistant.types import Dropped, Hit

PARTS = 8
"""Most parts that are read: a model on a processor takes a minute or more for each. Further ones are left out
evenly."""

Render = Callable[[Sequence[Hit]], Prompt]
"""The prompt for passages; those that don't fit are left out and counted."""


def digested(passages: Sequence[Hit], render: Render, ask: Callable[[Prompt], str]) -> Prompt:
    """The prompt that holds notes on all parts of a document.

    Args:
        passages: All passages of the document, in reading order.
        ask: What the model answers to a prompt.

    Returns:
        A prompt whose hits are the passages that the notes cite. `dropped.passages` counts those that no prompt
        held. Where the model notes nothing, the prompt with the first passages that fit.

    Raises:
        ModelError: not even one passage fits.
    """
    every = _parts(passages, render)
    read = [every[place * len(every) // min(PARTS, len(every))] for place in range(min(PARTS, len(every)))]
    notes: list[tuple[Hit, str]] = []
    for prompt in read:
        said = ask(prompt)
        if text := unmarked(said).strip():
            notes.append((_first_cited(said, prompt.hits), text))
    if not notes:
        return render(passages)
    prompt = render([replace(hit, text=text, answer=None) for hit, text in notes])
    own = {hit.id: hit for hit, _ in notes}
    held = sum(len(one.hits) for one in read)
    dropped = replace(prompt.dropped, passages=len(passages) - held)
    return Prompt(prompt.messages, tuple(own[hit.id] for hit in prompt.hits), dropped, prompt.instructions)


def _parts(passages: Sequence[Hit], render: Render) -> list[Prompt]:
    """Prompts that together hold the passages, each as many as fit; a passage that fits none is left out."""
    found: list[Prompt] = []
    left = list(passages)
    while left:
        prompt = _longest(left, render)
        if prompt.hits:
            found.append(prompt)
        left = left[max(1, len(prompt.hits)) :]
    return found


def _longest(passages: Sequence[Hit], render: Render) -> Prompt:
    """The prompt with the most of the first passages that fits, found by halving."""
    low, high, best = 0, len(passages), Prompt([], (), Dropped())
    while low < high:
        middle = (low + high + 1) // 2
        try:
            prompt = render(passages[:middle])
        except ModelError:  # none of them fits
            prompt = Prompt([], (), Dropped(passages=middle))
        if prompt.dropped.passages:
            high = middle - 1
        else:
            low, best = middle, prompt
    return best


def _first_cited(said: str, hits: Sequence[Hit]) -> Hit:
    cited = next(marks_in(masked(said), range(1, len(hits) + 1)), None)
    return hits[cited[2][0] - 1 if cited else 0]
