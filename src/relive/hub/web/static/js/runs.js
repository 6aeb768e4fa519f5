// The table of runs: what is ticked is part of the address, so that a copied link, sorting and Back keep it.
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

function show(selection) {
  const text = [...selection].join(",");
  for (const link of document.querySelectorAll("a[data-state]")) {
    const url = new URL(link.href);
    if (text) url.searchParams.set("sel", text);
    else url.searchParams.delete("sel");
    link.href = url.pathname + url.search.replaceAll("%2C", ",");
  }
  for (const input of document.querySelectorAll("input[name=sel]")) input.value = text;
  for (const box of document.querySelectorAll("input[name=runs]")) {
    box.checked = selection.has(box.value);
    box.closest("tr").classList.toggle("on", box.checked);
  }
  const button = document.getElementById("compare");
  if (!button) return;
  button.textContent = selection.size ? `Compare ${selection.size}` : "Compare";
  button.disabled = selection.size < 2;
}

document.addEventListener("change", (event) => {
  if (!event.target.matches("input[name=runs]")) return;
  const selection = ticked();
  if (event.target.checked) selection.add(event.target.value);
  else selection.delete(event.target.value);
  keep(selection);
});

// Runs that are ticked on other pages of the table are compared as well.
document.addEventListener("submit", (event) => {
  if (event.target.id !== "select") return;
  event.preventDefault();
  const url = new URL(event.target.action);
  url.searchParams.set("runs", [...ticked()].join(","));
  location.assign(url.pathname + url.search.replaceAll("%2C", ","));
});

document.addEventListener("htmx:after:swap", () => show(ticked()));
window.addEventListener("pageshow", () => show(ticked()));
show(ticked());
