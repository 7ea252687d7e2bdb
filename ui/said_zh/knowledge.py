"""What is said in Chinese of knowledge bases: their store and index, settings, conversations, work."""

STORE = {
    "{} can't be read: {}.": "无法读取 {}：{:told}。",
    "{} can't be read: {}": "无法读取 {}：{:told}",
    "{} can't be written: {}.": "无法写入 {}：{:told}。",
    "{} can't be written.": "无法写入 {}。",
    "{} can't be read or written: {}.": "无法读写 {}：{:told}。",
    "{} can't be used: {}.": "{} 无法使用：{:told}。",
    "{} can't be saved: {}.": "无法保存 {}：{:told}。",
    "{} can't be made: {}.": "无法创建 {}：{:told}。",
    "{} is damaged: {}.": "{} 已损坏：{:told}。",
    "{} holds no knowledge base.": "{} 中没有知识库。",
    "{} was made by a newer version.": "{} 由更新的版本创建。",
    "Upgrade kb-assistant.": "请升级 kb-assistant。",
    "{} is in use by another program.": "{} 正被其他程序使用。",
    "Close it, then run the command again.": "请关闭该程序，然后重试。",
    "The disk that holds {} is full.": "{} 所在的磁盘已满。",
    "Free some space.": "请腾出一些空间。",
    "Free some space and run the command again.": "请腾出一些空间，然后重试。",
    "Check the folder's permissions.": "请检查文件夹的权限。",
    "Check the folder's permissions, or choose another --home.": "请检查文件夹的权限，或用 --home 另选目录。",
    "Check its permissions and the free space.": "请检查其权限和剩余空间。",
    "Check the disk, its free space and any limit on file sizes; then run `kb verify`.": (
        "请检查磁盘、剩余空间和文件大小限制，然后运行 `kb verify`。"
    ),
    "Run `kb verify`.": "请运行 `kb verify`。",
    "Run `kb verify --repair`; it keeps what is sound.": "请运行 `kb verify --repair`，它会保留完好的部分。",
    "a row can't be decoded": "有一行无法解码",
    "a vector is missing or altered": "有向量缺失或被改动",
    "a text or the path of its file was altered": "有文本或其文件路径被改动",
    "the {} was altered": "{} 被改动",
    "A text came without its vector.": "有文本缺少向量。",
    "Run the ingest again.": "请重新导入。",
    "Another process is writing to {}.": "另一个进程正在写入{:told}。",
    "Another process is writing to {}: process {}, since {}.": "另一个进程正在写入{:told}：进程 {}，始于 {}。",
    "this knowledge base": "此知识库",
    "the settings": "设置",
    "the model {}": "模型 {}",
    "Wait until it is done, or stop it; searching works meanwhile.": "请等待其完成或将其停止；其间仍可检索。",
}

BASES = {
    "There is a knowledge base {} already.": "已有名为 {} 的知识库。",
    "There is no knowledge base {}.": "没有名为 {} 的知识库。",
    "There is no knowledge base at {}.": "{} 处没有知识库。",
    "There is no knowledge base.": "还没有知识库。",
    "Make it first.": "请先创建。",
    "Make one.": "请新建一个。",
    "Make it with `kb ingest FOLDER`.": "请用 `kb ingest FOLDER` 创建。",
    "Fill it with `kb ingest FOLDER`.": "请用 `kb ingest FOLDER` 导入文档。",
    "{} can't name a knowledge base.": "{} 不能用作知识库名称。",
    "Use up to 64 letters, digits, '-', '_' or '.', not starting with '.'.": (
        "最多 64 个字符，可用字母、数字、'-'、'_' 和 '.'，不能以 '.' 开头。"
    ),
    "Names that begin with {} are taken.": "以 {} 开头的名称已被占用。",
    "Choose another name.": "请换一个名称。",
    "There is no folder {} on this machine.": "本机没有文件夹 {}。",
    "Give its whole path.": "请填写完整路径。",
    "Delete it, and name your folders again.": "请将其删除，再重新填写文件夹。",
    "This index holds vectors of {} numbers; the question has {}.": "此索引的向量为 {} 维，而问题的向量为 {} 维。",
    "Use the embedder that the index was built with, or run `kb rebuild`.": (
        "请使用建立索引时的向量模型，或运行 `kb rebuild`。"
    ),
    "This index was built with the embedder {}, not with {} as it is now.": (
        "此索引由向量模型 {} 建立，而现在的向量模型是 {}。"
    ),
    "Run `kb rebuild --embedder {}`, or go on with --embedder {}.": (
        "请运行 `kb rebuild --embedder {}`，或用 --embedder {} 继续。"
    ),
    "Another package named 'ingest' stands before ours: {}.": "另有名为 ingest 的软件包排在前面：{}。",
    "Start from a folder without one, or uninstall it.": "请换一个不含它的文件夹启动，或将其卸载。",
    "{} isn't there any more.": "{} 已不存在。",
    "Bring the knowledge base in step.": "请同步知识库。",
    "Drawing page {} takes too long.": "绘制第 {} 页耗时过长。",
    "Page {} can't be drawn.": "第 {} 页无法绘制。",
    "Open the file itself.": "请直接打开文件。",
    "The conversations in {} can't be used: {}.": "{} 中的对话无法使用：{:told}。",
    "Check the disk's space and the file's permissions; a damaged file can be moved away.": (
        "请检查磁盘空间和文件权限；损坏的文件可以移到别处。"
    ),
    "Work is going on.": "有任务正在进行。",
    "Wait for it, or stop it; then change the setting.": "请等待或停止，然后再修改设置。",
}

SETTINGS = {
    "{} = {} is not possible.": "{} 不能设为 {}。",
    "{} = {} in {} is not possible.": "{2:told}中的 {0} 不能设为 {1}。",
    "It must be at least {}.": "不得小于 {}。",
    "It must be from {} to {}.": "取值范围为 {} 到 {}。",
    "It must be more than max_tokens.": "必须大于 max_tokens。",
    "It must be 0 or more.": "不得小于 0。",
    "It must be {} or {}.": "只能是 {} 或 {}。",
    "It must be a path.": "必须是路径。",
    "It must be a text.": "必须是文本。",
    "It must be a whole number.": "必须是整数。",
    "It must be a number.": "必须是数字。",
    "Unknown setting {} in {}.": "{1:told}中有未知的设置项 {0}。",
    "the arguments": "参数",
    "Known settings: {}.": "可用的设置项：{}。",
    "'home' can't be set in {}.": "不能在 {} 中设置 home。",
    "Set KB_HOME or pass --home.": "请设置 KB_HOME 或使用 --home。",
    "Mend or delete the file.": "请修正或删除该文件。",
}

FAULTS = {
    "the database can't be read: {}": "无法读取数据库：{:told}",
    "database: {}": "数据库：{:told}",
    "database: row {} of {} points nowhere": "数据库：{1} 的第 {0} 行没有指向任何内容",
    "database: the {} was altered": "数据库：{} 被改动",
    "sources: {} or its list of chunks was altered": "来源：{} 或其片段列表被改动",
    "chunks: {} ids differ from what they stand for": "片段：{} 个编号与其内容不符",
    "texts: {} differ from their hash": "文本：{} 条与其哈希不符",
    "vectors: {} are missing or altered": "向量：{} 个缺失或被改动",
    "keywords: {} entries differ from their text": "关键词：{} 条与其文本不符",
    "keywords: {} texts are not in the keyword index": "关键词：{} 条文本不在关键词索引中",
    "keywords: {} texts in the keyword index belong to no chunk": "关键词：关键词索引中有 {} 条文本不属于任何片段",
    "keywords: the index disagrees with its text": "关键词：索引与其文本不一致",
    "keywords: the index disagrees with its text: {}": "关键词：索引与其文本不一致：{:told}",
    "the FAISS index holds other texts than the store": "FAISS 索引中的文本与知识库不一致",
    "the FAISS index holds other vectors than the store": "FAISS 索引中的向量与知识库不一致",
}

KNOWLEDGE = STORE | BASES | SETTINGS | FAULTS
