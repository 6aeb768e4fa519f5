// What every page has: theme, keyboard, copying, times that stay true. Pages work without any of it.
const prefix = document.body.dataset.prefix.replace(/\/$/, "");
const root = document.documentElement;

// --- theme -----------------------------------------------------------------------------------------------
const themes = ["", "light", "dark"];
const names = { "": "as the system", light: "light", dark: "dark" };
const glyphs = { "": "◐", light: "☀", dark: "☾" };
const themeButton = document.getElementById("theme-button");

function showTheme(theme) {
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  themeButton.textContent = glyphs[theme];
  themeButton.setAttribute("aria-label", `Theme: ${names[theme]}. Change theme`);
  document.dispatchEvent(new CustomEvent("relive:theme"));
}

function nextTheme() {
  const next = themes[(themes.indexOf(root.dataset.theme ?? "") + 1) % themes.length];
  try {
    if (next) localStorage.setItem("relive-theme", next);
    else localStorage.removeItem("relive-theme");
  } catch {
    // It holds for this page only, then.
  }
  showTheme(next);
}

themeButton.hidden = false;
themeButton.addEventListener("click", nextTheme);
showTheme(root.dataset.theme ?? "");

// --- copying ---------------------------------------------------------------------------------------------
async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1200);
}

function showCopyButtons(inside = document) {
  if (!navigator.clipboard) return;
  for (const button of inside.querySelectorAll("button.copy[hidden]")) button.hidden = false;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  if (button) copy(button);
});

// --- times -----------------------------------------------------------------------------------------------
// By the hub's clock, not by the reader's.
const ahead = Number(document.body.dataset.now) - Date.now() / 1000;
const units = [[86400, "d"], [3600, "h"], [60, "min"]];

function ago(seconds) {
  if (seconds < 10) return "just now";
  for (const [size, unit] of units) if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  return `${Math.floor(seconds)} s ago`;
}

function refreshTimes() {
  const now = Date.now() / 1000 + ahead;
  for (const time of document.querySelectorAll("time[data-at]")) {
    const seconds = now - Number(time.dataset.at);
    if (seconds >= 0 && seconds < 14 * 86400) {
      const text = ago(seconds);
      if (time.textContent !== text) time.textContent = text;
    }
  }
}
setInterval(refreshTimes, 15000);

function refresh() {
  showCopyButtons();
  refreshTimes();
}
document.addEventListener("htmx:after:swap", refresh);
refresh();

// --- keyboard --------------------------------------------------------------------------------------------
const project = location.pathname.slice(prefix.length).match(/^\/p\/([^/]+)/)?.[1];
const places = {
  a: ["/", "activity"],
  r: [project ? `/p/${project}/runs` : "/projects", "runs"],
  p: [project ? `/p/${project}/pipelines` : "/projects", "pipelines"],
  o: ["/projects", "projects"],
  m: ["/models", "models"],
  e: ["/endpoints", "endpoints"],
  c: ["/pools", "compute"],
  t: ["/settings/tokens", "tokens"],
};

let help;
function showHelp() {
  help ??= buildHelp();
  help.showModal();
}

function buildHelp() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "help-title");
  const rows = [
    ...Object.entries(places).map(([key, [, name]]) => [`g ${key}`, `go to ${name}`]),
    ["/", "filter or search this page"],
    ["j k", "next, previous row"],
    ["Enter", "open the row"],
    ["x", "select the row"],
    ["c", "compare the selected runs"],
    ["d", "light, dark, or as the system"],
    ["?", "this list"],
  ];
  const title = Object.assign(document.createElement("h2"), { id: "help-title", textContent: "Keyboard" });
  const list = Object.assign(document.createElement("dl"), { className: "keys" });
  for (const [keys, text] of rows) {
    const term = document.createElement("dt");
    for (const key of keys.split(" ")) term.append(Object.assign(document.createElement("kbd"), { textContent: key }), " ");
    list.append(term, Object.assign(document.createElement("dd"), { textContent: text }));
  }
  const close = Object.assign(document.createElement("button"), { className: "btn", textContent: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.append(title, list, close);
  document.body.append(dialog);
  return dialog;
}

const helpButton = document.getElementById("help-button");
helpButton.hidden = false;
helpButton.addEventListener("click", showHelp);

function rows() {
  return [...document.querySelectorAll("[data-rows] > tr")].filter((row) => row.querySelector("a, input"));
}

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("at"));
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
  for (const row of all) row.classList.toggle("at", row === all[next]);
  (all[next].querySelector("a") ?? all[next].querySelector("input")).focus({ preventScroll: true });
  all[next].scrollIntoView({ block: "nearest" });
}

const actions = {
  "/": () => document.querySelector("[data-filter]")?.focus(),
  "?": showHelp,
  j: () => move(1),
  k: () => move(-1),
  x: () => document.querySelector("[data-rows] > tr.at input[type=checkbox]")?.click(),
  c: () => document.getElementById("compare")?.click(),
  d: nextTheme,
};

let waiting = 0;
document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (event.key === "Escape") closeMenus();
  else if (event.key === "g") waiting = Date.now();
  else if (Date.now() - waiting < 1500 && places[event.key]) {
    waiting = 0;
    event.preventDefault();
    location.assign(prefix + places[event.key][0]);
  } else if (actions[event.key]) {
    event.preventDefault();
    actions[event.key]();
  }
});

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open], details.popup[open]")) if (menu !== except) menu.open = false;
}
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu, details.popup")));
