"""Commands that fine-tune: train MODEL DATA, and train data, init, reader, eval, list, rm, export, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from kb_assistant.cli import adapters, show, train_data, train_eval, train_reader, train_run
from kb_assistant.messages import _


class _Train(TyperGroup):
    """`kb train MODEL DATA` beside `kb train COMMAND`: what isn't a command's name is the model."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        named = args and (args[0] in self.commands or args[0] in ("-h", "--help"))
        run = "run" in self.commands and args
        return super().parse_args(ctx, args if named or not run else ["run", *args])


app = typer.Typer(
    cls=_Train,
    help="Fine-tune a chat model on one's own questions and answers: kb train MODEL DATA --name NAME.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(train_run.run)
app.command()(train_data.data)
app.command()(train_reader.reader)
app.command("eval")(train_eval.evaluate)
app.command("list")(adapters.list_adapters)
for command in (adapters.rm, adapters.export, adapters.merge):
    app.command()(command)


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("train.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a recipe: a TOML file with every choice of a training, explained; kb train takes it by --recipe."""
    from kb_assistant.training.recipe import Recipe

    if file.exists() and not force:
        raise typer.BadParameter(f"{file} is there already: give another name, or --force")
    Recipe().write(file)
    show.note(_("{file} written. Use it with: kb train MODEL DATA --name NAME --recipe {file}", file=file))
