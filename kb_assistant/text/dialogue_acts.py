"""Dialogue acts: tells courtesies, wishes and questions about the documents themselves from ordinary questions.

A turn has an act other than "question" only if its whole text is made of that act's words, so that "thanks, and how
much is it?" stays a question. No model is asked. The words stand here, for English and Chinese; traditional
characters are folded to simplified ones first.
"""
# ruff: noqa: E501 - a pattern a line

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from kb_assistant.text.analyzer import fold

Kind = Literal["question", "thanks", "greeting", "farewell", "assent", "more", "form", "now", "about", "document"]

Naming = Literal["loosely", "fully", "exactly"]

COURTESIES: frozenset[Kind] = frozenset({"thanks", "greeting", "farewell", "assent"})


@dataclass(frozen=True, slots=True)
class Act:
    """What a turn is meant to do.

    Attributes:
        kind: "more" asks for more of the last answer, "form" for another form of it, "now" asks for the weather
            or the time of the moment, which no document knows, "about" what the knowledge base holds, "document" for a summary of a document.
        topic: For "document" the words that name it; "" for the document talked about.
        named: For "document" how well it must be named, because the same words may ask about a subject: "loosely"
            for a summary, "fully" if all words of the topic must be in its name, "exactly" if no others may be.
        newest: For "about": the latest documents are asked for.
        every: For "document": a summary of all documents.
    """

    kind: Kind
    topic: str = ""
    named: Naming = "fully"
    newest: bool = False
    every: bool = False


def _any(words: str) -> str:
    """A pattern for one of several patterns, one a line."""
    return "(?:" + "|".join(line.strip() for line in words.strip().splitlines()) + ")"


_END = r"(?![a-z0-9'])"  # of an English word; Chinese may follow

_THANKS = _any(
    r"""
    (?:many )?(?:thanks|thank you|thankyou|thank u|thx|tysm|ty)
    for (?:your|the|all your|all the) (?:help|answers?|info|information|time|support|explanation|quick reply)
    for (?:helping|that|this|everything|explaining|clarifying|letting me know)
    cheers
    much appreciated
    (?:i )?(?:really )?appreciate (?:it|that|your help)
    (?:that|this|it)(?:'s| is| was| has been)? (?:helps|helped|(?:very |really |so )?(?:helpful|useful))
    (?:very |really |so )helpful
    you(?:'ve| have) been (?:very |so |really |most )?helpful
    (?:谢谢|多谢|感谢|谢|谢了)(?:你|您|你们|大家|各位)?(?:们)?的?(?:耐心|热心)?(?:的)?(?:帮助|解答|回答|回复|帮忙|指点|分享|介绍|讲解)?
    辛苦|麻烦(?:你|您)
    帮(?:了|到)?(?:我)?(?:一个|个)?大忙
    (?:很|非常|太|真)?有(?:帮助|用)
    """
)
_GREETING = _any(
    r"""
    (?:hi|hello|hey|hiya|howdy|greetings)(?: there| all| everyone| everybody| assistant| bot)?
    good (?:morning|afternoon|evening|day)
    how are (?:you|things)(?: doing)?(?: today)?
    how(?:'s| is) it going
    how do you do
    what's up
    nice to meet you
    (?:are you|anyone|anybody) there
    (?:你|您|你们|大家|各位)好吗?
    (?:早上|上午|中午|下午|晚上)好
    嗨|哈喽|哈罗|哈啰|喂|早安|早
    (?:你)?在吗|在不在|有人(?:在)?吗
    很?高兴认识(?:你|您)
    """
)
_FAREWELL = _any(
    r"""
    (?:bye|byebye|goodbye|good bye|good night|goodnight|farewell|cya)
    see (?:you|ya)(?: later| soon| tomorrow| around| next time)?
    (?:talk to you|catch you) (?:later|soon)
    take care
    have a (?:nice|good|great|lovely) (?:day|evening|weekend|night|one|time)
    再见|再会|拜拜|拜|晚安
    (?:回头|明天|下次|改天)(?:再)?(?:见|聊)
    """
)
_ASSENT = _any(
    r"""
    (?:ok|okay|okey|k|kk|okie|alright|all right|right|sure|great|cool|nice|perfect|excellent|awesome|wonderful)
    (?:brilliant|amazing|fantastic|yes|yeah|yep|yup|no|nope|exactly|indeed|wow|haha|lol|hmm|hm|interesting)
    got it|gotcha|i see|i understand|understood|i get it|makes sense|good to know|noted|never mind|nevermind|nvm
    (?:good|well|nice|great) (?:job|done|work|answer|one)
    (?:that|it|this)(?:'s| is| was|'ll be| will be) (?:all|it|great|good|fine|perfect|enough|right|correct|clear|interesting)
    that(?:'s| is| was) (?:all|everything|what) i (?:need|needed|wanted)(?: to know)?
    that(?:'ll| will) (?:do|be all)
    that makes sense
    (?:no|i have no|there are no) (?:more|further|other) questions
    nothing (?:else|more)
    no problem
    you(?:'re| are) right
    (?:i'm|we're) (?:done|good)
    好|行|可以|嗯+|哦+|噢+|喔+|对|是|没错|正确|明白|懂|知道|了解|收到|清楚|原来如此|原来是这样|这样啊|没问题
    (?:我)?(?:明白|懂|知道|了解|清楚)了?
    没有?(?:别的|其他的?|更多的?|什么)?(?:问题)?了|不用|够|就这样|就这些|先这样|暂时没有(?:问题)?
    太好|太棒|很好|真好|真棒|非常好|不错|挺好|厉害|完美|哈+|呵呵|有意思|答得好|回答得(?:很|真|不错)?好
    """
)
_FILLER = _any(
    r"""
    (?:a lot|a million|so much|very much|a bunch|again|please|then|so|well|oh|ah|too|for now|now|today)
    (?:you too|sir|friend|mate|man|buddy|assistant|and|very)
    非常|十分|真的?|太|很|那|那么|就|先|的|了|啊|呀|啦|哈|吧|呢|哒|滴|嘞|你|您|亲|朋友|老师|祝|愉快
    """
)
_COURTESY = re.compile(
    rf"(?:(?P<thanks>{_THANKS})|(?P<farewell>{_FAREWELL})|(?P<greeting>{_GREETING})|(?P<assent>{_ASSENT})"
    rf"|{_FILLER}){_END} ?"
)
_STRONGEST: tuple[Kind, ...] = ("thanks", "farewell", "greeting", "assent")

# What a wish for more, or for another form, may be made of, and what makes it one.
_POLITE = r"""
    please|can|could|would|will|you|me|i|i'd|i'm|like|want|to|and|yes|yeah|yep|ok|okay|sure|thanks|great|good|so|well
    a|an|the|some|any|bit|little|lot|much|it|this|that|them|these|those|about|on|of|for|with|in|is|are|there
    do|does|have|know|hear|learn|see|tell|give|show|say|get|just|all|again|now|then|your|answer|one|hmm|oh
    请|再|能不能|能否|能|可以|可不可以|你|您|给我|帮我|帮|麻烦|把|它|这个|那个|这|那|这些|那些|上面|刚才|的|得|地|了
    说|讲|介绍|解释|说明|描述|谈|聊|一下|一些|一点|点儿|点|些|下|更|多|加|还|有|呢|吗|吧|啊|呀|嘛|我|想|要|知道|了解|听|看
    好|嗯|是|行|谢谢|一遍|一次|回答|答案|内容|信息|方面|关于|关|就|来|用|以
"""
_MORE_WORDS = r"""
    more|further|else|anything|what|details?|detailed|info|information|elaborate|expand|explain|describe|go|ahead
    keep|going|continue|deeper|deep|depth|specific|specifically|longer|next|other|things?
    详细|具体|仔细|深入|展开|细节|继续|接着|往下|还有|更多|别的|其他|其它|什么|清楚|细致|全面|完整
"""
_MORE_CORE = re.compile(
    r"\b(?:more|further|elaborate|expand|details?|detailed|continue|go on|go ahead|keep going|(?:go )?deeper|in depth"
    r"|(?:what|anything) else|longer)\b"
    r"|详细|具体|细节|仔细|深入|展开|继续|接着|往下|更多|细致|全面|完整|(?:再|多)(?:给我|跟我)?(?:说|讲|介绍|解释|聊|来|告诉)|还有(?:呢|吗|什么|别的|其他|其它|更多)"
)
_FORM_WORDS = r"""
    make|write|put|rewrite|rephrase|reword|shorten|simplify|translate|summari[sz]e|repeat|explain|format|reply|respond
    as|into|be|more|less|only|very|short|shorter|brief|briefer|briefly|concise|concisely|simple|simpler|simply|longer
    plain|formal|formally|list|bullets?|bulleted|numbered|points?|table|sentences?|words?|paragraphs?|lines?|two|three
    version|form|language|terms|response|text|last|markdown|json
    english|chinese|mandarin|french|german|spanish|japanese|korean|russian|italian|portuguese|arabic|cantonese
    短|简短|简洁|简单|精简|简要|简练|简明|扼要|通俗|易懂|正式|口语|长|少|一句话|两句话|几句话|概括|总结|列表|列成|列出来|列|清单|表格|表
    分点|要点|条|逐条|分条|换|个|种|说法|方式|形式|格式|翻译|译|成|为|写|改写|改|重写|重新|重复|话|语言|做|整理
    中文|英文|英语|汉语|普通话|法语|日语|德语|韩语|俄语|西班牙语|繁体|简体|繁体字|简体字|版
"""
_LANGUAGES = r"(?:english|chinese|mandarin|french|german|spanish|japanese|korean|russian|italian|portuguese|arabic|cantonese)"
_FORM_CORE = re.compile(
    r"\b(?:shorter|shorten|in short|brief(?:er|ly)?|(?:more )?concise(?:ly)?|simpl(?:er|y|ify)|simple (?:words|terms|language)"
    r"|plain (?:words|language|english)|(?:as|in|into) (?:an? )?(?:short |bulleted |numbered )?(?:list|table|bullets?|json"
    r"|markdown)|bullet points?|(?:in|into|to) " + _LANGUAGES + r"|translate|rephrase|reword|rewrite|repeat"
    r"|(?:in|into|to) (?:one|two|three|a few|fewer|\d+) (?:short )?(?:sentences?|words?|lines?|points?))\b"
    r"|(?:短|简短|简洁|简单|精简|简要|简练|简明|扼要|通俗|正式|口语|易懂)|(?:一|两|几)句话|列表|列成|列出来|清单|表格|分点|逐条|分条|要点"
    r"|换(?:一)?(?:个|种)(?:说法|方式|形式)|翻译|译成|改写|重写|重复|(?:用|说|以)(?:中文|英文|英语|汉语|普通话|法语|日语|德语|韩语|繁体|简体)"
)

# Questions about the knowledge base.
_DOCUMENTS = r"(?:documents?|docs|files?|sources?|materials?|papers|pdfs?|texts)"
_BASE = r"(?:knowledge ?base|kb|library|collection|database|document base|index|corpus|archive)"
_HERE = rf"(?:here|there|in (?:here|there|it|(?:this|the|your|my|our) {_BASE}))"
_ZH_DOCUMENTS = r"(?:文档|文件|资料|材料|文章|来源|文献|pdf)"
_ZH_BASE = r"(?:(?:这个|这|该|本|你的|我的|当前|现在的?)*(?:知识库|资料库|文档库|文件库|数据库|库)|这里|这儿|你这里|你这儿|你这边|系统)"
_ZH_WHAT = r"(?:哪些|什么|些什么|啥|些啥|哪几[个份篇])"
_LIST = _any(
    rf"""
    (?:what|which)(?: kinds? of| sorts? of)? {_DOCUMENTS} (?:do you have|have you got|are (?:there|available|included|indexed|loaded|stored|covered))(?: {_HERE})?
    (?:what|which) {_DOCUMENTS} (?:are|is) {_HERE}
    (?:what|which) {_DOCUMENTS} (?:can you (?:search|read|see|access|use)|do you (?:know|hold|contain|cover|use|search)|have you (?:read|indexed|seen)|have i (?:added|uploaded)|did (?:you read|i add|i upload))(?: about| from)?
    (?:what|which) {_DOCUMENTS} does (?:this|the|your|my|our|it) ?{_BASE}? ?(?:have|hold|contain|include|cover)
    (?:list|show|show me|name|give me|tell me)(?: a list of| the list of)?(?: all)?(?: of)?(?: the| your| my| available)* {_DOCUMENTS}(?: names| titles)?(?: you have| {_HERE})?
    what(?:'s| is) (?:in|inside) (?:this|the|your|my|our) (?:{_BASE}|{_DOCUMENTS})
    what(?:'s| is) (?:this|the|your) {_BASE}(?: all)?(?: about)?
    what does (?:this|the|your|my|our) {_BASE} (?:have|hold|contain|include|cover|know)(?: about)?
    what do you (?:have|know)(?: about)?(?: here)?
    what (?:kind of |sort of )?(?:information|knowledge|data|content|topics|subjects) (?:do you have|do you (?:hold|cover|know)|are (?:covered|there|available)|is (?:there|available|{_HERE}))(?: {_HERE})?
    {_ZH_BASE}(?:里面?|中|内|上)?(?:都|目前|现在|一共|总共)*(?:有|包含|包括|收录|存|放|收)(?:了|着)?{_ZH_WHAT}(?:样的)?(?:{_ZH_DOCUMENTS}|内容|东西|知识|信息|主题|书)?
    (?:你|您|我|我们)?(?:都|现在|目前|一共)*(?:有|收录了?|读过|看过|知道|能查|能看){_ZH_WHAT}{_ZH_DOCUMENTS}
    (?:列出|列一下|列举|显示|给我看?|看看|告诉我)(?:一下)?(?:所有|全部|你的|现有)*的?{_ZH_DOCUMENTS}(?:的)?(?:列表|清单|目录|名称|标题)?
    {_ZH_DOCUMENTS}(?:列表|清单|目录)
    (?:都)?有{_ZH_WHAT}{_ZH_DOCUMENTS}(?:可以|能)?(?:查|问|用|搜索|看)?
    (?:你|您)(?:都)?(?:知道|懂|了解|会)(?:些)?(?:什么|哪些|啥)(?:东西|内容|知识)?
    {_ZH_BASE}是(?:关于|讲|做|干)(?:什么|啥)的?
    """
)
_COUNT = _any(
    rf"""
    how many {_DOCUMENTS}(?: do you (?:have|know|hold)| have you (?:got|read|indexed)| are there| are available| does (?:this|the|your|my|it) ?{_BASE}? ?(?:have|hold|contain|include)| are)?(?: {_HERE})?
    how (?:big|large) is (?:this|the|your|my) {_BASE}
    (?:{_ZH_BASE}|你|您)?(?:里面?|中|内)?(?:都|目前|现在)*(?:一共|总共|共)?(?:有|收录了?|存了?)?(?:多少|几)(?:个|份|篇|本|种)?{_ZH_DOCUMENTS}
    {_ZH_DOCUMENTS}(?:一共|总共|共)?有(?:多少|几)(?:个|份|篇)?
    """
)
_NEWEST = _any(
    rf"""
    (?:what|which)(?:'s| is| are| was| were)?(?: the)? (?:newest|latest|most recent|last|recently)(?: added| updated| changed| uploaded)? {_DOCUMENTS}(?: you have| {_HERE})?
    (?:the |show me the |list the )?(?:newest|latest|most recent) {_DOCUMENTS}
    (?:what|which) {_DOCUMENTS} (?:is|are|was|were)(?: the)? (?:newest|latest|most recent|new|(?:recently |last )?(?:added|updated|changed|uploaded)(?: last| recently| most recently)?)
    what(?:'s| is) new(?: {_HERE})?
    when (?:was|were) (?:this|the|your) (?:{_BASE}|{_DOCUMENTS}) (?:last )?(?:updated|added|changed|indexed)(?: last)?
    (?:最新|最近|最后|新近)(?:的|一个|一份|一篇|几个|几份|添加|更新|加入|上传|导入|收录|修改|加|放|进来|入库)*{_ZH_DOCUMENTS}(?:(?:是|有)(?:什么|哪个|哪份|哪一个|哪一份|哪篇|哪些|啥))?
    哪(?:个|份|篇|些|几个|几份|一个|一份|一篇){_ZH_DOCUMENTS}(?:是)?(?:最新|最近|最后)(?:的|添加|更新|加入|上传|导入|修改)*
    (?:{_ZH_BASE}|你)?(?:最近|最新)(?:更新|添加|新增|加|增加|上传)了?{_ZH_WHAT}(?:{_ZH_DOCUMENTS}|内容)?
    """
)
_ASKABLE = _any(
    r"""
    (?:what|which)(?: kinds? of| sorts? of)?(?: questions| things| topics)? (?:can|could|may|should) (?:i|we) ask(?: you| here)?(?: about)?(?: here)?
    what(?: kinds? of| sorts? of)?(?: questions)? can you (?:do|answer|help(?: me| us)?(?: with)?|tell me|explain)(?: for me| about| here)?
    what are you(?: able to do| for| good for)?
    who are you
    how (?:can|do) (?:you help(?: me)?|i use (?:you|this))
    help(?: me)?
    (?:give me |show me |suggest )?(?:some |a few |an )?(?:example|sample) questions?
    suggest (?:some |a few )?questions
    (?:我|我们)?(?:都)?(?:可以|能|能够|该|应该)(?:向|跟|对)?(?:你|您)?(?:问|提问|查|咨询|提)(?:你|您)?(?:一?些)?(?:什么|哪些|啥)(?:样的)?(?:问题|内容|方面)?
    (?:你|您)(?:都)?(?:可以|能|会|能够)(?:帮我|为我|给我)?(?:做|回答|干|解答|解决|处理|帮忙|帮我做)(?:一?些)?(?:什么|哪些|啥|哪(?:一|几|些|个)?(?:方面|类|种))(?:样)?(?:的)?(?:问题|事|事情|忙|内容)?
    (?:你|您)(?:都)?(?:可以|能|会|能够)(?:帮我|为我|给我)?(?:干嘛|干吗|干啥|做啥|做嘛)
    (?:你|您)(?:有什么|有啥)(?:用|功能|本事)
    (?:你|您)(?:是|叫)(?:谁|什么|什么名字|干什么的|做什么的|干嘛的)
    (?:有)?(?:什么|哪些)(?:问题)?(?:可以|能)问(?:的|你|您)?
    (?:怎么|如何)(?:用|使用)(?:你|您|这个系统|这个知识库|这个助手)?
    (?:使用)?帮助
    (?:举|给)(?:我)?(?:几|一)?个?(?:可以问的)?(?:问题)?(?:的)?(?:示例|例子)问题?
    """
)
_PREFIX = r"(?:(?:hi|hello|hey|ok|okay|so|well|and|please|tell me|can you tell me|could you tell me|你好|您好|请问|请告诉我|请|那么|那|告诉我) ?)*"
_SUFFIX = r"(?: please| now| right now| currently|呢|啊|呀|吗|吧|了)*"
_ABOUT = re.compile(rf"{_PREFIX}(?:{_LIST}|{_COUNT}|{_ASKABLE}){_SUFFIX}")
_ABOUT_NEWEST = re.compile(rf"{_PREFIX}{_NEWEST}{_SUFFIX}")

_NOW = re.compile(
    _PREFIX
    + _any(
        r"""
        (?:what(?:'s| is)|how(?:'s| is))(?: the)? weather(?: like)?(?: going to be)?(?: outside)? (?:today|now|right now|tomorrow|tonight|outside)(?: like)?
        (?:is it|will it)(?: going to)? (?:rain|raining|snow|snowing|sunny|cold|hot|warm)(?: outside)? (?:today|now|right now|tomorrow|tonight|outside)
        what(?:'s| is) the (?:time|date|day)(?: now| right now| today)?
        what(?:'s| is) today(?:'s date)?
        what (?:time|day|date) is (?:it|today)(?: now| today| right now)?
        what(?:'s| is) (?:in )?the (?:latest |today's )?news(?: today)?
        (?:今天|现在|明天|今晚|外面|后天|这会儿)(?:的|外面)?(?:天气|气温)(?:怎么样|怎样|如何|好吗|好不好|是多少|多少度|预报)?
        (?:今天|现在|明天|今晚|外面)(?:会不会|会|有没有)?(?:下雨|下雪|冷|热)(?:吗|不)?
        (?:现在|这会儿)(?:是)?(?:几点|什么时间|什么时候)(?:钟)?
        今天(?:是)?(?:几号|几月几号|几月几日|星期几|周几|礼拜几|什么日子|哪天)
        今天(?:有)?(?:什么|哪些)新闻
        """
    )
    + _SUFFIX
)

# Questions about one document.
_SIZE = r"(?:short |brief |quick |concise )?"
_ASKS = r"(?:(?:please|can you|could you|would you|i'd like you to|i want you to|i'd like|i need|i want|let me have) )*"
_SUMMARY = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_ASKS}(?:summari[sz]e|sum up|outline|recap)(?: for me)?(?: (?P<topic>.+?))?(?: for me| please| briefly)*",
        rf"{_ASKS}(?:give me|show me|write|make)? ?(?:an? |the )?{_SIZE}(?:summary|overview|outline|gist|tl ?dr)"
        r"(?: (?:of|for) (?P<topic>.+?))?(?: for me| please)*",
        r"(?:请|帮我|麻烦|能不能|可以|你|给我|能|再)*(?:总结|概括|概述|归纳|小结)(?:一下|下)?"
        r"(?P<topic>.*?)(?:的)?(?:主要)?(?:内容|要点|大意)?(?:吗|吧)?",
        r"(?:请|帮我|麻烦|能不能|给我)*(?:把|对)(?P<topic>.+?)(?:做|作|进行)?(?:一个|个)?(?:总结|概括|概述|归纳)(?:一下|下)?(?:吗|吧)?",
    )
)
_CONTENT = tuple(
    re.compile(pattern)
    for pattern in (
        r"what(?:'s| is| are) (?P<topic>.+?) (?:all )?about",
        r"what do(?:es)? (?P<topic>.+?) (?:say|contain|cover|describe|deal with|talk about|tell us|tell me)",
        r"what(?:'s| is| are) (?:the )?(?:content|contents|gist|summary|main (?:ideas?|points?|content)) of (?P<topic>.+)",
        r"(?P<topic>.+?)(?:里面?|中)?(?:主要|都|大概|大致|到底|究竟)*(?:讲|说|写|谈|介绍|讲述|描述|涉及)(?:了|的是|的)?(?:些)?"
        r"(?:什么|啥|哪些)(?:内容|东西|事情|方面)?(?:呢|啊|呀)?",
        r"(?P<topic>.+?)(?:主要|大概|大致)*是(?:关于|讲|说|写|有关)(?:什么|啥|哪方面)的?(?:内容)?(?:呢|啊|呀)?",
        r"(?P<topic>.+?)的?(?:主要|大概|大致)?(?:内容|摘要|概要|大意|梗概|总结|概述|主旨)(?:是什么|是啥|有哪些|是)?(?:呢|啊|呀)?",
    )
)
_NAMED = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:please |can you |could you )*(?:tell me about|describe|introduce|open|show me|show|read|explain|what(?:'s| is) in)"
        r" (?P<topic>.+)",
        r"(?:请|帮我|麻烦|给我|能不能|可以)*(?:介绍|讲讲|说说|看看|打开|讲一讲|说一说|谈谈|讲一下|说一下)(?:一下)?(?P<topic>.+?)(?:吗|吧)?",
    )
)
_OF_A_FILE = re.compile(
    r"^(?:(?:please )?(?:summari[sz]e|sum up|outline|open|show me|show|read|explain|describe) "
    r"|(?:请|帮我)*(?:总结|概括|概述|介绍)(?:一下)?(?=\S*\.[a-z]))"
)
"""What is asked of a file that is named by its whole name."""
_FILE = re.compile(r"[^/\\?？]*[^\s/\\?？.]\.[a-z]{1,4}[a-z0-9]?")
_DOCUMENT: tuple[tuple[tuple[re.Pattern[str], ...], Naming], ...] = (
    (_SUMMARY, "loosely"),
    (_CONTENT, "fully"),
    (_NAMED, "exactly"),
)
_TEXT_NOUN = r"(?:documents?|docs?|file|pdf|text|paper|article|page)"
_ZH_TEXT_NOUN = r"(?:文档|文件|文章|资料|材料|文本|pdf|全文)"
_THIS = re.compile(
    rf"|(?:this|that|it|the whole thing|(?:(?:this|that|the|your|my|whole|last|current|same) )*{_TEXT_NOUN})"
    rf"|(?:这|那|该|本|此|上)?(?:一)?(?:个|份|篇|本|些)?的?{_ZH_TEXT_NOUN}|本文|此文|这篇|这份|全文|这个"
)
_KIND_OF_TEXT = re.compile(
    rf"^(?:the |this |that |your |our |my )+|^{_TEXT_NOUN} | {_TEXT_NOUN}$"
    rf"|(?:这|那|该)?(?:一)?(?:个|份|篇|本)?的?{_ZH_TEXT_NOUN}$|^(?:一下|一篇|一份)"
)
_EVERY = re.compile(
    r"everything|all(?: of (?:it|them))?|(?:(?:all|of|the|these|those|my|our|your|whole) )*"
    rf"(?:documents|docs|files|papers|pdfs|sources|materials)|(?:(?:the|this|my|our|your|whole|entire) )*{_BASE}"
    rf"|(?:所有|全部|这些|那些|整个|全体|我的|你的|各个?)+的?(?:{_ZH_TEXT_NOUN}|知识库|资料库|文档库)?(?:的|里|中)?"
    r"|(?:这个|本|我的)?(?:知识库|资料库|文档库)(?:的|里|中)?"
)
"""All documents, as the topic of a summary."""
_PRONOUN = re.compile(
    rf"(?:it|this|that|they|them|he|she|these|those|you|i|we|there|{_TEXT_NOUN})|(?:它|他|她|这|那|你|您|我)们?|这个|那个"
)


def dialogue_act(turn: str) -> Act:
    """The act of a turn, from its words alone.

    >>> [dialogue_act(turn).kind for turn in ("Thanks!", "再说详细点", "thanks, and who runs it now?")]
    ['thanks', 'more', 'question']
    """
    text = _plain(turn)
    if not text:
        return Act("assent" if _is_emoji(turn) else "question")
    if courtesy := _courtesy(text):
        return Act(courtesy)
    if _NOW.fullmatch(text):
        return Act("now")
    if _ABOUT_NEWEST.fullmatch(text):
        return Act("about", newest=True)
    if _ABOUT.fullmatch(text):
        return Act("about")
    if _MORE.fullmatch(text) and _MORE_CORE.search(text):
        return Act("more")
    if _FORM.fullmatch(text) and _FORM_CORE.search(text):
        return Act("form")
    return _of_document(turn, text)


def _courtesy(text: str) -> Kind | None:
    """The strongest of the courtesies that make up the whole text; None if anything else is in it."""
    found, place = set[str | None](), 0
    while place < len(text):
        unit = _COURTESY.match(text, place)
        if unit is None:
            return None
        found.add(unit.lastgroup)
        place = unit.end()
    return next((kind for kind in _STRONGEST if kind in found), None)


def _of_document(turn: str, text: str) -> Act:
    name = _OF_A_FILE.sub("", fold(turn).casefold().strip(), count=1)
    if _FILE.fullmatch(name):
        return Act("document", name)
    for patterns, named in _DOCUMENT:
        if found := next(filter(None, (pattern.fullmatch(text) for pattern in patterns)), None):
            if _EVERY.fullmatch(found["topic"] or ""):
                return Act("document", every=True)
            topic = _KIND_OF_TEXT.sub("", found["topic"] or "").strip()
            if topic and not _PRONOUN.fullmatch(topic):
                return Act("document", topic, named)
            this = _THIS.fullmatch(found["topic"] or "") and named != "exactly"
            return Act("document") if this else Act("question")
    return Act("question")


def _bag(*words: str) -> re.Pattern[str]:
    """A pattern for texts made of these words alone."""
    known = sorted({word for some in words for word in re.split(r"[\s|]+", some) if word}, key=len, reverse=True)
    latin = "|".join(word for word in known if word[0].isascii())
    wide = "|".join(word for word in known if not word[0].isascii())
    return re.compile(rf"(?>(?:(?:{latin}){_END}|(?:{wide})) ?)++")


_MORE = _bag(_POLITE, _MORE_WORDS)
_FORM = _bag(_POLITE, _FORM_WORDS)

_PUNCTUATION = re.compile(r"[^\w'.]+|\.(?!\w)|(?<!\w)[.']|_+")
_BETWEEN_WIDE = re.compile(r"(?<=[\u3400-\u9fff]) (?=[\u3400-\u9fff])")


def _plain(turn: str) -> str:
    """The turn in lower case and simplified characters, without punctuation and signs."""
    text = _PUNCTUATION.sub(" ", fold(turn).replace("’", "'").casefold())
    return _BETWEEN_WIDE.sub("", " ".join(text.split()))


def _is_emoji(turn: str) -> bool:
    return any(unicodedata.category(sign) == "So" for sign in turn)
