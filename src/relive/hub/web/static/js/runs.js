// The table of runs: what is ticked is part of the address, so that a copied link, sorting and Back keep it.
const NEWS = 10000;

function ticked() {
  return new Set((new URLSearchParams(location.search).get("sel") ?? "").split(",").filter(Boolean));
}

function keep(selection) {
  const url = new URL(location.href);
  if (selection.size) url.searchParams.set("sel", [...selection].join(","));
  else url.searchParams.delete("sel");
  history.replaceState(history.state, "", url.pathname + url.search.replaceAll("%2C", ","));
  show(selection);
}

function boxes() {
  return [...document.querySelectorAll("input[name=runs]")];
}

function show(selection) {
  const text = [...selection].join(",");
  for (const link of document.querySelectorAll("a[data-state]")) {
    const url = new URL(link.href);
    if (text) url.searchParams.set("sel", text);
    else url.searchParams.delete("sel");
    link.href = url.pathname + url.search.replaceAll("%2C", ",");
  }
  for (const id of ["filter", "columns-form"]) hold(document.getElementById(id), text);
  const here = new Set();
  for (const box of boxes()) {
    here.add(box.value);
    box.checked = selection.has(box.value);
    box.closest("tr").classList.toggle("on", box.checked);
  }
  const all = document.querySelector("input[data-all]");
  if (all) {
    all.hidden = !here.size;
    all.checked = here.size > 0 && [...here].every((id) => selection.has(id));
    all.indeterminate = !all.checked && [...here].some((id) => selection.has(id));
  }
  const others = document.querySelector("input[name=others]");
  if (others) others.value = [...selection].filter((id) => !here.has(id)).join(",");
  const button = document.getElementById("compare");
  if (!button) return;
  button.textContent = selection.size ? `Compare ${selection.size}` : "Compare";
  button.disabled = selection.size < 2;
  for (const popup of document.querySelectorAll("[data-needs-ticks]")) {
    popup.querySelector("summary").textContent = selection.size ? `With the ${selection.size} ticked ▾` : "With the ticked ▾";
    for (const field of popup.querySelectorAll("button, input")) field.disabled = !selection.size;
  }
}

// A form that keeps the view keeps what is ticked as well.
function hold(form, text) {
  if (!form) return;
  let field = form.querySelector("input[name=sel]");
  if (!field && text) {
    field = Object.assign(document.createElement("input"), { type: "hidden", name: "sel" });
    form.append(field);
  }
  if (field) text ? (field.value = text) : field.remove();
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("input[name=runs], input[data-all]")) return;
  const selection = ticked();
  for (const box of event.target.name === "runs" ? [event.target] : boxes()) event.target.checked ? selection.add(box.value) : selection.delete(box.value);
  keep(selection);
});

// Runs that are ticked on other pages of the table are compared as well.
document.addEventListener("submit", (event) => {
  if (event.target.id !== "select") return;
  const action = event.submitter?.value;
  if (action === "delete" && !confirm(`Delete ${ticked().size} runs? They can be restored.`)) event.preventDefault();
  if (action !== "compare") return;
  event.preventDefault();
  const url = new URL(event.target.action.replace(/runs\/selected$/, "compare"));
  url.searchParams.set("runs", [...ticked()].join(","));
  location.assign(url.pathname + url.search.replaceAll("%2C", ","));
});

async function news() {
  const table = document.getElementById("table");
  const line = table?.querySelector("[data-new]");
  try {
    if (line && !document.hidden) {
      const count = (await (await fetch(table.dataset.news)).json()).new;
      if (count && line.hidden) {
        const link = Object.assign(document.createElement("a"), { className: "btn slim", href: table.dataset.all });
        line.append(link);
        line.hidden = false;
      }
      if (count) line.firstElementChild.textContent = `${count === 50 ? "50 or more" : count} new run${count === 1 ? "" : "s"}: show`;
    }
  } catch {
    // The hub is away; the next look may find it.
  }
  setTimeout(news, NEWS);
}
setTimeout(news, NEWS);

document.addEventListener("htmx:after:swap", () => show(ticked()));
window.addEventListener("pageshow", () => show(ticked()));
show(ticked());
