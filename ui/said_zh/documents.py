"""What is said in Chinese of documents: found, unpacked, read."""

FOUND = {
    "{} doesn't exist.": "{} 不存在。",
    "Check the path.": "请检查路径。",
    "Its {} sources stay; `kb rm {}` or --prune removes them.": (
        "其中 {} 个来源仍保留；用 `kb rm {}` 或 --prune 移除。"
    ),
    "{} is no valid UTF-8 name.": "{} 不是有效的 UTF-8 文件名。",
    "Rename it, then run the command again.": "请改名，然后重新运行命令。",
    "file name is not valid UTF-8": "文件名不是有效的 UTF-8",
    "no such file or folder": "文件或文件夹不存在",
    "not a regular file": "不是普通文件",
    "no permission to read it": "没有读取权限",
    "broken symbolic link": "符号链接已失效",
    "symbolic link loop": "符号链接形成循环",
    "symbolic link to a folder that is read already": "符号链接指向的文件夹已读取过",
    "vanished while it was being read": "读取过程中消失",
    "can't be read: {}": "无法读取：{:told}",
    "its last version stays in the index": "索引中保留其上一个版本",
    "left out by filters or ignore files, kept in the index; --prune removes it": (
        "被筛选条件或忽略文件排除，仍保留在索引中；用 --prune 移除"
    ),
    "left out by filters or ignore files": "被筛选条件或忽略文件排除",
    "an archive of {} document": "含 {} 个文档的压缩包",
    "an archive of {} documents": "含 {} 个文档的压缩包",
    "no longer there": "文件已不存在",
    "same content as {}": "内容与 {} 相同",
    "moved from {}": "移动自 {}",
    "no text in it": "其中没有文字",
}

ARCHIVES = {
    "The archive is damaged, or it is none.": "压缩包已损坏，或者不是压缩包。",
    "The archive is damaged.": "压缩包已损坏。",
    "Pack or download it anew.": "请重新打包或下载。",
    "Pack the archive anew.": "请重新打包。",
    "The archive changed while it was being read.": "压缩包在读取过程中发生了变化。",
    "Ingest it again.": "请重新导入。",
    "The archive is larger than {} MB.": "压缩包超过 {} MB。",
    "Unpack it into a folder, or raise archive_megabytes.": "请解压到文件夹，或调大 archive_megabytes。",
    "There are more than {} files in it.": "其中的文件超过 {} 个。",
    "Unpack it into a folder, or raise archive_members.": "请解压到文件夹，或调大 archive_members。",
    "It unpacks to more than {} MB.": "解压后超过 {} MB。",
    "It unpacks to more than {} times its size, as only archives made to do harm do.": (
        "解压后超过原大小的 {} 倍，只有恶意制作的压缩包才会这样。"
    ),
    "If you trust it, unpack it into a folder.": "如果确信其来源可靠，请解压到文件夹。",
    "It can't be unpacked ({}).": "无法解压（{}）。",
    "damaged: it can't be unpacked ({}); pack the archive anew": "已损坏：无法解压（{}）；请重新打包",
    "larger than {} MB (file_megabytes)": "超过 {} MB（file_megabytes）",
    "archives are read {} deep; unpack the outer one into a folder": (
        "压缩包最多读取 {} 层；请把外层压缩包解压到文件夹"
    ),
    "a link or a device: not followed in archives": "是链接或设备：压缩包中的这类条目不读取",
    "encrypted; unpack the archive into a folder with its password": "已加密；请用密码把压缩包解压到文件夹",
    "encrypted; give its password with --password, or unpack the archive into a folder with its password": (
        "已加密；请用 --password 给出密码，或用密码把压缩包解压到文件夹"
    ),
    "refused: its name leads out of the archive": "已拒绝：其名称指向压缩包之外",
    "refused: control characters in its name": "已拒绝：其名称含有控制字符",
}

READING = {
    "The process that reads files doesn't start (exit code {}).": "读取文件的进程无法启动（退出码 {}）。",
    "Check the installation, and that read_megabytes isn't too small.": (
        "请检查安装是否完整，以及 read_megabytes 是否过小。"
    ),
    "Reading was stopped.": "读取已停止。",
    "Reading took longer than {} s. Split the file, or raise read_seconds.": (
        "读取超过 {} 秒。请拆分文件，或调大 read_seconds。"
    ),
    "Reading took more than {} MB of memory. Split the file, or raise read_megabytes.": (
        "读取占用的内存超过 {} MB。请拆分文件，或调大 read_megabytes。"
    ),
    "The reader crashed on this file, or ran out of memory. Save the file anew, or in another format.": (
        "读取此文件时程序崩溃或内存不足。请重新保存，或另存为其他格式。"
    ),
    "The reader failed on this file ({}). Save it in another format.": (
        "读取此文件时出错（{}）。请另存为其他格式。"
    ),
    "There is more than {} MB of text in it. Split it.": "其中的文字超过 {} MB。请拆分。",
    "The file is larger than {} MB.": "文件超过 {} MB。",
    "It is larger than {} MB.": "文件超过 {} MB。",
    "Split it, or raise file_megabytes.": "请拆分，或调大 file_megabytes。",
    "The file vanished while it was being read.": "文件在读取过程中消失。",
    "The file can't be opened: {}.": "无法打开文件：{:told}。",
    "This isn't a regular file.": "这不是普通文件。",
    "The file kept changing while it was being read.": "文件在读取过程中不断变化。",
    "Ingest it again when it is at rest.": "请等它不再变化后重新导入。",
    "Files named {} can't be read.": "不支持读取 {} 文件。",
    "Files named without a suffix can't be read.": "不支持读取没有扩展名的文件。",
    "These can: {}.": "支持的格式：{}。",
    "The file is empty.": "文件是空的。",
    "Save or download it anew.": "请重新保存或下载。",
    "Save it anew and try again.": "请重新保存后再试。",
    "Open and save it anew.": "请打开后重新保存。",
    "It has very long lines: made by a program?": "其中有很长的行，可能由程序生成。",
}

HIDDEN = {
    "Hidden text ({}) isn't seen by who reads the document: “{}”.": "隐藏文字（{:told}），读者看不到：“{}”。",
    "Hidden text ({}) may be an order to a language model: “{}”.": (
        "隐藏文字（{:told}），可能是写给语言模型的指令：“{}”。"
    ),
    "a comment": "批注或注释",
    "a comment, p. {}": "批注，第 {} 页",
    "marked as hidden": "标记为隐藏",
    "white on white": "白底白字",
    "white, slide {}": "白色文字，第 {} 张幻灯片",
    "in the colour of its ground, p. {}": "与背景同色，第 {} 页",
    "not shown by a browser": "浏览器不显示",
    "Invisible characters spell “{}”; they were left out.": "不可见字符拼出“{}”，已去除。",
    "There are long runs of zero-width characters in it; they were left out.": "其中有大段零宽字符，已去除。",
}

ATTACHED = {
    "“{}”: {}": "“{}”：{:told}",
    "“{}” lies too deep in other files and wasn't read.": "“{}”嵌套层数过多，未读取。",
    "The attachment “{}” is an archive and was left out.": "附件“{}”是压缩包，已略过。",
    "The attachment “{}” is a file of a kind that can't be read and was left out.": (
        "附件“{}”是不支持的格式，已略过。"
    ),
    "The attachment “{}” can't be read: {}": "附件“{}”无法读取：{:told}",
    "The attachment “{}” can't be read: the reader failed ({}).": "附件“{}”无法读取：读取程序出错（{}）。",
    "{} files of kinds that can't be read were left out of “{}”.": "“{1}”中有 {0} 个不支持的文件，已略过。",
}

OFFICE = {
    "A part of the document can't be read: {} {}": "文档中有一部分无法读取：{:told}{:told}",
    "A part of the file is damaged ({}); what can be read of it is in the index.": (
        "文件有一部分已损坏（{}）；能读取的内容已进入索引。"
    ),
    "A part of the file is damaged ({}) and was left out.": "文件有一部分已损坏（{}），已略过。",
    "The file's XML has faults; what can be read of it is in the index.": (
        "文件的 XML 有错误；能读取的内容已进入索引。"
    ),
    "A {} file of this kind needs LibreOffice, which isn't installed.": (
        "读取这种 {} 文件需要 LibreOffice，尚未安装。"
    ),
    "Install it, or save the file anew as .{}.": "请安装 LibreOffice，或将文件另存为 .{}。",
    "The OpenDocument file is under a password in a form that isn't known.": (
        "OpenDocument 文件的加密方式不受支持。"
    ),
    "Save a copy without a password.": "请另存一份不带密码的副本。",
    "document": "文档",
    "Word document": "Word 文档",
    "presentation": "演示文稿",
    "spreadsheet": "电子表格",
    "OpenDocument file": "OpenDocument 文件",
    "EPUB book": "EPUB 电子书",
    "The {} is damaged, or isn't one.": "{:told}已损坏，或者不是这种格式。",
    "Open and save it in its program, then try again.": "请用相应的程序打开并保存，然后重试。",
    "The {} is too large when unpacked.": "{:told}解压后过大。",
    "Split it, if it is a real one.": "如果文件本身没有问题，请拆分。",
    "The {} needs a password.": "{:told}需要密码。",
    "Save a copy without one.": "请另存一份不带密码的副本。",
    "Give it with --password, or save a copy without one.": "请用 --password 提供密码，或另存一份不带密码的副本。",
    "The {} needs a password, and opening it needs an extra.": "{:told}需要密码，打开它需要附加组件。",
    "Install what opens it: pip install 'kb-assistant[locked]'. Or save a copy without a password.": (
        "请安装：pip install 'kb-assistant[locked]'。或另存一份不带密码的副本。"
    ),
    "No password given opens the {}.": "所给的密码都打不开此{:told}。",
    "Check --password, or save a copy without one.": "请检查 --password，或另存一份不带密码的副本。",
    "Its password fits, but what is inside isn't an Office document.": "密码正确，但里面不是 Office 文档。",
    "This is a zip archive, not a Word document.": "这是 zip 压缩包，不是 Word 文档。",
    "Unpack it.": "请解压。",
    "LibreOffice can't open the document (exit code {}).": "LibreOffice 无法打开文档（退出码 {}）。",
    "Open and save it in its program; where memory is short, raise read_megabytes.": (
        "请用相应的程序打开并保存；如果是内存不足，请调大 read_megabytes。"
    ),
    "LibreOffice took longer than {} s for the document.": "LibreOffice 处理此文档超过 {} 秒。",
    "Save it in the new format (.docx).": "请另存为新格式（.docx）。",
    "Slide {} is hidden in the presentation; its text is in the index.": (
        "第 {} 张幻灯片在演示文稿中是隐藏的，其文字已编入索引。"
    ),
    "Sheet “{}” is hidden in the file; its rows are in the index.": (
        "工作表“{}”在文件中是隐藏的，其各行已编入索引。"
    ),
    "Formulas without a value in sheet “{}”: {}. Open and save the file in a spreadsheet program, which computes "
    "them.": "工作表“{}”中有 {} 个公式没有计算结果。请用电子表格程序打开并保存，以便计算。",
    "A sheet spans {} rows and {} columns: too many to read.": "有一张工作表多达 {} 行、{} 列，无法读取。",
    "Delete what is empty, or save the part that counts.": "请删除空白部分，或只保存有用的部分。",
    "This isn't an RTF file, whatever its name.": "不管扩展名是什么，这不是 RTF 文件。",
    "The RTF file is nested too deep.": "RTF 文件嵌套过深。",
    "Open and save it in a word processor.": "请用文字处理软件打开并保存。",
}

PDF = {
    "The PDF is damaged.": "PDF 已损坏。",
    "The PDF is damaged: no page can be found in it.": "PDF 已损坏：找不到任何页面。",
    "All pages of the PDF are damaged.": "PDF 的所有页面都已损坏。",
    "It is a form that only Acrobat shows: what is filled in wasn't read. Print it to a PDF.": (
        "这是只有 Acrobat 才能显示的表单：填写的内容未读取。请打印成 PDF。"
    ),
    "This isn't a PDF, whatever its name.": "不管扩展名是什么，这不是 PDF。",
    "Give it the suffix of its format.": "请改成与格式相符的扩展名。",
    "The PDF needs a password.": "PDF 需要密码。",
    "No password given opens the PDF.": "所给的密码都打不开此 PDF。",
    "Check --password.": "请检查 --password。",
    "The PDF is locked in a way that can't be opened.": "PDF 的加密方式不受支持。",
    "Save a copy unlocked.": "请另存一份未加密的副本。",
    "Page {} is damaged and couldn't be read.": "第 {} 页已损坏，无法读取。",
    "Pages {} are damaged and couldn't be read.": "第 {} 页已损坏，无法读取。",
    "Page {} is scanned, without text.": "第 {} 页是扫描图像，没有文字。",
    "Pages {} are scanned, without text.": "第 {} 页是扫描图像，没有文字。",
    "Install OCR: pip install 'kb-assistant[ocr]'; then ingest again.": (
        "请安装 OCR：pip install 'kb-assistant[ocr]'，然后重新导入。"
    ),
    "Only the first {} of its {} scanned pages were read.": "共 {1} 个扫描页，只读取了前 {0} 页。",
    "No text was found in the PDF: its pages are empty.": "PDF 中没有文字：页面是空白的。",
    "Nothing can be searched in it.": "没有可供检索的内容。",
    "No text was found in the PDF, not by OCR either.": "PDF 中没有文字，OCR 也未识别出。",
    "Scan it anew, larger and straight.": "请提高分辨率、摆正后重新扫描。",
    "No text was found in the PDF: it is a scan and needs OCR.": "PDF 中没有文字：这是扫描件，需要 OCR。",
    "It is a picture: no text was found without OCR.": "这是图片：没有 OCR 无法识别文字。",
    "The picture has {} × {} pixels: too many.": "图片有 {} × {} 像素，过大。",
    "Make it smaller.": "请缩小。",
    "The picture is damaged.": "图片已损坏。",
    "Pictures of the format HEIC can't be read.": "不支持 HEIC 格式的图片。",
    "Save it as JPEG or PNG.": "请另存为 JPEG 或 PNG。",
    "Only the first {} of its {} pages were read.": "共 {1} 页，只读取了前 {0} 页。",
}

MAIL_AND_WEB = {
    "The mail is damaged.": "邮件已损坏。",
    "A part of the mail can't be read: {} {}": "邮件中有一部分无法读取：{:told}{:told}",
    "Mail {} of {} can't be read: {} {}": "第 {} 封邮件（共 {} 封）无法读取：{:told}{:told}",
    "None of its mails can be read.": "其中的邮件都无法读取。",
    "The mail is encrypted.": "邮件已加密。",
    "Open it in your mail program and save it decrypted.": "请在邮件程序中打开，并解密后保存。",
    "A part of it is encrypted and was left out.": "其中一部分已加密，未读取。",
    "The Outlook mail (winmail.dat) is damaged.": "Outlook 邮件（winmail.dat）已损坏。",
    "Ask for it as plain mail.": "请让对方以普通邮件重新发送。",
    "Save it anew from the mail program.": "请从邮件程序中重新保存。",
    "The Outlook mail is damaged.": "Outlook 邮件已损坏。",
    "Save it anew from Outlook, or as .eml.": "请从 Outlook 中重新保存，或另存为 .eml。",
    "The mail's text is damaged.": "邮件正文已损坏。",
    "This isn't a mailbox: no mail begins in it.": "这不是邮箱文件：其中没有邮件。",
    "Save single mails as .eml.": "单封邮件请另存为 .eml。",
    "There is no web page in the file.": "文件中没有网页。",
    "Save it anew in the browser.": "请在浏览器中重新保存。",
    "The page is nested too deep: its words were read without its headings and tables.": (
        "网页嵌套过深：只读取了文字，没有标题和表格。"
    ),
    "The book is protected (DRM).": "电子书受版权保护（DRM）。",
    "It can be read in its shop's program only.": "只能用购买平台的程序阅读。",
    "{} of its chapters are missing in the file.": "文件中缺少 {} 章。",
}

TEXT = {
    "This isn't a text file: it holds binary data.": "这不是文本文件：其中是二进制数据。",
    "If it is text, save it as UTF-8.": "如果是文本，请另存为 UTF-8 编码。",
    "The text's encoding isn't known.": "无法识别文本编码。",
    "Save the file as UTF-8.": "请把文件另存为 UTF-8 编码。",
    "The file begins like {} text but isn't.": "文件开头像 {} 文本，实际却不是。",
    "Save it as UTF-8.": "请另存为 UTF-8 编码。",
    "The table can't be read: {}.": "无法读取表格：{}。",
    "Check its quotation marks.": "请检查其中的引号。",
    "The JSON is nested too deep.": "JSON 嵌套过深。",
    "Save the part that counts by itself.": "请把有用的部分单独保存。",
    "This isn't valid JSON ({}); it was taken as text.": "不是有效的 JSON（{}），已按文本读取。",
    "{} of {} lines aren't JSON; they were taken as text.": "{1} 行中有 {0} 行不是 JSON，已按文本读取。",
    "This isn't a notebook, or it is damaged.": "这不是 Jupyter 笔记本，或者已损坏。",
    "Open and save it in Jupyter.": "请在 Jupyter 中打开并保存。",
    "It declares entities; they were not replaced.": "其中声明了实体，未作替换。",
    "This isn't well-formed XML: {}.": "XML 格式不正确：{}。",
    "Mend it, or save it as plain text.": "请修正，或另存为纯文本。",
}

DOCUMENTS = FOUND | ARCHIVES | READING | HIDDEN | ATTACHED | OFFICE | PDF | MAIL_AND_WEB | TEXT
