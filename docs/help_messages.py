"""Adds texts that stand in the source without `_` to the template of the catalogues: the help of the commands, and
the meanings of the settings. `make messages` calls it with the template."""

from __future__ import annotations

import sys
from pathlib import Path

import typer
from babel.messages.pofile import read_po, write_po

from kb_assistant.cli import app
from kb_assistant.cli.help import help_texts
from kb_assistant.settings import meanings


def main() -> None:
    template = Path(sys.argv[1])
    with template.open("rb") as file:
        catalogue = read_po(file)
    for text in (*help_texts(typer.main.get_command(app)), *meanings().values()):
        catalogue.add(text)
    with template.open("wb") as file:
        write_po(file, catalogue, no_location=True, sort_output=True, width=115)


if __name__ == "__main__":
    main()
