"""What the commands say of sources without a file, and of files that failed."""

from __future__ import annotations

import json
import shutil
import zipfile
from functools import partial
from pathlib import Path
from shlex import quote

import pytest

from kb_assistant.cli.causes import causes
from kb_assistant.messages import _, join
from tests.shell import kb_here


def test_gone_files_are_told_listed_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = partial(kb_here, monkeypatch, tmp_path / "home")
    docs = tmp_path / "docs"
    for name in ("KB_FLOOR", "KB_CERTAIN"):  # fitted to real embedders
        monkeypatch.setenv(name, "0")
    for name in ("渡船 f", "other"):
        (docs / name).mkdir(parents=True)
        (docs / name / "fee.md").write_text(f"The mooring fee of {name} is 12 crowns.")
    kb("ingest", docs)
    shutil.rmtree(docs / "渡船 f")
    gone = str(docs / "渡船 f" / "fee.md")
    done = kb("ingest", docs / "other")
    assert done.returncode == 0
    assert "no file any more: 1 source" in done.stdout
    assert "kb rm --missing" in done.stderr
    missing = {"gone": [gone], "unreachable": []}
    for command in (("ingest", docs / "other"), ("status",), ("verify",)):
        assert json.loads(kb(*command, "--json").stdout)["missing"] == missing
        assert gone in kb(*command).stdout
    (row,) = json.loads(kb("sources", "--missing", "--json").stdout)
    assert (row["path"], row["file"]) == (gone, "gone")
    assert gone in kb("sources", "--missing").stdout

    question = ("ask", "mooring fee of 渡船", "--model", "extract")
    told = kb(*question)
    assert "(the file is gone)" in told.stdout
    assert "its file is gone" in told.stderr
    answer = json.loads(kb(*question, "--json").stdout)
    assert "its file is gone" in answer["note"]
    assert {one["source"]: one["file"] for one in (*answer["hits"], *answer["citations"])}[gone] == "gone"

    assert json.loads(kb("rm", "--missing", "--json").stdout) == {"removed": [gone]}
    assert len(json.loads(kb("sources", "--json").stdout)) == 1
    again = kb("rm", "--missing")
    assert (again.returncode, again.stdout) == (0, "0 forgotten\n")
    assert kb("rm").returncode == 2


def test_failures_are_told_by_cause_with_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kb = partial(kb_here, monkeypatch, tmp_path / "home")
    docs = tmp_path / "docs"
    docs.mkdir()
    for n in range(7):
        (docs / f"扫描 {n}.pdf").write_bytes(b"%PDF-1.4 no")
    (docs / "large.txt").write_bytes(b"x" * 1_000_001)
    (docs / "good.md").write_text("The tower is 34 metres high.")
    monkeypatch.setenv("KB_FILE_MEGABYTES", "1")
    done = kb("ingest", docs)
    assert done.returncode == 1
    assert done.stdout.index("8 failed: ") < done.stdout.index("7 failed: The PDF is damaged.")
    assert "1 failed: The file is larger than 1 MB." in done.stdout
    assert "and 2 more" in done.stdout
    assert f"kb settings file_megabytes NUMBER && kb ingest {docs / 'large.txt'}" in done.stdout
    listed = kb("sources", "--failed").stdout
    assert "7 failed: The PDF is damaged." in listed
    assert "good.md" not in listed
    report = json.loads(kb("ingest", docs, "--json").stdout)
    assert [len(cause["files"]) for cause in report["causes"]] == [7, 1]
    assert {row["path"] for row in json.loads(kb("sources", "--failed", "--json").stdout)} == {
        row["path"] for row in report["files"] if row["status"] == "failed"
    }


def test_reasons_with_other_values_are_one_cause() -> None:
    found = causes(
        (f"/docs/{n} x.pdf", join((_("The {what} needs a password.", what=what), _("Give it with --password."))))
        for n, what in enumerate(["book", "workbook", "PDF"])
    )
    (cause,) = found
    assert cause.reason == "The book needs a password. Give it with --password."
    assert cause.command == "kb ingest '/docs/0 x.pdf' '/docs/1 x.pdf' '/docs/2 x.pdf' --password -"
    (cause,) = causes([("document:a b.pdf", "It is damaged.")])
    assert cause.command == "kb ingest - --name 'a b.pdf' < FILE"


def test_commands_name_the_options_and_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, archive = tmp_path / "my home", tmp_path / "old scans.zip"
    with zipfile.ZipFile(archive, "w") as package:
        for n in range(7):
            package.writestr(f"in/扫描 {n}.pdf", b"%PDF-1.4 no")
    options = ("--kb", "notes", "--home", home)
    command = f"kb ingest {quote(str(archive))} --kb notes --home {quote(str(home))}"
    for run in (("ingest", archive), ("sources", "--failed")):
        assert kb_here(monkeypatch, tmp_path / "other", *run, *options).stdout.count(f"      {command}\n") == 1
    told = json.loads(kb_here(monkeypatch, tmp_path / "other", "ingest", archive, *options, "--json").stdout)
    assert [cause["command"] for cause in told["causes"]] == [command]
    for reason, expected in (
        ("It needs a password (--password).", "kb ingest /a.pdf --password - --kb notes --home h"),
        (
            "See file_megabytes.",
            "kb settings file_megabytes NUMBER --home h && kb ingest /a.pdf --kb notes --home h",
        ),
    ):
        (cause,) = causes([("/a.pdf", reason)], "notes", Path("h"))
        assert cause.command == expected
    (cause,) = causes([("document:a.pdf", "It needs a password (--password).")])
    assert cause.command == "kb ingest - --name a.pdf --password - < FILE"
