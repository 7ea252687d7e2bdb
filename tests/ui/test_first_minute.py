"""The first minute: from an empty home to a cited answer, on the page alone, with the real default models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.acts import answered, axe
from tests.ui.browser import Server, Visits, start_server

pytestmark = [pytest.mark.engine, pytest.mark.browser, pytest.mark.timeout(1800)]

EMBEDDER, CHAT = "multilingual-e5-small", "smollm2-135m-instruct"
TEA = """# 云雾茶场手册

## 采茶

云雾茶场每年四月采摘春茶，由周敏带领三十名工人完成。采下的鲜叶当天送到山下的工坊。

## 焙火

焙火由老师傅林德昌负责，炭火温度保持在九十度，全程六个小时。

## 运输

成品茶每周三用两辆货车运往县城的仓库。
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """The page of a home in which nothing is."""
    running: list[Server] = []

    def start() -> Server:
        running.append(start_server(tmp_path / "home"))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def add_by_path(page: Any, model: Path, button: str, field: str, add: str) -> None:
    """A model from where it lies already."""
    page.get_by_role("button", name=button).click()
    page.get_by_role("textbox", name=field).fill(str(model))
    page.get_by_role("button", name=add, exact=True).click()
    page.keyboard.press("Escape")


def ask_an_example(page: Any, hello: str) -> None:
    """The first of the questions that the documents suggest; its answer cites, and the passage says so."""
    page.get_by_text(hello).wait_for()
    example = page.locator(".st-key-examples button").first
    question = example.inner_text().splitlines()[-1].strip()
    example.click()
    turn = answered(page)
    assert question in turn.locator(".question").inner_text()
    assert turn.get_attribute("class") == "turn done", turn.inner_text()
    turn.locator(".chip").first.click()
    page.locator(".passage mark").first.wait_for()
    assert axe(page) == []


def test_by_models_of_this_machine_and_the_sample_documents(
    visits: Visits, begin: Callable[[], Server], models_home: Path
) -> None:
    page = visits.open(begin().url)
    page.get_by_text("Three steps to your first answer").wait_for()
    assert axe(page) == []
    models = models_home / "models"
    words = ("A model that is on this machine", "Its folder", "Add")
    add_by_path(page, next((models / CHAT).glob("*.gguf")), *words)
    page.locator(".st-key-first-steps").get_by_text("· installed").wait_for()
    add_by_path(page, models / EMBEDDER, *words)
    page.locator(".st-key-first-steps").get_by_text("check_circle Models on this machine").wait_for()
    page.get_by_role("button", name="Use the sample documents").click()
    ask_an_example(page, "What would you like to know?")


def test_in_chinese_with_a_dropped_document_first(
    visits: Visits, begin: Callable[[], Server], models_home: Path, tmp_path: Path
) -> None:
    """Documents may come before the models: they are read once the models are there."""
    (tmp_path / "茶场手册.md").write_text(TEA, encoding="utf-8")
    page = visits.open(begin().url, locale="zh-CN")
    page.get_by_text("三步得到第一个回答").wait_for()
    page.locator("[data-testid=stFileUploader] input[type=file]").first.set_input_files(
        str(tmp_path / "茶场手册.md")
    )
    page.locator(".st-key-first-steps").get_by_text("已保存 1 个文件").wait_for()
    add_by_path(page, models_home / "models" / EMBEDDER, "使用本机上已有的模型", "模型文件夹", "添加")
    ask_an_example(page, "你想了解什么？")


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_by_one_click_for_each_model(visits: Visits, begin: Callable[[], Server], locale: str) -> None:
    """They come from the package index."""
    page = visits.open(begin().url, locale=locale)
    hello, install, samples = {
        "en-US": ("What would you like to know?", "Install", "Use the sample documents"),
        "zh-CN": ("你想了解什么？", "安装", "使用示例文档"),
    }[locale]
    page.get_by_role("button", name=install, exact=True).first.click()
    page.get_by_role("button", name=samples).click()
    ask_an_example(page, hello)
