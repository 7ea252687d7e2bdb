"""Time until the command line answers: `kb --help` against 0.3 s and against a bare interpreter, in turns.

Also the time that `import kb_assistant` takes, and which heavy libraries are loaded then: none should be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from measure import in_turns, quantile, report

LIMIT_S = 0.3
HEAVY = (
    "torch", "transformers", "sentence_transformers", "faiss", "numpy", "langchain", "langchain_core", "pydantic",
    "tokenizers", "rjieba", "lxml", "docx", "pypdfium2", "rich", "typer",
)  # fmt: skip

BARE = "pass"
HELP = "import sys; sys.argv = ['kb', '--help']; from kb_assistant.cli import main; main()"
IMPORT = "import kb_assistant"
SHOW = f"; import sys; print('heavy:', *(name for name in {HEAVY!r} if name in sys.modules))"


def main() -> None:
    arguments = parse()
    works = {"python -c pass": BARE, "import kb_assistant": IMPORT, "kb --help": HELP}
    for code in works.values():
        python(code)
    times = in_turns([lambda code=code: python(code) for code in works.values()], arguments.rounds)  # type: ignore[misc]
    bare = quantile(times[0], 0.5)
    rows = [
        {
            "work": name,
            "median s": quantile(taken, 0.5),
            "min s": min(taken),
            "to bare Python": quantile(taken, 0.5) / bare,
            f"to the limit of {LIMIT_S:g} s": quantile(taken, 0.5) / LIMIT_S,
            "heavy modules": heavy(code),
        }
        for (name, code), taken in zip(works.items(), times, strict=True)
    ]
    report(f"Start, {arguments.rounds} rounds", rows, arguments.json)


def python(code: str) -> str:
    """Standard output of a fresh interpreter that runs `code`."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def heavy(code: str) -> str:
    """Names in HEAVY that are loaded after `code`, also where it ends the process."""
    wrapped = f"try:\n exec({code!r})\nexcept SystemExit:\n pass\n{SHOW.removeprefix('; ')}"
    return python(wrapped).rpartition("heavy:")[2].strip() or "none"


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
