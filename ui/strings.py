"""The texts of the page, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from kb_assistant.messages import translate

_WORDS: dict[str, tuple[str, str]] = {
    "language": ("Language", "语言"),
    "chat": ("Chat", "对话"),
    "library": ("Knowledge base", "知识库"),
    "system": ("Models and settings", "模型与设置"),
    "kb": ("Knowledge base", "知识库"),
    "sign_out": ("Sign out", "退出登录"),
    "may_read": ("may read and ask here", "可查看和提问"),
    "may_write": ("may add and remove documents here", "可添加和移除文档"),
    "may_manage": ("manages this knowledge base", "管理此知识库"),
    "may_nothing": ("may not read anything yet", "尚无可读内容"),
    # first minute, models
    "first_title": ("Three steps to your first answer", "三步得到第一个回答"),
    "first_models": ("Models on this machine", "本机上的模型"),
    "first_documents": ("Your documents", "你的文档"),
    "first_ask": ("Ask: examples appear here once something is read", "提问：读取后这里会出现示例问题"),
    "first_ask_owner": ("Whoever runs this page adds documents.", "文档由此页面的管理者添加。"),
    "use_embedder": ("Finds passages – needed", "检索段落（必需）"),
    "use_chat": ("Words the answers – without it they are quotes", "组织回答（没有则摘录原文）"),
    "use_reranker": ("Orders passages", "重排段落"),
    "installed": ("installed", "已安装"),
    "install": ("Install", "安装"),
    "too_big_disk": ("too big for this disk", "磁盘空间不足"),
    "too_big_memory": ("too big for this machine", "本机内存不足"),
    "downloading": ("Downloading … {share}", "正在下载……{share}"),
    "adding": ("Adding … {share}", "正在添加……{share}"),
    "unpacking": ("Unpacking …", "正在解包……"),
    "install_note": (
        "Downloaded once, from the Python package index. After that nothing leaves this machine.",
        "仅从 Python 软件包索引下载一次，此后没有数据离开本机。",
    ),
    "model_by_path": ("A model that is on this machine", "使用本机上已有的模型"),
    "model_path": ("Its folder, or a .gguf file", "模型文件夹或 .gguf 文件"),
    "model_path_help": ("Its whole path. The files stay where they are.", "填写完整路径，文件保留在原处。"),
    "add": ("Add", "添加"),
    "use_samples": ("Use the sample documents", "使用示例文档"),
    "add_folder": ("A folder of this machine", "本机文件夹"),
    "read_after_models": (
        "Documents can come first: they are read once the first model is installed.",
        "也可以先添加文档：安装第一个模型后会自动读取。",
    ),
    "waits_for_models": (
        "**Kept, {n} files.** They are read as soon as the model that finds passages is installed.",
        "**已保存 {n} 个文件。**安装检索段落的模型后会自动读取。",
    ),
    "formats": (
        "PDF, Word, Excel, PowerPoint, OpenDocument, HTML, Markdown, text, mail, pictures, archives.",
        "PDF、Word、Excel、PowerPoint、OpenDocument、HTML、Markdown、文本、邮件、图片、压缩包。",
    ),
    "upload_limits": (
        " At most {n:,} files and {megabytes} MB at once; of more, name the folder.",
        "一次最多 {n:,} 个文件、共 {megabytes} MB；更多时请填写文件夹路径。",
    ),
    "reading_looks": ("Looking at the files …", "正在查看文件……"),
    "reading_files": ("Reading {n} of {all} files", "正在读取 {n}/{all} 个文件"),
    "reading_chunks": ("{n} passages so far", "已得到 {n} 个段落"),
    # users and rights, sharing
    "people": ("Users and rights", "用户与权限"),
    "people_open": (
        "Nobody is asked for a token now: only this machine reaches the page. Tokens count once it is started "
        "with --login or for another address.",
        "目前无需令牌：只有本机可以访问此页面。用 --login 或其他地址启动后令牌才生效。",
    ),
    "users": ("Users", "用户"),
    "user_name": ("Name", "名称"),
    "groups": ("Groups, with commas between them", "用户组，用逗号分隔"),
    "add_user": ("Add user", "添加用户"),
    "save_groups": ("Save groups", "保存用户组"),
    "user_there": ("There is a user {name} already.", "已有用户 {name}。"),
    "remove_user": ("Remove {name}", "移除 {name}"),
    "remove_user_help": (
        "With all tokens and rights. Conversations stay.",
        "连同其全部令牌和权限。对话会保留。",
    ),
    "no_users": ("No users yet.", "还没有用户。"),
    "rights": ("Rights", "权限"),
    "no_rights": ("no rights yet", "尚无权限"),
    "right_read": ("read", "读取"),
    "right_write": ("write", "写入"),
    "right_manage": ("manage", "管理"),
    "rights_help": (
        "read: search, ask, see documents. write: add and remove them, too. manage: folders, rename, delete, see "
        "every document, too. Rights only add up.",
        "读取：检索、提问、查看文档。写入：还可添加和移除文档。管理：还可管理文件夹、重命名、删除、查看所有文档。权限只会叠加。",
    ),
    "grant_to": ("To: a user, group:NAME or anyone", "授予：用户名、group:名称 或 anyone"),
    "grant_right": ("Right", "权限"),
    "grant": ("Grant", "授予"),
    "every_kb": ("every knowledge base", "全部知识库"),
    "anyone": ("everybody with a token", "所有持有令牌的人"),
    "take_back": ("Take back", "收回"),
    "no_grants": ("Nothing is granted yet.", "尚未授予任何权限。"),
    "who_may": ("Who may use it", "谁可以使用"),
    "tokens_of": ("Tokens", "令牌"),
    "token_for": ("What it is for, such as laptop", "用途，如：笔记本电脑"),
    "token_until": ("Valid for", "有效期"),
    "days": ("{n} days", "{n} 天"),
    "for_ever": ("no end", "永久"),
    "token_most": ("At most", "最高权限"),
    "token_bases": ("Only for", "仅限"),
    "make_token": ("Make token", "创建令牌"),
    "token_once": (
        "This is the token of {name}. It is shown only now, and kept nowhere: copy it.",
        "这是 {name} 的令牌。只在此时显示，不会保存，请立即复制。",
    ),
    "token_seen": ("I have copied it", "已复制"),
    "revoke": ("Revoke", "吊销"),
    "used": ("last used {when}", "最近使用：{when}"),
    "never_used": ("never used", "从未使用"),
    "valid_until": ("until {when}", "有效期至 {when}"),
    "expired": ("expired", "已过期"),
    "share": ("Share", "共享"),
    "share_hint": (
        "A link shows this conversation to others, to read only. Who opens it sees the answers whose documents "
        "they may read.",
        "链接以只读方式向他人展示此对话。打开者只能看到其有权读取的文档所支持的回答。",
    ),
    "share_open": ("Opens without signing in", "无需登录即可打开"),
    "share_open_help": (
        "Everybody who has the link sees what everybody with a token may read.",
        "持有链接的任何人都能看到所有令牌持有者可读的内容。",
    ),
    "make_link": ("Make a link", "创建链接"),
    "end_link": ("End the link", "停止共享"),
    "link_token": ("Opens for who has a token.", "持有令牌者可打开。"),
    "link_anyone": ("Opens for everybody who has it.", "持有链接的任何人都可打开。"),
    "shared_by": ("Shared by {name}, to read only", "由 {name} 共享，只读"),
    "link_gone": ("There is nothing here (any more).", "此处没有内容，或已停止共享。"),
    # conversations
    "age_today": ("Today", "今天"),
    "age_week": ("Last 7 days", "最近 7 天"),
    "age_older": ("Older", "更早"),
    "chat_deleted": ("Conversation deleted.", "已删除对话。"),
    "undo": ("Undo", "撤销"),
    "new_chat": ("New conversation", "新对话"),
    "search_chats": ("Search conversations", "搜索对话"),
    "no_chats": ("No conversation found.", "没有找到对话。"),
    "more_chats": ("{n} older ones: search to find them.", "另有 {n} 个较早的对话，可搜索。"),
    "more_found": ("There are more: search for another word, too.", "还有更多：可再加一个词。"),
    "menu_of": ("Menu of “{name}”", "“{name}”的菜单"),
    "untitled": ("Untitled", "未命名"),
    "chat_menu": ("This conversation", "此对话"),
    "name": ("Name", "名称"),
    "rename": ("Rename", "重命名"),
    "delete": ("Delete", "删除"),
    "cancel": ("Cancel", "取消"),
    "export_md": ("Save as Markdown", "导出 Markdown"),
    "export_json": ("Save as JSON", "导出 JSON"),
    "chat_gone": ("That conversation isn't here (any more).", "找不到该对话，可能已被删除。"),
    "own_files": ("Files of this conversation alone", "仅用于此对话的文件"),
    # asking
    "search_all": ("Search everything", "检索全部"),
    "search_some": ("Search in: {what}", "检索范围：{what}"),
    "search_where": ("Where is searched", "检索范围"),
    "search_everything": ("Everything", "全部"),
    "types": ("Types", "类型"),
    "folder_or_name": ("Folder or part of a name", "文件夹或部分名称"),
    "dated_since": ("Documents dated from", "文档日期不早于"),
    "dated_until": ("to", "不晚于"),
    "dated_from": ("dated {day} or later", "日期不早于 {day}"),
    "dated_to": ("dated {day} or earlier", "日期不晚于 {day}"),
    "tags": ("Tags", "标签"),
    "size": ("Size", "大小"),
    "apply": ("Apply", "应用"),
    "searched_in": ("Only searched in: {what}", "仅检索：{what}"),
    "answering_by": ("Answering", "回答方式"),
    "model_kind": ("Model", "模型"),
    "answered_by": ("Answered by {name}", "由 {name} 回答"),
    "again_with": ("Ask again with …", "换模型重新回答"),
    "asked_then": ("Then your question is asked: {question}", "随后将提问：{question}"),
    "other_questions": ("Other ones", "换一批"),
    "sources_of_answer": ("Sources of this answer", "回答的来源"),
    "also_read": ("read, not cited", "已读，未引用"),
    "next_questions": ("You may also ask", "还可以问"),
    "see_prompt": ("What the model was given", "模型得到的内容"),
    "keep_note": ("Keep as a note in the knowledge base", "存为知识库笔记"),
    "kept_note": ("Kept as a note; it is being read.", "已存为笔记，正在读取。"),
    "notes_folder": ("notes", "笔记"),
    "why_bad": ("What is wrong with it?", "哪里有问题？"),
    "why_wrong": ("Wrong", "内容错误"),
    "why_missing": ("Incomplete", "不完整"),
    "why_source": ("Wrong source", "来源不对"),
    "why_form": ("Badly worded", "表述不佳"),
    "why_seen": (
        "Who manages this knowledge base sees the question and what you write here.",
        "此知识库的管理者会看到问题和你填写的内容。",
    ),
    "rated_bad": ("Answers with a thumb down: {n}", "被评为无用的回答：{n} 个"),
    "why_text": ("In your words (may be left out)", "补充说明（可不填）"),
    "ask": ("Ask your documents …", "向你的文档提问……"),
    "hello": ("What would you like to know?", "你想了解什么？"),
    "try": ("Your documents suggest:", "可以问问你的文档："),
    "add_documents": ("Add documents", "添加文档"),
    "stop": ("Stop", "停止"),
    "stop_queued": ("Don't ask those that wait", "取消排队的问题"),
    "queued": ("Waits for the answer before it …", "等待上一个回答……"),
    "waiting": ("Reading the files first …", "正在读取文件……"),
    "searching": ("Searching …", "正在检索……"),
    "answering": ("Reading {n} passages …", "正在阅读 {n} 个段落……"),
    "earlier": ("Show {n} earlier turns", "显示更早的 {n} 轮"),
    "you": ("You", "你"),
    "assistant": ("Answer", "回答"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "retry": ("Ask again", "重新回答"),
    "edit": ("Edit the question", "编辑问题"),
    "send": ("Ask", "提问"),
    "good": ("Good answer", "回答有用"),
    "bad": ("Bad answer", "回答无用"),
    "refused": ("Your documents don't seem to hold this", "文档中似乎没有相关内容"),
    "nearest": ("The nearest passages:", "最接近的段落："),
    "nothing_to_search": ("Nothing to search", "没有可检索的内容"),
    "not_read_yet": (
        "{n} files are still being read; nothing can be answered from them yet. Ask again in a moment.",
        "{n} 个文件仍在读取，暂时无法据此回答，请稍后再问。",
    ),
    "reading_begins": (
        "Your documents are about to be read. Ask again in a moment.",
        "即将读取你的文档，请稍后再问。",
    ),
    "some_unread": (
        "Answered while documents were being read: {n} of {all} files weren't in yet.",
        "回答时仍在读取文档：{all} 个文件中还有 {n} 个未读入。",
    ),
    "answers": ("Answers come from", "回答来自"),
    "answers_documents": ("the documents", "文档"),
    "answers_documents-first": ("the documents first, else the model", "先文档，没有则由模型回答"),
    "answers_model": ("the model, nothing is searched", "模型，不检索文档"),
    "cut": ("Cut: the answer is as long as may be.", "已截断：回答达到了最大长度。"),
    "by_itself": ("Not from your documents.", "不是来自你的文档。"),
    "uncertain": (
        "Uncertain: the passages may not be about this. Look at them before you rely on the answer.",
        "不确定：这些段落可能与问题无关，请先核对再采用。",
    ),
    "unsupported": ("The passage doesn't plainly say so", "该段落没有明确这样说"),
    "some_unsupported": (
        "Marks with “?” point to passages that don't plainly say so.",
        "带“?”的引用：对应段落没有明确这样说。",
    ),
    "stopped": ("Stopped", "已停止"),
    "interrupted": ("Broken off: the program ended before the answer did", "已中断：程序在回答完成前结束"),
    "elsewhere": ("Being answered; reload to see more", "正在回答，刷新页面查看"),
    "failed": ("No answer", "没有得到回答"),
    "broken_off": ("The answer broke off.", "回答中断了。"),
    "details": ("What was searched", "检索详情"),
    "searched": ("Searched", "检索内容"),
    "evidence": ("evidence {n}", "证据强度 {n}"),
    "found_in": ("found in {n} s", "检索用时 {n} 秒"),
    "total": ("{n} s in all", "共 {n} 秒"),
    "tokens": ("{a} tokens read, {b} written", "读入 {a} 个词元，写出 {b} 个"),
    "speed": ("{n} tokens/s", "每秒 {n} 个词元"),
    "reused": ("{n} remembered", "复用 {n} 个"),
    "passages": ("{n} passages", "{n} 个段落"),
    "passages_one": ("1 passage", "1 个段落"),
    "dropped": (
        "Left out for want of room: {turns} turns, {passages} passages; {shortened} earlier answers shortened",
        "因上下文不足而略去：{turns} 轮较早的对话、{passages} 个段落；缩短 {shortened} 个较早的回答",
    ),
    # passage
    "passage": ("Passage", "段落"),
    "close": ("Close", "关闭"),
    "previous": ("Previous", "上一个"),
    "next": ("Next", "下一个"),
    "page": ("page {n}", "第 {n} 页"),
    "lines": ("lines {a}–{b}", "第 {a}–{b} 行"),
    "line": ("line {a}", "第 {a} 行"),
    "also_in": ("Also in: {files}", "同文见于：{files}"),
    "near_in": ("Nearly the same in: {files}", "近似内容见于：{files}"),
    "file_gone": ("its file is gone", "其文件已不存在"),
    "file_unreachable": ("its file can't be reached now", "其文件现在无法访问"),
    "passage_gone": (
        "The source has changed or was removed since; this is the passage as it was.",
        "来源已更改或移除；这是当时的段落。",
    ),
    "page_image": ("Page {n} of {file}", "{file} 第 {n} 页"),
    "shown_as": ("Shown as", "显示方式"),
    "tab_page": ("Page", "页面"),
    "tab_text": ("Text", "文本"),
    "tab_table": ("Table", "表格"),
    "code": ("Code", "代码"),
    "tab_overview": ("Overview", "概览"),
    "open_document": ("Open the document", "打开文档"),
    "download": ("Download", "下载"),
    "search_within": ("Search in this document", "在此文档中搜索"),
    "found_within": ("found: {n}", "找到 {n} 处"),
    "part": ("Part", "部分"),
    "part_page": ("Page", "页"),
    "part_slide": ("Slide", "幻灯片"),
    "part_sheet": ("Sheet", "工作表"),
    "part_attachment": ("Attachment", "附件"),
    "part_text": ("Part", "部分"),
    "overview": ("What is in it", "内容概览"),
    "contents": ("Contents", "目录"),
    "in_short": ("In its own words", "原文摘要"),
    "sum_up": ("Have the model sum it up", "让模型总结"),
    "sum_up_all": ("Sum up all documents", "总结所有文档"),
    "ask_summary": ("Summarise {name}", "总结{name}"),
    "ask_overview": ("Give me an overview of all documents", "总结所有文档的内容"),
    "key_questions": ("It answers, for example", "例如可以问"),
    "dates_from_to": ("Dates of the documents", "文档日期"),
    "fact_author": ("Author", "作者"),
    "fact_date": ("Date", "日期"),
    "fact_subject": ("Subject", "主题"),
    "fact_from": ("From", "发件人"),
    "fact_to": ("To", "收件人"),
    # dropped files
    "dropped_files": ("Files dropped: {n}. What are they for?", "{n} 个文件，如何使用？"),
    "for_chat": ("For this conversation only", "仅用于此对话"),
    "for_kb": ("Into the knowledge base “{kb}”", "加入知识库“{kb}”"),
    "too_many": (
        "{count} files are too many: at most {n} at once. Name their folder instead, or take fewer.",
        "{count} 个文件太多：一次最多 {n} 个。可改为填写文件夹路径，或减少文件。",
    ),
    "too_large": ("{file} is larger than {n} MB: leave it out.", "{file} 超过 {n} MB，请将其移除。"),
    "too_much": (
        "{size} are too much: at most {n} MB at once. Name their folder instead, or take fewer.",
        "共 {size}，太大：一次最多 {n} MB。可改为填写文件夹路径，或减少文件。",
    ),
    # knowledge base page
    "sources": ("Documents", "文档"),
    "chunks": ("Passages", "段落"),
    "upload_files": ("Upload files", "上传文件"),
    "upload_folder": ("Upload a folder", "上传文件夹"),
    "paste_text": ("Paste a text", "粘贴文本"),
    "paste_title": ("Title (else its first line)", "标题（不填则用第一行）"),
    "paste_body": ("Text", "文本"),
    "paste_save": ("Save and read", "保存并读取"),
    "left_out": ("Files that aren't synced: {n}", "不同步的文件：{n} 个"),
    "left_out_hint": (
        "They were removed here and lie in a folder that is followed.",
        "它们已在此移除，但仍位于同步的文件夹中。",
    ),
    "sync_again": ("Sync again", "重新同步"),
    "folder": ("A folder on this machine", "本机文件夹"),
    "folder_hint": (
        "Its whole path. New, changed and vanished files are taken over.",
        "填写完整路径，与该文件夹保持同步。",
    ),
    "folder_barred": ("Folders outside {roots} can't be named here.", "只能填写 {roots} 内的文件夹。"),
    "odd_bases": (
        "Knowledge bases in {folder} whose names can't be used aren't opened, nor are their folders followed:"
        " {names}. Rename them, with letters, digits, '.', '-' and '_' only.",
        "{folder} 中名称不可用的知识库不会打开，其文件夹也不会同步：{names}。请重命名，只用字母、数字、“.”、“-”和"
        "“_”。",
    ),
    "see_log": ("That shouldn't happen: the program's log tells more.", "这不应发生：程序日志中有更多信息。"),
    "folder_none": (
        "This page can be reached by others: folders can be named only where it was started with --folder.",
        "此页面可被他人访问：只有用 --folder 启动时才能填写文件夹。",
    ),
    "keep": ("Sync", "同步"),
    "sync": ("Sync now", "立即同步"),
    "let_go": ("Stop syncing", "取消同步"),
    "filter": ("Search documents", "搜索文档"),
    "which": ("Show", "显示"),
    "all": ("All", "全部"),
    "only_failed": ("Failed", "失败"),
    "no_sources": ("No documents.", "没有文档。"),
    "count_sources_one": ("1 document", "1 个文档"),
    "count_chunks_one": ("1 passage", "1 个段落"),
    "count_sources": ("{n} documents", "{n} 个文档"),
    "count_chunks": ("{n} passages", "{n} 个段落"),
    "count_disk": ("{n} on disk", "占用 {n}"),
    "more_pieces": ("{n} further passages", "另有 {n} 个段落"),
    "uploads": ("Uploads", "上传的文件"),
    "type": ("Type", "类型"),
    "folder_column": ("Folder", "文件夹"),
    "date": ("Date", "日期"),
    "read_since": ("Read since", "读取于"),
    "any_time": ("Any time", "不限时间"),
    "day": ("Last 24 hours", "最近 24 小时"),
    "week": ("Last 7 days", "最近 7 天"),
    "month": ("Last 30 days", "最近 30 天"),
    "only_read": ("Read", "已读取"),
    "select": ("Select", "选择"),
    "select_all": ("Select all of this page", "选择本页全部"),
    "select_found": ("Also those on other pages: all {n}", "包括其他页，共 {n} 个"),
    "selected": ("{n} selected", "已选 {n} 个"),
    "source_read": ("read", "已读取"),
    "source_failed": ("failed", "失败"),
    "source_nothing": ("empty", "无内容"),
    "shown_of": ("{a}–{b} of {n}", "第 {a}–{b} 个，共 {n} 个"),
    "failed_count": ("Couldn't be read: {n}", "读取失败：{n} 个"),
    "read_again": ("Read again", "重新读取"),
    "read_again_help": ("Takes over what has changed in the files.", "读取文件中的最新内容。"),
    "remove": ("Remove", "移除"),
    "remove_help": (
        "They are in no answer any more. Uploaded files are deleted for good after a day; files of your folders "
        "stay where they are and aren't synced any more.",
        "回答中不再使用。上传的文件一天后彻底删除；你文件夹中的文件保留原处，不再同步。",
    ),
    "removed_count": ("{n} removed.", "已移除 {n} 个。"),
    "care": ("Check and rebuild", "检查与重建"),
    "verify": ("Verify", "检查"),
    "verify_help": (
        "Check that documents, passages and index agree.",
        "检查文档、段落与索引是否一致。",
    ),
    "repair": ("Repair", "修复"),
    "repair_help": ("Keep what is sound, drop the rest; files are read again.", "保留完好的部分，其余重新读取。"),
    "rebuild": ("Rebuild", "重建"),
    "rebuild_help": ("Embed all texts anew with the embedder chosen now.", "用当前的向量模型重新计算所有文本。"),
    "sound": ("All agrees.", "全部一致。"),
    "unchecked": ("Not checked now:", "暂未检查："),
    "missing_gone": (
        "Files that are gone: {n}. Answers from them say so. If they moved, add the new place.",
        "已不存在的文件：{n} 个。引用它们的回答会注明。若已移动，请添加新位置。",
    ),
    "missing_unreachable": (
        "Files that can't be reached now, such as on a drive that isn't mounted: {n}. They stay.",
        "现在无法访问的文件（如未挂载的磁盘）：{n} 个，仍保留。",
    ),
    "forget_gone": ("Forget {n}", "移除 {n} 个"),
    "faults": ("Faults found:", "发现问题："),
    "how_it_answers": ("How it answers", "如何回答"),
    "own_role": ("Who answers, in one sentence", "回答者身份（一句话）"),
    "own_role_example": (
        "Such as: You are the help desk of a tea farm.",
        "例如：你是茶场的客服，语气亲切。",
    ),
    "own_answer_language": ("Language of the answers", "回答语言"),
    "own_answer_length": ("Length of the answers", "回答长度"),
    "as_asked": ("the question's", "与问题相同"),
    "as_everywhere": ("as everywhere: {value}", "与全局设置相同：{value}"),
    "own_hint": (
        "Holds for this knowledge base alone, for all who ask it, from the next question.",
        "仅对此知识库生效，适用于所有提问者，从下一个问题开始。",
    ),
    "manage": ("Create, rename, delete", "新建、重命名、删除"),
    "new_kb": ("New knowledge base", "新建知识库"),
    "create": ("Create", "创建"),
    "sure_kb": (
        "Delete this knowledge base, its index and all files uploaded to it?",
        "删除此知识库、索引以及上传的全部文件？",
    ),
    "kb_busy": ("Work is going on; wait for it or stop it.", "有任务正在进行，请等待或停止。"),
    "ingest": ("Reading documents", "读取文档"),
    "state_waiting": ("waiting", "等待中"),
    "state_running": ("running", "进行中"),
    "state_done": ("done", "完成"),
    "state_stopped": ("stopped", "已停止"),
    "state_failed": ("failed", "失败"),
    "state_interrupted": ("broken off by a restart", "因重启中断"),
    "progress": (
        "{files} of {all} files, {chunks} passages",
        "已处理 {files}/{all} 个文件，{chunks} 个段落",
    ),
    "progress_texts": ("{a} of {b} texts", "{a}/{b} 条文本"),
    "seconds_left": ("about {n} s left", "约剩 {n} 秒"),
    "report": (
        "{added} added, {updated} updated, {unchanged} unchanged, {duplicate} duplicate, {removed} removed, "
        "{failed} failed, {seconds} s",
        "新增 {added}，更新 {updated}，未变 {unchanged}，重复 {duplicate}，移除 {removed}，失败 {failed}，"
        "用时 {seconds} 秒",
    ),
    "report_files": ("Report by file", "逐文件报告"),
    "retry_failed": ("Read the failed ones again", "重试失败的文件"),
    "with_password": ("With a password", "输入密码"),
    "password": ("Password of these files", "这些文件的密码"),
    "password_help": (
        "It is tried on all that need one, and kept nowhere.",
        "对所有需要密码的文件尝试，不会保存。",
    ),
    "try_again": ("Try again", "重试"),
    "go_on": ("Go on", "继续"),
    "skipped": ("Skipped, not documents: {kinds}", "非文档，已略过：{kinds}"),
    "file": ("File", "文件"),
    "status": ("Status", "状态"),
    "reason": ("Reason", "原因"),
    "added": ("added", "新增"),
    "updated": ("updated", "更新"),
    "unchanged": ("unchanged", "未变"),
    "duplicate": ("duplicate", "重复"),
    "removed": ("removed", "移除"),
    # system page
    "models": ("Installed models", "已安装的模型"),
    "model": ("Answers by", "回答模型"),
    "engine_quotes": ("quotes from the passages, no language model", "摘录段落原文，不用语言模型"),
    "language_en": ("English", "英文"),
    "language_zh": ("Chinese", "中文"),
    "kind_embedder": ("embeds texts", "向量模型"),
    "kind_chat": ("answers", "回答模型"),
    "kind_reranker": ("orders passages", "重排模型"),
    "in_use": ("in use", "使用中"),
    "engine": ("This machine", "本机"),
    "examine": ("Check this machine", "检查本机"),
    "memory": ("Memory of this program", "本程序内存"),
    "free": ("Free memory", "可用内存"),
    "last_speed": ("Last answer", "最近一次回答"),
    "index": ("Index", "索引"),
    "index_facts": ("{kind}, {vectors} vectors", "{kind}，{vectors} 个向量"),
    "index_recall": ("finds {n} of the ten nearest", "可找到最近十个中的 {n}"),
    "kind_exact": ("exact", "精确"),
    "kind_ivf-int8": ("approximate (IVF, 8 bits)", "近似（IVF，8 位）"),
    "kind_ivf-pq": ("approximate (IVF-PQ)", "近似（IVF-PQ）"),
    "kind_pgvector-exact": ("exact, on the server", "精确，在服务器上"),
    "kind_pgvector-hnsw": ("approximate, on the server (HNSW)", "近似，在服务器上（HNSW）"),
    "index_none": ("built at the next search", "下次检索时建立"),
    "settings": ("Settings", "设置"),
    "settings_hint": (
        "They are kept in {file}; flags of “kb ui” and KB_… variables count for more.",
        "设置保存在 {file}；“kb ui”的选项和 KB_… 环境变量优先。",
    ),
    "card_answers": ("Answers", "回答"),
    "card_search": ("Search", "检索"),
    "card_reading": ("Reading", "读取"),
    "set_model": ("Model", "模型"),
    "set_answers": ("Answers come from", "回答来自"),
    "set_answer_length": ("Length, or a number of words", "长度，或字数"),
    "set_answer_language": ("Language, such as en or zh", "语言，如 zh 或 en"),
    "set_k": ("Passages given to the model", "交给模型的段落数"),
    "set_reranker": ("Reranker", "重排模型"),
    "set_answer_reader": ("Reads passages before answering", "回答前先阅读段落"),
    "set_rewrite": ("Follow-ups are worded anew", "改写追问"),
    "set_strictness": ("Refuse more, or answer more", "宁缺毋滥，还是尽量回答"),
    "set_embedder": ("Model that finds passages", "检索段落的模型"),
    "set_file_megabytes": ("Largest file, MB", "最大文件（MB）"),
    "set_ocr_pages": ("Most scanned pages of a file", "每个文件最多识别的扫描页"),
    "set_read_seconds": ("Longest time for a file, s", "单个文件的时间上限（秒）"),
    "strict_most": ("refuses most", "最严格"),
    "strict_more": ("refuses more", "较严格"),
    "strict_measured": ("as measured", "按测定值"),
    "strict_less": ("answers more", "较宽松"),
    "strict_least": ("answers nearly all", "最宽松"),
    "strict_own": ("own values", "自定义值"),
    "strictness_help": (
        "How much evidence an answer takes (refuse_below and uncertain_below). An answer on little evidence is "
        "marked as uncertain.",
        "回答所需的证据强度（refuse_below 和 uncertain_below）。证据不足的回答会标为“不确定”。",
    ),
    "model_auto": ("the best one installed", "已安装中最好的"),
    "model_extract": ("none: quotes", "不用模型，摘录原文"),
    "answer_length_short": ("short", "简短"),
    "answer_length_medium": ("as the question needs", "视问题而定"),
    "answer_length_long": ("long", "详细"),
    "answer_reader_on": ("yes", "是"),
    "answer_reader_off": ("no", "否"),
    "rewrite_off": ("no", "否"),
    "rewrite_model": ("by the chat model", "由回答模型改写"),
    "unset": ("not set", "未设置"),
    "advanced": ("Advanced", "高级"),
    "use": ("Use", "使用"),
    "more_models": ("Install a model", "安装模型"),
    "save": ("Save", "保存"),
    "to_default": ("Default: {value}", "默认值：{value}"),
    "setting_kept": (
        "Saved. It holds from the next question or file.",
        "已保存，从下一个问题或文件起生效。",
    ),
    "level_home": ("Set for all knowledge bases.", "对所有知识库生效。"),
    "level_kb": ("“{kb}” has its own: {value}.", "“{kb}”有自己的值：{value}。"),
    "level_own": ("Set for this knowledge base alone.", "仅对此知识库生效。"),
    "level_start": ("Given when the page was started.", "启动页面时指定。"),
    "fixed_arguments": (
        "Given as a flag when the page was started: start it without to change it here.",
        "启动页面时已用选项指定；如需在此修改，请去掉该选项重新启动。",
    ),
    "fixed_environment": (
        "Given by the variable {variable}: start the page without it to change it here.",
        "已由环境变量 {variable} 指定；如需在此修改，请去掉该变量重新启动。",
    ),
    "after_embedder": (
        "After a change every knowledge base has to be rebuilt, on its own page.",
        "修改后，每个知识库都需要在其页面上重建。",
    ),
    "after_chunks": (
        "Holds for files that are read from now on; the next reading of a folder cuts all of it anew.",
        "对此后读取的文件生效；下次读取文件夹时会全部重新切分。",
    ),
}

LANGUAGES = {"en": "English", "zh": "中文"}


def language() -> str:
    """`en` or `zh`: the user's choice, else the browser's preference."""
    chosen = st.session_state.get("lang") or st.query_params.get("lang")
    if chosen in LANGUAGES:
        return str(chosen)
    return "zh" if str(st.context.locale or "").lower().startswith("zh") else "en"


def say(key: str, **values: object) -> str:
    """A text in the session's language. The values are inserted unchanged: make them safe first."""
    return say_in(language(), key, **values)


def languages(codes: Sequence[str]) -> str:
    """What languages are called, of those that the page speaks."""
    told = [say(f"language_{code}") if code in LANGUAGES else code for code in codes]
    return ("、" if language() == "zh" else ", ").join(told)


def say_in(lang: str, key: str, **values: object) -> str:
    """The same in this language, where there is no session. One of something may have a text of its own."""
    one = f"{key}_one" if str(values.get("n")) == "1" else ""
    text = _WORDS[one if one in _WORDS else key][lang == "zh"]
    return text.format(**values) if values else text


def localized(message: str) -> str:
    """A message of the engine in the session's language: errors, hints, reasons, notes, faults."""
    return translate(message, language())


def local_time(moment: str) -> datetime:
    """A moment (ISO 8601) in the time zone of the browser; in UTC where that isn't known."""
    try:
        zone = ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, AttributeError):
        zone = ZoneInfo("UTC")
    found = datetime.fromisoformat(moment)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(zone)


def said_when(moment: str) -> str:
    """A moment in the time of whoever looks at the page."""
    try:
        return f"{local_time(moment):%Y-%m-%d %H:%M}"
    except ValueError:  # of an older version
        return moment


def today() -> date:
    """The day it is for whoever looks at the page."""
    return local_time(datetime.now(UTC).isoformat()).date()


def words(*keys: str) -> dict[str, str]:
    """Several texts by key, for components."""
    return {key: say(key) for key in keys}
