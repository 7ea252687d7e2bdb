"""The command that makes training data: train data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kb_assistant.cli import show
from kb_assistant.cli.options import Home, Json, Kb, Model
from kb_assistant.errors import DatasetError, ModelError
from kb_assistant.messages import _, join

if TYPE_CHECKING:
    from kb_assistant.models.home import ModelHome
    from kb_assistant.settings import Settings
    from kb_assistant.training.data import Conversation, Style
    from kb_assistant.training.encode import Encoder
    from kb_assistant.training.formats import Read
    from kb_assistant.training.plan import Plan
    from kb_assistant.training.prepare import Prepared
    from kb_assistant.training.recipe import Recipe

RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="Choices of the training, as kb train init writes.", metavar="FILE")
]
_SHOWN = 5
_HONEST = _(
    "Training teaches form, terms and tone; facts belong into the index, where they can be cited and changed."
)


def data(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="JSON, JSON Lines, CSV or TSV.", show_default=False, metavar="[FILE...]"),
    ] = None,
    from_kb: Annotated[
        bool, typer.Option("--from-kb", help="From documents: headings that ask, Q: and A:, tables of questions.")
    ] = False,
    write_questions: Annotated[
        int, typer.Option(help="Of so many passages the chat model writes a question, and answers it.", min=0)
    ] = 0,
    from_chats: Annotated[
        bool, typer.Option("--from-chats", help="From answers with a thumb up, as they were asked.")
    ] = False,
    owner: Annotated[
        list[str] | None,
        typer.Option(help="Whose chats [one's own]; ask them first. Repeatable.", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write [FILE-data, or kb-data].", metavar="DIR")
    ] = None,
    style: Annotated[
        Literal["chat", "plain"],
        typer.Option(help="How questions are asked: as kb chat does without passages, or as they stand."),
    ] = "chat",
    question: Annotated[str, typer.Option(help="The column of questions, if it has an unusual name.")] = "",
    answer: Annotated[str, typer.Option(help="The column of answers.")] = "",
    history: Annotated[str, typer.Option(help="The column of turns before.")] = "",
    system: Annotated[str, typer.Option(help="The column of system messages.")] = "",
    messages: Annotated[str, typer.Option(help="The column of whole conversations.")] = "",
    encoding: Annotated[str, typer.Option(help="Of the files, if they aren't Unicode, such as gb18030.")] = "",
    test_file: Annotated[
        Path | None, typer.Option(help="Test with these questions instead of a drawn share.", metavar="FILE")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share kept back to stop in time.", min=0, max=0.5)] = 0.1,
    test: Annotated[float, typer.Option(help="Share kept back to measure at the end.", min=0, max=0.5)] = 0.1,
    mix: Annotated[
        Path | None, typer.Option(help="General dialogue to mix in, against forgetting.", metavar="FILE")
    ] = None,
    replay: Annotated[
        int,
        typer.Option(help="Or the model's own answers to so many neutral prompts.", min=0, max=240),
    ] = 0,
    ratio: Annotated[float, typer.Option(help="Share of it in what is learned.", min=0.01, max=0.9)] = 0.2,
    seed: Annotated[int, typer.Option(help="Of drawing: the same seed draws the same.", min=0)] = 0,
    max_tokens: Annotated[
        int | None, typer.Option(help="Longest prompt and answer together; longer rows are left out.", min=16)
    ] = None,
    recipe: RecipeFile = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with plots here.", metavar="FILE")] = None,
    model: Model = None,
    kb: Kb = None,
    home: Home = None,
    json: Json = False,
) -> None:
    """Check questions and answers, say what is wrong with which line, part them, and write them to train with.

    Rows with content/summary, prompt/response, instruction/input/output, messages or conversations are recognised.
    Nothing is cut: what is too long is left out. The exit code is 1 if a row can't be used.
    """
    from kb_assistant.settings import Settings
    from kb_assistant.training.formats import Fields, read_file
    from kb_assistant.training.prepare import prepare, write_folder
    from kb_assistant.training.recipe import Recipe
    from kb_assistant.workspace.access import LOCAL

    if not (files or from_kb or write_questions or from_chats):
        raise typer.BadParameter("give a file with questions and answers, or --from-kb, or --from-chats")
    chosen = (Recipe.read(recipe) if recipe else Recipe()).with_values({"max_tokens": max_tokens, "seed": seed})
    settings = Settings.load(home=home, kb=kb, model=model)
    encoder = _encoder(settings, chosen.max_tokens, writes=bool(write_questions) and not replay)
    named = Fields(question, answer, history, system, messages)
    read = [read_file(file, named, style, encoding) for file in files or ()]
    wrong: list[dict[str, Any]] = []
    if from_kb or write_questions or from_chats:
        owners = owner or [LOCAL] if from_chats else []
        made, wrong = _mined(settings, from_kb, write_questions, owners, seed, alone=not read)
        read += made
    prepared = prepare(
        _together(read),
        encoder,
        test_set=read_file(test_file, named, style, encoding) if test_file else None,
        validation=validation,
        test=test,
        mix=_general(settings, encoder, read_file(mix, named, "plain", encoding) if mix else None, replay, style),
        ratio=ratio,
        seed=seed,
    )
    target = out or (files[0].with_name(f"{files[0].stem}-data") if files else Path("kb-data"))
    write_folder(target, prepared, wrong)
    if report:
        from kb_assistant.training.data_page import data_page

        report.write_text(data_page(prepared), encoding="utf-8")
    _tell(prepared, target, _planned(settings, chosen, prepared), chosen, json)
    raise typer.Exit(int(any(one.kind == "broken" for one in prepared.left_out)))


def _mined(
    settings: Settings, documents: bool, questions: int, owners: Sequence[str], seed: int, alone: bool
) -> tuple[list[Read], list[dict[str, Any]]]:
    """What the knowledge base and the saved chats give, and what was wrong in these.

    Args:
        alone: There are no other rows.

    Raises:
        DatasetError: none of them gives anything, and there are no other rows.
    """
    from kb_assistant.knowledge import KnowledgeBase
    from kb_assistant.store.opening import open_home
    from kb_assistant.training.mine import from_documents, from_model
    from kb_assistant.training.mine_chats import from_chats
    from kb_assistant.workspace.chats import ChatStore

    made: list[Read] = []
    wrong: list[dict[str, Any]] = []
    nothing: list[DatasetError] = []
    with KnowledgeBase(settings) as base:
        if documents:
            with _put_off(nothing):
                made.append(_read("documents", from_documents(base, seed)))
        if questions:
            with _put_off(nothing), show.share(_("writing questions")) as progress:
                made.append(_read("the model's questions", from_model(base, questions, seed, progress)))
        if owners:
            with _put_off(nothing):
                found = from_chats(base, ChatStore(open_home(settings.store, settings.home)), owners)
                made.append(_read("chats", found.good))
                wrong = found.wrong
                for reason, count in found.left_out.items():
                    show.note(
                        _(
                            "answers with a thumb up that can't be learned: {count}: {reason}",
                            count=count,
                            reason=reason,
                        )
                    )
    if nothing and alone and not any(one.conversations for one in made):
        raise nothing[0]
    for error in nothing:
        show.note(error.full_message)
    return made, wrong


@contextmanager
def _put_off(errors: list[DatasetError]) -> Iterator[None]:
    """Keep the error of a source that gives nothing: others may give something."""
    try:
        yield
    except DatasetError as error:
        errors.append(error)


def _read(form: str, rows: list[Conversation]) -> Read:
    from kb_assistant.training.formats import Read

    return Read(rows, [], {form: len(rows)})


def _general(
    settings: Settings, encoder: Encoder | None, mixed: Read | None, replay: int, style: Style
) -> Read | None:
    """General dialogue against forgetting: of a file, and the base model's own answers."""
    from kb_assistant.llm.base import LocalChat
    from kb_assistant.llm.open import open_chat_model
    from kb_assistant.models.home import ModelHome
    from kb_assistant.training.formats import Read
    from kb_assistant.training.neutral import neutral_prompts, replayed

    if not replay:
        return mixed
    chat = open_chat_model(settings.but(adapter=""), ModelHome(settings.models_dir), None) if encoder else None
    if encoder is None or not isinstance(chat, LocalChat):
        raise typer.BadParameter("--replay asks the model that is to be trained: name it with --model")
    with show.share(_("replaying")) as progress:
        own = replayed(chat, neutral_prompts(replay), encoder, progress, style)
    show.note(_("{n} of {all} neutral prompts were answered to the end.", n=len(own), all=replay))
    return _together([*([mixed] if mixed else []), Read(own)]) if mixed or own else None


def _encoder(settings: Settings, limit: int, writes: bool) -> Encoder | None:
    """The encoder of the model that is to be trained; of any ChatGLM that is installed; or none, which is told.

    Args:
        writes: The model that is named writes questions: another may be trained on them.

    Raises:
        ModelError: the model that is named can't be trained.
    """
    from kb_assistant.models.home import ModelHome
    from kb_assistant.training.encode import encoder_of

    models = ModelHome(settings.models_dir)
    if settings.model not in ("auto", "extract") and not (writes and _only_writes(settings, models)):
        return encoder_of(models.get(settings.model, "chat"), settings, limit)
    known = [one for one in models.installed() if one.template and one.path.exists()]
    if known:
        return encoder_of(known[0], settings, limit)
    show.note(_("Tokens aren't counted: name the model that is to be trained with --model."))
    return None


def _only_writes(settings: Settings, models: ModelHome) -> bool:
    """Whether the model can write questions, but isn't one that is trained here."""
    from kb_assistant.llm.open import is_provider
    from kb_assistant.training.network import require_trainable

    if is_provider(settings.model):
        return True
    model = models.get(settings.model, "chat")
    try:
        require_trainable(model)
    except ModelError:
        return True
    return False


def _together(read: Sequence[Read]) -> Read:
    from collections import Counter

    from kb_assistant.training.formats import Read

    forms: Counter[str] = Counter()
    for one in read:
        forms.update(one.forms)
    rows = [row for one in read for row in one.conversations]
    return Read(rows, [fault for one in read for fault in one.faults], dict(forms))


def _planned(settings: Settings, recipe: Recipe, prepared: Prepared) -> Plan | None:
    """What the training will take, where the model that is to be trained is known."""
    from kb_assistant.llm.open import is_provider
    from kb_assistant.models.home import ModelHome
    from kb_assistant.torch_runtime import is_installed, torch_device
    from kb_assistant.training.network import network_of
    from kb_assistant.training.plan import plan

    if settings.model in ("auto", "extract") or is_provider(settings.model) or not prepared.lengths:
        return None
    model = ModelHome(settings.models_dir).get(settings.model, "chat")
    if model.template and not model.path.is_dir():
        return None
    device = torch_device(settings.device) if is_installed("torch") else "cpu"
    return plan(network_of(model), recipe, prepared.lengths, device)


def _tell(prepared: Prepared, folder: Path, planned: Plan | None, recipe: Recipe, json: bool) -> None:
    if json:
        show.as_json({"folder": str(folder), **prepared.to_json(), "plan": planned.to_json() if planned else None})
        return
    for line in _lines(prepared.to_json()):
        typer.echo(show.plain(line))
    if planned:
        for line in plan_lines(planned, recipe):
            typer.echo(line)
    show.line(_("written: {folder}", folder=folder))
    show.note(_HONEST)


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report for a terminal."""
    from kb_assistant.training.checks import KINDS, PRIVATE

    forms = ", ".join(f"{count:,} {name}" for name, count in report["forms"].items())
    yield f"{report['rows']:,} rows ({forms}), {report['used']:,} used"
    for kind, rows in report["left_out"].items():
        yield f"left out, {kind}: {len(rows):,}"
        yield from (f"      {one['source']}: {one['reason']}" for one in rows[:_SHOWN])
        if len(rows) > _SHOWN:
            yield f"      and {len(rows) - _SHOWN:,} more, all in left_out.jsonl"
    for kind, places in report["findings"].items():
        shown = [" = ".join(one) for one in places[:_SHOWN]] + (["…"] if len(places) > _SHOWN else [])
        hint = " (an adapter repeats them to whoever asks)" if kind in PRIVATE else ""
        yield f"to look at, {KINDS[kind]}{hint}: {len(places):,}: {', '.join(shown)}"
    if report["near"]:
        apart = "though some are in other parts" if report["near_parted"] else "kept in one part"
        yield f"{report['near']:,} questions are nearly the same as another, {apart}"
    if report["near_test"]:
        yield f"{report['near_test']:,} questions of the test are nearly the same as one that is learned"
    for name, key in (("prompt and answer", "tokens"), ("answer", "answer_tokens")):
        if found := report[key]:
            values = ", ".join(f"{at}{'' if at == 'max' else ' %'} {value:,}" for at, value in found.items())
            yield (
                f"tokens of {name}: {values} (limit {report['limit']:,})"
                if key == "tokens"
                else f"tokens of {name}: {values}"
            )
    parts = ", ".join(f"{name} {count:,}" for name, count in report["parts"].items())
    yield f"{parts}; {report['mixed']:,} of train are general dialogue" if report["mixed"] else parts


def plan_lines(planned: Plan, recipe: Recipe) -> Iterator[str]:
    """What a training takes, for a terminal: bytes by part, steps, time, and what to do where it doesn't fit."""
    parts = ", ".join(f"{name} {_size(count)}" for name, count in planned.parts.items() if count)
    yield f"memory: {_size(planned.total)} of {_size(planned.free)} free ({planned.precision}, {planned.device})"
    yield f"      {parts}"
    least, most = map(_duration, planned.seconds)
    yield f"{planned.steps:,} steps, {planned.tokens:,} tokens, about {least} to {most} (a rough estimate)"
    if said := join(planned.advice(recipe)):
        yield said


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1, round(seconds))} s"
