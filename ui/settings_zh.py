"""The meanings of the settings in Chinese. The English text is the docstring of Settings."""

MEANINGS = {
    "home": "存放知识库、模型和缓存的文件夹。",
    "kb": "该文件夹中知识库的名称。",
    "embedder": "已安装的向量模型名称或文件夹（见 kb models list）；"
    "或 openai:模型@地址，即兼容 OpenAI 接口的服务器。"
    "名称后加 :int8（8 位整数）或 :float32 可指定段落向量的计算方式；不加则由处理器为新知识库决定。",
    "query_prefix": "服务器上的向量模型要求加在问题前的文字，如“query: ”；"
    "multilingual-e5-small 的已知，无需设置。",
    "passage_prefix": "同上，加在段落前。",
    "server_seconds": "对向量模型服务器的一次请求的时间上限（秒）。",
    "model": "回答所用的模型：auto（已安装中最大的；没有或都很小时摘录）、extract（摘录）、已安装模型的名称、"
    ".gguf 文件，或供 LangChain 使用的 provider:model。",
    "adapter": "在模型上训练得到的适配器：kb train list 中的名称，或文件夹；留空则不用。"
    "设置后，model = auto 即训练它所用的模型。",
    "base_url": "兼容 OpenAI 接口的服务器地址；向量模型或重排模型未写“@地址”时也用它。",
    "answers": "documents：只根据文档回答；documents-first：文档中没有答案时，由模型自行回答，并注明；"
    "model：普通对话，不检索文档。",
    "answer_length": "回答的长度：short（一两句）、medium（视问题而定）、long（详细），或字数（英文为词数）。"
    "很小的模型在 short 和 medium 时只答一句。",
    "answer_language": "回答的语言，代码或名称：en、zh、zh-Hant、法语等；留空则与问题相同。摘录原文时不翻译。",
    "role": "放在每个提示开头的一句话，例如“你是茶园的客服。”",
    "prompt_template": "提示的模板：须含 {passages} 和 {question}，还可含 {role}、{rules}、{task}；"
    "其他花括号要写两个。留空则用 kb ask --show-prompt 所示的模板。只用于有段落的提问。",
    "k": "交给模型的段落数。",
    "rewrite": "off，或 model：由模型把追问改写成独立的问题，一并检索。",
    "rewrite_seconds": "改写的时间上限（秒），超时则不用改写继续检索。",
    "reranker": "对最佳段落重新排序的交叉编码器：已安装的名称或文件夹，"
    "或 openai:模型@地址（提供 /rerank 的服务器）；留空则不用。",
    "rerank_seconds": "重排的时间上限（秒）。",
    "answer_reader": "on：回答前由阅读模型对照问题阅读最佳段落（需已安装 multilingual-e5-small）；off：不阅读；"
    "或 kb train reader 训练出的阅读模型的名称。",
    "answer_reader_seconds": "超过此时间（秒）后不再阅读更多段落。",
    "refuse_below": "证据强度（0 到 1）低于此值则拒绝回答；kb eval 会给出建议。"
    "留空时，自带的向量模型为 0.5，未测定的模型为 0。",
    "uncertain_below": "证据强度低于此值的回答标为“不确定”。留空时同样为 0.75 或 0。",
    "chunk_tokens": "片段的最大长度（按向量模型的词元计）。",
    "overlap": "每个片段开头重复前一片段末尾的句子数（0 到 3），至多占片段长度的四分之一。",
    "context_tokens": "提示与回答合计的最大长度（按回答模型的词元计）；留空则为模型训练时的长度。",
    "max_tokens": "回答的最大长度（词元）；留空则由 answer_length 决定：medium 为 512，很小的模型为 256，"
    "至多为上下文的一半。更长的回答会被截断，并注明。",
    "temperature": "采样温度；0 表示总取概率最高的词元。留空则用模型自己的值：ChatGLM2 为 0.8，其他为 0。",
    "seed": "采样的种子：种子相同，回答相同。",
    "threads": "模型使用的线程数；0 表示用全部核心。",
    "device": "auto、cpu 或 cuda：torch 计算向量（以及作为回答引擎时）所用的设备。",
    "quantize": "用 torch 运行 ChatGLM2 时：auto（INT4 保持原样，fp16 转 NF4）、none、int4 或 nf4。",
    "readers": "读取文件的进程数；0 表示每核一个。",
    "read_seconds": "读取单个文件的时间上限（秒）。",
    "read_megabytes": "读取进程的内存上限（MB）。",
    "file_megabytes": "可读取的最大文件（MB）。",
    "ocr_pages": "每个文件最多用 OCR 读取的页数；其余页会列在报告中。",
    "ocr_seconds": "超过此时间（秒）后，OCR 不再开始读取该文件的下一页；0 表示不限。",
    "archive_megabytes": "可读取的最大 zip 或 tar 压缩包（MB），压缩前后都算。",
    "archive_members": "这样一个压缩包里最多的文件数。",
    "lock_seconds": "后来的写入者等待前一个的时间（秒）。",
    "store": "sqlite：每个知识库在主目录中各有一个文件。postgresql://用户@主机/数据库：每个知识库在该数据库中各有一个"
    "模式（schema），可由多台机器写入和检索。地址中不写密码：用 ?passfile=文件 或 PGPASSFILE 指定密码文件。",
    "uploads": "上传文件所在的文件夹；留空则为主目录中的 uploads。共用服务器 store 的多台机器，"
    "也要以相同路径共用此文件夹。",
    "telemetry": "OpenTelemetry 接收端的地址（OTLP over HTTP），如 http://127.0.0.1:4318，用于报告各步骤的耗时；"
    "留空则不发送。",
}
