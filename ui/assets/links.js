// A link to another page waits until a field that was just typed in has told its value: what a field tells after the
// click would ask for the field's page again, and the click would be lost.
const LINK = "[data-testid=stPageLink-NavLink]";
const WAIT_MS = 150;

export default function () {
  if (window.kbLinksWait) return;
  window.kbLinksWait = true;
  let typing = false;
  document.addEventListener("pointerdown", () => {
    typing = Boolean(document.activeElement?.matches("input, textarea"));
  }, true);
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest(LINK) : null;
    if (!link || !typing) return;
    typing = false;
    event.preventDefault();
    event.stopImmediatePropagation();
    const place = link.getAttribute("href");
    setTimeout(() => {
      [...document.querySelectorAll(LINK)].find((one) => one.getAttribute("href") === place)?.click();
    }, WAIT_MS);
  }, true);
}
