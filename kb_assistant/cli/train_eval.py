"""The command that measures an adapter: train eval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, Kb, Model, open_kb
from kb_assistant.messages import _

if TYPE_CHECKING:
    from kb_assistant.evaluate.answers import Answers
    from kb_assistant.evaluate.datasets import Question
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.llm.base import LocalChat
    from kb_assistant.model_folder import Model as Described
    from kb_assistant.models.adapters import Adapter
    from kb_assistant.training.held_back import HeldBack
    from kb_assistant.training.measure import Compared, Probabilities


@dataclass(frozen=True, slots=True)
class _Subject:
    """An adapter with its model, open, and what it is measured on."""

    adapter: Adapter
    chat: LocalChat
    model: Described
    held: HeldBack
    own: Sequence[Question]


def evaluate(
    name: Annotated[str, typer.Argument(help="The adapter, as kb train list shows it, or its folder.")],
    data: Annotated[
        Path | None,
        typer.Argument(
            help="The folder that kb train data wrote, or a file of other questions [what it was trained on].",
            show_default=False,
            metavar="[DATA]",
        ),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="Also answer these from the knowledge base, without and with the adapter: lines of "
            '{"text": question, "source": file, "answers": [text]}.',
            metavar="FILE",
        ),
    ] = None,
    neutral: Annotated[
        int, typer.Option(help="Prompts on something else, to see what was forgotten.", min=0, max=240)
    ] = 20,
    limit: Annotated[int | None, typer.Option(help="Questions at most [all].", min=1)] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a page with both answers side by side here.", metavar="FILE")
    ] = None,
    model: Model = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Measure what an adapter gained and what it forgot: base against adapted, decoded greedily.

    Exact match, ROUGE and BLEU of the answers to questions that weren't learned, perplexity of the right ones; on
    neutral prompts, perplexity of the base's own answers before and after.
    """
    from kb_assistant.training.encode import encoder_of
    from kb_assistant.training.held_back import style_of
    from kb_assistant.training.measure import compare

    with open_kb(kb, home, model=model or _measurable(name, home), adapter=name) as base:
        subject = _subject(base, name, data, neutral, questions)
        chosen = subject.held.questions[:limit]
        if subject.held.learned:
            learned = subject.held.learned
            show.note(_("Left out, because {name} was trained with them: {n:,} questions.", name=name, n=learned))
        encoder = encoder_of(subject.model, base.settings)
        with show.share(_("measuring")) as progress:
            style = style_of(subject.adapter)
            compared = compare(
                subject.chat, encoder, chosen, subject.held.neutral, progress, style, _scorer(subject, base)
            )
        grounded = list(_grounded(base, subject)) if subject.own else []
    if report:
        from kb_assistant.training.measure_page import measure_page

        page = measure_page(subject.adapter.name, subject.model.name, compared, grounded)
        report.write_text(page, encoding="utf-8")
    _tell(subject, compared, grounded, json)


def _measurable(name: str, home: Path | None) -> str | None:
    """The official folder of the adapter's model, by which everything is measured; None if it isn't installed."""
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings
    from kb_assistant.torch_runtime import is_installed

    settings = Settings.load(home=home)
    if settings.model != "auto" or not is_installed("torch"):
        return None
    wanted = AdapterHome(settings.home).get(name).base_sha256
    folders = (one for one in ModelHome(settings.models_dir).installed() if one.template and one.path.is_dir())
    return next((one.name for one in folders if one.base_sha256 == wanted), None)


def _subject(base: KnowledgeBase, name: str, data: Path | None, neutral: int, questions: Path | None) -> _Subject:
    """Open what is measured; miss a model or a file now rather than after an hour."""
    from kb_assistant.evaluate.mine import own_set
    from kb_assistant.llm.base import LocalChat
    from kb_assistant.llm.open import chosen, open_chat_model
    from kb_assistant.models.adapters import AdapterHome
    from kb_assistant.training.held_back import held_back

    adapter = AdapterHome(base.settings.home).get(name)
    adapter.require("lora", "prefix")
    held = held_back(adapter, data, neutral)
    found, _adapter = chosen(base.settings, base.models)
    chat = open_chat_model(base.settings.but(temperature=0.0), base.models, None)
    assert found is not None
    assert isinstance(chat, LocalChat)
    return _Subject(adapter, chat, found, held, own_set(base, questions).questions if questions else ())


def _scorer(subject: _Subject, base: KnowledgeBase) -> Callable[[], Probabilities] | None:
    """What tells probabilities of a GGUF file that is trained as it is; None for ChatGLM2, or without torch."""
    from kb_assistant.torch_runtime import is_installed, torch_device
    from kb_assistant.training.network import network_of

    if subject.model.template or not (is_installed("torch") and is_installed("peft")):
        return None

    def load() -> Probabilities:
        from kb_assistant.training.scorer import Scorer

        return Scorer(network_of(subject.model), subject.adapter, torch_device(base.settings.device))

    return load


def _grounded(base: KnowledgeBase, subject: _Subject) -> Iterator[Answers]:
    """Answers from the knowledge base, without and with the adapter, of one loaded model."""
    from kb_assistant.evaluate.answers import measure_answers
    from kb_assistant.training.measure import SCALES

    names = {"base": subject.model.name, "adapted": f"{subject.model.name}+{subject.adapter.name}"}
    for kind, scale in SCALES.items():
        subject.chat.adapter_scale = scale
        with show.share(f"answering, {kind}") as progress:
            yield measure_answers(
                subject.own, base, names[kind], _counted(progress, len(subject.own)), subject.chat
            )
    subject.chat.adapter_scale = 1.0


def _counted(progress: Callable[[float], None], count: int) -> Callable[[], None]:
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        progress(done / count)

    return one


def _tell(subject: _Subject, compared: Compared, grounded: Sequence[Answers], json: bool) -> None:
    if json:
        show.as_json(
            {
                "adapter": subject.adapter.name, "model": subject.model.name, "data": str(subject.held.data),
                "learned": subject.held.learned, **compared.to_json(),
                "grounded": [one.to_json() for one in grounded],
            }
        )  # fmt: skip
        return
    typer.echo(
        f"{subject.adapter.name} on {subject.model.name}: {len(compared.answers):,} questions that weren't learned"
    )
    for name, found in compared.measures.items():
        typer.echo(f"{name:>10}  base {found['base']}  adapted {found['adapted']}  gained {found['gained']}")
    for about, one in (
        ("perplexity of right answers", compared.perplexity),
        ("forgetting: perplexity of the base's own neutral answers", compared.neutral),
    ):
        if one:
            both = f"base {one.base:,.2f}, adapted {one.adapted:,.2f}"
            typer.echo(f"{about}: {both}, KL {one.kl:.4f} ({one.tokens:,} tokens)")
    if compared.perplexity is None:
        show.note(
            _(
                "llama.cpp gives no probabilities: perplexity and forgetting are measured with torch, for "
                "ChatGLM2 with the official folder."
            )
        )
    for answers in grounded:
        row = answers.ways[0]
        values = "  ".join(f"{name} {value}" for name, value in row.total.items() if value.count)
        typer.echo(f"from documents, {show.plain(answers.model)}: {values}")
