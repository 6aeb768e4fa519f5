// Charts of metrics: series come in binary, reduced by the hub with every extreme kept; drawn when scrolled into view.
const MAGIC = 0x31534c52; // "RLS1"
const DASHES = [[], [6, 3]];

export function unpack(buffer) {
  const view = new DataView(buffer);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("these are no series");
  const n = view.getUint32(4, true);
  const counts = Array.from({ length: n }, (_, index) => view.getUint32(8 + 4 * index, true));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const start = Math.ceil((8 + 4 * n) / 8) * 8;
  const steps = new Float64Array(buffer, start, total);
  const values = new Float32Array(buffer, start + 8 * total, total);
  let at = 0;
  return counts.map((count) => {
    const series = { x: Array.from(steps.subarray(at, at + count)), y: Array.from(values.subarray(at, at + count), (v) => (Number.isFinite(v) ? v : null)) };
    at += count;
    return series;
  });
}

// An exponential mean that forgets by distance, so that a reduced series is smoothed as the whole one would be.
export function smooth({ x, y }, weight) {
  if (!weight) return y;
  let mean = null;
  let before = 0;
  const span = Math.max(1e-12, (x.at(-1) - x[0]) / 300);
  return y.map((value, index) => {
    if (value === null) return null;
    const keep = mean === null ? 0 : weight ** Math.max(1e-3, (x[index] - before) / span);
    mean = mean === null ? value : keep * mean + (1 - keep) * value;
    before = x[index];
    return mean;
  });
}

// One axis of all steps that occur; a series has nothing where it has no point, and its line goes on.
function joined(list) {
  const tables = list.map(({ x, ys }) => [x, ...ys]);
  return uPlot.join(tables);
}

function text(value) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// `light-dark()` is resolved by letting an element wear it: canvas does not know it.
const probe = document.createElement("i");
probe.hidden = true;
function ink(name, alpha = 1) {
  probe.className = "";
  probe.style.color = colour(name);
  const found = getComputedStyle(probe).color;
  const [r, g, b] = found.match(/[\d.]+/g);
  return `rgb(${r} ${g} ${b} / ${alpha})`;
}

class Chart {
  constructor(element, section, state) {
    this.element = element;
    this.state = state;
    this.url = new URL(section.dataset.url, location.href);
    this.url.searchParams.set("key", element.dataset.chart);
    this.read = element.closest("figure").querySelector(".read");
    this.rest = this.read.textContent;
    element.addEventListener("keydown", (event) => this.key(event));
  }

  async load() {
    this.url.searchParams.set("points", String(Math.min(2000, Math.max(200, 2 * this.element.clientWidth))));
    const answer = await fetch(this.url);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    this.series = unpack(await answer.arrayBuffer());
    this.draw();
  }

  draw() {
    if (!this.series) return;
    const { weight, log } = this.state;
    const faint = weight > 0 && this.series.length <= 4;
    const data = joined(this.series.map((one) => ({ x: one.x, ys: faint ? [one.y, smooth(one, weight)] : [smooth(one, weight)] })));
    const lines = this.series.flatMap((_, index) => {
      const name = `--c${index % 10}`;
      const main = { stroke: () => ink(name), width: 1.6, dash: DASHES[Math.floor(index / 10) % 2], spanGaps: true, points: { show: false } };
      return faint ? [{ stroke: () => ink(name, 0.22), width: 1, spanGaps: true, points: { show: false } }, main] : [main];
    });
    this.plot?.destroy();
    this.element.replaceChildren();
    const axis = { stroke: () => ink("--muted"), grid: { stroke: () => ink("--line"), width: 1 }, ticks: { show: false }, font: "11.5px system-ui, sans-serif" };
    const positive = data.slice(1).some((ys) => ys.some((y) => y > 0));
    this.plot = new uPlot(
      {
        width: this.element.clientWidth,
        height: this.element.clientHeight,
        legend: { show: false },
        padding: [8, 8, 0, 0],
        scales: { x: { time: false }, y: log && positive ? { distr: 3 } : {} },
        axes: [{ ...axis, size: 26, space: 60 }, { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : text(tick))) }],
        series: [{}, ...lines],
        focus: { alpha: 0.18 },
        cursor: { focus: { prox: this.series.length > 1 ? 24 : -1 }, points: { size: 6 }, y: false },
        hooks: { setCursor: [(plot) => this.say(plot)] },
      },
      data,
      this.element,
    );
  }

  say(plot) {
    const at = plot.cursor.idx;
    if (at === null || at === undefined) {
      this.read.textContent = this.rest;
      return;
    }
    const values = plot.data.slice(1).map((ys) => ys[at]).filter((y) => y !== null && y !== undefined);
    const shown = values.length > 3 ? `${text(Math.min(...values))} … ${text(Math.max(...values))}` : values.map(text).join(", ");
    this.read.textContent = `step ${text(plot.data[0][at])}: ${shown || "–"}`;
  }

  key(event) {
    const jumps = { ArrowRight: 1, ArrowLeft: -1, PageDown: 20, PageUp: -20, Home: -1e9, End: 1e9 };
    if (!this.plot || !(event.key in jumps)) return;
    event.preventDefault();
    const last = this.plot.data[0].length - 1;
    const at = Math.min(last, Math.max(0, (this.plot.cursor.idx ?? (jumps[event.key] > 0 ? -1 : last + 1)) + jumps[event.key]));
    this.plot.setCursor({ left: this.plot.valToPos(this.plot.data[0][at], "x"), top: 10 });
  }

  highlight(index) {
    if (!this.plot) return;
    const each = (this.plot.series.length - 1) / this.series.length;
    this.plot.setSeries(index === null ? null : 1 + index * each + each - 1, { focus: true });
  }
}

function stateIn(address) {
  const query = new URLSearchParams(address.search);
  return { weight: Math.min(0.98, Math.max(0, Number(query.get("smooth")) || 0)), log: query.get("log") === "1" };
}

function keepState(state) {
  const url = new URL(location.href);
  state.weight ? url.searchParams.set("smooth", state.weight) : url.searchParams.delete("smooth");
  state.log ? url.searchParams.set("log", "1") : url.searchParams.delete("log");
  history.replaceState(history.state, "", url.pathname + url.search.replaceAll("%2C", ","));
}

function begin(section) {
  const state = stateIn(location);
  const charts = [...section.querySelectorAll("[data-chart]")].map((element) => new Chart(element, section, state));
  const byElement = new Map(charts.map((chart) => [chart.element, chart]));
  const redraw = () => charts.forEach((chart) => chart.draw());
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      byElement.get(target).load().catch((error) => {
        target.querySelector(".wait").textContent = `The chart could not be loaded: ${error.message}`;
      });
    }
  }, { rootMargin: "200px" });
  charts.forEach((chart) => seen.observe(chart.element));

  const tools = section.querySelector("[data-tools]");
  if (tools) {
    tools.hidden = false;
    const [range, box] = [tools.querySelector("[data-smooth]"), tools.querySelector("[data-log]")];
    range.value = state.weight;
    box.checked = state.log;
    tools.addEventListener("input", () => {
      state.weight = Number(range.value);
      state.log = box.checked;
      keepState(state);
      redraw();
    });
  }
  for (const row of document.querySelectorAll("tr[data-run]")) {
    const lit = (index) => () => charts.forEach((chart) => chart.highlight(index));
    row.addEventListener("mouseenter", lit(Number(row.dataset.run)));
    row.addEventListener("focusin", lit(Number(row.dataset.run)));
    row.addEventListener("mouseleave", lit(null));
    row.addEventListener("focusout", lit(null));
  }
  document.addEventListener("relive:theme", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let timer;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(redraw, 150);
  });
  if (section.hasAttribute("data-live")) setInterval(() => charts.filter((chart) => chart.series && !document.hidden).forEach((chart) => chart.load().catch(() => {})), 5000);
}

document.body.append(probe);
for (const section of document.querySelectorAll("[data-charts]")) begin(section);
