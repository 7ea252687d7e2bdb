"""How far a question walks: calls whose caller and callee lie in different files of the project.

`python benchmarks/calls.py --models HOME/models` asks one question with one turn before it, over the English
sample documents, by `KnowledgeBase.ask`; with `--page` it is asked on the page, as Streamlit's own test runs it.
The same question is asked once before, uncounted, so that models are loaded and modules imported. A generator
counts once, however often it goes on. "Arrows" are the pairs of functions that call each other; "calls" counts too
how often, which grows with the passages that are found.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import kb_assistant
from kb_assistant import KnowledgeBase, Settings, Turn

ROOT = Path(kb_assistant.__file__).resolve().parents[1]
PACKAGES = tuple(f"{ROOT / name}/" for name in ("kb_assistant", "ingest", "ui"))
FIRST, FOLLOW_UP = "Who founded the lighthouse cooperative?", "and who runs it now?"
ANSWER_S = 5.0


class Walk:
    """Counts calls from file to file while it is entered, in this thread and those begun since it was made."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[CodeType, CodeType]] = Counter()
        self._on = False
        self._generators: dict[int, FrameType] = {}  # held, so that no other frame gets the id of one
        threading.setprofile(self._profile)

    def __enter__(self) -> Walk:
        self._on = True
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._on = False

    @property
    def files(self) -> set[str]:
        """All files that were walked through."""
        return {code.co_filename for pair in self.calls for code in pair}

    @property
    def between(self) -> Counter[tuple[str, str]]:
        """Calls by the files of caller and callee."""
        found: Counter[tuple[str, str]] = Counter()
        for (caller, callee), count in self.calls.items():
            found[caller.co_filename, callee.co_filename] += count
        return found

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if not self._on or event != "call" or not code.co_filename.startswith(PACKAGES):
            return
        if code.co_flags & inspect.CO_GENERATOR:  # its frame is called again each time it goes on
            if id(frame) in self._generators:
                return
            self._generators[id(frame)] = frame
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(PACKAGES):
            caller = caller.f_back
        if caller is not None and caller.f_code.co_filename != code.co_filename:
            self.calls[caller.f_code, code] += 1


def ask(settings: Settings) -> Walk:
    """One question with one turn before it, by the public API."""
    walk = Walk()
    with KnowledgeBase(settings) as base:
        first = Turn(FIRST, base.ask(FIRST).answer)
        _ = base.ask(FOLLOW_UP, [first]).answer
        with walk:
            _ = base.ask(FOLLOW_UP, [first]).answer
    return walk


def ask_on_page(settings: Settings) -> Walk:
    """The same on the page: from sending the question until its answer is kept."""
    from streamlit.testing.v1 import AppTest

    os.environ |= {"KB_HOME": str(settings.home), "KB_MODEL": settings.model}
    walk = Walk()
    page = AppTest.from_file(str(ROOT / "ui" / "app.py"), default_timeout=120).run()
    for question in (FIRST, FOLLOW_UP):
        page = page.chat_input[0].set_value(question).run()
        time.sleep(ANSWER_S)
        page = page.run()
    with walk:
        page = page.chat_input[0].set_value(FOLLOW_UP).run()
        time.sleep(ANSWER_S)
    return walk


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder with the installed models")
    parser.add_argument("--docs", type=Path, default=ROOT / "sample_docs" / "en")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--page", action="store_true", help="ask on the page")
    parser.add_argument("--list", action="store_true", help="print every pair of files with its calls")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to(options.models.resolve(), target_is_directory=True)
        settings = Settings.load(home=home, model=options.model)
        with KnowledgeBase(settings) as base:
            base.ingest(options.docs)
        walk = ask_on_page(settings) if options.page else ask(settings)
    if options.list:
        for (caller, callee), count in walk.between.most_common():
            print(f"{count:5}  {Path(caller).relative_to(ROOT)} -> {Path(callee).relative_to(ROOT)}")
    print(f"{len(walk.files)} files, {len(walk.calls)} arrows, {walk.calls.total()} calls")


if __name__ == "__main__":
    main()
