// A chart that one can hover, zoom and switch the lines of, by pointer and by keyboard.
// lines: [{name, look, points: [{x, y, low, high, hollow, cell, tip}], path, band, dots, marker}]; marks: [{x, label}];
// rules: [{y, label}]; fronts: [[{x, y}]]; x and y: {label, log}, x also {values}, the places of its ticks.

// The axes of the chart on the page, for what zooms it.
let current = null;
// What is drawn once its frame is on the page and has a width.
const drawings = [];

function chart(spec) {
  const off = new Set(listOf(state.off));
  const frame = h("div", { class: "frame" });
  const lines = spec.lines.filter((line) => line.points.length);
  drawings.push(() => frame.append(draw(spec, lines.filter((line) => !off.has(line.name)), frame)));
  return h("figure", { class: "chart" }, toolbar(spec), frame, legend(lines, off), valuesTable(spec, lines));
}

function toolbar(spec) {
  const button = (text, label, act) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  const swap = (name) => () => set({ axes: swapped(name, !spec[name].log), zoom: "" });
  const logButton = (name) => h("button", { type: "button", "aria-pressed": String(spec[name].log),
    title: `Logarithmic ${name} axis`, onclick: swap(name) }, `log ${name}`);
  return h("div", { class: "tools" }, h("figcaption", {}, spec.label),
    button("+", "Zoom in", () => zoomBy(0.5)), button("−", "Zoom out", () => zoomBy(2)),
    button("⟲", "Show everything", () => set({ zoom: "" })), ["x", "y"].map(logButton));
}

// "xl" in the address is a logarithmic x axis, "xn" one that is not, where the plot itself would choose the other.
function swapped(name, log) {
  const others = [...state.axes.matchAll(/[xy][ln]/g)].map(([one]) => one).filter((one) => one[0] !== name);
  return [...others, name + (log ? "l" : "n")].join("");
}

function logarithmic(name, otherwise) {
  const chosen = new RegExp(`${name}([ln])`).exec(state.axes);
  return chosen ? chosen[1] === "l" : otherwise;
}

const zoomText = (numbers) => numbers.map((value) => Number(value.toPrecision(5))).join(",");

function zoomBy(factor) {
  if (!current) return;
  const ranges = ["x", "y"].flatMap((name) => {
    const { range, log } = current[name];
    const [low, high] = log ? range.map(Math.log) : range;
    const middle = (low + high) / 2, half = (factor * (high - low)) / 2;
    return [middle - half, middle + half].map(log ? Math.exp : Number);
  });
  set({ zoom: zoomText(ranges) });
}

function legend(lines, off) {
  const names = lines.map((line) => line.name);
  const onclick = (name) => (event) => {
    const alone = off.size === names.length - 1 && !off.has(name);
    const others = alone ? [] : names.filter((one) => one !== name);
    const toggled = names.filter((one) => (one === name) !== off.has(one));
    set({ off: textOf(event.shiftKey ? others : toggled) });
  };
  const buttons = lines.map((line) => h("button", { type: "button", class: lookOf(line.look),
    "aria-pressed": String(!off.has(line.name)), title: "Click: hide or show. Shift and click: show it alone.",
    onclick: onclick(line.name) }, sample(line), line.name));
  return h("div", { class: "legend", role: "group", "aria-label": "Lines; press to hide or show one" }, buttons,
    off.size ? h("button", { type: "button", class: "all", onclick: () => set({ off: "" }) }, "show all") : null);
}

function sample(line) {
  return s("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" },
    line.path ? s("path", { class: "line", d: "M1,6H25" }) : null,
    line.dots ? s("path", { class: "dot", d: markerOf(line), transform: "translate(13,6)" }) : null);
}

function valuesTable(spec, lines) {
  const details = h("details", { class: "values" }, h("summary", {}, "Values as a table"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.childElementCount > 1) return;
    const rows = lines.flatMap((line) => line.points.map((point) =>
      [line.name, ...[point.x, point.y, point.low, point.high].map((value) => short(value))]));
    details.append(table(spec.label, ["line", spec.x.label, spec.y.label, "lowest", "highest"], rows));
  });
  return details;
}
