"""Write the reference from the code: commands from their help pages, settings from the Settings docstring.

`python docs/generate.py` writes docs/reference/; with `--check` it only says whether that would change anything.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from pathlib import Path

import typer
from typer.testing import CliRunner

from kb_assistant.cli import app
from kb_assistant.settings import Settings, meanings

FOLDER = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py; edit the code instead. -->\n\n"


def commands() -> str:
    """Every command's help page, in the order of `kb --help`."""
    names = [info.name or info.callback.__name__ for info in app.registered_commands if info.callback]
    pages = [[], *([name] for name in names)]
    for info in app.registered_groups:
        group = info.typer_instance
        assert isinstance(group, typer.Typer)
        inner = [one.name or one.callback.__name__ for one in group.registered_commands if one.callback]
        pages += [[str(info.name)], *([str(info.name), name] for name in inner)]
    return f"# Commands\n\n{_NOTE}" + "\n".join(_page(arguments) for arguments in pages)


def _page(arguments: list[str]) -> str:
    result = CliRunner().invoke(
        app, [*arguments, "--help"], env={"COLUMNS": "100", "TERM": "dumb"}, prog_name="kb"
    )
    return f"## {' '.join(['kb', *arguments])}\n\n```\n{result.output.strip()}\n```\n"


def settings() -> str:
    """Every setting with its default and meaning."""
    rows = []
    for field in fields(Settings):
        default = "the platform's data folder" if field.default is MISSING else f"`{field.default!r}`"
        rows.append(f"| `{field.name}` | {default} | {meanings()[field.name]} |")
    return (
        f"# Settings\n\n{_NOTE}Defaults < `kb.toml` in the home < `KB_NAME=…` variables < flags. "
        "`kb.toml` holds lines such as `chunk_tokens = 256`. Old names still work in each of these places; "
        "where `kb.toml` or the environment has both names of a setting, the new one counts.\n\n"
        "| setting | default | meaning |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
    )


def main() -> int:
    stale = []
    for name, text in (("commands.md", commands()), ("settings.md", settings())):
        file = FOLDER / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                file.write_text(text, encoding="utf-8")
    print("changed: " + ", ".join(stale) if stale else "up to date")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
