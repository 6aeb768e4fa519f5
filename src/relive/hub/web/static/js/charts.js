// Charts of metrics: series come in binary, reduced by the hub with every extreme kept; drawn when scrolled into view.
const MAGIC = 0x31534c52; // "RLS1"
const DASHES = [[], [6, 3], [2, 3], [10, 3, 2, 3], [14, 4]];
// What a chart may cost on the wire: 12 bytes a point.
const MOST_POINTS = 20000;
const [FAST, SLOW] = [5000, 15000];

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
    return sorted(series);
  });
}

// Along time, points may not be in the order of their steps; a chart needs them from left to right.
function sorted({ x, y }) {
  if (x.every((place, index) => index === 0 || x[index - 1] <= place)) return { x, y };
  const order = x.map((_, index) => index).sort((a, b) => x[a] - x[b]);
  return { x: order.map((index) => x[index]), y: order.map((index) => y[index]) };
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

function lasting(seconds) {
  const [whole, units] = [Math.round(seconds), [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]];
  for (const [size, unit, rest, small] of units) {
    if (whole < size) continue;
    const left = Math.floor((whole % size) / rest);
    return `${Math.floor(whole / size)} ${unit}${left ? ` ${left} ${small}` : ""}`;
  }
  return `${text(Number(seconds.toFixed(seconds < 10 ? 1 : 0)))} s`;
}

const ALONG = {
  "": { say: (x) => `step ${text(x)}`, tick: text },
  relative: { say: lasting, tick: lasting },
  time: { say: (x) => new Date(x * 1000).toLocaleString(), tick: null },
};

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
    const runs = this.url.searchParams.get("runs")?.split(",").length ?? 1;
    const points = Math.min(2000, Math.max(200, 2 * this.element.clientWidth), Math.floor(MOST_POINTS / runs));
    this.url.searchParams.set("points", String(points));
    this.state.x ? this.url.searchParams.set("x", this.state.x) : this.url.searchParams.delete("x");
    const answer = await fetch(this.url);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    this.series = unpack(await answer.arrayBuffer());
    this.draw();
  }

  // A log axis has no place for what is not above zero.
  shown() {
    if (!this.state.logx) return this.series;
    return this.series.map(({ x, y }) => ({ x: x.filter((place) => place > 0), y: y.filter((_, index) => x[index] > 0) }));
  }

  draw() {
    if (!this.series) return;
    const { smooth: weight, log, logx, x: along } = this.state;
    const faint = weight > 0 && this.series.length <= 4;
    const data = joined(this.shown().map((one) => ({ x: one.x, ys: faint ? [one.y, smooth(one, weight)] : [smooth(one, weight)] })));
    const lines = this.series.flatMap((_, index) => {
      const name = `--c${index % 10}`;
      const main = { stroke: () => ink(name), width: 1.6, dash: DASHES[Math.floor(index / 10) % DASHES.length], spanGaps: true, points: { show: false } };
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
        scales: { x: logx && data[0].length > 1 ? { time: false, distr: 3 } : { time: along === "time" }, y: log && positive ? { distr: 3 } : {} },
        axes: [{ ...axis, size: along === "time" ? 38 : 26, space: along ? 80 : 60, ...(ALONG[along].tick && { values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : ALONG[along].tick(tick))) }) }, { ...axis, size: 52, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : text(tick))) }],
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
    this.read.textContent = `${ALONG[this.state.x].say(plot.data[0][at])}: ${shown || "–"}`;
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
  const x = query.get("x") ?? "";
  return { smooth: Math.min(0.98, Math.max(0, Number(query.get("smooth")) || 0)), x: x in ALONG ? x : "", log: query.get("log") === "1", logx: query.get("logx") === "1" };
}

function keepState(state) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(state)) {
    value ? url.searchParams.set(name, value === true ? "1" : value) : url.searchParams.delete(name);
  }
  history.replaceState(history.state, "", url.pathname + url.search.replaceAll("%2C", ","));
}

function useTools(tools, state, charts) {
  const fields = [...tools.querySelectorAll("input, select")];
  for (const field of fields) field.type === "checkbox" ? (field.checked = state[field.name]) : (field.value = state[field.name]);
  tools.hidden = false;
  tools.addEventListener("input", (event) => {
    for (const field of fields) state[field.name] = field.type === "checkbox" ? field.checked : field.type === "range" ? Number(field.value) : field.value;
    keepState(state);
    for (const chart of charts) event.target.name === "x" && chart.series ? chart.load().catch(() => {}) : chart.draw();
  });
}

// Asks how many points there are, and reads again only what has grown.
function follow(address, charts) {
  const url = new URL(address, location.href);
  for (const chart of charts) url.searchParams.append("key", chart.element.dataset.chart);
  let wait = FAST;
  async function look() {
    try {
      const counts = document.hidden ? {} : await (await fetch(url)).json();
      const grown = charts.filter((chart) => chart.series && counts[chart.element.dataset.chart] !== chart.count && chart.element.dataset.chart in counts);
      for (const chart of grown) {
        chart.count = counts[chart.element.dataset.chart];
        await chart.load();
      }
      wait = grown.length ? FAST : Math.min(SLOW, wait * 1.5);
      if (counts[""] === false) return;
    } catch {
      wait = SLOW;
    }
    setTimeout(look, wait);
  }
  setTimeout(look, wait);
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
  if (tools) useTools(tools, state, charts);
  for (const row of document.querySelectorAll("[data-run]")) {
    const lit = (index) => () => {
      charts.forEach((chart) => chart.highlight(index));
      for (const plane of document.querySelectorAll(".plane")) {
        plane.classList.toggle("lighting", index !== null);
        for (const item of plane.querySelectorAll("[data-line]")) item.classList.toggle("lit", Number(item.dataset.line) === index);
      }
    };
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
  if (section.dataset.live) follow(section.dataset.live, charts);
}

document.body.append(probe);
for (const section of document.querySelectorAll("[data-charts]")) begin(section);
