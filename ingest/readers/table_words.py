"""Words that tell what a cell of a table is: units, and names of fields on forms and cards."""

from __future__ import annotations

UNITS = frozenset(
    """kg g mg µg t lb lbs oz ton tons tonne tonnes m cm mm km µm nm ft in inch mi m² m2 m³ m3 cm² cm³ km²
    ha acre l ml dl hl h hr hrs hour hours min mins s sec ms d day days week weeks month months year
    years yr °c ℃ °f k v kv mv a ma w kw mw kwh mwh wh va kva hz khz mhz ghz ω kω pa kpa mpa hpa bar
    mbar psi n kn j kj mj rpm % ‰ ppm ppb db bit byte b kb mb gb tb usd eur gbp cny rmb jpy chf € $ ¥ £
    ￥ k€ m€ t€ pcs pc pieces pts units each mol kcal cal 元 千元 万元 百万元 亿元 美元 欧元 日元 港元
    吨 万吨 公斤 千克 克 毫克 斤 米 厘米 毫米 公里 千米 平方米 平米 公顷 亩 立方米 升 毫升 个 件 台 套
    人 万人 次 天 日 周 月 年 小时 时 分钟 分 秒 度 箱 只 张 份 辆 块 条 根 瓶 袋 吨/年 兆瓦 千瓦 千瓦时
    伏 安 瓦 萬元 億元 噸 個 臺 張 輛 條 小時 分鐘 公噸
    """.split()
)
"""Units in lower case, English and Chinese."""

_FIELDS = """
    name|full name|first name|last name|surname|title|subject|address|street|city|country|phone|
    telephone|tel|mobile|fax|email|e-mail|mail|website|web|url|date|birthday|date of birth|born|age|sex|
    gender|nationality|department|position|role|company|customer|client|supplier|vendor|order no|
    order number|order|invoice no|invoice number|invoice|number|no|id|serial number|serial no|serial|
    model|manufacturer|maker|brand|type|version|author|owner|contact|contact person|status|state|price|
    total|amount|quantity|weight|height|width|length|depth|size|colour|color|material|power|voltage|
    capacity|location|room|site|project|manager|responsible|start|end|start date|end date|deadline|
    due date|language|currency|remarks|notes|note|comment|description|category|priority|approved by|
    prepared by|checked by|purpose|姓名|名称|性别|年龄|出生日期|出生年月|生日|民族|籍贯|学历|专业|
    毕业院校|政治面貌|婚姻状况|身份证号|身份证号码|电话|联系电话|手机|手机号|手机号码|传真|邮箱|电子邮箱|
    电子邮件|地址|联系地址|住址|部门|职务|职位|职称|岗位|单位|公司|工作单位|编号|订单号|合同编号|发票号|
    日期|签订日期|开始日期|结束日期|入职日期|型号|规格|品牌|厂家|生产厂家|制造商|版本|作者|负责人|联系人|
    客户|供应商|状态|价格|单价|金额|总价|合计|数量|重量|高度|宽度|长度|尺寸|颜色|材质|功率|电压|容量|
    地点|房间|项目|项目名称|备注|说明|类别|优先级|审批人|编制人|用途|甲方|乙方|有效期|保修期|网址|语言|
    币种|国家|城市|姓別|性別|年齡|電話|聯絡電話|手機|傳真|電郵|部門|職務|職位|單位|編號|訂單號|型號|規格|
    廠家|負責人|聯絡人|客戶|供應商|狀態|價格|單價|金額|數量|顏色|材質|電壓|地點|房間|項目|備註|說明|類別
"""
FIELD_NAMES = frozenset(" ".join(name.split()) for name in _FIELDS.split("|"))
"""Names of fields in lower case, English and Chinese."""
