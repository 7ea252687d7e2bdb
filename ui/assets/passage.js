// A passage with its neighbours.
function button(label, sign, run, disabled) {
  const element = make("button", "", sign);
  element.type = "button";
  element.title = label;
  element.setAttribute("aria-label", label);
  element.disabled = disabled;
  element.onclick = run;
  return element;
}

export default function (component) {
  const { data, parentElement: root, setTriggerValue: send } = component;
  const frame = root.querySelector(".passage");
  const key = JSON.stringify(data);
  if (root.shown === key) return;
  const first = root.which !== data.which;
  root.shown = key;
  root.which = data.which;
  frame.lang = data.lang;
  const close = () => send("close", Date.now());
  const bar = make("div", "bar");
  const title = make("h2", "", `[${data.n}] ${data.file}`);
  title.tabIndex = -1;
  bar.append(
    title,
    button(data.words.previous, "‹", () => send("step", { by: -1, at: Date.now() }), !data.before_n),
    button(data.words.next, "›", () => send("step", { by: 1, at: Date.now() }), !data.after_n),
    button(data.words.close, "×", close, false));
  const place = make("p", "place", data.place);
  const parts = [bar, place];
  if (data.heading) parts.push(make("p", "heading", data.heading));
  if (data.warning) parts.push(make("p", "warning", data.warning));
  if (data.before && !data.page_first) parts.push(make("p", "neighbour", data.before));
  const layers = [["mark", data.spans], ["strong", data.answer ? [data.answer] : []]];
  if (!data.page_first) parts.push(...texts(data.text, data.blocks, layers));
  if (data.after && !data.page_first) parts.push(make("p", "neighbour", data.after));
  for (const line of data.notes) parts.push(make("p", "place", line));
  frame.replaceChildren(...parts);
  frame.onkeydown = (event) => { if (event.key === "Escape") close(); };
  if (first) {
    title.focus({ preventScroll: true });
    frame.querySelector("mark")?.scrollIntoView({ block: "nearest" });
  }
}
