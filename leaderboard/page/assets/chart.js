// A chart as SVG that one can hover, zoom and switch the lines of, by pointer and by keyboard.
// lines: [{name, look, points: [{x, y, low, high, hollow, cell, tip}], path, band, dots}]; marks: [{x, label}];
// rules: [{y, label}]; fronts: [[{x, y}]].
const MARGIN = { left: 76, right: 16, top: 14, bottom: 46 };
const MARKERS = {
  o: "M4,0A4,4 0 1 1 -4,0A4,4 0 1 1 4,0Z", s: "M-3.5,-3.5H3.5V3.5H-3.5Z", "^": "M0,-4.5L4.2,3.4H-4.2Z",
  D: "M0,-4.8L4.8,0L0,4.8L-4.8,0Z", v: "M0,4.5L4.2,-3.4H-4.2Z",
  P: "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z", X: "M-4,-2.4L-2.4,-4L0,-1.6L2.4,-4L4,-2.4L1.6,0L4,2.4L2.4,4L0,1.6L-2.4,4L-4,2.4L-1.6,0Z",
  "<": "M-4.5,0L3.4,-4.2V4.2Z", ">": "M4.5,0L-3.4,-4.2V4.2Z",
  star: "M0,-6.5L1.6,-2.1L6.2,-2L2.5,0.8L3.8,5.3L0,2.6L-3.8,5.3L-2.5,0.8L-6.2,-2L-1.6,-2.1Z",
};

const lookOf = (look) => `c${look % DATA.looks.colours} d${look % DATA.looks.dashes}`;
const markerOf = (line) => MARKERS[line.marker || DATA.looks.markers[line.look % DATA.looks.markers.length]];
const drawable = (axes) => (point) => ["x", "y"].every((name) =>
  Number.isFinite(point[name]) && Math.abs(point[name]) < 1e200 && (!axes[name].log || point[name] > 0));

function chart(spec) {
  const off = new Set(listOf(state.off));
  const figure = h("figure", { class: "chart" });
  const frame = h("div", { class: "frame" });
  const lines = spec.lines.filter((line) => line.points.length);
  figure.append(toolbar(spec), frame, legend(lines, spec, off), valuesTable(spec, lines));
  drawings.push(() => frame.append(draw(spec, lines.filter((line) => !off.has(line.name)), frame)));
  return figure;
}

function toolbar(spec) {
  const button = (text, label, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
  return h("div", { class: "tools" },
    h("figcaption", {}, spec.label),
    button("+", "Zoom in", () => zoomBy(0.5)), button("−", "Zoom out", () => zoomBy(2)),
    button("⟲", "Show everything", () => set({ zoom: "" })),
    ["x", "y"].map((name) => h("button", { type: "button", "aria-pressed": String(spec[name].log), title: `Logarithmic ${name} axis`,
      onclick: () => set({ axes: swapped(name, !spec[name].log), zoom: "" }) }, `log ${name}`)));
}

// "xl" is a logarithmic x axis, "xn" one that is not, where the plot itself would choose the other.
const swapped = (name, log) => [...state.axes.matchAll(/([xy])([ln])/g)].map((one) => one[0])
  .filter((one) => one[0] !== name).concat(name + (log ? "l" : "n")).join("");
const logarithmic = (name, otherwise) => ({ l: true, n: false })[new RegExp(`${name}([ln])`).exec(state.axes)?.[1]] ?? otherwise;

let current = null;
// What is drawn once its frame is on the page and has a width.
const drawings = [];

function zoomBy(factor) {
  if (!current) return;
  const [x, y] = ["x", "y"].map((name) => {
    const { range, log } = current[name];
    const [low, high] = log ? range.map(Math.log) : range;
    const middle = (low + high) / 2, half = (factor * (high - low)) / 2;
    return [middle - half, middle + half].map(log ? Math.exp : Number);
  });
  set({ zoom: [...x, ...y].map((value) => Number(value.toPrecision(5))).join(",") });
}

function draw(spec, lines, frame) {
  const width = Math.max(320, Math.min(1100, frame.clientWidth || 800)), height = Math.round(Math.min(460, Math.max(280, 0.52 * width)));
  const usable = drawable(spec);
  const points = lines.flatMap((line) => line.points.filter(usable));
  const zoom = state.zoom.split(",").map(Number);
  const zoomed = zoom.length === 4 && zoom.every(Number.isFinite) && zoom[0] < zoom[1] && zoom[2] < zoom[3];
  const ys = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]).concat((spec.rules || []).map((rule) => rule.y));
  const xs = points.map((point) => point.x).concat((spec.marks || []).map((mark) => mark.x));
  const x = axis(zoomed ? zoom.slice(0, 2) : extent(xs, spec.x.log), spec.x.log, MARGIN.left, width - MARGIN.right);
  const y = axis(zoomed ? zoom.slice(2) : extent(ys, spec.y.log), spec.y.log, height - MARGIN.bottom, MARGIN.top);
  const box = { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const root = s("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application", "aria-roledescription": "chart",
    "aria-label": `${spec.label}. Arrow keys go from point to point, + and − zoom, 0 shows everything.` });
  root.append(s("defs", {}, s("clipPath", { id: "inside" }, s("rect", box))), axes(spec, x, y, box));
  const inside = s("g", { "clip-path": "url(#inside)" });
  for (const rule of spec.rules || []) inside.append(s("line", { class: "rule", x1: box.x, x2: box.x + box.width, y1: y.at(rule.y), y2: y.at(rule.y) }),
    s("text", { class: "note", x: box.x + box.width - 4, y: y.at(rule.y) - 4, "text-anchor": "end" }, rule.label));
  (spec.marks || []).forEach((mark, index) => inside.append(s("line", { class: "mark", x1: x.at(mark.x), x2: x.at(mark.x), y1: box.y, y2: box.y + box.height }),
    s("text", { class: "note", x: x.at(mark.x) + 4, y: box.y + 12 + 14 * index }, mark.label)));
  for (const front of spec.fronts || []) inside.append(s("path", { class: "front", d: steps(front.filter(usable), x, y) }));
  const placed = [];
  for (const line of lines) inside.append(lineGroup(line, usable, x, y, placed));
  const ring = s("circle", { class: "ring", r: 8, hidden: true }), brush = s("rect", { class: "brush", hidden: true });
  root.append(inside, ring, brush);
  current = { x, y };
  follow(root, spec, placed, { x, y, box, ring, brush, width });
  if (!points.length) root.append(s("text", { class: "nothing", x: width / 2, y: height / 2, "text-anchor": "middle" }, "Nothing to draw here"));
  return root;
}

function axes(spec, x, y, box) {
  const bottom = box.y + box.height, group = s("g", { class: "axes" });
  for (const value of spec.x.values && !state.zoom ? spec.x.values : ticksOf(x.range, x.log, box.width / 80)) {
    group.append(s("line", { x1: x.at(value), x2: x.at(value), y1: box.y, y2: bottom }),
      s("text", { x: x.at(value), y: bottom + 18, "text-anchor": "middle" }, tickText(value)));
  }
  for (const value of ticksOf(y.range, y.log, box.height / 44)) {
    group.append(s("line", { x1: box.x, x2: box.x + box.width, y1: y.at(value), y2: y.at(value) }),
      s("text", { x: box.x - 8, y: y.at(value) + 4, "text-anchor": "end" }, tickText(value)));
  }
  const middle = box.y + box.height / 2;
  group.append(s("text", { class: "label", x: box.x + box.width / 2, y: bottom + 38, "text-anchor": "middle" }, spec.x.label),
    s("text", { class: "label", x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, spec.y.label));
  return group;
}

const steps = (points, x, y) => points.map((point, index) =>
  (index ? `H${x.at(point.x).toFixed(1)}V${y.at(point.y).toFixed(1)}` : `M${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)}`)).join("");

function lineGroup(line, usable, x, y, placed) {
  const points = line.points.filter(usable), group = s("g", { class: `series ${lookOf(line.look)}` });
  const path = (value, list) => list.map((point) => `${x.at(point.x).toFixed(1)},${y.at(point[value] ?? point.y).toFixed(1)}`);
  const banded = points.filter((point) => point.low !== undefined && (!y.log || point.low > 0));
  if (line.band && banded.length > 1) group.append(s("path", { class: "band", d: `M${path("high", banded).concat(path("low", [...banded].reverse())).join("L")}Z` }));
  if (line.path && points.length > 1) group.append(s("path", { class: "line", d: `M${path("y", points).join("L")}` }));
  for (const point of points) {
    if (line.dots || points.length === 1) group.append(s("path", { class: point.hollow ? "dot hollow" : "dot", d: markerOf(line),
      transform: `translate(${x.at(point.x).toFixed(1)},${y.at(point.y).toFixed(1)})` }));
    placed.push({ line, point, group, left: x.at(point.x), top: y.at(point.y) });
  }
  return group;
}

function legend(lines, spec, off) {
  const names = lines.map((line) => line.name);
  const others = (name) => (off.size === names.length - 1 && !off.has(name) ? "" : textOf(names.filter((one) => one !== name)));
  return h("div", { class: "legend", role: "group", "aria-label": "Lines; press to hide or show one, with Shift to show it alone" },
    lines.map((line) => h("button", { type: "button", "aria-pressed": String(!off.has(line.name)), class: lookOf(line.look),
      title: "Click: hide or show. Shift and click: show it alone.",
      onclick: (event) => {
        const chosen = new Set(off);
        if (!chosen.delete(line.name)) chosen.add(line.name);
        set({ off: event.shiftKey ? others(line.name) : textOf([...chosen].filter((name) => names.includes(name))) });
      } },
      s("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" },
        line.path ? s("path", { class: "line", d: "M1,6H25" }) : null,
        line.dots ? s("path", { class: "dot", d: markerOf(line), transform: "translate(13,6)" }) : null), line.name)),
    off.size ? h("button", { type: "button", class: "all", onclick: () => set({ off: "" }) }, "show all") : null);
}

function valuesTable(spec, lines) {
  const details = h("details", { class: "values" }, h("summary", {}, "Values as a table"));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) {
      details.append(table(spec.label, ["line", spec.x.label, spec.y.label, "lowest", "highest"],
        lines.flatMap((line) => line.points.map((point) => [line.name, short(point.x), short(point.y), short(point.low), short(point.high)]))));
    }
  });
  return details;
}
