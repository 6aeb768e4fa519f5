// Follows a log: asks for what comes after the last byte it has, and keeps a bounded number of lines.
const MOST_LINES = 4000;
const FAST = 1000;
const SLOW = 8000;

function paragraph(line) {
  const element = document.createElement("p");
  element.textContent = line.text;
  if (line.is_error) element.className = "err";
  return element;
}

function append(view, lines) {
  view.querySelector(".end-note")?.remove();
  view.append(...lines.slice(-MOST_LINES).map(paragraph));
  while (view.childElementCount > MOST_LINES) view.firstElementChild.remove();
}

function follow(panel) {
  const view = panel.querySelector(".log");
  const status = panel.querySelector("[data-log-status]");
  const box = panel.querySelector("[data-follow]");
  let next = Number(panel.dataset.next);
  let wait = FAST;

  const toEnd = () => {
    if (!box || box.checked) view.scrollTop = view.scrollHeight;
  };

  async function look() {
    try {
      const answer = await fetch(`${panel.dataset.logFollow}?at=${next}`, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const piece = await answer.json();
      if (piece.lines.length) append(view, piece.lines);
      wait = piece.next > next ? FAST / 4 : Math.min(SLOW, wait * 1.3);
      if (piece.next === next) wait = Math.max(wait, FAST);
      next = piece.next;
      status.textContent = piece.done ? `ended: ${piece.status}` : piece.status;
      if (piece.lines.length) toEnd();
      if (piece.done) return;
    } catch (error) {
      wait = SLOW;
      status.textContent = `the hub does not answer (${error.message}), trying again`;
    }
    setTimeout(look, document.hidden ? SLOW : wait);
  }

  for (const tool of panel.querySelectorAll("[data-log-tool]")) tool.hidden = Boolean(panel.dataset.done) && tool.contains(box);
  panel.querySelector("[data-wrap]")?.addEventListener("change", (event) => {
    view.classList.toggle("nowrap-lines", !event.target.checked);
  });
  // Scrolling back stops following; going to the end follows again.
  view.addEventListener("wheel", () => {
    if (box) box.checked = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
  }, { passive: true });
  box?.addEventListener("change", toEnd);
  if (!new URLSearchParams(location.search).has("at")) toEnd();
  else if (box) box.checked = false;
  if (!panel.dataset.done) look();
}

for (const panel of document.querySelectorAll("[data-log-follow]")) follow(panel);
