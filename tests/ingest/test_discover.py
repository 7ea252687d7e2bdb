"""Discovery: every file once, in order, and what can't be read is told."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.discover import Choice, Found, discover

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links and pipes as POSIX has them")


def make(root: Path, *names: str, **contents: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contents.get(name, "x"))


def found(root: Path, *args: Any) -> dict[str, Found]:
    rows = list(discover(root, Choice(*args)))
    assert len({row.path for row in rows}) == len(rows)
    return {row.path.relative_to(root).as_posix(): row for row in rows}


def good(root: Path, *args: Any) -> list[str]:
    rows = found(root, *args)
    return [name for name, row in rows.items() if row == Found(root / name)]


def test_what_the_program_keeps_in_its_home_is_no_document(tmp_path: Path) -> None:
    home = tmp_path / "home"
    make(tmp_path, "a.md", "home/notes.md", "home/uploads/1/b.md", "home/kbs/default/writer.json", "models/m.md")
    make(home, "models/e5/config.json", "access.json", "kb.toml", "eval/c.md", "docs/models/d.md")
    make(home, "token-uses.json", "shared-links.json", "chats.sqlite", "chats.sqlite-wal", "chats.sqlite-shm")
    for root in (tmp_path, home):
        rows = [found.path.relative_to(tmp_path).as_posix() for found in discover(root, Choice(home=home))]
        inside = ["home/docs/models/d.md", "home/notes.md", "home/uploads/1/b.md"]
        assert rows == (["a.md", *inside, "models/m.md"] if root == tmp_path else inside)
    assert len(list(discover(home / "models", Choice(home=home)))) == 1, "what is named by itself is read"


def test_order_is_by_name_and_suffixes_are_told(tmp_path: Path) -> None:
    make(tmp_path, "b/z.md", "b/A.TXT", "a.md", "c.xyz", "b.pdf", "Makefile")
    rows = found(tmp_path)
    assert list(rows) == ["Makefile", "a.md", "b/A.TXT", "b/z.md", "b.pdf", "c.xyz"]
    assert [name for name, row in rows.items() if row.unsupported] == ["Makefile", "c.xyz"]


def test_hidden_and_generated_folders_are_not_walked(tmp_path: Path) -> None:
    make(tmp_path, ".git/a.md", ".venv/a.md", "node_modules/a.md", "__pycache__/a.md", ".hidden.md", "a.md")
    assert list(found(tmp_path)) == ["a.md"]


def test_ignore_files_nest_and_negate(tmp_path: Path) -> None:
    make(
        tmp_path, "a.log", "keep.log", "sub/b.log", "sub/deep/c.log", "build/x.md", "build/y/z.md", "sub/build.md"
    )
    (tmp_path / ".gitignore").write_text("*.log\n!keep.log\nbuild/\n!\n")
    (tmp_path / "sub" / ".kbignore").write_bytes(b"\xef\xbb\xbf!b.log\r\n/deep/\n")
    rows = found(tmp_path)
    assert [name for name, row in rows.items() if row.ignored] == [
        "a.log",
        "build/x.md",
        "build/y/z.md",
        "sub/deep/c.log",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gbk"])
def test_an_ignore_file_is_read_as_editors_save_it(tmp_path: Path, encoding: str) -> None:
    for name in ("草稿.md", "final.md", "old.md"):
        (tmp_path / name).write_text("text")
    (tmp_path / ".kbignore").write_bytes("草稿.md\r\nold.md\r\n".encode(encoding))
    assert [name for name, row in found(tmp_path).items() if not row.ignored] == ["final.md"]


def test_an_ignored_folder_can_not_be_taken_back_from_inside(tmp_path: Path) -> None:
    make(tmp_path, "out/a.md")
    (tmp_path / ".gitignore").write_text("out/\n")
    (tmp_path / "out" / ".gitignore").write_text("!a.md\n")
    assert found(tmp_path)["out/a.md"].ignored


def test_include_and_exclude(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "docs/b.md", "docs/c.txt", "docs/old/d.md")
    assert good(tmp_path, ["*.md"]) == ["a.md", "docs/b.md", "docs/old/d.md"]
    assert good(tmp_path, ["docs/"], ["old/", "*.txt"]) == ["docs/b.md"]
    assert good(tmp_path, [], ["/a.md"]) == ["docs/b.md", "docs/c.txt", "docs/old/d.md"]
    assert all(row.ignored for name, row in found(tmp_path, ["a.md"]).items() if name != "a.md")


def test_root_may_be_a_file_and_is_taken_at_its_word(tmp_path: Path) -> None:
    make(tmp_path, ".draft.md", "a.xyz")
    (tmp_path / ".gitignore").write_text("*\n")
    assert list(discover(tmp_path / ".draft.md")) == [Found(tmp_path / ".draft.md")]
    assert list(discover(tmp_path / "a.xyz")) == [Found(tmp_path / "a.xyz", unsupported=True)]
    assert list(discover(tmp_path / "a.xyz", Choice(exclude=["*.xyz"]))) == [
        Found(tmp_path / "a.xyz", ignored=True)
    ]


def test_missing_root(tmp_path: Path) -> None:
    (row,) = discover(tmp_path / "nowhere")
    assert row.problem == "no such file or folder"


def test_links_are_followed_once(tmp_path: Path) -> None:
    make(tmp_path, "real/a.md", "outside/b.md")
    root = tmp_path / "root"
    make(root, "z/c.md", "z/y/d.md")
    (root / "file.md").symlink_to(tmp_path / "real" / "a.md")
    (root / "folder").symlink_to(tmp_path / "outside")
    (root / "again").symlink_to(root / "z")
    (root / "second").symlink_to(tmp_path / "outside")
    (root / "z" / "y" / "loop").symlink_to(root / "z")
    (root / "self").symlink_to("self")
    (root / "broken.md").symlink_to("nothing")
    rows = found(root)
    assert good(root) == ["file.md", "folder/b.md", "z/c.md", "z/y/d.md"]
    assert {name: row.problem for name, row in rows.items() if row.problem} == {
        "again": "symbolic link to a folder that is read already",
        "broken.md": "broken symbolic link",
        "second": "symbolic link to a folder that is read already",
        "self": "symbolic link loop",
        "z/y/loop": "symbolic link loop",
    }


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    os.mkfifo(tmp_path / ".gitignore")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock.md")
        rows = found(tmp_path)
    assert {row.problem for row in rows.values()} == {"not a regular file"}
    assert set(rows) == {"pipe.md", "sock.md"}


def deny(monkeypatch: pytest.MonkeyPatch, function: str, path: Path) -> None:
    """As root nothing is forbidden, so the call that would fail is made to fail."""
    real: Callable[..., Any] = getattr(os, function)

    def refuse(target: Any, *args: Any, **kwargs: Any) -> Any:
        if os.fspath(target) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(target, *args, **kwargs)

    monkeypatch.setattr(os, function, refuse)


def test_an_unreadable_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "closed/a.md", "open/b.md")
    deny(monkeypatch, "scandir", tmp_path / "closed")
    rows = found(tmp_path)
    assert rows["closed"].problem == "no permission to read it"
    assert "open/b.md" in rows


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.md")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert found(tmp_path)["a.md"].problem == "no permission to read it"


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"\xd6\xd0.md")).write_text("x")
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    (row,) = discover(tmp_path)
    assert row.problem == "file name is not valid UTF-8"


def test_folders_nested_deeper_than_python_recurses(tmp_path: Path) -> None:
    depth = 1100
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("a.md", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)
    file = tmp_path / "/".join(["d"] * depth) / "a.md"
    try:
        assert list(discover(tmp_path)) == [Found(file)]
    finally:  # pytest's own cleaning up would recurse too deep
        file.unlink()
        for level in range(depth, 0, -1):
            os.rmdir(f"{tmp_path}{'/d' * level}")  # noqa: PTH106 - a Path takes its time over so many parts
