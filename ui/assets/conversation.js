// Turns of a conversation. Everything shown is set as text; no value ever becomes markup.
const ELEMENTS = new Set(
  "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s br hr table thead tbody tr th td".split(" "));

function make(tag, cls, text) {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  return element;
}

// A mark stands in one line with the end of the text before it.
function cite(parent, chip) {
  const last = parent.lastChild;
  if (last?.className === "kept") { last.append(chip); return; }
  const end = last?.nodeType === Node.TEXT_NODE && (/[\u2e80-\uffef]{1,2}$/.exec(last.data) || /\S{1,20}$/.exec(last.data));
  if (!end) { parent.append(chip); return; }
  last.data = last.data.slice(0, end.index);
  const kept = make("span", "kept", end[0]);
  kept.append(chip);
  parent.append(kept);
}

function fill(parent, nodes, chip) {
  for (const node of nodes) {
    if (typeof node === "string") parent.appendChild(document.createTextNode(node));
    else if (node[0] === "cite") cite(parent, chip(node[1]));
    else if (ELEMENTS.has(node[0])) {
      const shown = /^h[1-6]$/.test(node[0]) ? "h4" : node[0];
      const element = make(shown);
      if (shown === "pre") element.tabIndex = 0;
      fill(element, node.slice(1), chip);
      if (shown === "thead" && !element.textContent.trim()) continue;
      if (shown === "table") {
        const frame = make("div", "scroll");
        frame.tabIndex = 0;
        frame.appendChild(element);
        parent.appendChild(frame);
      } else parent.appendChild(element);
    }
  }
}

// One card for all chips; it shows what a mark points to.
function card(root) {
  let element = root.querySelector(".card");
  if (!element) {
    element = make("div", "card");
    element.setAttribute("role", "tooltip");
    element.id = "card";
    element.hidden = true;
    root.appendChild(element);
  }
  return element;
}

function showCard(root, chip, mark) {
  const element = card(root);
  element.replaceChildren(make("div", "place", mark.place), make("div", "text", mark.text));
  if (!mark.supported) element.appendChild(make("div", "doubt", mark.doubt));
  element.hidden = false;
  const box = chip.getBoundingClientRect();
  const width = Math.min(420, window.innerWidth - 24);
  element.style.width = `${width}px`;
  element.style.left = `${Math.max(12, Math.min(box.left, window.innerWidth - width - 12))}px`;
  const above = box.top > element.offsetHeight + 12;
  element.style.top = above ? `${box.top - element.offsetHeight - 8}px` : `${box.bottom + 8}px`;
}

function chipFor(root, turn, number, send) {
  const mark = turn.marks[number];
  if (!mark) return document.createTextNode("");
  const chip = make("button", mark.supported ? "chip" : "chip doubtful", mark.supported ? `${mark.n}` : `${mark.n}?`);
  chip.type = "button";
  chip.dataset.mark = `${turn.id}:${number}`;
  chip.setAttribute("aria-label", `[${mark.n}] ${mark.place}${mark.supported ? "" : ". " + mark.doubt}`);
  chip.onmouseenter = chip.onfocus = () => showCard(root, chip, mark);
  chip.onmouseleave = chip.onblur = () => { card(root).hidden = true; };
  chip.onkeydown = (event) => { if (event.key === "Escape") card(root).hidden = true; };
  chip.onclick = () => {
    card(root).hidden = true;
    root.lastChip = chip.dataset.mark;
    send("open", { turn: turn.id, n: mark.n, mark: number, at: Date.now() });
  };
  return chip;
}

// Drawn here, because not every machine has a font with these signs. Outlines on a grid of 24.
const SIGNS = {
  copy: "M9 9h10v11H9zM5 15V4h10",
  done: "M5 12l5 5 9-10",
  good: "M7 11v9H4v-9zM7 11l4-7c2 0 2.5 1.5 2 3l-1 3h6c1.5 0 2 1 1.7 2.3l-1.5 6C18 19.5 17.3 20 16 20H7",
  bad: "M7 13V4H4v9zM7 13l4 7c2 0 2.5-1.5 2-3l-1-3h6c1.5 0 2-1 1.7-2.3l-1.5-6C18 4.5 17.3 4 16 4H7",
  retry: "M19 12a7 7 0 1 1-2-5M17 2v5h-5",
  note: "M6 4h9l4 4v12H6zM14 4v5h5M12 12v6M9 15h6",
  edit: "M4 20l1-4L16 5l3 3L8 19zM14 7l3 3",
};

function draw(button, sign) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const path = document.createElementNS(space, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", SIGNS[sign]);
  svg.appendChild(path);
  button.replaceChildren(svg);
}

function action(label, sign, pressed, run) {
  const button = make("button", "action");
  draw(button, sign);
  button.type = "button";
  button.dataset.sign = sign;
  button.title = label;
  button.setAttribute("aria-label", label);
  if (pressed !== null) button.setAttribute("aria-pressed", pressed);
  button.onclick = () => run(button);
  return button;
}

function editor(turn, words, send, bubble, opener) {
  const form = make("form", "editor");
  const area = make("textarea");
  area.value = turn.question;
  area.rows = 3;
  area.setAttribute("aria-label", words.edit);
  const ask = make("button", "primary", words.send);
  ask.type = "submit";
  const cancel = make("button", "", words.cancel);
  cancel.type = "button";
  cancel.onclick = () => { form.replaceWith(bubble); opener.focus(); };
  form.onsubmit = (event) => {
    event.preventDefault();
    if (area.value.trim()) send("edit", { turn: turn.id, text: area.value, at: Date.now() });
  };
  area.onkeydown = (event) => {
    if (event.key === "Escape") cancel.click();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); form.requestSubmit(); }
  };
  const row = make("div", "row");
  row.append(ask, cancel);
  form.append(area, row);
  return form;
}

function actions(turn, words, send, bubble) {
  const bar = make("div", "actions");
  bar.append(action(words.copy, "copy", null, (button) => {
    navigator.clipboard?.writeText(turn.copy);
    draw(button, "done");
    button.setAttribute("aria-label", words.copied);
    setTimeout(() => { draw(button, "copy"); button.setAttribute("aria-label", words.copy); }, 1500);
  }));
  bar.append(
    action(words.good, "good", turn.rating === 1, () => send("rate", { turn: turn.id, rating: turn.rating === 1 ? 0 : 1, at: Date.now() })),
    action(words.bad, "bad", turn.rating === -1, () => send("rate", { turn: turn.id, rating: turn.rating === -1 ? 0 : -1, at: Date.now() })));
  if (words.may_keep && turn.kind !== "refused" && turn.copy) {
    bar.append(action(words.keep_note, "note", null, (button) => {
      send("note", { turn: turn.id, at: Date.now() });
      draw(button, "done");
    }));
  }
  if (turn.last) {
    bar.append(
      action(words.retry, "retry", null, () => send("retry", { turn: turn.id, at: Date.now() })),
      action(words.edit, "edit", null, (button) => {
        const form = editor(turn, words, send, bubble, button);
        bubble.replaceWith(form);
        form.querySelector("textarea").focus();
      }));
  }
  return bar;
}

// A card for each passage that the answer is from; a click opens it.
function sourceCards(root, turn, words, send) {
  const row = make("ul", "sources");
  row.setAttribute("aria-label", words.sources_of_answer);
  for (const source of turn.sources) {
    const item = make("li");
    const open = make("button", source.cited ? "source" : "source unread");
    open.type = "button";
    open.dataset.mark = `${turn.id}:source${source.n}`;
    const name = make("span", "name");
    name.append(make("span", "type", source.type), make("span", "file", `${source.n} ${source.file}`));
    open.append(name, make("span", "where", source.cited ? source.place : `${words.also_read} · ${source.place}`),
      make("span", "line", source.text));
    open.onclick = () => {
      root.lastChip = open.dataset.mark;
      send("open", { turn: turn.id, n: source.n, mark: `source${source.n}`, at: Date.now() });
    };
    item.append(open);
    row.append(item);
  }
  return row;
}

function nextQuestions(turn, words, send) {
  const row = make("div", "next");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", words.next_questions);
  for (const question of turn.next) {
    const chip = make("button", "suggested", question);
    chip.type = "button";
    chip.onclick = () => send("ask", { text: question, at: Date.now() });
    row.append(chip);
  }
  return row;
}

function facts(turn, words, send) {
  if (!turn.facts.length) return null;
  const details = make("details", "facts");
  details.appendChild(make("summary", "", turn.fact_line || words.details));
  const list = make("ul");
  for (const fact of turn.facts) list.appendChild(make("li", "", fact));
  details.appendChild(list);
  if (turn.prompted && words.may_see_prompt) {
    const open = make("button", "link", words.see_prompt);
    open.type = "button";
    open.dataset.mark = `${turn.id}:prompt`;
    open.onclick = () => send("prompt", { turn: turn.id, at: Date.now() });
    details.appendChild(open);
  }
  return details;
}

function build(root, turn, words, send) {
  const article = make("article", `turn ${turn.kind}`);
  article.dataset.turn = turn.id;
  article.dataset.version = turn.version;
  const bubble = make("div", "question", turn.question);
  bubble.setAttribute("aria-label", words.you);
  bubble.setAttribute("role", "group");
  article.appendChild(bubble);
  const answer = make("div", "answer");
  answer.setAttribute("role", "group");
  answer.setAttribute("aria-label", words.assistant);
  if (turn.head) answer.appendChild(make("p", "head", turn.head));
  if (turn.note) answer.appendChild(make("p", "note", turn.note));
  const body = make("div", "body");
  if (turn.live) { body.setAttribute("aria-live", "polite"); }
  fill(body, turn.tree, (number) => chipFor(root, turn, number, send));
  answer.appendChild(body);
  if (turn.status) answer.appendChild(make("p", "status", turn.status));
  for (const remark of turn.remarks) answer.appendChild(make("p", "remark", remark));
  if (turn.nearest.length) {
    answer.appendChild(make("p", "near", words.nearest));
    const list = make("ol", "nearest");
    for (const near of turn.nearest) {
      const item = make("li");
      const open = make("button", "link", near.place);
      open.type = "button";
      open.dataset.mark = `${turn.id}:near${near.n}`;
      open.onclick = () => { root.lastChip = open.dataset.mark; send("open", { turn: turn.id, n: near.n, mark: `near${near.n}`, at: Date.now() }); };
      item.append(open, make("div", "snippet", near.text));
      list.appendChild(item);
    }
    answer.appendChild(list);
  }
  if (!turn.live) {
    if (turn.sources.length) answer.appendChild(sourceCards(root, turn, words, send));
    const foot = make("div", "foot");
    foot.appendChild(actions(turn, words, send, bubble));
    const told = facts(turn, words, send);
    if (told) foot.appendChild(told);
    answer.appendChild(foot);
    if (turn.next.length) answer.appendChild(nextQuestions(turn, words, send));
  }
  article.appendChild(answer);
  return article;
}

function scroller(element) {
  for (let one = element; one; one = one.parentElement || (one.getRootNode() && one.getRootNode().host)) {
    const style = one instanceof Element ? getComputedStyle(one) : null;
    if (style && /(auto|scroll)/.test(style.overflowY) && one.scrollHeight > one.clientHeight + 1) return one;
  }
  return document.scrollingElement;
}

// Where the focus is, for a turn that is built anew under it; "" where it isn't in the list.
function focused(list) {
  const one = list.getRootNode().activeElement;
  const turn = one && list.contains(one) ? one.closest(".turn") : null;
  if (!turn) return "";
  const own = one.dataset.sign ? `[data-sign="${one.dataset.sign}"]` : `[data-mark="${CSS.escape(one.dataset.mark || "")}"]`;
  return `[data-turn="${turn.dataset.turn}"] ${one.tagName === "SUMMARY" ? "summary" : own}`;
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue: send } = component;
  data.words.may_keep = data.may_keep;
  data.words.may_see_prompt = data.may_see_prompt;
  const list = root.querySelector(".turns");
  list.lang = data.lang;
  const page = scroller(list);
  const near = page.scrollHeight - page.scrollTop - page.clientHeight < 160;
  const old = new Map([...list.children].map((child) => [child.dataset.turn, child]));
  const grown = data.turns.some((turn) => !old.has(String(turn.id)));
  const shown = data.turns.map((turn) => {
    const known = old.get(String(turn.id));
    if (known && known.dataset.version === turn.version) return known;
    return build(root, turn, data.words, send);
  });
  const same = shown.length === list.children.length && shown.every((child, i) => child === list.children[i]);
  if (!same) {
    const held = focused(list);
    list.replaceChildren(...shown);
    if (held) list.querySelector(held)?.focus({ preventScroll: true });
    card(root).hidden = true;
    if (data.follow && (near || (grown && root.chat !== data.chat))) {
      requestAnimationFrame(() => { page.scrollTop = page.scrollHeight; });
    } else if (data.follow && grown) list.lastElementChild?.scrollIntoView({ block: "nearest" });
  }
  if (data.at && root.at !== data.at) {  // a turn that was searched for
    requestAnimationFrame(() => list.querySelector(`[data-turn="${data.at}"]`)?.scrollIntoView({ block: "start" }));
  }
  root.at = data.at;
  root.chat = data.chat;
  for (const chip of list.querySelectorAll("[data-mark]")) {
    if (chip.dataset.mark === data.open) chip.setAttribute("aria-expanded", "true");
    else chip.removeAttribute("aria-expanded");
  }
  if (root.wasOpen && !data.open && root.lastChip) {
    list.querySelector(`[data-mark="${CSS.escape(root.lastChip)}"]`)?.focus({ preventScroll: true });
    card(root).hidden = true;
  }
  root.wasOpen = data.open;
}
