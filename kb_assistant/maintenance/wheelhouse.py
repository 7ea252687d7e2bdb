"""The wheels of a bundle: this project's own, and those of the packages that it needs, pinned and hashed."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

import kb_assistant
from kb_assistant.errors import BundleError
from kb_assistant.messages import _
from kb_assistant.model_folder import file_digest
from kb_assistant.models.pip_command import run_pip

_BATCH = 8
"""Packages that one run of pip downloads: what came before an interruption stays."""
_NOT_PACKED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_ONLY_ONE = ({"cpu", "gpu"},)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that the bundle holds or will hold; `sha256` is "" where the index doesn't tell it."""

    name: str
    version: str
    file: str
    sha256: str


def project_wheel(given: Path | None, folder: Path, work: Path) -> Path:
    """The wheel of this project in `folder`: a copy of the one that is given; else built from the source that
    runs; else, where the project was installed from a wheel, that wheel packed again from its files.

    Raises:
        BundleError: it isn't a wheel, or can't be built.
    """
    if given is not None:
        if given.suffix != ".whl" or not zipfile.is_zipfile(given):
            raise BundleError(_("{path} isn't a wheel.", path=given), _("Give a .whl file, or leave --wheel out."))
        return Path(shutil.copy(given, folder))
    source = Path(kb_assistant.__file__).parents[1]
    if not (source / "pyproject.toml").is_file():
        return _packed_again(distribution("kb-assistant"), folder)
    built = work / "built"
    shutil.rmtree(built, ignore_errors=True)
    if reason := run_pip(["wheel", "-q", "--no-deps", "-w", str(built), str(source)], work):
        raise BundleError(
            _("The wheel of {path} can't be built: {reason}", path=source, reason=reason),
            _("Build it elsewhere and give it by --wheel."),
        )
    (wheel,) = built.glob("*.whl")
    return Path(shutil.move(wheel, folder / wheel.name))


def _packed_again(installed: Distribution, folder: Path) -> Path:
    """The wheel that a pure Python distribution was installed from, without what pip added."""
    version = installed.version
    wheel = folder / f"{installed.name.replace('-', '_')}-{version}-py3-none-any.whl"
    info = f"{installed.name.replace('-', '_')}-{version}.dist-info"
    rows = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in installed.files or ():
            beside = file.parts[0] == ".." or file.suffix == ".pyc"  # scripts, which the entry points give
            if not beside and not (file.parts[0] == info and file.name in _NOT_PACKED):
                archive.write(file.locate(), file.as_posix())
                rows.append(f"{file.as_posix()},,\n")
        archive.writestr(f"{info}/RECORD", "".join([*rows, f"{info}/RECORD,,\n"]))
    return wheel


def check_extras(wheel: Path, extras: Collection[str]) -> None:
    """
    Raises:
        BundleError: the wheel has no such extra, or two exclude each other.
    """
    known = _metadata(wheel).get_all("Provides-Extra") or []
    for extra in extras:
        if extra not in known:
            raise BundleError(
                _("There is no extra {name!r}.", name=extra), _("There are: {names}.", names=", ".join(known))
            )
    for rivals in _ONLY_ONE:
        if rivals <= set(extras):
            raise BundleError(
                _("The extras {names} exclude each other.", names=", ".join(sorted(rivals))), _("Choose one.")
            )


def pinned(wheel: Path) -> Wheel:
    """Name, version and digest of a wheel that is there."""
    told = _metadata(wheel)
    return Wheel(told["Name"], told["Version"], wheel.name, file_digest(wheel))


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        name = next((one for one in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one)), None)
        if name is None:
            raise BundleError(_("{path} isn't a wheel.", path=wheel), _("Give a .whl file, or leave --wheel out."))
        return HeaderParser().parsestr(archive.read(name).decode())


def resolve(wheel: Path, extras: Sequence[str], constraints: Path | None, work: Path) -> list[Wheel]:
    """All packages that the project needs with these extras, for this platform and Python, as pip chooses them.

    Args:
        wheel: The project's.
        extras: Its extras.
        constraints: A file in pip's form; None: the versions that are installed here, as far as they are.
        work: A folder for what pip writes meanwhile.

    Raises:
        BundleError: pip can't; the message says why.
    """
    if constraints is None:
        constraints = work / "installed.txt"
        constraints.write_text(_installed_versions(), encoding="utf-8")
    report = work / "report.json"
    wanted = f"{wheel.absolute()}[{','.join(extras)}]" if extras else str(wheel.absolute())
    arguments = ["install", "-q", "--dry-run", "--ignore-installed", "--only-binary=:all:"]
    arguments += ["--report", str(report), "-c", str(constraints.absolute()), wanted]
    if reason := run_pip(arguments, work):
        raise BundleError(
            _("What kb-assistant needs can't be found out: {reason}", reason=reason),
            _("Check the network and pip's index (pip config list), then run it again."),
        )
    rows = json.loads(report.read_text(encoding="utf-8"))["install"]
    chosen = [_chosen(row["metadata"], row["download_info"]) for row in rows]
    return [one for one in chosen if one.file != wheel.name]


def _chosen(metadata: dict[str, str], download: dict[str, dict[str, dict[str, str]]]) -> Wheel:
    file = unquote(urlsplit(str(download["url"])).path).rpartition("/")[2]
    sha256 = download.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    return Wheel(metadata["name"], metadata["version"], file, sha256)


def _installed_versions() -> str:
    """Constraints: what runs here. Without local parts of versions, so that any build of torch will do."""
    pins = {one.name: one.version.partition("+")[0] for one in distributions() if one.name}
    pins.pop("kb-assistant", None)
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def download(
    wheels: Sequence[Wheel], folder: Path, work: Path, on_progress: Callable[[float], None] = lambda _: None
) -> None:
    """Bring the wheels into `folder`. One that is there and sound isn't downloaded again.

    Args:
        wheels: What `resolve` chose.
        folder: Where they come.
        work: A folder on the same disk for what pip writes meanwhile.
        on_progress: Called with the share of wheels that are there.

    Raises:
        BundleError: one can't be downloaded, or has another content than the index says.
    """
    left = [one for one in wheels if not _is_sound(folder / one.file, one.sha256)]
    for start in range(0, len(left), _BATCH):
        on_progress(1 - (len(left) - start) / len(wheels))
        _download_batch(left[start : start + _BATCH], folder, work)
    on_progress(1.0)


def _download_batch(batch: Sequence[Wheel], folder: Path, work: Path) -> None:
    for one in batch:
        (folder / one.file).unlink(missing_ok=True)
    arrived = work / "arrived"
    shutil.rmtree(arrived, ignore_errors=True)
    arguments = ["download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(arrived)]
    if reason := run_pip([*arguments, *(f"{one.name}=={one.version}" for one in batch)], work):
        raise BundleError(
            _("Packages can't be downloaded: {reason}", reason=reason),
            _("Mend that (network, pip's index, room on the disk) and run it again: it goes on."),
        )
    for one in batch:
        if not _is_sound(arrived / one.file, one.sha256):
            raise BundleError(
                _("{file} has another content than the package index says.", file=one.file),
                _("Check pip's index (pip config list), then run it again."),
            )
        shutil.move(arrived / one.file, folder / one.file)


def _is_sound(file: Path, sha256: str) -> bool:
    return file.is_file() and (not sha256 or file_digest(file) == sha256)
