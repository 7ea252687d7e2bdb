// The table of sources. Everything is set as text.
function make(tag, cls, text) {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  return element;
}

const COLUMNS = [["name", "file"], ["kind", "type"], ["folder", "folder_column"], ["size", "size"], ["chunks", "chunks"], ["date", "date"], ["state", "status"]];

function box(label, checked, run) {
  const cell = make("td", "box");
  const input = make("input");
  input.type = "checkbox";
  input.checked = checked;
  input.setAttribute("aria-label", label);
  input.onchange = () => run(input.checked);
  const area = make("label");
  area.append(input);
  cell.append(area);
  return cell;
}

function head(data, chosen, tell, send) {
  const row = make("tr");
  if (data.may_select) {
    const all = box(data.words.select_all, data.rows.every((one) => chosen.has(one.id)), (on) => {
      chosen.clear();
      if (on) data.rows.forEach((one) => chosen.add(one.id));
      tell();
    });
    row.append(all);
  }
  for (const [order, word] of COLUMNS) {
    const cell = make("th", order);
    cell.scope = "col";
    const mine = data.order === order;
    if (mine) cell.setAttribute("aria-sort", data.descending ? "descending" : "ascending");
    if (order === "size") {  // told by the disk, so there is no order by it
      cell.append(make("span", "plain", data.words[word]));
      row.append(cell);
      continue;
    }
    const sort = make("button", "", data.words[word]);
    sort.type = "button";
    sort.dataset.focus = `sort-${order}`;
    if (mine) sort.append(make("span", "sign", data.descending ? " ↓" : " ↑"));
    sort.onclick = () => send("sort", { order, at: Date.now() });
    cell.append(sort);
    row.append(cell);
  }
  const section = make("thead");
  section.append(row);
  return section;
}

function line(data, one, chosen, tell, send) {
  const row = make("tr", one.state);
  if (one.id === data.opened) row.setAttribute("aria-current", "true");
  if (data.may_select) {
    row.append(box(`${data.words.select}: ${one.name}`, chosen.has(one.id), (on) => {
      if (on) chosen.add(one.id); else chosen.delete(one.id);
      tell();
    }));
  }
  const name = make("th", "name");
  name.scope = "row";
  const open = make("button", "open", one.name);
  open.type = "button";
  open.title = one.name;
  open.dataset.focus = `open-${one.id}`;
  open.onclick = () => send("open", { id: one.id, at: Date.now() });
  name.append(open);
  if (one.reason) name.append(make("span", "reason", one.reason));
  const place = make("td", "folder");  // cut at its beginning, where it is too long
  place.append(make("bdi", "", one.folder));
  row.append(name, make("td", "kind", one.type), place, make("td", "size", one.size), make("td", "chunks", one.chunks),
    make("td", "date", one.date));
  const state = make("td", "state");
  state.append(make("span", "badge", one.said));
  row.append(state);
  row.querySelector(".folder").title = one.folder;
  return row;
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue: send, setStateValue: keep } = component;
  const frame = root.querySelector(".frame");
  const version = JSON.stringify(data);
  if (root.shown === version) return;
  root.shown = version;
  const held = frame.getRootNode().activeElement?.dataset?.focus;
  const before = root.chosen || new Set();
  const chosen = root.chosen = new Set(data.rows.map((one) => one.id).filter((id) => before.has(id)));
  if (chosen.size < before.size) keep("selected", [...chosen]);
  const boxes = () => frame.querySelectorAll("input");
  const tell = () => {
    boxes().forEach((input, place) => {
      input.checked = place ? chosen.has(data.rows[place - 1].id) : data.rows.every((one) => chosen.has(one.id));
    });
    keep("selected", [...chosen]);
  };
  const table = make("table");
  table.lang = data.lang;
  table.setAttribute("aria-label", data.words.sources);
  const body = make("tbody");
  body.append(...data.rows.map((one) => line(data, one, chosen, tell, send)));
  table.append(head(data, chosen, tell, send), body);
  frame.replaceChildren(table);
  if (held) frame.querySelector(`[data-focus="${CSS.escape(held)}"]`)?.focus({ preventScroll: true });
}
