"""Languages told by their script."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_assistant.text.language import Language, is_traditional, language_of
from kb_assistant.text.replies import asks_which, is_reply, replies
from kb_assistant.text.wording import CHINESE, ENGLISH, is_refusal, quoted, wording


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("它什么时候开放？", "zh"),
        ("它什麼時候開放？", "zh"),
        ("BP-7水泵怎么样", "zh"),
        ("BP-7水泵的ERR-1042是什么意思", "zh"),
        ("任天堂的スイッチ怎么连接电视？", "zh"),
        ("鲜の味寿司店的电话号码是多少，营业到几点", "zh"),
        ("When is it open?", "en"),
        ("What does 燕鸥 mean in this very long English question?", "en"),
        ("Wann öffnet die Küche?", "en"),
        ("", "en"),
        ("12345 ?!", "en"),
        ("ポンプはどこですか", "ja"),
        ("請求書の提出期限はいつですか？", "ja"),
        ("東京駅の営業時間", "ja"),
        ("BP-7ポンプのERR-1042は何ですか", "ja"),
        ("ﾎﾟﾝﾌﾟ", "ja"),
        ("펌프는 어디에 있습니까?", "ko"),
        ("BP-7 펌프의 오류 ERR-1042는 무엇입니까?", "ko"),
        ("大韓民國의 首都는 어디입니까?", "ko"),
        ("Где находится насос?", "other"),
        ("أين المضخة؟", "other"),
    ],
)
def test_the_language_of_a_text(text: str, language: Language) -> None:
    assert language_of(text) == language


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1))
def test_han_characters_alone_are_chinese(text: str) -> None:
    assert language_of(text) == "zh"


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1))
def test_hangul_alone_is_korean(text: str) -> None:
    assert language_of(text) == "ko"


def test_what_has_no_sentences_of_its_own_gets_english_ones() -> None:
    languages: tuple[Language, ...] = ("en", "other")
    assert all(wording(language) is ENGLISH for language in languages)
    assert wording("zh") is CHINESE


@pytest.mark.parametrize("language", ["ja", "ko"])
def test_japanese_and_korean_are_refused_in_their_language_and_prompted_in_english(language: Language) -> None:
    words = wording(language)
    said = ("refusal", "unsaid", "nothing")
    assert [language_of(getattr(words, name)) for name in said] == [language] * 3
    assert is_refusal(words.refusal)
    assert replace(words, **{name: getattr(ENGLISH, name) for name in said}) == ENGLISH


def test_quotes_are_announced_by_their_language() -> None:
    assert quoted("en", "zh") == "Quoted in Chinese:"
    assert quoted("ja", "en") == "Quoted in another language:"
    assert quoted("zh", "en") == CHINESE.quoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("圖書館幾點開門？", True),
        ("谢谢", False),
        ("謝謝", True),
        ("你好", False),
        ("著名景点有哪些", False),
        ("what's 圖書", True),
        ("只有一台吗", False),
        ("", False),
    ],
)
def test_the_kind_of_chinese_characters(text: str, expected: bool) -> None:
    assert is_traditional(text) is expected


def test_what_is_said_in_place_of_an_answer_is_known_again_in_each_script() -> None:
    for question in ("图书馆几点开门？", "圖書館幾點開門？"):
        words, short = wording("zh", question), replies("zh", question)
        assert is_traditional(words.refusal) is is_traditional(question)
        assert is_refusal(words.refusal)
        assert is_reply(short.unclear)
        assert asks_which(f"{short.which}\n- 甲\n- 乙")
