"""How one asks in Chinese about a section with a heading."""

from __future__ import annotations

import re

_RULES = re.compile(
    r"(?:制度|规定|規定|办法|辦法|规则|規則|守则|守則|章程|条例|條例|政策|法|须知|須知|公约|公約|"
    r"合同|协议|協議|条款|條款)$"
)
_RECORDS = re.compile(
    r"(?:纪要|紀要|通讯|通訊|报告|報告|总结|總結|记录|記錄|简报|簡報|新闻|新聞|菜谱|食谱|计划|計劃|"
    r"方案|通知|公告|信|日记|年鉴|历史|歷史|价目表|價目表)$"
)
_GUIDES = re.compile(
    r"\s*(?:参观|參觀|使用|用户|用戶|操作|服务|服務|产品|產品|入门|入門|患者|会员|會員|新手|快速)?"
    r"(?:指南|手册|手冊|简介|簡介|介绍|介紹|概况|概況|说明书|說明書|说明|說明|常见问题|常見問題|问答|"
    r"問答|主页|文档|文檔|FAQ)$"
)
"""What a title adds to the name of what it is about."""

_OVERVIEWS = re.compile(
    r"(?:基本|总体|總體)?(?:概述|简介|簡介|概况|概況|情况|情況|背景|前言|引言|介绍|介紹|摘要|总则|"
    r"總則)|关于我们|關於我們|我们是谁"
)
_EMPTY = re.compile(
    r"目录|目錄|参考文献|參考文獻|附录.*|附錄.*|附件.*|致谢|致謝|其他|其它|备注|備註|注|说明|說明|"
    r"更新日志|索引|图|表"
)

_ASKED = re.compile(r"如何|怎么|怎麼|怎样|怎樣|什么|什麼|哪|多少|为什么|谁|誰|几时|是否|能否|可否|吗$|嗎$")
_WHEN = re.compile(r"(?:时间|時間|时段|日期|期限|季节|季節|时长|截止日|营业时间|钟点)$")
_PRICES = re.compile(
    r"(?:价格|價格|费用|費用|门票|門票|票价|票價|收费|收費|补贴|補貼|补助|津贴|工资|押金|罚款|罰款|"
    r"会费|會費|租金|运费|单价|价目|价钱|費|费)$"
)
_PLACES = re.compile(r"(?:地址|地点|地點|位置|场地|場地)$")
_WAYS = re.compile(r"(?:交通|路线|路線|怎么走|来访路线|交通指引|乘车路线)")
_PEOPLE = re.compile(
    r"(?:园长|馆长|院长|校长|站长|经理|主席|会长|会長|队长|负责人|負責人|联系人|聯絡人|作者|委员|"
    r"教练|站长|代表|主编)$"
)
_REACHED = re.compile(r"(?:联系方式|聯絡方式|联系我们|聯絡我們|联系电话|电话|聯絡電話|联系)")
_MANY = re.compile(
    r"(?:事项|事項|要求|条件|條件|设施|設施|荣誉|榮譽|成果|方向|特色|活动|活動|项目|項目|窍门|竅門|"
    r"功能|优点|缺点|原则|类型|類型|种类|参数|參數|步骤|步驟|材料|规格|限制|方法|方式|规定|規定|规则|"
    r"流程|须知|須知|服务|服務)$"
)
_DOES = re.compile(
    r"(?:创建|建立|安装|连接|配置|设置|使用|启动|停止|删除|查询|写入|读取|导入|导出|部署|升级|备份|"
    r"恢复|申请|预订|预约|取消|注册|登录|更换|清洗|编译|迁移"
    r"|創建|安裝|連接|設定|啟動|刪除|查詢|申請|預訂|預約|註冊|登入|更換)"
)
_NOUN_ENDS = re.compile(
    r"(?:方法|方式|指南|说明|条件|流程|步骤|情况|要求|记录|时间|费用|系统|工具|文件|环境|参数|示例|"
    r"问题|规定|须知|期限)$"
)


_MOMENT = re.compile(r".{2,}(?:之前|之后|之後|以前|以后|期间|期間|时候|時)$")
_TROUBLE = re.compile(r"[^了]+了.+|.*(?:丢失|遺失|遗失|损坏|損壞|故障|失灵|走失|受伤|受傷|中毒|发烧)")
_BEGINNING = re.compile(r"创办|創辦|成立|创立|創立|诞生|建成")
_ACTIONS = re.compile(
    r".{0,4}(?:参观|參觀|游览|采摘|购物|購物|停车|停車|体检|體檢|寄养|寄養|绝育|絕育|就餐|用餐|入住|"
    r"退房|借书|借書|还书|续借|报名|報名"
    r"|付款|退款|搬家|美容|洗澡|就诊|就診|挂号|住院|接种|充电|训练|比赛|报销|出差|请假|加班|面试|入职|离职)"
)


def question(heading: str, topic: str) -> str:
    """
    Args:
        heading: Without number and brackets.
        topic: What the document is about, or what it is; "" if the heading says so itself.
    """
    if _EMPTY.fullmatch(heading):
        return ""
    if not topic:
        return _whole(heading)
    subject = _subject(topic)
    is_document = bool(_RULES.search(subject) or _RECORDS.search(subject))
    if _OVERVIEWS.fullmatch(heading):
        return f"{subject}主要讲了什么？" if is_document else f"能介绍一下{subject}吗？"
    if _ASKED.search(heading):
        return f"{subject}里说，{heading}？" if is_document else f"{subject}{heading}？"
    return _certain(subject, heading) or _general(subject, heading, is_document)


def _whole(heading: str) -> str:
    """About a heading that names what the document is, or what it is about."""
    if _ASKED.search(heading):
        return f"{heading}？"
    subject = _subject(heading)
    if _RULES.search(subject) or _RECORDS.search(subject):
        return f"{subject}主要讲了什么？"
    return f"能介绍一下{subject}吗？"


def _subject(title: str) -> str:
    """What a title is about: without "guide" and the like, and without what it calls itself after a space."""
    first, space, rest = title.partition(" ")
    if space and len(first) > 2 and (_GUIDES.search(rest) or _RULES.search(rest) or _RECORDS.search(rest)):
        return first
    shorter = _GUIDES.sub("", title)
    return shorter if len(shorter) > 1 else title


def _certain(subject: str, heading: str) -> str:
    """What a heading of a certain kind is asked: when, how much, who, where, what to do; "" for others."""
    whose = f"{subject}的{heading}"
    if _TROUBLE.fullmatch(heading):
        return f"{heading}怎么办？"
    if _MOMENT.fullmatch(heading):
        return f"{heading}要注意什么？"
    if _WHEN.search(heading):
        return f"{whose}是什么时候？"
    if _PRICES.search(heading):
        return f"{whose}{'多少钱' if heading.endswith('票') else '是多少'}？"
    if _PLACES.search(heading):
        return f"{whose}在哪里？"
    return f"{whose}是谁？" if _PEOPLE.search(heading) else ""


def _general(subject: str, heading: str, is_document: bool) -> str:
    """About something of a place, a thing or an organisation, or of what a document says."""
    if is_document:
        rules = f"{subject}对{heading}有什么规定？"
        return rules if _RULES.search(subject) else f"{subject}里关于{heading}是怎么说的？"
    if _REACHED.fullmatch(heading):
        return f"怎么联系{subject}？"
    if _WAYS.fullmatch(heading):
        return f"怎么去{subject}？"
    if _BEGINNING.fullmatch(heading):
        return f"{subject}是怎么{heading}的？"
    if _MANY.search(heading):
        return f"{subject}有哪些{heading}？"
    if _ACTIONS.fullmatch(heading):
        return f"在{subject}{heading}要注意什么？"
    if _DOES.match(heading) and not _NOUN_ENDS.search(heading) and len(heading) > 2:
        return f"{subject}怎么{heading}？"
    return f"能介绍一下{subject}的{heading}吗？"
