"""What is said in Chinese of this machine: by `examine`, and by the system itself."""

FINDINGS = {
    "python": "Python",
    "home": "数据目录",
    "faiss": "FAISS",
    "torch": "PyTorch",
    "chat model": "回答模型",
    "embedder": "向量模型",
    "reranker": "重排模型",
    "memory": "内存",
    "GPU memory": "显存",
    "Python {}, SQLite {}, {} cores": "Python {}，SQLite {}，{} 个核心",
    "Python {}, SQLite {}, {} cores, without FTS5": "Python {}，SQLite {}，{} 个核心，没有 FTS5",
    "Use a Python whose SQLite has FTS5.": "请使用 SQLite 带有 FTS5 的 Python。",
    "{} can't be written": "无法写入 {}",
    "{}, {} GB free": "{}，剩余 {} GB",
    "Choose another with --home or KB_HOME.": "请用 --home 或 KB_HOME 另选目录。",
    "not installed": "未安装",
    'pip install "kb-assistant[cpu]", or [gpu] with CUDA': 'pip install "kb-assistant[cpu]"，有 CUDA 时用 [gpu]',
    "faiss-cpu {} and faiss-gpu {} are both installed; they overwrite each other's files": (
        "同时安装了 faiss-cpu {} 和 faiss-gpu {}，它们会互相覆盖文件"
    ),
    "{} -m pip uninstall -y faiss-cpu faiss-gpu, then install one of the two again": (
        "{} -m pip uninstall -y faiss-cpu faiss-gpu，然后重新安装其中一个"
    ),
    "pip install --force-reinstall the same package, with its dependencies": (
        "对同一个软件包运行 pip install --force-reinstall，连同其依赖"
    ),
    "faiss-cpu {}, {} GPUs": "faiss-cpu {}，{} 块显卡",
    "faiss-gpu {}, {} GPUs": "faiss-gpu {}，{} 块显卡",
    "faiss-cpu {}, which sees no GPU and works on the CPU": "faiss-cpu {}，没有发现显卡，使用 CPU",
    "faiss-gpu {}, which sees no GPU and works on the CPU": "faiss-gpu {}，没有发现显卡，使用 CPU",
    "Check the NVIDIA driver with nvidia-smi.": "请用 nvidia-smi 检查 NVIDIA 驱动。",
    "can't be loaded: {}": "无法加载：{:told}",
    "{}, {} with {} GB": "{}，{}，显存 {} GB",
    "{}, CPU": "{}，CPU",
    "xllamacpp is not installed: answers are quotes": "未安装 xllamacpp：回答为原文摘录",
    "xllamacpp {}, built without this CPU's {}": "xllamacpp {}，编译时没有启用此 CPU 的 {}",
    'CMAKE_ARGS="-DLLAMA_BUILD_BORINGSSL=OFF -DLLAMA_LLGUIDANCE=OFF" {} -m pip install --force-reinstall '
    "--no-deps --no-binary xllamacpp xllamacpp (needs a C++ compiler, CMake and some fifteen minutes)": (
        'CMAKE_ARGS="-DLLAMA_BUILD_BORINGSSL=OFF -DLLAMA_LLGUIDANCE=OFF" {} -m pip install --force-reinstall '
        "--no-deps --no-binary xllamacpp xllamacpp（需要 C++ 编译器和 CMake，约一刻钟）"
    ),
    "extract: quotes passages, no language model": "extract：只摘录原文，不用语言模型",
    "{} at {}; not tried": "{}，位于 {}；未试用",
    "{} at its provider; not tried": "{}，由其服务商提供；未试用",
    "{} at {}": "{}，位于 {}",
    "none installed: answers are quotes": "未安装：回答为原文摘录",
    "auto: {}; installed: {}": "auto：{}；已安装：{}",
    "{} with a context of {} tokens takes about {} GB of {} (weights {}, cache {}, work {}); {} GB are free": (
        "{}，上下文 {} 个词元，约占 {} GB {:told}（权重 {}，缓存 {}，运算 {}）；剩余 {} GB"
    ),
    "Close other programs, lower context_tokens, or use the INT4 folder of the model.": (
        "请关闭其他程序，调小 context_tokens，或使用该模型的 INT4 文件夹。"
    ),
}

SYSTEM = {
    "Permission denied": "权限不足",
    "Operation not permitted": "操作不被允许",
    "No such file or directory": "文件或文件夹不存在",
    "Not a directory": "不是文件夹",
    "Is a directory": "是文件夹",
    "File exists": "文件已存在",
    "Directory not empty": "文件夹非空",
    "File name too long": "文件名过长",
    "Too many levels of symbolic links": "符号链接层数过多",
    "Too many open files": "打开的文件过多",
    "No space left on device": "磁盘空间不足",
    "Disk quota exceeded": "超出磁盘配额",
    "Read-only file system": "文件系统为只读",
    "Input/output error": "输入/输出错误",
    "Device or resource busy": "设备或资源正忙",
    "Cannot allocate memory": "内存不足",
    "Stale file handle": "文件句柄已失效",
    "Connection refused": "连接被拒绝",
    "Connection timed out": "连接超时",
    "database disk image is malformed": "数据库文件已损坏",
    "file is not a database": "不是数据库文件",
    "disk I/O error": "磁盘读写错误",
    "database or disk is full": "数据库或磁盘已满",
    "database is locked": "数据库已锁定",
}
"""Errors of Linux and SQLite, which stand in ours. They aren't in our source."""
