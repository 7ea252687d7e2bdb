"""What is said in Chinese of models: installed, loaded, asked."""

INSTALLED = {
    "The model {} isn't installed.": "模型 {} 尚未安装。",
    "There is no model at {}.": "{} 处没有模型。",
    "kb models list shows what is installed.": "kb models list 会列出已安装的模型。",
    "See: kb models list": "请查看：kb models list",
    "The files of {} are gone from {}.": "{} 的文件已不在 {}。",
    "Put them back, or: kb models rm {}": "请放回原处，或运行：kb models rm {}",
    "{} is not {} but {}.": "{} 不是{:told}，而是{:told}。",
    "an embedder": "向量模型",
    "a chat model": "回答模型",
    "a reranker": "重排模型",
    "{} is not in the catalogue.": "{} 不在目录中。",
    "Pull one of: {}; or a repository of the Hugging Face hub: org/name": (
        "可下载：{}；或 Hugging Face 上的仓库：org/name"
    ),
    "A model named {} is already there.": "已有名为 {} 的模型。",
    "Give another name, or: kb models rm {}": "请换一个名称，或运行：kb models rm {}",
    "{} can't name a model.": "{} 不能用作模型名称。",
    "Use up to 64 letters, digits, '-', '_' or '.', not starting with '.'; `kb models add` takes --name.": (
        "最多 64 个字符，可用字母、数字、'-'、'_' 和 '.'，不能以 '.' 开头；`kb models add` 可用 --name 指定。"
    ),
    "{} can't be deleted: {}.": "无法删除 {}：{:told}。",
    "{} can't be installed: {}.": "无法安装 {}：{:told}。",
    "Look at {}.": "请查看 {}。",
    "{} is in the way.": "{} 占用了位置。",
    "Move it away.": "请把它移到别处。",
    "{} MB are needed in {}, {} MB are free.": "{1} 需要 {0} MB，只剩 {2} MB。",
    "Make room.": "请腾出空间。",
}

FILES = {
    "{} isn't a model: it has no config.json, and it isn't a .gguf file.": (
        "{} 不是模型：没有 config.json，也不是 .gguf 文件。"
    ),
    "Give a folder in Hugging Face layout (config.json, tokenizer.json, *.safetensors) or a .gguf file.": (
        "请指定 Hugging Face 格式的文件夹（config.json、tokenizer.json、*.safetensors）或 .gguf 文件。"
    ),
    "{} is a classifier.": "{} 是分类模型。",
    "Give an embedding model, a chat model or a reranker.": "请指定向量模型、回答模型或重排模型。",
    "{} holds a model of type {}, which is neither an embedder nor a chat model known here.": (
        "{} 中的模型类型是 {}，不是本程序支持的向量模型或回答模型。"
    ),
    "An embedder made with sentence-transformers has a modules.json; a chat model can be a .gguf file.": (
        "用 sentence-transformers 制作的向量模型带有 modules.json；回答模型可以是 .gguf 文件。"
    ),
    "{} has no weights in safetensors form.": "{} 没有 safetensors 格式的权重。",
    "{} has no weights in safetensors form, only pickled ones.": (
        "{} 没有 safetensors 格式的权重，只有 pickle 格式的。"
    ),
    "Pickled weights can run code and are never loaded: download the safetensors, or convert them.": (
        "pickle 格式的权重可能执行代码，一律不加载：请下载 safetensors 格式，或进行转换。"
    ),
    "{} has no tokenizer.json.": "{} 缺少 tokenizer.json。",
    "Download the model again, with its tokenizer.json.": "请重新下载模型，包括 tokenizer.json。",
    "Download the model again.": "请重新下载模型。",
    "Download it again.": "请重新下载。",
    "{} doesn't tell the length of its vectors.": "{} 没有说明向量的维数。",
    "Is it an embedder?": "请确认它是向量模型。",
    "{} doesn't hold a JSON object.": "{} 中不是 JSON 对象。",
    "{} is damaged: it doesn't start like a GGUF file.": "{} 已损坏：开头不是 GGUF 格式。",
    "{} is no GGUF file.": "{} 不是 GGUF 文件。",
    "{} is no GGUF file, so it can't be run here.": "{} 不是 GGUF 文件，无法在此运行。",
    "Give a .gguf file.": "请指定 .gguf 文件。",
    "Give a chat model in llama.cpp's format, *.gguf.": "请指定 llama.cpp 格式（*.gguf）的回答模型。",
}

LOADING = {
    "{} can't be loaded.": "无法加载 {}。",
    "{} can't be loaded from {}: {}": "无法从 {1} 加载 {0}：{2:told}",
    "The file is damaged, of a kind this llama.cpp doesn't know, or larger than the free memory.": (
        "文件已损坏、此版本的 llama.cpp 不支持，或者超过可用内存。"
    ),
    "Install {} again.": "请重新安装 {}。",
    "Install it again, or choose another embedder.": "请重新安装，或换一个向量模型。",
    "Install it again, or choose another reranker.": "请重新安装，或换一个重排模型。",
    "There is no CUDA device that torch can use.": "没有 torch 可用的 CUDA 设备。",
    'Set device = "cpu" or "auto".': '请设置 device = "cpu" 或 "auto"。',
    'Set device = "cpu".': '请设置 device = "cpu"。',
    "A single text doesn't fit the device's memory.": "设备内存连一条文本都放不下。",
    "{} gave vectors of length {} instead of {}, or numbers that aren't finite.": (
        "{} 给出的向量是 {} 维而不是 {} 维，或者含有非有限的数值。"
    ),
    "Its folder is damaged or not an embedder's: install it again.": (
        "其文件夹已损坏，或者不是向量模型：请重新安装。"
    ),
    "{} gives no score for each passage.": "{} 没有给出每个段落的分数。",
    "It isn't a reranker: choose another.": "它不是重排模型：请换一个。",
    "FAISS can't be loaded: {}.": "无法加载 FAISS：{}。",
    'Run `kb doctor`; usually: pip install "kb-assistant[cpu]" (or [gpu], never both).': (
        '请运行 `kb doctor`；通常：pip install "kb-assistant[cpu]"（或 [gpu]，两者不能同时安装）。'
    ),
    "Package xllamacpp is missing.": "缺少软件包 xllamacpp。",
    "Package bitsandbytes is missing.": "缺少软件包 bitsandbytes。",
    "llama.cpp is missing.": "缺少 llama.cpp。",
    "The package for {} models is missing.": "缺少 {} 模型所需的软件包。",
    "{}:{} wants an API key.": "{}:{} 需要 API 密钥。",
    "Set the variable {}.": "请设置环境变量 {}。",
    "{}:{} can't be used: {}": "{}:{} 无法使用：{}",
    "See LangChain's init_chat_model.": "请参阅 LangChain 的 init_chat_model。",
}

CHATGLM = {
    "{} isn't a ChatGLM2 folder: its config.json says otherwise.": (
        "{} 不是 ChatGLM2 文件夹：config.json 与之不符。"
    ),
    "Download the folder again, all of its files.": "请重新下载该文件夹的全部文件。",
    "{} has no tokenizer.model.": "{} 缺少 tokenizer.model。",
    "{} holds ChatGLM-6B, the first generation, which is another network.": (
        "{} 中是第一代的 ChatGLM-6B，网络结构不同。"
    ),
    "Use chatglm2-6b or chatglm2-6b-int4.": "请使用 chatglm2-6b 或 chatglm2-6b-int4。",
    "Use chatglm2-6b-int4 or chatglm2-6b.": "请使用 chatglm2-6b-int4 或 chatglm2-6b。",
    "{} holds GLM-4, not ChatGLM2.": "{} 中是 GLM-4，不是 ChatGLM2。",
    "Use a .gguf file of it: kb models add glm-4.gguf": "请使用它的 .gguf 文件：kb models add glm-4.gguf",
    "{} is a variant that isn't supported: its config.json says {} = {}.": (
        "{} 是不受支持的变体：config.json 中 {} = {}。"
    ),
    "Use the official folder, or merge its adapter into the weights.": (
        "请使用官方文件夹，或把适配器合并到权重中。"
    ),
    "{} is quantised to {} bits.": "{} 量化为 {} 位。",
    "{} has rope_ratio = {}, which ChatGLM2 and ChatGLM3 read differently, and nothing in the folder tells which "
    "of them it is.": "{} 的 rope_ratio = {}，ChatGLM2 与 ChatGLM3 的含义不同，而文件夹中没有说明是哪一个。",
    'Put "_name_or_path": "THUDM/chatglm2-6b-32k" (or chatglm3-6b-32k) into its config.json.': (
        '请在其 config.json 中写入 "_name_or_path": "THUDM/chatglm2-6b-32k"（或 chatglm3-6b-32k）。'
    ),
    "{} is damaged: {} = {}.": "{} 已损坏：{} = {}。",
    "{} is only a pointer to the file, as git leaves it without Git LFS.": (
        "{} 只是指向文件的指针，没有 Git LFS 时 git 会留下它。"
    ),
    "Run in {}: git lfs pull; or download the files themselves.": "请在 {} 中运行：git lfs pull；或直接下载文件。",
    "{} is incomplete: {} missing.": "{} 不完整：缺少 {}。",
    "{} is incomplete: {} is missing.": "{} 不完整：缺少 {}。",
    "{} has no weights: neither *.safetensors nor pytorch_model*.bin.": (
        "{} 没有权重：既没有 *.safetensors，也没有 pytorch_model*.bin。"
    ),
    "{} holds INT4 weights, which would be quantised a second time.": "{} 中已是 INT4 权重，不能再次量化。",
    'Use quantize="int4", or the fp16 folder.': '请使用 quantize="int4"，或 fp16 的文件夹。',
    "The tokenizer has no {}.": "分词器中没有 {}。",
    "Add the model again.": "请重新添加模型。",
    "{} is damaged, or no SentencePiece model.": "{} 已损坏，或者不是 SentencePiece 模型。",
    "{} isn't ChatGLM2's tokenizer.": "{} 不是 ChatGLM2 的分词器。",
    "Use the one of the model's own folder.": "请使用模型自带的分词器。",
    "{} holds more than weights: loading it could run code.": "{} 中不止有权重：加载它可能执行代码。",
    "Get it from the official source.": "请从官方来源获取。",
    "{} is damaged, or no file of weights.": "{} 已损坏，或者不是权重文件。",
    "{} doesn't hold weights by name.": "{} 中没有按名称存放的权重。",
    "{} is damaged: {} has the shape {}, not {}.": "{} 已损坏：{} 的形状是 {}，应为 {}。",
    "{} is damaged: {} holds {}.": "{} 已损坏：{} 的类型是 {}。",
    "Its config.json belongs to other weights, or the download is damaged.": (
        "其 config.json 属于别的权重，或者下载的文件已损坏。"
    ),
    "{} holds values that are no numbers in {}: the weights are damaged, or too large for that type.": (
        "{} 中有的值在 {} 下不是数字：权重已损坏，或超出该类型的范围。"
    ),
}

ANSWERING = {
    "未安装中文模型：以下回答摘自原文。(No Chinese model is installed: the answer is quoted from the passages.)": (
        "未安装中文模型：以下回答摘自原文。"
    ),
    "The best passage is in Chinese, which the installed model can't read: it is quoted.": (
        "最佳段落是中文，已安装的模型无法阅读：以下摘自原文。"
    ),
    "The chat model failed: {}": "回答模型出错：{:told}",
    "Check its server, or choose another model.": "请检查其服务器，或换一个模型。",
    "The chat model can't answer: {}.": "回答模型无法回答：{:told}。",
    "The chat model doesn't answer on {}{}: {}.": "回答模型在 {}{} 上没有响应：{:told}。",
    "The prompt has {} tokens; the context holds {}.": "提示有 {} 个词元，上下文只能容纳 {} 个。",
    "Raise context_tokens, or ask with fewer passages (k).": "请调大 context_tokens，或减少段落数（k）。",
    "Question and passage don't fit {} prompt tokens.": "问题和段落超过了提示的 {} 个词元。",
    "Raise context_tokens, lower max_tokens, or ask more briefly.": (
        "请调大 context_tokens，调小 max_tokens，或提问更简短些。"
    ),
    "The last message must be a question.": "最后一条消息必须是问题。",
    "End the conversation with a human message.": "对话须以用户的消息结尾。",
    "This chat model takes no messages of type {}.": "此回答模型不接受 {} 类型的消息。",
    "This chat model reads text only, not {}.": "此回答模型只读文本，不支持 {}。",
    "The model's arithmetic overflowed.": "模型计算溢出。",
    "Its weights may be damaged: add it again.": "其权重可能已损坏：请重新添加。",
    "The GPU's memory is too small: {}": "显存不足：{}",
    "Close other programs on the GPU, lower context_tokens, set quantize to int4 or device to cpu; "
    "`kb doctor --model NAME` estimates what a model takes.": (
        "请关闭占用显卡的其他程序，调小 context_tokens，把 quantize 设为 int4 或把 device 设为 cpu；"
        "`kb doctor --model NAME` 可估算模型所需的内存。"
    ),
}

MODELS = INSTALLED | FILES | LOADING | CHATGLM | ANSWERING
