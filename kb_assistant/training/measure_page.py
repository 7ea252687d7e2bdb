"""What an adapter changed, as an HTML page with both answers side by side."""

from __future__ import annotations

from html import escape

from kb_assistant.evaluate.answers import Answers
from kb_assistant.evaluate.html_page import document, figure, svg, table
from kb_assistant.training.measure import Compared

_SHOWN = 500


def measure_page(name: str, base: str, compared: Compared, grounded: list[Answers]) -> str:
    """The whole page.

    Args:
        name, base: Of the adapter, and of its model.
        grounded: Answers from a knowledge base, without and with the adapter.

    Raises:
        KBError: matplotlib isn't installed.
    """
    parts = [
        f"<p>{escape(name)} on {escape(base)}, {len(compared.answers):,} questions, decoded greedily.</p>",
        _measures(compared),
        _likelihoods(compared),
    ]
    if grounded:
        parts += ["<h2>Answers from documents</h2>", *map(_grounded, grounded)]
    rows = [[one.question, one.reference, one.base, one.adapted, one.source] for one in compared.answers[:_SHOWN]]
    parts += ["<h2>Answers</h2>", table(["question", "right", "base", "adapted", "from"], rows, texts=True)]
    return document(f"Adapter {name}", "\n".join(parts))


def _measures(compared: Compared) -> str:
    measures = compared.measures
    rows = [[name, *(str(value) for value in found.values())] for name, found in measures.items()]
    drawn, axes = figure(height=3.0)
    for shift, of, colour in ((-0.2, "base", "#bbbbbb"), (0.2, "adapted", "#4477aa")):
        places = [place + shift for place in range(len(measures))]
        axes.barh(places, [found[of].mean for found in measures.values()], height=0.38, color=colour, label=of)
    axes.set_yticks(range(len(measures)), list(measures))
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="mean")
    axes.legend()
    head = ["measure", "base", "adapted", "gained"]
    return f"<h2>On questions that weren't learned</h2>{table(head, rows)}{svg(drawn)}"


def _likelihoods(compared: Compared) -> str:
    found = [
        [name, f"{one.base:,.2f}", f"{one.adapted:,.2f}", f"{one.kl:.4f}", f"{one.tokens:,}"]
        for name, one in (
            ("right answers to the questions", compared.perplexity),
            ("the base's own answers to neutral prompts", compared.neutral),
        )
        if one
    ]
    if not found:
        return "<p>This engine gives no probabilities: perplexity wasn't measured.</p>"
    head = ["perplexity of", "base", "adapted", "KL of the next token", "tokens"]
    return f"<h2>Perplexity, and what was forgotten</h2>{table(head, found)}"


def _grounded(answers: Answers) -> str:
    row = answers.ways[0]
    found = [[name, str(value)] for name, value in row.total.items() if value.count]
    return f"<h3>{escape(answers.model)}</h3>{table(['measure', 'value'], found)}"
