"""Refusal and answers of knowledge bases of one short document each.

Each document's questions are put to it as first questions and after its first one; so are questions on its wider
subject, which it doesn't answer, and questions of another document. `extract` answers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from measure import report

from kb_assistant import KnowledgeBase, Settings, Turn
from kb_assistant.evaluate.datasets import EvalDocument, Question
from kb_assistant.training.reader.written import WIDER, read_written

FILE = Path(__file__).with_name("small_bases.txt")
OTHERS = 3
"""Questions of another document that are put to one."""


def asked(
    document: EvalDocument, questions: list[Question], others: list[Question]
) -> Iterator[tuple[str, Question]]:
    for question in questions:
        if question.context == document.id and not question.history:
            yield (
                ("own" if question.answerable else "wider" if question.labels == WIDER else "near miss"),
                question,
            )
    yield from (("others", question) for question in others)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", default=FILE, help="documents in the form of written.py")
    parser.add_argument("--home", type=Path, help="a home whose models are used")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    read = read_written([arguments.file])
    documents, questions = list(read.documents()), list(read.questions)
    seen: dict[tuple[str, str], list[tuple[bool, bool]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "models").symlink_to((arguments.home or Settings.load().home) / "models")
        for place, document in enumerate(documents):
            file = home / f"{document.title}.md"
            file.write_text(document.text, encoding="utf-8")
            other = documents[(place + len(documents) // 2) % len(documents)]
            others = [one for one in questions if one.context == other.id and one.answerable][:OTHERS]
            with KnowledgeBase.open(document.id, home=home, model="extract") as kb:
                kb.ingest(file)
                every = list(asked(document, questions, others))
                first = kb.ask(every[0][1].text)
                turn = Turn(first.question, first.answer)
                for kind, question in every:
                    for when, history in (("first", []), ("later", [turn])):
                        reply = kb.ask(question.text, history)
                        holds = any(answer in reply.answer for answer in question.answers)
                        seen[kind, when].append((reply.refused, holds))
    table = [
        {
            "questions": kind,
            "turn": when,
            "number": len(found),
            "refused": sum(refused for refused, _ in found) / len(found),
            "answer holds it": sum(holds for _, holds in found) / len(found) if kind == "own" else None,
        }
        for (kind, when), found in seen.items()
    ]
    report("Small knowledge bases", table, arguments.json)


if __name__ == "__main__":
    main()
