"""Work on a knowledge base: how far it is, and what the last of it came to."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import streamlit as st

from kb_assistant import Job
from kb_assistant.workspace.desk import View
from ui.adding import read_again
from ui.errors import attempt
from ui.sanitize import escaped, strip_invisible
from ui.strings import localized, said_when, say

LISTED = 20
"""Most missing files that are named."""

_COUNTS = ("added", "updated", "unchanged", "duplicate", "removed", "failed", "seconds")


def jobs_section(base: View) -> None:
    """The running and the last jobs. Updated every second while a job runs."""
    busy = base.is_busy()

    @st.fragment(run_every=1.0 if busy else None)
    def follow() -> None:
        if (busy and not base.is_busy()) or "problem" in st.session_state:
            st.rerun(scope="app")
        for job in reversed([job for job in base.jobs() if not job.finished]):
            _progress(base, job)

    follow()
    finished = [job for job in base.jobs() if job.finished]
    if finished and not busy and base.may("write"):  # reports name files as this machine does
        _finished(base, finished[0])


def _progress(base: View, job: Job) -> None:
    note = job.note
    parts = [say("ingest" if job.kind == "ingest" else job.kind), say(f"state_{job.state}")]
    if "files" in note:
        parts.append(say("progress", files=note["files"], all=note["all_files"], chunks=note["chunks"]))
        if note.get("seconds_left") is not None:
            parts.append(say("seconds_left", n=f"{note['seconds_left']:.0f}"))
        if note.get("path"):
            parts.append(PurePath(note["path"]).name)
    if "texts" in note:
        parts.append(say("progress_texts", a=note["texts"], b=note["all_texts"]))
    with st.container(border=True, key=f"job-{job.id}"):
        st.progress(min(1.0, job.share or 0.0), escaped(" · ".join(parts)))
        if base.may("write"):
            st.button(say("stop"), key=f"stop-{job.id}", on_click=attempt, args=(base.stop_job, job.id))


def _finished(base: View, job: Job) -> None:
    with st.container(border=True, key="last-job"):
        said = f"{say('ingest' if job.kind == 'ingest' else job.kind)} · {say(f'state_{job.state}')}"
        st.markdown(f"**{escaped(said)}** · {escaped(said_when(job.asked_at))}")
        if job.error:
            st.error(f"{escaped(localized(job.error))}  \n{escaped(localized(job.hint))}")
        if job.kind == "ingest":
            _report(base, job)
        elif job.kind in ("verify", "repair") and job.result:
            _verdict(base, job.result)
        if job.state in ("interrupted", "stopped", "failed") and job.kind == "ingest":
            label = say("try_again" if job.state == "failed" else "go_on")
            st.button(label, key="go-on", on_click=attempt, args=(read_again, base, job.paths))


def _report(base: View, job: Job) -> None:
    report = job.result
    if not report:
        return
    st.text(say("report", **{name: report[name] for name in _COUNTS} | {"seconds": f"{report['seconds']:.1f}"}))
    if report["skipped"]:
        kinds = ", ".join(f"{count} {strip_invisible(suffix)}" for suffix, count in report["skipped"].items())
        st.caption(escaped(say("skipped", kinds=kinds)))
    failed = [row["path"] for row in report["files"] if row["status"] == "failed"]
    if failed:
        st.button(say("retry_failed"), key="retry-failed", on_click=attempt, args=(read_again, base, failed))
    with st.expander(say("report_files"), expanded=bool(failed)):
        rows = sorted(report["files"], key=lambda row: row["status"] != "failed")
        st.dataframe(
            [
                {
                    say("file"): strip_invisible(PurePath(row["path"]).name),
                    say("status"): say("state_failed") if row["status"] == "failed" else say(row["status"]),
                    say("chunks"): row["chunks"],
                    say("reason"): strip_invisible(localized(row["reason"])),
                }
                for row in rows
            ],
            hide_index=True,
            width="stretch",
        )


def _verdict(base: View, verdict: dict[str, Any]) -> None:
    if not verdict["faults"]:
        st.success(say("sound"))
        for part in verdict["unchecked"]:
            st.text(f"{say('unchecked')} {strip_invisible(localized(part))}")
        _missing(base, verdict.get("missing") or {})
        return
    st.error(say("faults"))
    st.text("\n".join(strip_invisible(localized(fault)) for fault in verdict["faults"]))
    if not verdict["repaired"] and base.may("manage"):
        st.button(say("repair"), help=say("repair_help"), on_click=attempt, args=(base.verify, True))


def _missing(base: View, missing: dict[str, list[str]]) -> None:
    """The sources that have no file now."""
    for state in ("gone", "unreachable"):
        if paths := missing.get(state):
            st.warning(say(f"missing_{state}", n=len(paths)))
            st.text("\n".join(strip_invisible(path) for path in paths[:LISTED]))
    if gone := missing.get("gone"):
        st.button(say("forget_gone", n=len(gone)), key="forget-gone", on_click=attempt, args=(_forget, base, gone))


def _forget(base: View, paths: list[str]) -> None:
    """Forget those that are still gone."""
    still = set(base.missing_files().gone)
    base.remove([path for path in paths if path in still])
