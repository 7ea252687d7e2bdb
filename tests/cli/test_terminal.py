"""`kb chat` on a real terminal: its line editor, and the keys that stop and leave."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.samples import ROOT
from tests.waiting import PATIENCE

pytest.importorskip("termios", reason="only POSIX has these terminals")

import fcntl
import pty
import struct
import termios

CHAT = """
import fcntl, termios, time
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from kb_assistant.cli import main
from kb_assistant.open_models import OpenModels
from kb_assistant.llm.open import ChatModels
from tests.fakes import HashEmbeddings, ScriptedChat
OpenModels.embedder = HashEmbeddings()
def think():
    print("(thinking)", flush=True)
    time.sleep(3600)
ChatModels.answering = ScriptedChat(pieces=["The tower is ", think, "never said"])
main()
"""


class Terminal:
    """`kb` with a scripted model on a terminal of its own. Its second word takes an hour."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.screen = b""
        self._main, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHAT, *arguments],
            stdin=side, stdout=side, stderr=side, cwd=ROOT, start_new_session=True,
            env=os.environ | {"KB_HOME": str(home), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
            | {"KB_FLOOR": "0", "KB_CERTAIN": "0"},
        )  # fmt: skip
        os.close(side)

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def until(self, wanted: str, seconds: float = PATIENCE) -> str:
        """What is printed up to and including `wanted`; the rest stays for the next call."""
        end = time.monotonic() + seconds
        while wanted.encode() not in self.screen:
            ready, _, _ = select.select([self._main], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{wanted!r} doesn't come: {self.screen!r}"
            self.screen += os.read(self._main, 65536)
        before, found, self.screen = self.screen.partition(wanted.encode())
        return (before + found).decode()

    def prompt(self) -> None:
        """Wait for a new prompt; the editor switches bracketed paste on for it."""
        self.until("\x1b[?2004h")
        self.until("\x1b[?25h")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            os.close(self._main)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    (tmp_path / "tower.md").write_text("# 塔\n\n塔高34米。\n", encoding="utf-8")
    home = tmp_path / "home"
    ingest = Terminal(home, "ingest", str(tmp_path / "tower.md"))
    ingest.until("1 added")
    assert ingest.process.wait(PATIENCE) == 0
    ingest.close()
    chat = Terminal(home, "chat")
    yield chat
    chat.close()


def test_chat_is_edited_stopped_and_left_by_its_keys(terminal: Terminal, tmp_path: Path) -> None:
    terminal.until("Ctrl-C stops an answer")
    terminal.prompt()
    terminal.type("塔有多高呢")
    terminal.until("塔有多高呢")
    terminal.type("\x7f？\r")
    terminal.until("The tower is")
    terminal.until("(thinking)")
    terminal.type("\x03")
    time.sleep(1)  # two signals at the same moment would be one
    terminal.type("\x03")
    terminal.until("… (stopped)")
    terminal.prompt()
    terminal.type("half a question\x03")
    terminal.prompt()
    terminal.type("\x03")
    terminal.prompt()
    terminal.type("/sources\r")
    terminal.until("Searched: 塔有多高？")
    terminal.until("塔高34米。")
    terminal.prompt()
    terminal.type("\x04")
    assert terminal.process.wait(PATIENCE) == 0
    kept = (tmp_path / "home" / "kbs" / "default" / "questions.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in kept if line.startswith("+")] == ["+塔有多高？", "+/sources"]
