"""Documents of old programs (DOC, PPT, WPS): LibreOffice, if installed, converts them.

It runs in a scratch folder with its own profile, without the user's macros and settings, and ends with the
reader's process.
"""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import olefile

from ingest.readers.blocks import Content, Context
from ingest.readers.detect import FORMATS, detect, reader_of
from kb_assistant.errors import ReadError
from kb_assistant.messages import _

_SECONDS = 50.0
_RESTART = 81  # its exit code after it created its profile
_PARTS = {".doc": "Writer", ".ppt": "Impress", ".xls": "Calc", ".xlsx": "Calc"}
"""Its programs, which many systems install one by one, by what they open."""
_PLACES = (
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
    r"C:\Program Files\LibreOffice\program\soffice.exe",
)
_PR_SET_PDEATHSIG = 1


def read(data: bytes, context: Context) -> Content:
    """The document's text, as converted by LibreOffice.

    Raises:
        ReadError: LibreOffice is missing, takes too long or can't open it; or a password is needed.
    """
    presentation = "PowerPoint Document".encode("utf-16-le") in data or context.name.lower().endswith(
        (".ppt", ".pps")
    )
    if data.startswith(bytes.fromhex("d0cf11e0")) and _needs_password(data):
        from ingest.readers.office.encrypted_office import unlocked

        data = unlocked(data, context, _("document"))
    return converted(data, *((".ppt", "pptx") if presentation else (".doc", "docx")), context)


def converted(data: bytes, old: str, new: str, context: Context) -> Content:
    """The content of a document that LibreOffice converts.

    Args:
        old: The suffix of its format.
        new: The target format, such as "docx".

    Raises:
        ReadError: LibreOffice is missing, takes too long or can't open it.
    """
    program = office()
    if program is None:
        raise ReadError(
            _("A {suffix} file of this kind needs LibreOffice, which isn't installed.", suffix=old),
            _("Install it, or save the file anew as .{suffix}.", suffix=new),
        )
    made = _converted(program, data, old, new)
    content: Content = reader_of(detect(made, FORMATS[f".{new}"])).read(
        made, replace(context, passwords=(), depth=context.depth + 1)
    )
    return content


def _needs_password(data: bytes) -> bool:
    """Whether it needs a password: by the flag in a document's header ([MS-DOC] 2.5.2), or the stream that only
    encrypted presentations have."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as file:
            if file.exists("EncryptedSummary"):
                return True
            head = file.openstream("WordDocument").read(12) if file.exists("WordDocument") else b""
    except Exception:  # olefile raises any error on a damaged part; LibreOffice may still open it
        return False
    return len(head) == 12 and bool(head[11] & 1)


def office() -> str | None:
    """LibreOffice, if installed: the program itself, because its launcher would survive a kill."""
    found = (
        shutil.which("soffice")
        or shutil.which("libreoffice")
        or next((p for p in _PLACES if Path(p).exists()), None)
    )
    if found is None:
        return None
    program = Path(found).resolve().with_name("soffice.bin")
    return str(program) if program.exists() else found


def _converted(program: str, data: bytes, suffix: str, new: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="kb-office-") as scratch:
        folder = Path(scratch)
        (folder / "out").mkdir()
        (folder / f"in{suffix}").write_bytes(data)
        profile, again = folder / "profile", folder / "again"
        for name in (profile, again):
            command = [program, "--headless", "--norestore", "--nologo", "--nolockcheck",
                       f"-env:UserInstallation={name.as_uri()}",
                       "--convert-to", new, "--outdir", str(folder / "out"),
                       str(folder / f"in{suffix}")]  # fmt: skip
            code = _run(command, folder)
            if code != _RESTART:
                break
            # Its socket has a hash of the profile's name, and a leftover socket can't be removed here.
            shutil.copytree(profile, again, dirs_exist_ok=True)
        made = folder / "out" / f"in.{new}"
        if not made.exists():
            raise ReadError(
                _("LibreOffice can't open the document (exit code {code}).", code=code),
                _(
                    "Check that LibreOffice {part} is installed, or open and save the document in its own program;"
                    " where memory is short, raise read_megabytes.",
                    part=_PARTS[suffix],
                ),
            )
        return made.read_bytes()


def _run(command: list[str], folder: Path) -> int:
    environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", ""), "TMPDIR": str(folder)}
    environment |= {"LANG": os.environ.get("LANG", "C.UTF-8"), "SAL_USE_VCLPLUGIN": "svp"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    ) as process:
        try:
            return process.wait(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise ReadError(
                _("LibreOffice took longer than {seconds:g} s for the document.", seconds=_SECONDS),
                _("Save it in the new format (.docx)."),
            ) from None


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
