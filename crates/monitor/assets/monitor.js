// Refreshes what moves on a page and follows logs. Pages are whole without it.
"use strict";
(() => {
  const REFRESH_MS = 3000;
  const LOG_WAIT_S = 20;
  const LOG_RETRY_MS = 3000;
  // Characters of a log kept on the page; the whole text is one click away.
  const LOG_KEEP = 2000000;

  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
  const visible = () => document.visibilityState === "visible";

  // Whether the reader is at work inside an element: then it is left alone for now.
  function busy(element) {
    if (element.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return true;
    const selection = getSelection();
    return !!selection && !selection.isCollapsed && element.contains(selection.anchorNode);
  }

  // Replaces the parts of the page that changed; opened details and scrolled tables stay as they are.
  function renew(fresh) {
    for (const part of fresh.querySelectorAll("[data-part]")) {
      const old = document.getElementById(part.id);
      if (!old || busy(old) || old.dataset.seen === part.innerHTML) continue;
      const text = part.innerHTML;
      for (const d of part.querySelectorAll("details[id]")) {
        const before = document.getElementById(d.id);
        if (before) d.open = before.open;
      }
      const scrolled = [...old.querySelectorAll(".scroll")].map((s) => s.scrollLeft);
      const next = document.adoptNode(part);
      old.replaceWith(next);
      next.dataset.seen = text;
      next.querySelectorAll(".scroll").forEach((s, i) => { s.scrollLeft = scrolled[i] || 0; });
    }
    document.title = fresh.title;
    return fresh.body.hasAttribute("data-live");
  }

  async function refresh() {
    let going = document.body.hasAttribute("data-live");
    while (going) {
      await sleep(REFRESH_MS);
      if (!visible()) continue;
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" } });
        if (answer.ok) going = renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
        document.body.classList.toggle("stale", !answer.ok);
      } catch {
        document.body.classList.add("stale");
      }
    }
  }

  async function follow(log) {
    const section = log.closest("section");
    const state = section.querySelector("[data-log-state]");
    const toggle = section.querySelector("[data-follow-switch]");
    const box = toggle.querySelector("input");
    let next = Number(log.dataset.next);
    const toEnd = () => { log.scrollTop = log.scrollHeight; };
    toEnd();
    if (log.hasAttribute("data-ended")) return;
    toggle.hidden = false;
    log.addEventListener("scroll", () => {
      box.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    }, { passive: true });
    box.addEventListener("change", () => { if (box.checked) toEnd(); });
    for (;;) {
      let piece;
      try {
        const answer = await fetch(`${log.dataset.log}&offset=${next}&wait_s=${LOG_WAIT_S}`);
        if (!answer.ok) throw new Error(String(answer.status));
        piece = await answer.json();
        state.textContent = piece.ended ? "ended" : "written now";
      } catch {
        state.textContent = "no connection";
        await sleep(LOG_RETRY_MS);
        continue;
      }
      if (piece.text) {
        section.querySelector("[data-log-empty]")?.remove();
        log.append(piece.text);
        log.normalize();
        if (log.textContent.length > LOG_KEEP) log.textContent = log.textContent.slice(-LOG_KEEP / 2);
        if (box.checked) toEnd();
      }
      next = piece.next;
      if (piece.ended) {
        toggle.hidden = true;
        return;
      }
      if (!piece.text) await sleep(200);
    }
  }

  // A form sends only the filters that say something, so that addresses stay short.
  for (const form of document.querySelectorAll("form.filter")) {
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData.entries()]) {
        const field = form.elements.namedItem(name);
        if (value.trim() === "" || (name === "limit" && value === field.defaultValue && !new URLSearchParams(location.search).has("limit"))) {
          event.formData.delete(name);
        }
      }
    });
  }
  document.querySelectorAll("[data-log]").forEach((log) => { void follow(log); });
  void refresh();
})();
