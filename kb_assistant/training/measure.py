"""What an adapter changed: the base and the adapted model, one loaded model, on the same questions, greedily.

On questions that weren't learned: perplexity of the right answers, and how near the answers given are to them. On
neutral prompts, for what was forgotten: perplexity of the base's own answers before and after, and the divergence
of the two models' next tokens (KL) along them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from kb_assistant.evaluate.metrics import Estimate, estimate
from kb_assistant.training.data import Conversation, Style
from kb_assistant.training.encode import Encoder, Example
from kb_assistant.training.neutral import replayed
from kb_assistant.training.text_metrics import MEASURES

if TYPE_CHECKING:
    import torch

    from kb_assistant.llm.base import LocalChat

SCALES: Mapping[str, float] = {"base": 0.0, "adapted": 1.0}
"""Strengths of the adapter by what is measured with them."""

Done = Callable[[float], None]


class Probabilities(Protocol):
    """What a loaded model with an adapter expects: an engine of torch, or a Scorer."""

    def log_probabilities(self, ids: Sequence[int], first: int, adapter_scale: float = 1.0) -> torch.Tensor:
        """See TorchEngine.log_probabilities."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A question with the right answer and both models' own."""

    source: str
    question: str
    reference: str
    base: str
    adapted: str

    def to_json(self) -> dict[str, str]:
        return {
            "source": self.source, "question": self.question, "reference": self.reference, "base": self.base,
            "adapted": self.adapted,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How probable texts are to both models.

    Attributes:
        base, adapted: Perplexity: e to the mean loss of a token.
        kl: Mean divergence of the adapted model's next token from the base's, in nats.
        tokens: Number of tokens that were measured.
    """

    base: float
    adapted: float
    kl: float
    tokens: int

    def to_json(self) -> dict[str, float]:
        return {
            "base": round(self.base, 4), "adapted": round(self.adapted, 4), "kl": round(self.kl, 5),
            "tokens": self.tokens,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compared:
    """Base against adapted.

    Attributes:
        answers: On each question, in order.
        perplexity: Of the right answers; None where the engine gives no probabilities.
        neutral: Of the base's own answers to neutral prompts; None likewise.
    """

    answers: tuple[Answered, ...]
    perplexity: Likelihood | None
    neutral: Likelihood | None

    @property
    def measures(self) -> dict[str, dict[str, Estimate]]:
        """Each measure of the base, of the adapted model, and of the difference, question by question."""
        found = {}
        for name, measure in MEASURES.items():
            base = [measure(one.base, one.reference) for one in self.answers]
            adapted = [measure(one.adapted, one.reference) for one in self.answers]
            gained = [after - before for before, after in zip(base, adapted, strict=True)]
            found[name] = {"base": estimate(base), "adapted": estimate(adapted), "gained": estimate(gained)}
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "questions": len(self.answers),
            "perplexity": self.perplexity.to_json() if self.perplexity else None,
            "neutral": self.neutral.to_json() if self.neutral else None,
            "measures": {
                name: {of: value.to_json() for of, value in found.items()} for name, found in self.measures.items()
            },
            "answers": [one.to_json() for one in self.answers],
        }


def compare(
    chat: LocalChat,
    encoder: Encoder,
    questions: Sequence[Conversation],
    neutral: Sequence[str],
    done: Done = lambda _share: None,
    style: Style = "chat",
    scorer: Callable[[], Probabilities] | None = None,
) -> Compared:
    """Measure the base and the adapted model.

    Args:
        chat: The model with its adapter.
        questions: Conversations that weren't learned, whose last question is asked.
        neutral: Prompts that have nothing to do with what was learned.
        style: How these are asked.
        scorer: Loads what tells probabilities where the model's engine doesn't.

    Raises:
        ModelError: the model can't answer.
    """
    prompts = [encoder.chat_messages(one) for one in questions]
    said: dict[str, list[str]] = {name: [] for name in SCALES}
    steps = len(SCALES) * len(prompts) + len(neutral)
    for name, scale in SCALES.items():  # one after the other: an engine keeps what it read at one strength
        for prompt in prompts:
            answer = chat.invoke(prompt, temperature=0.0, adapter_scale=scale)
            said[name].append(str(answer.text).strip())
            done(sum(map(len, said.values())) / steps)
    answers = tuple(
        Answered(one.source, one.question, one.answer, base, adapted)
        for one, base, adapted in zip(questions, said["base"], said["adapted"], strict=True)
    )
    engine = torch_engine(chat) or (scorer() if scorer else None)
    if engine is None:
        return Compared(answers, None, None)
    own = replayed(chat, neutral, encoder, lambda share: done((steps - len(neutral) * (1 - share)) / steps), style)
    asked = [replace(one, learned="last") for one in questions]
    return Compared(answers, likelihood(engine, encoder, asked), likelihood(engine, encoder, own))


def torch_engine(chat: LocalChat) -> Probabilities | None:
    """The engine that gives probabilities, loaded; None if the model is run by another."""
    from kb_assistant.llm.torch_chat import TorchChat

    return chat.engine if isinstance(chat, TorchChat) else None


def likelihood(engine: Probabilities, encoder: Encoder, texts: Sequence[Conversation]) -> Likelihood | None:
    """How probable the answers of conversations are to both models; None without any."""
    losses, divergence, tokens = dict.fromkeys(SCALES, 0.0), 0.0, 0
    for example in (one for text in texts for one in encoder.encode(text) if isinstance(one, Example)):
        wanted = example.ids[example.prompt :]
        scored = {name: engine.log_probabilities(example.ids, example.prompt, at) for name, at in SCALES.items()}
        for name, found in scored.items():
            losses[name] -= float(sum(found[place, token] for place, token in enumerate(wanted)))
        base, adapted = scored["base"], scored["adapted"]
        divergence += float((base.exp() * (base - adapted)).sum())
        tokens += len(wanted)
    if not tokens:
        return None
    return Likelihood(
        _perplexity(losses["base"], tokens), _perplexity(losses["adapted"], tokens), divergence / tokens, tokens
    )


def _perplexity(loss: float, tokens: int) -> float:
    """e to the mean loss; infinity where that is no number that a computer has."""
    try:
        return math.exp(loss / tokens)
    except OverflowError:
        return math.inf
