// Without this script the page has all its pictures and tables; it adds reading a chart mark by mark.
for (const chart of document.querySelectorAll(".chart svg")) {
  const marks = [...chart.querySelectorAll("[data-tip]")];
  if (!marks.length) continue;
  const out = document.createElement("output");
  out.setAttribute("aria-live", "polite");
  chart.parentElement.append(out);
  let at = -1;
  const show = (next) => {
    if (marks[at]) marks[at].classList.remove("current");
    at = next;
    if (marks[at]) marks[at].classList.add("current");
    out.textContent = marks[at] ? marks[at].dataset.tip : "";
  };
  chart.tabIndex = 0;
  chart.setAttribute("aria-label", chart.getAttribute("aria-label") + ". Left and right arrows read it mark by mark.");
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    show((at + step + marks.length + (at < 0 && step < 0 ? 1 : 0)) % marks.length);
  });
  chart.addEventListener("blur", () => show(-1));
  chart.addEventListener("pointerover", (event) => {
    const index = marks.indexOf(event.target.closest("[data-tip]"));
    if (index >= 0) show(index);
  });
  chart.addEventListener("pointerleave", () => show(-1));
}
for (const note of document.querySelectorAll("details")) {
  window.addEventListener("beforeprint", () => { note.dataset.was = note.open; note.open = true; });
  window.addEventListener("afterprint", () => { note.open = note.dataset.was === "true"; });
}
