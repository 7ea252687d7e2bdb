// Passages of a document, with what was searched marked. Everything is set as text.
function make(tag, cls, text) {
  const element = document.createElement(tag);
  if (cls) element.className = cls;
  if (text !== undefined) element.textContent = text;
  return element;
}

function marked(text, spans) {
  const paragraph = make("p", "text");
  let at = 0;
  for (const [start, end] of spans) {
    paragraph.append(document.createTextNode(text.slice(at, start)), make("mark", "", text.slice(start, end)));
    at = end;
  }
  paragraph.append(document.createTextNode(text.slice(at)));
  return paragraph;
}

export default function (component) {
  const { data, parentElement: root } = component;
  const frame = root.querySelector(".passage");
  const key = JSON.stringify(data);
  if (root.shown === key) return;
  root.shown = key;
  frame.lang = data.lang;
  const parts = data.pieces.flatMap((piece) => [...(piece.place ? [make("p", "heading", piece.place)] : []), marked(piece.text, piece.spans)]);
  frame.replaceChildren(...parts);
  frame.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}
