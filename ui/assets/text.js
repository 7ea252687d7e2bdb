// Shared by the elements that show passages. Everything is set as text.
function make(tag, cls, text) {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  return element;
}

// text[start, end), with the places of each layer, such as ["mark", [[3, 9]]], in elements of that name.
function put(parent, text, start, end, layers) {
  if (!layers.length) {
    if (end > start) parent.append(document.createTextNode(text.slice(start, end)));
    return;
  }
  const [[tag, spans], ...rest] = layers;
  let at = start;
  for (const [first, last] of spans) {
    const from = Math.max(first, at);
    const to = Math.min(last, end);
    if (to <= from) continue;
    put(parent, text, at, from, rest);
    const element = make(tag);
    put(element, text, from, to, rest);
    parent.append(element);
    at = to;
  }
  put(parent, text, at, end, rest);
}

function tableOf(text, table, layers) {
  const frame = make("div", "scroll");
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", table.label);
  const grid = make("table");
  if (table.names.length) {
    const head = grid.createTHead().insertRow();
    for (const name of table.names) head.append(Object.assign(make("th", "", name), { scope: "col" }));
  }
  const body = grid.createTBody();
  for (const cells of table.rows) {
    const row = body.insertRow();
    for (const [start, end] of cells) put(row.insertCell(), text, start, end, layers);
  }
  frame.append(grid);
  return frame;
}

function codeOf(text, { code: [start, end], label }, layers) {
  const frame = make("pre", "scroll");
  frame.tabIndex = 0;
  frame.setAttribute("role", "group");
  frame.setAttribute("aria-label", label);
  const lines = make("code");
  put(lines, text, start, end, layers);
  frame.append(lines);
  return frame;
}

// A passage as paragraphs, tables and code.
function texts(text, blocks, layers) {
  const parts = [];
  const say = (start, end) => {
    while (start < end && text[start] === "\n") start += 1;
    while (start < end && text[end - 1] === "\n") end -= 1;
    if (!text.slice(start, end).trim()) return;
    const paragraph = make("p", "text");
    put(paragraph, text, start, end, layers);
    parts.push(paragraph);
  };
  let at = 0;
  for (const block of blocks) {
    say(at, block.start);
    parts.push(block.code ? codeOf(text, block, layers) : tableOf(text, block, layers));
    at = block.end;
  }
  say(at, text.length);
  return parts;
}

