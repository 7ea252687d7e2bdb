"""The report on training data as an HTML page with plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from kb_assistant.evaluate.html_page import document, figure, svg, table
from kb_assistant.training.checks import KINDS
from kb_assistant.training.prepare import Prepared

_SHOWN = 200
_BINS = 40


def data_page(prepared: Prepared) -> str:
    """Counts, lengths with a plot, what was left out and what is odd.

    Raises:
        KBError: matplotlib isn't installed.
    """
    report = prepared.to_json()
    parts = [
        "<h2>What is learned</h2>",
        table(["part", "conversations"], [[name, f"{count:,}"] for name, count in report["parts"].items()]),
        table(["form", "rows"], [[name, f"{count:,}"] for name, count in report["forms"].items()]),
        _lengths(prepared.lengths, report),
        "<h2>What is left out</h2>",
        table(
            ["where", "why"],
            [[one.source, f"{one.kind}: {one.reason}"] for one in prepared.left_out[:_SHOWN]],
            texts=True,
        ),
        f"<p>Rows: {len(prepared.left_out):,}; all of them are in left_out.jsonl.</p>",
        "<h2>What is odd</h2>",
        table(
            ["what", "where"],
            [[KINDS[one.kind], ", ".join(one.sources)] for one in prepared.findings[:_SHOWN]],
            texts=True,
        ),
    ]
    return document("Training data", "\n".join(parts))


def _lengths(lengths: Sequence[tuple[int, int]], report: Mapping[str, object]) -> str:
    if not lengths:
        return "<p>Tokens weren't counted: no model was named.</p>"
    rows = []
    for name, key in (("prompt and answer", "tokens"), ("answer", "answer_tokens")):
        found = report[key]
        assert isinstance(found, dict)
        rows.append([name, *(f"{value:,}" for value in found.values())])
    drawn, axes = figure(height=3.2)
    longest = max(whole for whole, _learned in lengths)
    bins = [longest * n / _BINS for n in range(_BINS + 1)]
    axes.hist([whole for whole, _learned in lengths], bins=bins, color="#4477aa", label="prompt and answer")
    axes.hist([learned for _whole, learned in lengths], bins=bins, color="#cc6677", alpha=0.7, label="answer")
    limit = report["limit"]
    if isinstance(limit, int) and limit and limit < 3 * longest:
        axes.axvline(limit, color="#555555", linestyle=":", label="limit")
    axes.set(xlabel="tokens", ylabel="answers to learn")
    axes.legend()
    plot = svg(drawn)
    return f"<h3>{escape('Tokens')}</h3>{table(['tokens', 'median', '90 %', '99 %', 'longest'], rows)}{plot}"
