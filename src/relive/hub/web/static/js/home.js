// Links that MLflow's clients print lead here: HUB/#/experiments/E/runs/R. Only the browser sees what follows `#`.
const prefix = document.body.dataset.prefix.replace(/\/$/, "");
const pages = [
  [/^#\/experiments\/([\w-]+)\/runs\/([\w-]+)/, (_, run) => `/r/${run}`],
  [/^#\/experiments\/([\w-]+)/, (experiment) => `/experiments/${experiment}`],
  [/^#\/models\/([^/?]+)\/versions\/(\d+)/, (model, version) => `/m/${model}/v/${version}`],
  [/^#\/models\/([^/?]+)/, (model) => `/m/${model}`],
  [/^#\/models/, () => "/models"],
];

function follow() {
  for (const [form, page] of pages) {
    const found = location.hash.match(form);
    if (found) return location.replace(prefix + page(...found.slice(1)));
  }
}
addEventListener("hashchange", follow);
follow();
