"""Runs `kb`: in this process where a test only looks at what it prints, or as the installed command."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kb_assistant.cli import main
from kb_assistant.open_models import OpenModels
from tests.fakes import HashEmbeddings
from tests.waiting import PATIENCE

KB = Path(sys.executable).with_name("kb")


@dataclass(frozen=True, slots=True)
class Done:
    """What a command printed and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def kb(*arguments: str | Path, home: Path, stdin: str = "") -> Done:
    """`kb ARGUMENTS` in this process, with stdout and stderr apart."""
    argv = ["kb", *map(str, arguments)]
    out, err = _Pipe(), _Pipe()
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.dict(os.environ, {"KB_HOME": str(home)}),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Done(code, out.text, err.text)


def kb_process(
    *arguments: str | Path, home: Path, stdin: str = "", env: Mapping[str, str] | None = None,
    before: Sequence[str] = (), timeout: float = PATIENCE,
) -> Done:  # fmt: skip
    """The installed `kb` command, in an environment without other KB_* settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KB_")}
    ended = subprocess.run(
        [*before, str(KB), *map(str, arguments)],
        input=stdin,
        env=clean | {"KB_HOME": str(home)} | dict(env or {}),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Done(ended.returncode, ended.stdout, ended.stderr)


def is_told(done: subprocess.CompletedProcess[str], said: str) -> None:
    """An error meant for users: exit code 2, what happened and what to do, no traceback."""
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("    ")]) == 1, "a hint"


def kb_here(monkeypatch: pytest.MonkeyPatch, home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`kb ARGUMENTS` in this process, with HashEmbeddings for a model."""
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(OpenModels, "embedder", HashEmbeddings())
    monkeypatch.setattr(sys, "argv", ["kb", *map(str, arguments)])
    monkeypatch.setenv("KB_HOME", str(home))
    code = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return subprocess.CompletedProcess("kb", int(code or 0), out.getvalue(), err.getvalue())


class _Pipe(io.TextIOWrapper):
    """UTF-8 and strict, as a pipe is."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    @property
    def text(self) -> str:
        self.flush()
        bytes_: Any = self.buffer
        return str(bytes_.getvalue().decode("utf-8"))
