"""The page of a knowledge base: its content, adding documents, and maintenance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import streamlit as st

from kb_assistant import Job, KBError, KnowledgeBase, Source
from kb_assistant.messages import _
from kb_assistant.workspace import bases, folders
from kb_assistant.workspace.preview import PreviewChunk, pieces
from ui.app_state import app_state, kb_name, user
from ui.chat_list import open_chat
from ui.errors import attempt, attempt_change, show_error, show_problem
from ui.options import options
from ui.sanitize import escaped, short, size, strip_invisible
from ui.strings import local_time, localized, say
from ui.uploads import drop_zone

PER_PAGE = 20
PREVIEWED = 40


def page() -> None:
    name = kb_name()
    base = app_state().base(name)
    st.header(escaped(name))
    show_problem()
    if not bases.exists(base.settings):
        bases.create_base(base.settings)
    _counts(base)
    if user().may_write:
        _add(base)
    _work(base)
    _sources(base)
    if user().may_write:
        _care(base)
        _manage(name)


def _counts(base: KnowledgeBase) -> None:
    state = base.status()
    with st.container(horizontal=True, key="counts"):
        st.metric(say("sources"), f"{state['sources']:,}")
        st.metric(say("chunks"), f"{state['chunks']:,}")
        st.metric(say("disk"), size(state["megabytes"] * 1e6))
        st.metric(say("failures"), state["failed"])


def _add(base: KnowledgeBase) -> None:
    empty = not base.count_sources()
    key = f"add-{base.settings.kb}-{empty}"  # an expander keeps its state as long as its key
    with st.expander(say("add_documents"), icon=":material/upload_file:", expanded=empty, key=key):
        drop_zone(base, "library")
        drop_zone(base, "folder", whole=True)
        _folder(base)


def _folder(base: KnowledgeBase) -> None:
    """Folders of this machine."""
    allowed = options().folders
    if allowed == ():
        st.caption(say("folder_none"))
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(say("folder"), key="folder", help=say("folder_hint"))
        st.button(say("keep"), key="keep", on_click=attempt_change, args=(_keep_named, base))
    for folder in folders.folders_of(base.settings).watched:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(strip_invisible(str(folder)))
            st.button(say("sync"), key=f"sync-{folder}", on_click=attempt_change, args=(_sync, base, [folder]))
            st.button(
                say("let_go"), key=f"go-{folder}", on_click=attempt_change,
                args=(folders.unwatch_folder, base.settings, folder), type="tertiary",
            )  # fmt: skip
    _not_followed(base)


def _not_followed(base: KnowledgeBase) -> None:
    """Show which folders aren't watched, and why."""
    for problem in app_state().not_followed(base):
        show_error(problem)
    if odd := bases.odd_names(base.settings):
        st.warning(escaped(say("odd_bases", names=", ".join(odd), folder=base.settings.home / "kbs")))


def _keep_named(base: KnowledgeBase) -> None:
    _keep(base, st.session_state.folder)


def _keep(base: KnowledgeBase, given: str) -> None:
    allowed = options().folders
    path = Path(given.strip()).expanduser()
    if allowed is not None and not any(path.resolve().is_relative_to(root) for root in allowed):
        raise KBError(say("folder_barred", roots=", ".join(map(str, allowed))))
    _sync(base, [folders.watch_folder(base.settings, given)])


def _sync(base: KnowledgeBase, paths: Sequence[str | Path]) -> None:
    app_state().jobs.ingest(base, paths)


def _work(base: KnowledgeBase) -> None:
    """The running and the last jobs. Updated every second while a job runs."""
    busy = app_state().jobs.busy(base)

    @st.fragment(run_every=1.0 if busy else None)
    def follow() -> None:
        if (busy and not app_state().jobs.busy(base)) or "problem" in st.session_state:
            st.rerun(scope="app")
        for job in reversed([job for job in app_state().jobs.of(base) if not job.finished]):
            _progress(job)

    follow()
    finished = [job for job in app_state().jobs.of(base) if job.finished]
    if finished and not busy:
        _finished(base, finished[0])


def _progress(job: Job) -> None:
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
        if user().may_write:
            st.button(
                say("stop"), key=f"stop-{job.id}", on_click=attempt_change, args=(app_state().jobs.stop, job.id)
            )


def _finished(base: KnowledgeBase, job: Job) -> None:
    with st.container(border=True, key="last-job"):
        said = f"{say('ingest' if job.kind == 'ingest' else job.kind)}: {say(f'state_{job.state}')}"
        st.markdown(f"**{escaped(said)}** · {escaped(_when(job.asked_at))}")
        if job.error:
            st.error(f"{escaped(localized(job.error))}  \n{escaped(localized(job.hint))}")
        if job.kind == "ingest":
            _report(base, job)
        elif job.kind in ("verify", "repair") and job.result:
            _verdict(base, job.result)
        if job.state in ("interrupted", "stopped", "failed") and job.kind == "ingest" and user().may_write:
            label = say("try_again" if job.state == "failed" else "go_on")
            st.button(label, key="go-on", on_click=attempt_change, args=(_sync, base, job.paths))


def _when(moment: str) -> str:
    """A moment in the time of whoever looks at the page."""
    try:
        return f"{local_time(moment):%Y-%m-%d %H:%M}"
    except ValueError:  # of an older version
        return strip_invisible(moment)


def _report(base: KnowledgeBase, job: Job) -> None:
    report = job.result
    if not report:
        return
    st.text(say("report", **{name: report[name] for name in _COUNTS} | {"seconds": f"{report['seconds']:.1f}"}))
    if report["skipped"]:
        kinds = ", ".join(f"{count} {strip_invisible(suffix)}" for suffix, count in report["skipped"].items())
        st.caption(escaped(say("skipped", kinds=kinds)))
    failed = [row["path"] for row in report["files"] if row["status"] == "failed"]
    if failed and user().may_write:
        st.button(say("retry_failed"), key="retry-failed", on_click=attempt_change, args=(_sync, base, failed))
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


_COUNTS = ("added", "updated", "unchanged", "duplicate", "removed", "failed", "seconds")


def _verdict(base: KnowledgeBase, verdict: dict[str, Any]) -> None:
    if not verdict["faults"]:
        st.success(say("sound"))
        for part in verdict["unchecked"]:
            st.text(f"{say('unchecked')} {strip_invisible(localized(part))}")
        _missing(base, verdict.get("missing") or {})
        return
    st.error(say("faults"))
    st.text("\n".join(strip_invisible(localized(fault)) for fault in verdict["faults"]))
    if not verdict["repaired"] and user().may_write:
        st.button(
            say("repair"),
            help=say("repair_help"),
            on_click=attempt_change,
            args=(app_state().jobs.verify, base, True),
        )


def _missing(base: KnowledgeBase, missing: dict[str, list[str]]) -> None:
    """The sources that have no file now."""
    for state in ("gone", "unreachable"):
        if paths := missing.get(state):
            st.warning(say(f"missing_{state}", n=len(paths)))
            st.text("\n".join(strip_invisible(path) for path in paths[:PER_PAGE]))
    if (gone := missing.get("gone")) and user().may_write:
        st.button(
            say("forget_gone", n=len(gone)), key="forget-gone", on_click=attempt_change, args=(_forget, base, gone)
        )


def _forget(base: KnowledgeBase, paths: list[str]) -> None:
    """Forget those that are still gone."""
    still = set(base.missing_files().gone)
    base.forget_sources([path for path in paths if path in still])


def _sources(base: KnowledgeBase) -> None:
    st.subheader(say("sources"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.text_input(say("filter"), key="filter")
        which = st.segmented_control(
            say("which"), ["all", "only_failed"], format_func=say, default="all", key="which"
        )
    failed = True if which == "only_failed" else None
    found = base.count_sources(wanted, failed)
    if not found:
        st.caption(say("no_sources"))
        return
    pages = -(-found // PER_PAGE)
    number = min(st.session_state.get("page", 1), pages)
    if pages > 1:
        number = int(st.number_input(say("page_of", a=number, b=pages), 1, pages, number, key="page"))
    shown = base.sources(wanted, failed, offset=(number - 1) * PER_PAGE, limit=PER_PAGE)
    picked = [source.path for source in shown if _row(base, source)]
    if picked and user().may_write:
        with st.container(border=True, key="delete-bar"):
            st.caption(escaped(say("sure_sources")))
            st.button(
                say("delete_sources", n=len(picked)), type="primary", key="delete-sources",
                on_click=attempt_change, args=(_delete, base, picked),
            )  # fmt: skip


def _row(base: KnowledgeBase, source: Source) -> bool:
    """One source. Returns whether it is selected."""
    name = PurePath(source.path).name
    with st.container(key=f"source-{source.path}", gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            picked = st.checkbox(
                escaped(short(name, 60)), key=f"pick-{source.path}", disabled=not user().may_write,
                width="stretch",
            )  # fmt: skip
            if source.chunks:
                open_ = st.session_state.get("previewed") == source.path
                st.button(
                    say("close") if open_ else say("preview"), icon=":material/visibility:",
                    key=f"preview-{source.path}",
                    on_click=attempt,
                    args=(_choose_preview, None if open_ else source.path),
                    type="tertiary",
                )  # fmt: skip
        facts = say("state_failed") if source.failed else say("pieces", n=source.chunks)
        st.caption(
            escaped(
                " · ".join(
                    [facts, _when(source.ingested_at), short(source.path, 120), localized(source.reason)]
                ).rstrip(" ·")
            )
        )
        if st.session_state.get("previewed") == source.path:
            _preview(pieces(base, source.path), name)
    return bool(picked)


def _choose_preview(path: str | None) -> None:
    st.session_state.previewed = path


def _preview(known: Sequence[PreviewChunk], name: str) -> None:
    """The chunks as text."""
    with st.container(border=True, height=360, key="preview"):
        st.markdown(f"**{escaped(say('preview_of', file=name))}**")
        for piece in known[:PREVIEWED]:
            st.caption(escaped(str(piece.locator)))
            st.text(strip_invisible(piece.text))
        if len(known) > PREVIEWED:
            st.caption(say("more_pieces", n=len(known) - PREVIEWED))


def _delete(base: KnowledgeBase, paths: list[str]) -> None:
    base.forget_sources(paths)
    folders.drop_uploads(base.settings, paths)
    for path in paths:
        st.session_state.pop(f"pick-{path}", None)


def _care(base: KnowledgeBase) -> None:
    jobs = app_state().jobs
    with st.expander(say("care"), icon=":material/health_and_safety:", key="care"), st.container(horizontal=True):
        busy = jobs.busy(base)
        st.button(
            say("verify"),
            help=say("verify_help"),
            on_click=attempt_change,
            args=(jobs.verify, base),
            disabled=busy,
        )
        st.button(
            say("rebuild"),
            help=say("rebuild_help"),
            on_click=attempt_change,
            args=(jobs.rebuild, base),
            disabled=busy,
        )


def _manage(name: str) -> None:
    here = app_state()
    busy = here.jobs.busy(here.base(name))
    with st.expander(say("manage"), icon=":material/edit:", key="manage"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("name"), value=name, key=f"name-{name}", max_chars=64)
            st.button(say("rename"), on_click=attempt_change, args=(_rename, name), disabled=busy, key="rename-kb")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(say("new_kb"), key="new-kb", max_chars=64)
            st.button(say("create"), on_click=attempt_change, args=(_create,), key="create-kb")
        sure = st.checkbox(say("sure_kb"), key=f"sure-{name}")
        st.button(
            say("delete"),
            on_click=attempt_change,
            args=(_remove, name),
            disabled=busy or not sure,
            key="delete-kb",
        )
        if busy:
            st.caption(say("kb_busy"))


def _create() -> None:
    name = st.session_state["new-kb"].strip()
    _checked(name)
    app_state().create_base(name)
    st.session_state.kb = name
    st.session_state.pop("scope", None)
    open_chat(None)


def _rename(old: str) -> None:
    new = st.session_state[f"name-{old}"].strip()
    _checked(new)
    app_state().rename_base(old, new)
    st.session_state.kb = new


def _remove(name: str) -> None:
    app_state().delete_base(name)
    for kept in ("kb", "scope"):
        st.session_state.pop(kept, None)
    open_chat(None)
    if not bases.list_bases(app_state().settings):
        app_state().create_base(app_state().settings.kb)


def _checked(name: str) -> None:
    if name.strip().startswith(bases.ATTACHED):
        raise KBError(
            _("Names that begin with {prefix!r} are taken.", prefix=bases.ATTACHED), _("Choose another name.")
        )
