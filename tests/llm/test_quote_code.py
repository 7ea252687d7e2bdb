"""Code in documents is quoted as code."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage

from kb_assistant.llm.extract import ExtractChat

EXPORT = """导出报销单的命令如下：

```bash
# 导出三月的报销单
oa-export --month 03 --format xlsx
for f in *.xlsx; do echo "$f" | wc -c; done
```

错误码 ERR-4031 表示没有权限。"""

INSTALL = """Run the following commands to install the exporter:

```
pip install oa-exporter==2.4.1
x = 2**3**2
```

The manual tells more."""


def told(question: str, passage: str) -> str:
    values = {"question": question, "passages": [passage]}
    return ExtractChat().invoke([HumanMessage(question, additional_kwargs=values)]).text


@pytest.mark.parametrize(
    ("question", "passage"),
    [("导出报销单的命令是什么？", EXPORT), ("How do I install the exporter?", INSTALL)],
)
def test_code_below_what_announces_it_is_quoted_whole(question: str, passage: str) -> None:
    announced, code = passage.split("\n\n")[:2]
    assert f"{announced} [1]\n{code}" in told(question, passage)


def test_code_is_in_no_other_language() -> None:
    assert "不是中文" not in told("oa-export 导出报销单的命令是什么？", EXPORT)


def test_a_line_of_code_alone_is_cited_as_code() -> None:
    long = EXPORT.replace("oa-export", "# " + "x" * 900 + "\noa-export")
    assert "`oa-export --month 03 --format xlsx` [1]" in told("oa-export --month 03 --format xlsx", long)


def test_code_that_the_passage_cuts_has_its_second_fence() -> None:
    cut = EXPORT[: EXPORT.index("\nfor f in")]
    assert told("导出报销单的命令是什么？", cut).endswith("oa-export --month 03 --format xlsx\n```")
