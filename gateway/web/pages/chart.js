// Charts of prices on uPlot: a line of ticks, or candles.
//
// Rules:
// - A chart keeps the last points only, and draws once a frame however many arrive.
// - Its colours are those of the style sheet, in either theme; its size is that of its element,
//   which has the class `chart`.
// - For screen readers it is an image whose label has the latest price.

import { h } from "/assets/dom.js";
import uPlot from "/assets/vendor/uplot/uPlot.esm.js";

const MOST = 600;
const DAY = 86_400;
const dark = matchMedia("(prefers-color-scheme: dark)");

/**
 * A line of ticks in `element`; `label` says what it shows, `digits` how many decimals a price has.
 *
 * `set(times, prices)` replaces all points, `add(time, price)` appends one (or changes the last,
 * if it has that time), `setDigits(digits)` changes the decimals, `destroy()` ends it. Times are
 * epoch seconds.
 *
 * `setMarks(marks)` draws lines: `{ price, label, kind }` across, `{ time, label, kind }` upright.
 * A mark far outside of what is shown is drawn at the edge.
 */
export function lineChart(element, { label, digits = 2, most = MOST }) {
  const series = [
    {
      stroke: () => color("--accent"),
      fill: () => `${color("--accent")}1c`, // colours are #rrggbb: this adds the alpha
      width: 2,
      points: { show: false },
    },
  ];
  let marks = [];
  const draw = (plot) => {
    drawMarks(plot, marks);
    drawLast(plot);
  };
  const ranges = {
    x: (_, from, to) => [from, to + soonest(marks, from, to)],
    y: (_, low, high) => withMarks(marks, low, high),
  };
  const chart = new Chart(element, { label, digits, most, series, draw, ranges });
  return {
    setMarks(made) {
      marks = made;
      chart.redraw();
    },
    set: (times, prices) => chart.set([times, prices]),
    add: (time, price) => chart.put([time, price]),
    setDigits: (count) => chart.setDigits(count),
    destroy: () => chart.destroy(),
  };
}

/**
 * Candles in `element`; a candle is `{ epoch, open, high, low, close }` (or has `open_time`).
 *
 * `set(candles)` replaces all, `put(candle)` appends one or changes the last, `setDigits(digits)`
 * changes the decimals, `destroy()` ends it.
 */
export function candleChart(element, { label, digits = 2, most = MOST }) {
  const hidden = { paths: () => null, points: { show: false } };
  const series = [hidden, hidden, hidden, hidden].map((one) => ({ ...one }));
  const chart = new Chart(element, { label, digits, most, series, draw: drawCandles });
  return {
    set: (candles) => chart.set(columns(candles)),
    put: (candle) => chart.put(values(candle)),
    setDigits: (count) => chart.setDigits(count),
    destroy: () => chart.destroy(),
  };
}

function values({ open_time: openTime, epoch, open, high, low, close }) {
  return [openTime ?? epoch, open, high, low, close].map(Number);
}

function columns(candles) {
  const rows = candles.map(values);
  return [0, 1, 2, 3, 4].map((column) => rows.map((row) => row[column]));
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function two(number) {
  return String(number).padStart(2, "0");
}

function clock(epoch, step) {
  const when = new Date(epoch * 1000);
  if (step >= DAY) {
    return `${when.getDate()}.${when.getMonth() + 1}.`;
  }
  const minutes = `${two(when.getHours())}:${two(when.getMinutes())}`;
  return step >= 60 ? minutes : `${minutes}:${two(when.getSeconds())}`;
}

class Chart {
  #element;
  #label;
  #digits;
  #most;
  #data;
  #plot;
  #readout = h("span", { class: "chart-value" });
  #frame = 0;
  #resizing = new ResizeObserver(() => this.#resize());
  #redraw = () => this.#plot.redraw();

  constructor(element, { label, digits, most, series, draw, ranges = {} }) {
    this.#element = element;
    this.#label = label;
    this.#digits = digits;
    this.#most = most;
    this.#data = [[], ...series.map(() => [])];
    element.setAttribute("role", "img");
    element.setAttribute("aria-label", label);
    this.#plot = new uPlot(this.#options(series, draw, ranges), this.#data, element);
    element.append(this.#readout);
    this.#resizing.observe(element);
    dark.addEventListener("change", this.#redraw);
  }

  set(data) {
    this.#data = data.map((column) => column.slice(-this.#most));
    this.#show();
  }

  put(row) {
    const times = this.#data[0];
    if (row[0] === times.at(-1)) {
      this.#data.forEach((column, index) => (column[column.length - 1] = row[index]));
    } else if (times.length === 0 || row[0] > times.at(-1)) {
      this.#data.forEach((column, index) => column.push(row[index]));
      if (times.length > this.#most) {
        this.#data.forEach((column) => column.shift());
      }
    }
    this.#show();
  }

  setDigits(digits) {
    this.#digits = digits;
  }

  /** Draws once more, with the points that there are. */
  redraw() {
    if (this.#data[0].length > 0) {
      this.#show();
    }
  }

  destroy() {
    cancelAnimationFrame(this.#frame);
    this.#resizing.disconnect();
    dark.removeEventListener("change", this.#redraw);
    this.#plot.destroy();
    this.#readout.remove();
  }

  #show() {
    if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#plot.setData(this.#data);
        const last = this.#data.at(-1).at(-1);
        const latest = last === undefined ? "" : `; latest ${last.toFixed(this.#digits)}`;
        this.#element.setAttribute("aria-label", this.#label + latest);
      });
    }
  }

  #size() {
    const { clientWidth, clientHeight } = this.#element;
    return { width: Math.max(clientWidth, 80), height: Math.max(clientHeight, 80) };
  }

  #resize() {
    const { width, height } = this.#size();
    if (width !== this.#plot.width || height !== this.#plot.height) {
      this.#plot.setSize({ width, height });
    }
  }

  #options(series, draw, ranges) {
    const axis = {
      stroke: () => color("--quiet"),
      font: "12px system-ui, sans-serif",
      grid: { stroke: () => color("--rule"), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.#size(),
      padding: [14, 30, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { x: { time: true, range: ranges.x }, y: { range: ranges.y } },
      series: [{}, ...series],
      axes: [
        {
          ...axis,
          size: 32,
          gap: 9,
          space: 80,
          values: (_, splits, __, ___, step) => splits.map((at) => clock(at, step)),
        },
        {
          ...axis,
          size: (_, labels) => 18 + 7 * Math.max(4, ...(labels ?? []).map((text) => text.length)),
          values: (_, splits) => splits.map((price) => price.toFixed(this.#digits)),
        },
      ],
      hooks: { draw: [draw], setCursor: [(plot) => this.#read(plot.cursor.idx)] },
    };
  }

  #read(index) {
    const [times, ...prices] = this.#data;
    if (index === null || index === undefined || times[index] === undefined) {
      this.#readout.textContent = "";
      return;
    }
    const text = prices.map((column) => column[index].toFixed(this.#digits)).join("  ");
    this.#readout.textContent = `${clock(times[index], 1)}  ${text}`;
  }
}

function drawLast(plot) {
  const [times, prices] = plot.data;
  if (times.length === 0) {
    return;
  }
  const { ctx } = plot;
  ctx.fillStyle = color("--accent");
  ctx.beginPath();
  const x = plot.valToPos(times.at(-1), "x", true);
  const y = plot.valToPos(prices.at(-1), "y", true);
  ctx.arc(x, y, 4 * uPlot.pxRatio, 0, 2 * Math.PI);
  ctx.fill();
}

function drawCandles(plot) {
  const [times, opens, highs, lows, closes] = plot.data;
  if (times.length === 0) {
    return;
  }
  const { ctx, bbox } = plot;
  const x = (value) => plot.valToPos(value, "x", true);
  const y = (value) => plot.valToPos(value, "y", true);
  const step = times.length > 1 ? x(times[1]) - x(times[0]) : bbox.width / 3;
  const width = Math.max(1, Math.min(step * 0.65, 18 * uPlot.pxRatio));
  const [rising, falling] = [color("--good"), color("--danger")];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  times.forEach((time, index) => {
    ctx.fillStyle = closes[index] >= opens[index] ? rising : falling;
    const middle = x(time);
    const wick = Math.max(1, uPlot.pxRatio);
    ctx.fillRect(middle - wick / 2, y(highs[index]), wick, y(lows[index]) - y(highs[index]));
    const top = y(Math.max(opens[index], closes[index]));
    const bottom = y(Math.min(opens[index], closes[index]));
    ctx.fillRect(middle - width / 2, top, width, Math.max(1, bottom - top));
  });
  ctx.restore();
}

// Marks of a line chart.

/** The seconds after `to` up to the next upright mark, if it is no more than half of the span away. */
function soonest(marks, from, to) {
  const ahead = marks.map(({ time }) => (time ?? 0) - to).filter((left) => left > 0);
  const next = Math.min(...ahead);
  return next <= (to - from) / 2 ? next * 1.1 : 0;
}

/** The range of prices, with the marks that are no more than its span away. */
function withMarks(marks, low, high) {
  const span = Math.max(high - low, Math.abs(high) / 100_000);
  const near = marks
    .map(({ price }) => price)
    .filter((price) => price !== undefined && price > low - span && price < high + span);
  const [least, most] = [Math.min(low, ...near), Math.max(high, ...near)];
  const air = Math.max(most - least, span) * 0.1;
  return [least - air, most + air];
}

const MARK_COLORS = { entry: "--quiet", barrier: "--danger", expiry: "--warning" };

function drawMarks(plot, marks) {
  if (plot.data[0].length === 0) {
    return;
  }
  const { ctx, bbox } = plot;
  const ratio = uPlot.pxRatio;
  const [right, bottom] = [bbox.left + bbox.width, bbox.top + bbox.height];
  ctx.save();
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.lineWidth = ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  for (const { price, time, label, kind } of marks) {
    ctx.strokeStyle = ctx.fillStyle = color(MARK_COLORS[kind]);
    ctx.beginPath();
    if (price !== undefined) {
      const exact = plot.valToPos(price, "y", true);
      const y = Math.min(Math.max(exact, bbox.top), bottom);
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(right, y);
      ctx.textAlign = "left";
      const above = y - bbox.top > 16 * ratio;
      const off = exact < bbox.top ? " ↑" : exact > bottom ? " ↓" : "";
      ctx.fillText(label + off, bbox.left + 4 * ratio, y + (above ? -4 : 12) * ratio);
    } else {
      const exact = plot.valToPos(time, "x", true);
      const x = Math.min(exact, right);
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bottom);
      ctx.textAlign = "right";
      ctx.fillText(label + (exact > right ? " →" : ""), x - 4 * ratio, bottom - 6 * ratio);
    }
    ctx.stroke();
  }
  ctx.restore();
}
