// Renews the part of the page that may change; without it, reloading does the same.
"use strict";
const EVERY = 5000;
const live = document.getElementById("live");
if (live) {
  const said = document.getElementById("said");
  const at = document.getElementById("at");
  const pause = document.getElementById("pause");
  const box = document.getElementById("q");
  let paused = false, shown = "", asking = null;

  const put = (text) => {
    if (text === shown) return;
    // Whoever is on a link stays on it.
    const held = live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    live.innerHTML = shown = text;
    if (held) live.querySelector(`a[href="${CSS.escape(held)}"]`)?.focus({preventScroll: true});
  };

  const look = async () => {
    asking?.abort();
    const mine = asking = new AbortController();
    const where = new URL(location.href);
    where.searchParams.set("part", "1");
    try {
      const answer = await fetch(where, {signal: mine.signal, redirect: "error"});
      // Signed out, or the store is gone: the whole page says so better.
      if (answer.status === 401 || answer.status === 404) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (mine.signal.aborted) return;
      put(text);
      at.textContent = new Date(answer.headers.get("Date")).toISOString().slice(11, 19);
      if (said.textContent) said.textContent = "";
    } catch (error) {
      if (!mine.signal.aborted) said.textContent = "The console does not answer. What is shown may be old.";
    }
  };

  setInterval(() => { if (!paused && !document.hidden) look(); }, EVERY);
  document.addEventListener("visibilitychange", () => { if (!paused && !document.hidden) look(); });

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) asking?.abort(); else look();
  });

  if (box) {
    let waiting = 0;
    const filter = () => {
      const where = new URL(location.href);
      if (box.value) where.searchParams.set("q", box.value); else where.searchParams.delete("q");
      history.replaceState(null, "", where);
      look();
    };
    box.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 200); });
    box.form.addEventListener("submit", (event) => { event.preventDefault(); filter(); });
    box.form.querySelector("button").hidden = true;
  }
}
