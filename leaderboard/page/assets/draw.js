// A chart as SVG: axes, rules, marks, fronts, and a group for each line.
// Beside rules stand their names, where no line can cross them.
const MARGIN = { left: 64, right: 16, beside: 58, top: 30, bottom: 46 };
const MARKERS = {
  o: "M4,0A4,4 0 1 1 -4,0A4,4 0 1 1 4,0Z", s: "M-3.5,-3.5H3.5V3.5H-3.5Z", "^": "M0,-4.5L4.2,3.4H-4.2Z",
  D: "M0,-4.8L4.8,0L0,4.8L-4.8,0Z", v: "M0,4.5L4.2,-3.4H-4.2Z",
  P: "M-1.5,-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
  X: "M-4,-2.4L-2.4,-4L0,-1.6L2.4,-4L4,-2.4L1.6,0L4,2.4L2.4,4L0,1.6L-2.4,4L-4,2.4L-1.6,0Z",
  "<": "M-4.5,0L3.4,-4.2V4.2Z", ">": "M4.5,0L-3.4,-4.2V4.2Z",
  star: "M0,-6.5L1.6,-2.1L6.2,-2L2.5,0.8L3.8,5.3L0,2.6L-3.8,5.3L-2.5,0.8L-6.2,-2L-1.6,-2.1Z",
};

const lookOf = (look) => `c${look % DATA.looks.colours} d${look % DATA.looks.dashes}`;
const markerOf = (line) => MARKERS[line.marker || DATA.looks.markers[line.look % DATA.looks.markers.length]];
const drawable = (spec) => (point) => ["x", "y"].every((name) =>
  Number.isFinite(point[name]) && Math.abs(point[name]) < MOST_DRAWN && (!spec[name].log || point[name] > 0));

function draw(spec, lines, frame) {
  const { marks = [], rules = [], fronts = [] } = spec;
  const width = Math.max(320, Math.min(1100, frame.clientWidth));
  const height = Math.round(Math.min(460, Math.max(280, 0.52 * width)));
  const usable = drawable(spec);
  const points = lines.flatMap((line) => line.points.filter(usable));
  const zoom = state.zoom.split(",").map(Number);
  const zoomed = zoom.length === 4 && zoom.every(Number.isFinite) && zoom[0] < zoom[1] && zoom[2] < zoom[3];
  const xs = [...points, ...marks].map((one) => one.x);
  const ys = [...points.flatMap(({ y, low = y, high = y }) => [y, low, high]), ...rules.map((rule) => rule.y)];
  const right = rules.length ? MARGIN.beside : MARGIN.right;
  const x = axis(zoomed ? zoom.slice(0, 2) : extent(xs, spec.x.log), spec.x.log, MARGIN.left, width - right);
  const y = axis(zoomed ? zoom.slice(2) : extent(ys, spec.y.log), spec.y.log, height - MARGIN.bottom, MARGIN.top);
  const box = { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - right,
    height: height - MARGIN.top - MARGIN.bottom };
  const placed = [];
  const inside = s("g", { "clip-path": "url(#inside)" }, rules.map((rule) => ruleLine(rule, y, box)),
    marks.map((mark) => markLine(mark, x, box)),
    fronts.map((front) => s("path", { class: "front", d: stepped(front.filter(usable), x, y) })),
    lines.map((line) => lineGroup(line, usable, x, y, placed)),
    marks.map((mark, index) => markName(mark, index, x, box)));
  const ring = s("circle", { class: "ring", r: 8, hidden: true }), brush = s("rect", { class: "brush", hidden: true });
  const label = `${spec.label}. Arrow keys go from point to point, + and − zoom, 0 shows everything.`;
  const root = s("svg", { viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application",
    "aria-roledescription": "chart", "aria-label": label },
  s("defs", {}, s("clipPath", { id: "inside" }, s("rect", box))), axes(spec, x, y, box), inside,
  rules.map((rule) => ruleName(rule, y, box)), ring, brush,
  points.length ? null
    : s("text", { class: "nothing", x: width / 2, y: height / 2, "text-anchor": "middle" }, "Nothing to draw here"));
  current = { x, y };
  follow(root, spec, placed, { x, y, box, ring, brush, width });
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
  group.append(
    s("text", { class: "label", x: box.x + box.width / 2, y: bottom + 38, "text-anchor": "middle" }, spec.x.label),
    // Above the axis there is room for long ones.
    s("text", { class: "label", x: 4, y: box.y - 14 }, spec.y.label));
  return group;
}

const ruleLine = (rule, y, box) =>
  s("line", { class: "rule", x1: box.x, x2: box.x + box.width, y1: y.at(rule.y), y2: y.at(rule.y) });

function ruleName(rule, y, box) {
  const top = y.at(rule.y);
  if (top < box.y || top > box.y + box.height) return [];
  return s("text", { class: "note", x: box.x + box.width + 6, y: top + 4 }, rule.label);
}

const markLine = (mark, x, box) =>
  s("line", { class: "mark", x1: x.at(mark.x), x2: x.at(mark.x), y1: box.y, y2: box.y + box.height });
const markName = (mark, index, x, box) =>
  s("text", { class: "note on", x: x.at(mark.x) + 4, y: box.y + 12 + 14 * index }, mark.label);

const stepped = (points, x, y) => points.map((point, index) => {
  const left = x.at(point.x).toFixed(1), top = y.at(point.y).toFixed(1);
  return index ? `H${left}V${top}` : `M${left},${top}`;
}).join("");

function lineGroup(line, usable, x, y, placed) {
  const points = line.points.filter(usable), group = s("g", { class: `series ${lookOf(line.look)}` });
  const corners = (value, list) => list.map((point) => `${x.at(point.x).toFixed(1)},${y.at(point[value]).toFixed(1)}`);
  const banded = points.filter((point) => Number.isFinite(point.low) && (!y.log || point.low > 0));
  if (line.band && banded.length > 1) {
    const round = [...corners("high", banded), ...corners("low", banded.toReversed())];
    group.append(s("path", { class: "band", d: `M${round.join("L")}Z` }));
  }
  if (line.path && points.length > 1) {
    group.append(s("path", { class: "line", d: `M${corners("y", points).join("L")}` }));
  }
  for (const point of points) {
    const left = x.at(point.x), top = y.at(point.y), transform = `translate(${left.toFixed(1)},${top.toFixed(1)})`;
    if (line.dots || points.length === 1) {
      group.append(s("path", { class: point.hollow ? "dot hollow" : "dot", d: markerOf(line), transform }));
    }
    placed.push({ line, point, group, left, top });
  }
  return group;
}
