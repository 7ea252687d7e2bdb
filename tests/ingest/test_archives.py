"""Archives as folders: what is in them is found and cited, what would do harm is refused, and all is told."""

from __future__ import annotations

import hashlib
import io
import json
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import pyzipper

from ingest import archives
from ingest.archive_formats import open_archive
from kb_assistant.errors import ReadError
from kb_assistant.knowledge import KnowledgeBase
from kb_assistant.types import FileResult, Report
from tests.law import contents, files_under, small_kb
from tests.shell import kb_here

Members = dict[str, bytes | str]


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


def tarred(members: Members, mode: str = "w:gz", *others: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            raw = data.encode() if isinstance(data, str) else data
            info.size = len(raw)
            file.addfile(info, io.BytesIO(raw))
        for info in others:
            file.addfile(info)
    return buffer.getvalue()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    return folder


@pytest.fixture
def kb(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with small_kb(tmp_path / "home") as base:
        yield base


def rows(report: Report, docs: Path) -> dict[str, str]:
    return {row.path.removeprefix(f"{docs}/"): row.status for row in report}


def row(report: Report, end: str) -> FileResult:
    (found,) = [row for row in report if row.path.endswith(end)]
    return found


KINDS = {
    "a.zip": zipped,
    "stored.zip": lambda members: zipped(members, zipfile.ZIP_STORED),
    "b.tar": lambda members: tarred(members, "w"),
    "c.tar.gz": tarred,
    "d.tgz": tarred,
    "e.tar.bz2": lambda members: tarred(members, "w:bz2"),
    "F.TAR.XZ": lambda members: tarred(members, "w:xz"),
}


@pytest.mark.parametrize("name", KINDS)
def test_documents_in_each_kind_of_archive_are_found_and_cited_by_their_path(
    kb: KnowledgeBase, docs: Path, name: str
) -> None:
    members: Members = {
        "top.md": "The pump is blue.",
        "sub/deep/水泵.txt": "水泵由维修组检查。",
        "film.mp4": b"\xff",
    }
    (docs / name).write_bytes(KINDS[name](members))
    report = kb.ingest(docs)
    assert rows(report, docs) == {name: "added", f"{name}/top.md": "added", f"{name}/sub/deep/水泵.txt": "added"}
    assert report.skipped == {".mp4": 1}
    assert row(report, name).reason == "an archive of 2 documents"
    assert kb.search("blue pump")[0].source == str(docs / name / "top.md")
    assert kb.search("pump", where=["path=*/top.md"])[0].source == str(docs / name / "top.md")
    again = kb.ingest(docs)
    assert (again.unchanged, again.skipped) == (3, {".mp4": 1})
    assert kb.verify().faults == ()


def test_a_changed_archive_reads_only_what_changed_in_it(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "a.zip").write_bytes(zipped({"same.md": "Same.", "other.md": "Old.", "gone.md": "Gone."}))
    kb.ingest(docs)
    (docs / "a.zip").write_bytes(zipped({"new.md": "New.", "other.md": "Changed.", "same.md": "Same."}))
    report = kb.ingest(docs)
    assert rows(report, docs) == {
        "a.zip": "updated",
        "a.zip/gone.md": "removed",
        "a.zip/new.md": "added",
        "a.zip/other.md": "updated",
        "a.zip/same.md": "unchanged",
    }
    assert report.embedded == 2
    (docs / "a.zip").rename(docs / "b.zip")
    report = kb.ingest(docs)
    assert (report.added, report.removed, report.embedded) == (4, 4, 0)
    assert row(report, "b.zip").reason == f"an archive of 3 documents; moved from {docs / 'a.zip'}"
    (docs / "b.zip").unlink()
    assert kb.ingest(docs).removed == 4
    assert kb.sources() == []


def test_a_dry_run_tells_what_is_in_an_archive_and_writes_nothing(
    kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    (docs / "a.zip").write_bytes(zipped({"a.md": "The pump."}))
    before = files_under(tmp_path)
    report = kb.ingest(docs, dry_run=True)
    assert rows(report, docs) == {"a.zip": "added", "a.zip/a.md": "added"}
    assert files_under(tmp_path) == before


def test_filters_hold_inside(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "a.zip").write_bytes(zipped({"a.md": "The pump.", "b.txt": "The valve.", ".git/c.md": "Hidden."}))
    assert rows(kb.ingest(docs, include=["*.md"]), docs) == {"a.zip": "added", "a.zip/a.md": "added"}
    assert rows(kb.ingest(docs), docs)["a.zip/b.txt"] == "added"
    kept = kb.ingest(docs, exclude=["b.txt"])
    assert "--prune removes it" in row(kept, "b.txt").reason
    assert rows(kb.ingest(docs, exclude=["b.txt"], prune=True), docs)["a.zip/b.txt"] == "removed"
    (docs / ".kbignore").write_text("*.zip\n")
    assert {row.status for row in kb.ingest(docs)} == {"unchanged"}
    assert kb.ingest(docs, prune=True).removed == 2


def test_what_was_forgotten_or_lost_of_an_archive_comes_back(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "a.zip").write_bytes(zipped({"a.md": "The pump.", "b.md": "The valve."}))
    kb.ingest(docs)
    before = contents(kb)
    assert kb.remove([docs / "a.zip" / "a.md"]) == [str(docs / "a.zip" / "a.md")]
    assert rows(kb.ingest(docs), docs) == {
        "a.zip": "unchanged",
        "a.zip/a.md": "added",
        "a.zip/b.md": "unchanged",
    }
    assert contents(kb) == before
    assert len(kb.remove([docs / "a.zip"])) == 3


def test_a_stop_in_the_middle_is_made_up_for_even_where_the_archive_is_put_back(
    kb: KnowledgeBase, docs: Path
) -> None:
    """What is in the store belonged to neither state, and the archive looked unchanged."""
    first = zipped({f"{n}.md": f"Valve {n}." for n in range(200)})
    (docs / "a.zip").write_bytes(first)
    kb.ingest(docs)
    before = contents(kb)
    (docs / "a.zip").write_bytes(zipped({f"{n}.md": f"Pump {n}." for n in range(200)}))
    asked = iter(range(10_000))
    stopped = kb.ingest(docs, stop=lambda: next(asked) > 150)
    assert stopped.stopped
    assert 0 < stopped.updated < 200
    (docs / "a.zip").write_bytes(first)
    assert kb.ingest(docs).updated == stopped.updated
    assert contents(kb) == before


def test_archives_in_archives_are_read_to_a_depth(kb: KnowledgeBase, docs: Path) -> None:
    data: bytes = zipped({"deep.md": "At the bottom."})
    for depth in range(3, 0, -1):
        data = zipped({f"{depth}.zip": data, f"{depth}.md": f"Depth {depth}."})
    (docs / "a.zip").write_bytes(data)
    report = kb.ingest(docs)
    assert row(report, "1.zip/2.zip/3.md").status == "added"
    assert row(report, "1.zip/2.zip/3.zip/deep.md").status == "added"
    (docs / "a.zip").write_bytes(zipped({"0.zip": data}))
    report = kb.ingest(docs)
    assert (
        row(report, "0.zip/1.zip/2.zip/3.zip").reason
        == "archives are read 3 deep; unpack the outer one into a folder"
    )


def bomb(megabytes: int) -> bytes:
    return zipped({"bomb.txt": b"0" * (megabytes * 1_000_000)})


def test_what_unpacks_to_too_much_is_refused_as_a_whole(docs: Path, tmp_path: Path) -> None:
    (docs / "ratio.zip").write_bytes(zipped({"a.md": "Fine.", "bomb.txt": b"0" * 30_000_000}))
    (docs / "tar.tar.gz").write_bytes(tarred({"a.md": "Fine.", "bomb.dat": b"0" * 30_000_000}))
    (docs / "nested.zip").write_bytes(zipped({f"{n}.zip": bomb(9) for n in range(5)}))
    (docs / "many.zip").write_bytes(zipped({f"{n}.md": "x" for n in range(101)}))
    (docs / "fine.md").write_text("Other files go on.")
    with small_kb(tmp_path / "home", archive_members=100) as kb:
        report = kb.ingest(docs)
        for name in ("ratio.zip", "tar.tar.gz", "nested.zip"):
            assert "more than 200 times its size" in row(report, name).reason
        assert "more than 100 files in it. Unpack it into a folder, or raise" in row(report, "many.zip").reason
        assert rows(report, docs)["fine.md"] == "added"
        assert len(report.files) == 5
        assert len(kb.sources()) == 5
        assert kb.verify().faults == ()
    with small_kb(tmp_path / "home2", archive_megabytes=5) as kb:
        (docs / "random.zip").write_bytes(zipped({f"{n}.txt": f"{n}" * 1_000_000 for n in range(10, 14)}))
        assert "unpacks to more than 5 MB" in row(kb.ingest(docs), "random.zip").reason


def link(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_names_that_lead_out_links_and_devices_are_refused_one_by_one(
    kb: KnowledgeBase, docs: Path, tmp_path: Path
) -> None:
    (docs / "a.zip").write_bytes(
        zipped(
            {
                "../../evil.md": "e",
                "/etc/evil.md": "e",
                "C:\\evil.md": "e",
                "a\\..\\..\\evil.md": "e",
                "ok.md": "Fine.",
            }
        )
    )
    others = [
        link("sym.md", tarfile.SYMTYPE, "/etc/passwd"),
        link("hard.md", tarfile.LNKTYPE, "/etc/passwd"),
        link("pipe.md", tarfile.FIFOTYPE),
        link("device.md", tarfile.CHRTYPE),
    ]
    (docs / "b.tar").write_bytes(tarred({"../evil.md": "e", "ok.md": "Fine, too."}, "w", *others))
    before = files_under(tmp_path)
    report = kb.ingest(docs)
    failed = [row.reason for row in report if row.status == "failed"]
    assert sorted(failed) == sorted(
        ["a link or a device: not followed in archives"] * 4 + ["refused: its name leads out of the archive"] * 5
    )
    assert {source.path.removeprefix(f"{docs}/") for source in kb.sources()} == {
        "a.zip", "a.zip/ok.md", "b.tar", "b.tar/ok.md",
    }  # fmt: skip
    assert {path for path in files_under(tmp_path) if "/home/" not in path} - {str(tmp_path / "home")} == set(
        before
    )
    assert [row.reason for row in kb.ingest(docs) if row.status == "failed"] == failed, "told each time"


def scrambled(data: bytes, password: bytes, check: int) -> bytes:
    """As PKWARE's APPNOTE 6.1 tells it ("traditional encryption")."""
    keys = [0x12345678, 0x23456789, 0x34567890]

    def turn(byte: int) -> None:
        keys[0] = ~zlib.crc32(bytes((byte,)), ~keys[0] & 0xFFFFFFFF) & 0xFFFFFFFF
        keys[1] = ((keys[1] + (keys[0] & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = ~zlib.crc32(bytes((keys[1] >> 24,)), ~keys[2] & 0xFFFFFFFF) & 0xFFFFFFFF

    for byte in password:
        turn(byte)
    out = bytearray()
    for byte in bytes(11) + bytes((check,)) + data:
        mask = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ ((mask * (mask ^ 1)) >> 8) & 0xFF)
        turn(byte)
    return bytes(out)


def locked_zip(name: str, text: str, password: str, method: int = 0) -> bytes:
    body, crc = text.encode(), zlib.crc32(text.encode())
    inner = scrambled(body, password.encode(), crc >> 24)
    head = struct.pack("<HHHHHIIIHH", 20, 1, method, 0, 33, crc, len(inner), len(body), len(name), 0)
    local = b"PK\3\4" + head + name.encode() + inner
    central = b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    return local + central + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)


def test_a_password_opens_a_locked_archive(kb: KnowledgeBase, docs: Path) -> None:
    inner = locked_zip("deep.md", "The valve is deep.", "two")
    (docs / "a.zip").write_bytes(locked_zip("secret.md", "The pump is secret.", "泵"))
    (docs / "b.zip").write_bytes(zipped({"inner.zip": inner}))
    (docs / "aes.zip").write_bytes(locked_zip("c.md", "Unread.", "two", method=99))
    before = kb.ingest(docs)
    assert "--password" in row(before, "secret.md").reason
    report = kb.ingest(docs, passwords=["wrong", "two", "泵"])
    assert row(report, "secret.md").status == row(report, "deep.md").status == "added"
    assert "--password" in row(report, "c.md").reason, "damaged: it doesn't say how it is encrypted"
    assert "secret" in kb.search("What is secret?")[0].text


def test_a_wrong_password_that_passes_the_locks_check_spoils_nothing() -> None:
    """One in 256 does; so of many wrong ones some surely do."""
    file = io.BytesIO(locked_zip("secret.md", "The pump is secret.", "right"))
    wrong = [f"wrong{number}" for number in range(2000)]
    archive = open_archive("a.zip", file, [*wrong, "right"])
    with archive.open(0) as member:
        assert member.read() == b"The pump is secret."


def aes_zip(name: str, text: str, password: str) -> bytes:
    buffer = io.BytesIO()
    with pyzipper.AESZipFile(
        buffer, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES
    ) as archive:
        archive.setpassword(password.encode())
        archive.writestr(name, text)
        archive.writestr("other.md", "The valve is another.")
    return buffer.getvalue()


def test_a_password_opens_an_archive_with_aes(kb: KnowledgeBase, docs: Path) -> None:
    (docs / "a.zip").write_bytes(aes_zip("secret.md", "The pump is secret.", "泵"))
    before = kb.ingest(docs)
    assert row(before, "secret.md").status == "failed"
    assert "--password" in row(before, "secret.md").reason
    report = kb.ingest(docs, passwords=["wrong", "泵"])
    assert row(report, "secret.md").status == row(report, "other.md").status == "added"
    assert "secret" in kb.search("What is secret?")[0].text


def test_an_archive_with_aes_and_nothing_that_opens_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.archive_formats.find_spec", lambda _: None)
    entry = open_archive("a.zip", io.BytesIO(aes_zip("secret.md", "x", "key")), ["key"]).entry(0)
    assert entry is not None
    assert "pip install 'kb-assistant[locked]'" in entry.problem


def test_a_damaged_archive_with_aes() -> None:
    data = bytearray(aes_zip("secret.md", "The pump is secret. " * 50, "key"))
    data[80] ^= 0xFF
    with pytest.raises(zipfile.BadZipFile), open_archive("a.zip", io.BytesIO(data), ["key"]).open(0) as member:
        member.read()


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_damaged_and_encrypted_archives_are_told(kb: KnowledgeBase, docs: Path) -> None:
    whole = zipped({f"{n}.md": f"Valve {n} is one of many. " * 50 for n in range(20)})
    locked = bytearray(zipped({"secret.md": "Secret.", "open.md": "Open."}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(mark) + at] |= 1
    files = {
        "junk.zip": b"PK\x03\x04 this is no archive",
        "empty.zip": b"",
        "cut.zip": cut(whole),
        "cut.tar.gz": cut(tarred({f"{n}.md": f"Valve {n * 7919}." for n in range(20)})),
        "junk.tar": b"x" * 5000,
        "locked.zip": bytes(locked),
    }
    for name, data in files.items():
        (docs / name).write_bytes(data)
    report = kb.ingest(docs)
    for name in ("junk.zip", "empty.zip", "cut.zip", "junk.tar"):
        assert row(report, name).status == "failed"
        assert "damaged, or it is none. Pack or download it anew." in row(report, name).reason
    assert any(r.status == "failed" and "cut.tar.gz" in r.path and "damaged" in r.reason for r in report)
    assert row(report, "secret.md").reason == (
        "encrypted; give its password with --password, or unpack the archive into a folder with its password"
    )
    assert row(report, "open.md").status == "added"
    (docs / "junk.zip").write_bytes(whole)
    assert row(kb.ingest(docs), "/junk.zip").status == "updated"
    (docs / "junk.zip").write_bytes(b"junk again")
    assert kb.ingest(docs).removed == 20


@pytest.mark.parametrize("seed", range(20))
def test_no_damage_crashes_the_listing(seed: int) -> None:
    """Bytes altered at random: a listing, or an error in words."""
    draw = random.Random(seed)
    limits = archives.ArchiveLimits(50_000_000, 1_000_000, 1000)
    for name, make in KINDS.items():
        data = bytearray(make({f"{n}.md": f"Valve {n} of circuit {n * 7}. " * 9 for n in range(9)}))
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        with suppress(ReadError):
            archives.list_contents(name, io.BytesIO(data), len(data), limits)


def test_names_of_other_systems(kb: KnowledgeBase, docs: Path) -> None:
    """GBK without a mark, as Windows in Chinese writes it; back slashes; the doubles that macOS adds."""
    data = zipped({"XXXX.md": "水泵", "sub\\b.md": "Valve.", "__MACOSX/._a.md": "x"})
    (docs / "a.zip").write_bytes(data.replace(b"XXXX", "文档".encode("gbk")))
    assert set(rows(kb.ingest(docs), docs)) == {"a.zip", "a.zip/文档.md", "a.zip/sub/b.md"}


def test_of_a_name_that_stands_twice_the_last_counts(kb: KnowledgeBase, docs: Path) -> None:
    with zipfile.ZipFile(docs / "a.zip", "w") as file:
        file.writestr("a.md", "The pump is old.")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.md", "The pump is new.")
    kb.ingest(docs)
    assert [hit.text for hit in kb.search("pump", 5)] == ["The pump is new."]


def test_an_archive_that_ends_in_another_is_itself(kb: KnowledgeBase, docs: Path) -> None:
    """A tar whose last member is a zip passes for that zip."""
    (docs / "a.tar").write_bytes(tarred({"a.md": "In the tar.", "z.zip": zipped({"b.md": "In the zip."})}, "w"))
    assert set(rows(kb.ingest(docs), docs)) == {"a.tar", "a.tar/a.md", "a.tar/z.zip/b.md"}


def test_an_archive_becomes_a_folder_and_an_archive_again(kb: KnowledgeBase, docs: Path, tmp_path: Path) -> None:
    data = zipped({"a.md": "The pump."})
    (docs / "a.zip").write_bytes(data)
    kb.ingest(docs)
    (docs / "a.zip").unlink()
    (docs / "a.zip").mkdir()
    (docs / "a.zip" / "a.md").write_text("The pump.")
    assert rows(kb.ingest(docs), docs) == {"a.zip": "removed", "a.zip/a.md": "unchanged"}
    (docs / "a.zip" / "a.md").unlink()
    (docs / "a.zip").rmdir()
    (docs / "a.zip").write_bytes(data)
    kb.ingest(docs)
    with small_kb(tmp_path / "fresh") as fresh:
        fresh.ingest(docs)
        assert contents(kb) == contents(fresh)


class Counted(io.BytesIO):
    """Counts the bytes that were read."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


def test_a_compressed_tar_is_unpacked_once_and_not_once_a_member() -> None:
    """Members are read in the order in which they stand."""
    draw = random.Random(1)
    data = tarred({f"{n:03}.md": draw.randbytes(2000) for n in range(300)})
    limits = archives.ArchiveLimits(50_000_000, 1_000_000, 1000)
    members = archives.list_contents("a.tgz", io.BytesIO(data), len(data), limits).members
    opened, file = archives.OpenArchive(), Counted(data)
    for member in members:
        text = opened.member("a", "a.tgz", file, member.places, limits)
        assert hashlib.sha256(text).hexdigest() == member.sha256
    assert len(members) == 300
    assert file.read_bytes < 2 * len(data)


def test_the_command_line_cites_and_forgets_what_is_in_archives(
    docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docs / "a.zip").write_bytes(zipped({"pump.md": "The pump was built in 1904 by Ann Fell."}))
    kb = partial(kb_here, monkeypatch, tmp_path / "home")
    assert kb("ingest", docs).returncode == 0
    hits = json.loads(kb("search", "Who built the pump?", "--json").stdout)["hits"]
    assert hits[0]["source"] == str(docs / "a.zip" / "pump.md")
    assert json.loads(kb("rm", docs / "a.zip", "--json").stdout) == {
        "removed": [str(docs / "a.zip"), str(docs / "a.zip" / "pump.md")]
    }
