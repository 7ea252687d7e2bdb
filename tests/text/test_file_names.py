"""Names of files and folders: what they say, and which of two files a question is for."""

from __future__ import annotations

import pytest

from kb_assistant.text.file_names import file_names, on_another, said_by_path, with_file_name


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/docs/Yard.md", "Yard"),
        ("/docs/Front Door at 700.md", "Front Door at 700"),
        ("/docs/front-door_paint.md", "front door paint"),
        ("/docs/张伟合同.md", "张伟合同"),
        ("/work/张伟/合同.docx", "张伟 > 合同"),
        ("/work/Falcon/index.md", "Falcon"),
        ("/docs/journal-2026-01-05.md", "journal 2026-01-05"),
        ("/docs/20260105.md", "20260105"),
        ("document:guide.md", "guide"),
    ],
)
def test_a_name_says_what_a_text_is_about(path: str, said: str) -> None:
    assert said_by_path(path) == said


@pytest.mark.parametrize(
    "path",
    ["/docs/index.html", "/docs/README.md", "/docs/IMG_2041.jpg", "/docs/新建文档.docx", "/docs/page (3).html", "",
     "/a/7.md", "document:42", "document:set_doc_17", "/docs/3f2504e0-4f89-11d3-9a0c-0305e82c3301.pdf",
     "/docs/无标题 2.md"],
)  # fmt: skip
def test_some_names_say_nothing(path: str) -> None:
    assert said_by_path(path) == ""


@pytest.mark.parametrize(
    ("path", "heading", "expected"),
    [
        ("/docs/yard.md", "", "yard"),
        ("/house/yard.md", "", "house > yard"),
        ("/docs/yard.md", "The yard > Mowing", "The yard > Mowing"),
        ("/docs/张伟合同.md", "劳动合同", "张伟合同 > 劳动合同"),
        ("/docs/index.md", "Mowing", "Mowing"),
    ],
)
def test_a_heading_that_lacks_the_name_gets_it(path: str, heading: str, expected: str) -> None:
    assert with_file_name(path, heading) == expected


SALARIES = ["月薪一万二千元。", "月薪九千元。"]


@pytest.mark.parametrize(
    ("question", "paths", "texts", "others"),
    [
        ("张伟的月薪", ["/d/张伟合同.md", "/d/李娜合同.md"], SALARIES, [False, True]),
        ("李娜的月薪", ["/d/张伟合同.md", "/d/李娜合同.md"], SALARIES, [True, False]),
        ("李娜的月薪", ["/d/张伟/合同.md", "/d/李娜/合同.md"], SALARIES, [True, False]),
        ("revenue in 2025", ["/d/report-2024.md", "/d/report-2025.md"], ["It was 4.", "It was 5."], [True, False]),
        ("张伟和李娜的月薪", ["/d/张伟合同.md", "/d/李娜合同.md"], SALARIES, [False, False]),
        ("月薪是多少", ["/d/张伟合同.md", "/d/李娜合同.md"], SALARIES, [False, False]),
        ("张伟的月薪", ["/d/张伟合同.md", "/d/李娜合同.md"], ["月薪。", "同张伟的月薪。"], [False, False]),
        ("公司的年假", ["/d/公司制度.md", "/d/员工手册.md"], ["上班九点。", "年假五天。"], [False, False]),
    ],
)
def test_of_files_named_alike_the_one_asked_for_counts(
    question: str, paths: list[str], texts: list[str], others: list[bool]
) -> None:
    assert on_another(question, [file_names(path) for path in paths], texts) == others


def test_of_two_answers_the_one_in_the_named_file_counts() -> None:
    names = [("d", "Front Door at 700"), ("d", "Kitchen")]
    texts = ["The paint is RAL 5011.", "The cupboard doors are white."]
    question = "What colour is the front door?"
    assert on_another(question, names, texts, [True, True]) == [False, True]
    assert on_another(question, names, texts, [False, True]) == [False, False], "its name alone is no answer"
