// Completes names in the filter of runs: attributes, and what the project's runs recorded, asked for by a piece of it.
const ATTRIBUTES = ["status", "name", "kind", "stage", "commit", "actor", "command", "experiment", "created_at", "started_at", "ended_at"];
const SIDES = ["metrics.", "params.", "tags."];
const MOST = 12;

// The name that is being typed: from a blank or a bracket to the cursor, never inside quotes of a value.
export function wordAt(text, cursor) {
  const before = text.slice(0, cursor);
  if ((before.match(/'/g)?.length ?? 0) % 2) return null;
  const word = before.match(/(?:(?:metrics|params|tags)\.)?(?:`[^`]*|"[^"]*|[\w/:@.-]*)$/)[0];
  return { start: cursor - word.length, text: word };
}

export function written(side, key) {
  return side + (/^[\w/:@-]+(?:\.[\w/:@-]+)*$/.test(key) ? key : key.includes("`") ? `"${key}"` : `\`${key}\``);
}

function begin(box) {
  const input = box.querySelector("input");
  const list = Object.assign(document.createElement("ul"), { id: "completions", hidden: true, className: "completions" });
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Names");
  box.append(list);
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.setAttribute("aria-expanded", "false");
  let at = -1;
  let asked = 0;
  let word = null;

  function close() {
    list.hidden = true;
    at = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function show(names) {
    list.replaceChildren(
      ...names.slice(0, MOST).map((name, index) => {
        const item = Object.assign(document.createElement("li"), { id: `completion-${index}`, textContent: name });
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        // Before the field loses its focus.
        item.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(name);
        });
        return item;
      }),
    );
    at = -1;
    list.hidden = !names.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
  }

  function mark(next) {
    const items = [...list.children];
    at = (next + items.length) % items.length;
    items.forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
    items[at].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", items[at].id);
  }

  function take(name) {
    const end = word.start + word.text.length;
    const ends = name.endsWith(".");
    input.value = input.value.slice(0, word.start) + name + (ends ? "" : " ") + input.value.slice(end).trimStart();
    const cursor = word.start + name.length + (ends ? 0 : 1);
    input.setSelectionRange(cursor, cursor);
    close();
    if (ends) look();
  }

  async function look() {
    word = wordAt(input.value, input.selectionStart);
    if (!word?.text) return close();
    const mine = ++asked;
    const side = SIDES.find((name) => word.text.startsWith(name));
    const piece = (side ? word.text.slice(side.length) : word.text).replace(/^[`"]/, "");
    const url = new URL(box.dataset.complete, location.href);
    url.searchParams.set("find", piece);
    if (side) url.searchParams.set("side", side.slice(0, -1));
    try {
      const found = await (await fetch(url)).json();
      if (mine !== asked || document.activeElement !== input) return;
      const keys = Object.entries(found).flatMap(([name, some]) => some.map((key) => written(`${name}.`, key)));
      const own = side ? [] : [...SIDES, ...ATTRIBUTES].filter((name) => name.startsWith(piece.toLowerCase()));
      const names = [...own, ...keys].filter((name) => name !== word.text);
      show(names);
    } catch {
      close();
    }
  }

  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, 120);
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown") mark(at + 1);
    else if (event.key === "ArrowUp") mark(at - 1);
    else if (event.key === "Escape") close();
    else if ((event.key === "Enter" || event.key === "Tab") && at >= 0) take(list.children[at].textContent);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

for (const box of document.querySelectorAll("[data-complete]")) begin(box);
