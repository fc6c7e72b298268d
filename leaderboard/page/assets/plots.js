// The plots: which lines of the records each of them draws.
const COSTS = { parameters: "parameters", state: "state size", seconds: "seconds a step", memory: "peak memory (bytes)" };
const PLOTS = { curves: "Learning curves", scores: "Score against cost and dynamics", sweeps: "Along a setting", measures: "Along time and inputs" };

const columnText = (column) => `${column.suite} · ${column.budget} · ${column.task}`;

function plotsView() {
  const cells = selectedCells();
  const make = { curves: curvesPlot, scores: scoresPlot, sweeps: sweepsPlot, measures: measuresPlot }[state.plot] || curvesPlot;
  const { controls, spec, note } = make(cells);
  exported = spec ? spec.lines.flatMap((line) => line.points.map((point) => ({ line: line.name, [spec.x.label]: point.x,
    [spec.y.label]: point.y, lowest: point.low ?? null, highest: point.high ?? null, of: point.tip ?? "" }))) : [];
  return [h("div", { class: "tabs", role: "group", "aria-label": "Kind of plot" }, Object.entries(PLOTS).map(([key, text]) =>
    h("button", { type: "button", "aria-pressed": String(state.plot === key), onclick: () => set({ plot: key, off: "", zoom: "", axes: "" }) }, text))),
  h("div", { class: "controls" }, controls),
  spec ? chart(spec) : h("p", { class: "nothing" }, "No record of what is selected holds this."),
  note ? h("p", { class: "remark" }, note) : null];
}

function chosenColumn(columns) {
  return columns.find((column) => column.key === state.column) || columns[0];
}

const chanceOf = (column) => (Math.abs(column.scale * column.chance) < 1e200 ? [{ y: column.scale * column.chance, label: "chance" }] : []);

function curvesPlot(cells) {
  const curved = cells.filter((cell) => cell.curve), columns = DATA.columns.filter((column) => curved.some((cell) => cell.at === column));
  const column = chosenColumn(columns);
  const controls = [choice("task", "column", columns.map((one) => [one.key, columnText(one)])),
    choice("split", "split", [["val", "validation"], ["test", "test"]])];
  if (!column) return { controls };
  const lines = curved.filter((cell) => cell.at === column).map((cell) => ({ name: cell.name, look: cell.look, path: true, band: true, points: curvePoints(cell) }));
  const log = column.direction === "min" && lines.every((line) => line.points.every((point) => point.y > 0));
  const split = state.split === "test" ? "test" : "validation";
  return { controls, spec: { label: `${columnText(column)}: ${column.heading}`, lines, rules: chanceOf(column),
    x: { label: "optimiser steps", log: logarithmic("x", false) }, y: { label: `${split} ${column.axis}`, log: logarithmic("y", log) } },
  note: `Mean over the instances that did not diverge${state.split === "test" ? "" : ", and their range"}; at most ${DATA.most_points} evaluations of each are drawn.` };
}

function curvePoints(cell) {
  const { step, val, low, high, test } = cell.curve;
  return step.map((x, index) => (state.split === "test" ? { x, y: test[index], cell: cell.key }
    : { x, y: val[index], low: low[index], high: high[index], cell: cell.key })).filter((point) => point.y !== null);
}

function scoresPlot(cells) {
  const columns = DATA.columns.filter((column) => cells.some((cell) => cell.at === column && cell.mean !== null));
  const column = columns.find((one) => one.key === state.column);
  const among = cells.filter((cell) => cell.mean !== null && (!column || cell.at === column));
  const dynamics = distinct(among.flatMap((cell) => Object.keys(cell.dynamics)));
  const axes = { ...COSTS, ...Object.fromEntries(dynamics.map((key) => [key, DATA.dynamics[key]])) };
  const controls = [choice("task", "column", columns.map((one) => [one.key, columnText(one)]), { none: "all that are selected" }),
    choice("against", "x", Object.entries(axes))];
  if (!among.length) return { controls };
  const x = axes[state.x] ? state.x : "parameters", place = (cell) => (x in COSTS ? cell[x] : cell.dynamics[x]) ?? null;
  const y = (cell) => (column ? shown(cell) : 100 * cell.share);
  const points = among.filter((cell) => place(cell) !== null).map((cell) => ({ x: place(cell), y: y(cell), cell: cell.key, group: column ? cell.name : cell.at.suite,
    look: cell.look, tip: `${column ? "" : `${cell.name} on ${cell.at.task}: `}${cell.at.heading} ${cell.text}`, hollow: Boolean(cell.diverged) }));
  const groups = new Map();
  for (const point of points) groups.set(point.group, [...(groups.get(point.group) || []), point]);
  const lines = [...groups].map(([name, own], index) => ({ name, look: column ? own[0].look : index, dots: true, points: own }));
  const better = column?.direction === "min" ? (a, b) => a < b : (a, b) => a > b;
  const fronts = column && x in COSTS ? [pareto(points, better)] : [];
  const logY = column ? column.direction === "min" && points.every((point) => point.y > 0) : false;
  return { controls, spec: { label: column ? `${columnText(column)}: ${column.heading}` : "Share of the gap from chance to best, all selected tasks", lines, fronts,
    rules: column ? chanceOf(column) : [], x: { label: axes[x], log: logarithmic("x", x in COSTS) },
    y: { label: column ? `test ${column.axis}` : "share of the gap (%)", log: logarithmic("y", logY) } },
  note: fronts.length ? "Stepped line: the Pareto front, cells that no other one beats at the same cost or less. Hollow: some instances diverged."
    : "Each point is one network on one task, coloured by suite; choose a task to see its networks and their Pareto front. Hollow: some instances diverged." };
}

function pareto(points, better) {
  const front = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || (better(a.y, b.y) ? -1 : 1))) {
    if (!front.length || better(point.y, front[front.length - 1].y)) front.push(point);
  }
  return front;
}

function sweepsPlot(cells) {
  const keys = new Set(cells.map((cell) => cell.key));
  const point = ([x, cell]) => ({ x, cell: DATA.cells[cell].key, of: DATA.cells[cell] });
  const sweeps = DATA.sweeps.filter((sweep) => sweep.lines.some((line) => line.points.some((one) => keys.has(DATA.cells[one[1]].key))));
  const name = (sweep) => keyOf(sweep.suite, sweep.budget, sweep.setting, sweep.metric), sweep = sweeps.find((one) => name(one) === state.sweep) || sweeps[0];
  const controls = [choice("sweep", "sweep", sweeps.map((one) => [name(one), `${one.suite} · ${one.budget} · ${one.label}`]))];
  if (!sweep) return { controls };
  if (sweep.timed) controls.push(choice("show", "y", [["score", "score"], ["iterations", "iterations to minimal performance"]]));
  const iterations = sweep.timed && state.y === "iterations", column = DATA.cells[sweep.lines[0].points[0][1]].at;
  const means = (of) => (iterations ? of.iterations : of.score);
  const lines = sweep.lines.map((line) => ({ name: line.name, look: line.look, path: true, band: true, dots: true,
    points: line.points.map(point).filter((one) => means(one.of)).map(({ x, cell, of }) => {
      const [y, low, high, whole] = means(of);
      return { x, y, low, high, hollow: !whole, cell, tip: `${of.name}, n = ${of.n}` };
    }) }));
  if (!iterations && sweep.published.length) lines.push({ name: "published", look: 0, marker: "star", dots: true,
    points: sweep.published.map(([x, y, text]) => ({ x, y, tip: text })) });
  const ys = lines.flatMap((line) => line.points.map((one) => one.y));
  const log = ys.every((y) => y > 0) && (iterations ? Math.max(...ys) > 5 * Math.min(...ys) : column.direction === "min");
  return { controls, spec: { label: `${sweep.suite}, ${sweep.budget}: over ${sweep.label}`, lines, rules: iterations ? [] : chanceOf(column),
    marks: sweep.marks.map(([x, label]) => ({ x, label })),
    x: { label: sweep.label, log: logarithmic("x", sweep.log), values: sweep.values.length <= 12 ? sweep.values : null },
    y: { label: iterations ? "iterations to minimal performance" : `test ${column.axis}`, log: logarithmic("y", log) } }, note: sweep.caption };
}

function measuresPlot(cells) {
  const chosen = new Map(cells.map((cell) => [DATA.cells.indexOf(cell), cell]));
  const there = DATA.series.filter((one) => one.lines.some((line) => chosen.has(line.cell)));
  const name = (one) => keyOf(one.kind, one.suite, one.budget, one.task), one = there.find((each) => name(each) === state.column) || there[0];
  const controls = [choice("measure", "column", there.map((each) => [name(each), `${each.title} · ${each.suite} · ${each.task}`]))];
  if (!one) return { controls };
  const lines = one.lines.filter((line) => chosen.has(line.cell)).map((line) => ({ name: chosen.get(line.cell).name, look: chosen.get(line.cell).look,
    path: true, band: true, dots: line.x.length < 20, points: line.x.map((x, index) => ({ x, y: line.mean[index], low: line.low[index], high: line.high[index],
      cell: chosen.get(line.cell).key })).filter((point) => point.y !== null) }));
  return { controls, spec: { label: `${one.title}: ${one.suite}, ${one.budget}, ${one.task}`, lines, rules: [],
    x: { label: one.x, log: logarithmic("x", one.log_x) }, y: { label: one.y, log: logarithmic("y", one.log_y) } },
  note: "Mean over instances, and their range." };
}
