"""Files that are dropped on the page: their limits, and the field that reads them at once."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from kb_assistant import KBError
from kb_assistant.workspace.desk import View
from ui.errors import attempt
from ui.options import MEGABYTE, MOST_FILES, MOST_MEGABYTES, MOST_TOTAL_MEGABYTES
from ui.sanitize import escaped, size
from ui.strings import say


def drop_zone(base: View, place: str, *, whole: bool = False) -> None:
    """Files that are dropped here, or a whole folder, are read at once."""
    version = st.session_state.setdefault("uploads", 0)
    key = f"files-{place}-{version}"
    st.file_uploader(
        say("upload_folder" if whole else "upload_files"), key=key,
        accept_multiple_files="directory" if whole else True, max_upload_size=MOST_MEGABYTES,
        on_change=attempt, args=(take, base, key),
        help=say("formats") + say("upload_limits", n=MOST_FILES, megabytes=MOST_TOTAL_MEGABYTES),
    )  # fmt: skip


def take(base: View, key: str) -> None:
    """Read the files of a field, once."""
    taken = st.session_state.setdefault("uploads-taken", set())
    if key in taken:  # a click meanwhile sends the field once more
        return
    taken.add(key)
    files = st.session_state[key]
    st.session_state.uploads += 1
    if problem := too_much(files):
        raise KBError(problem)
    if files:
        base.upload((file.name, file.getvalue()) for file in files)


def too_much(files: Sequence[object]) -> str:
    """Why these files aren't accepted, or ""."""
    sizes = [int(getattr(file, "size", 0)) for file in files]
    if len(files) > MOST_FILES:
        return say("too_many", count=len(files), n=MOST_FILES)
    for file, one in zip(files, sizes, strict=True):
        if one > MOST_MEGABYTES * MEGABYTE:
            return say("too_large", file=escaped(str(getattr(file, "name", ""))), n=MOST_MEGABYTES)
    if (total := sum(sizes)) > MOST_TOTAL_MEGABYTES * MEGABYTE:
        return say("too_much", size=size(total), n=MOST_TOTAL_MEGABYTES)
    return ""
