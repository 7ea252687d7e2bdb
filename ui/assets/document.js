// Passages of a document, with what was searched marked.
export default function (component) {
  const { data, parentElement: root } = component;
  const frame = root.querySelector(".passage");
  const key = JSON.stringify(data);
  if (root.shown === key) return;
  root.shown = key;
  frame.lang = data.lang;
  const parts = data.pieces.flatMap((piece) => [
    ...(piece.place ? [make("p", "heading", piece.place)] : []), ...texts(piece.text, piece.blocks, [["mark", piece.spans]])]);
  frame.replaceChildren(...parts);
  frame.querySelector("mark")?.scrollIntoView({ block: "nearest" });
}
