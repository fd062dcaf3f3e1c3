/* Fills the moving parts of runs anew, once a second, while a shown run is unfinished and somebody looks at the page. */
"use strict";

const EVERY_MS = 1000;
const LIST = /^(.*\/superapp\/run\/)(?:([0-9a-f-]{36})\/change\/)?$/;

function unfinished() {
  return [...new Set([...document.querySelectorAll('[data-run][data-unfinished="yes"]')].map((part) => part.dataset.run))];
}

async function ask(list, open) {
  const waiting = unfinished();
  if (!waiting.length) return;
  if (!document.hidden) {
    const words = new URLSearchParams({ runs: waiting.join(","), open: open || "" });
    const answer = await fetch(`${list}live/?${words}`, { headers: { Accept: "application/json" } }).catch(() => null);
    if (answer && answer.ok && !answer.redirected) fill((await answer.json()).runs);
  }
  setTimeout(() => ask(list, open), EVERY_MS);
}

function fill(runs) {
  for (const [id, run] of Object.entries(runs)) {
    for (const part of document.querySelectorAll(`[data-run="${id}"]`)) {
      const inside = run.parts[part.dataset.part];
      if (inside !== undefined) part.innerHTML = inside; /* made by format_html: escaped */
      part.dataset.unfinished = run.unfinished ? "yes" : "";
    }
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const [, list, open] = LIST.exec(location.pathname) || [];
  if (list) ask(list, open);
});
