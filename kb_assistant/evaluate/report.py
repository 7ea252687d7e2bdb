"""An evaluation as an HTML page with plots: one file, no scripts, no external resources."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kb_assistant.evaluate.answers import COMPARED, Answers
from kb_assistant.evaluate.everyday import Everyday
from kb_assistant.evaluate.html_page import document, figure, svg, table
from kb_assistant.evaluate.metrics import Estimate
from kb_assistant.evaluate.refusal import ALLOWED, Refusal, together
from kb_assistant.evaluate.run import Evaluation, Measured


def page(evaluations: Sequence[Evaluation]) -> str:
    """The whole page.

    Raises:
        KBError: matplotlib isn't installed.
    """
    body = "\n".join(_section(evaluation) for evaluation in evaluations)
    refusals = [evaluation.refusal for evaluation in evaluations if evaluation.refusal]
    if len(refusals) > 1:
        rows = [[kind, str(share), f"{share.count:,}"] for kind, share in together(refusals).items()]
        body += f"\n<h2>Refused in all sets</h2>{table(['questions', 'share', 'of'], rows)}"
    note = (
        "<p><small>In brackets the bounds that 95 % of the means of bootstrap samples lie within; whole "
        "conversations are drawn.</small></p>"
    )
    return document("Evaluation", f"{note}\n{body}")


def _section(evaluation: Evaluation) -> str:
    counts = ", ".join(f"{count:,} {name}" for name, count in evaluation.counts.items())
    parts = [f"<h2>{escape(evaluation.name)}</h2><p>{escape(counts)}</p>"]
    if evaluation.ways:
        parts += [_ways_table(evaluation.ways), _bars(evaluation)]
        if evaluation.differences:
            rows = [[row.name, *map(str, row.total.values()), row.about] for row in evaluation.differences]
            parts += [table(["difference", *evaluation.differences[0].total, "what it is"], rows)]
        parts += [f"<h3>By turn and label</h3>{_groups_table(evaluation)}"]
    if evaluation.refusal:
        parts += [f"<h3>Refusal</h3>{_refusal_table(evaluation.refusal)}", _curve(evaluation.refusal)]
    parts += [_answers_part(answers) for answers in evaluation.answers]
    if evaluation.spans:
        rows = [[row.name, *map(str, row.total.values()), row.about] for row in evaluation.spans]
        parts += [f"<h3>Spans</h3>{table(['taken from', *evaluation.spans[0].total, 'what it is'], rows)}"]
    parts += [_everyday_part(everyday) for everyday in evaluation.everyday]
    return "\n".join(parts)


def _ways_table(ways: Sequence[Measured]) -> str:
    names = list(ways[0].total)
    rows = [
        [measured.way.name, *(str(measured.total[name]) for name in names), measured.way.about]
        for measured in ways
    ]
    return table(["searched", *names, "what it does"], rows)


def _groups_table(evaluation: Evaluation) -> str:
    measure = f"recall@{evaluation.depths[0]}"
    groups = evaluation.ways[0].groups
    rows = [
        [name, str(groups[name][measure].count), *(str(one.groups[name][measure]) for one in evaluation.ways)]
        for name in groups
    ]
    return table([measure, "questions", *(one.way.name for one in evaluation.ways)], rows)


def _refusal_table(refusal: Refusal) -> str:
    rows = [["refused, with an answer", str(refusal.wrongly_refused())]]
    rows += [["answered, but marked uncertain", str(refusal.marked_uncertain())]]
    rows += [
        [f"refused, {name}, without an answer", str(share)] for name, share in refusal.rightly_refused().items()
    ]
    rows += [
        [f"refused, {name}, where {ALLOWED:.0%} of those with an answer are", str(share)]
        for name, share in refusal.refused_at_best().items()
    ]
    best = refusal.recommended
    rows += [["floor in use", f"{refusal.refuse_below:.2f}"]]
    rows += [["floor recommended", f"{best.threshold:.2f}: {best.answered_right:.1%} answered right, "
              f"{best.refused_right:.1%} refused right"]]  # fmt: skip
    return table(["questions", "share"], rows)


def _answers_part(answers: Answers) -> str:
    """Measures of each way, the differences, and the words shared with the references, by turn and label."""
    rows = (*answers.ways, *answers.differences)
    names = list(answers.ways[0].total)
    measures = table(
        ["answered", *names, "what it does"],
        [[row.name, *(_shown(row.total.get(name)) for name in names), row.about] for row in rows],
    )
    groups = table(
        [COMPARED[0], "questions", *(row.name for row in rows)],
        [
            [group, str(found[COMPARED[0]].count), *(str(row.groups[group][COMPARED[0]]) for row in rows)]
            for group, found in answers.ways[0].groups.items()
        ],
    )
    head = f"Answers of {answers.model} to {answers.count:,} questions"
    return f"<h3>{escape(head)}</h3><p>{escape(answers.note)}</p>{measures}{groups}"


def _everyday_part(everyday: Everyday) -> str:
    shares = table(
        ["everyday", "share", "of"],
        [[name, str(share), str(share.count)] for name, share in everyday.shares.items()],
    )
    misses = table(
        ["turns", "expected", "answer"],
        [[" / ".join(miss.turns), miss.expected, miss.answer] for miss in everyday.misses],
    )
    head = f"Everyday questions and dialogues answered by {everyday.model}"
    return f"<h3>{escape(head)}</h3>{shares}<h4>What went wrong</h4>{misses}"


def _shown(found: Estimate | None) -> str:
    return str(found) if found and found.count else ""


def _bars(evaluation: Evaluation) -> str:
    measure = f"recall@{evaluation.depths[0]}"
    found: list[Estimate] = [one.total[measure] for one in evaluation.ways]
    names = [one.way.name for one in evaluation.ways]
    drawn, axes = figure(height=0.6 + 0.4 * len(names))
    axes.barh(names, [one.mean for one in found], color="#4477aa",
              xerr=[[one.mean - one.low for one in found], [one.high - one.mean for one in found]])  # fmt: skip
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=measure)
    return svg(drawn)


def _curve(refusal: Refusal) -> str:
    drawn, axes = figure(height=3.2)
    curve = refusal.curve
    thresholds = [point.threshold for point in curve]
    axes.plot(thresholds, [point.answered_right for point in curve], color="#4477aa", label="answered right")
    if refusal.unanswerable:
        axes.plot(thresholds, [point.refused_right for point in curve], color="#cc6677", label="refused right")
    axes.axvline(refusal.refuse_below, color="#555555", linestyle=":", label="floor in use")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="floor of evidence", ylabel="share")
    axes.legend()
    return svg(drawn)
