// The view of plots: their kinds, and what all share. Each kind returns its controls, a chart, and a note on it.
const PLOTS = {
  curves: ["Learning curves", (cells) => curvesPlot(cells)],
  scores: ["Score against cost and dynamics", (cells) => scoresPlot(cells)],
  sweeps: ["Along a setting", (cells) => sweepsPlot(cells)],
  measures: ["Along time and inputs", (cells) => measuresPlot(cells)],
};

function plotsView() {
  const kind = Object.hasOwn(PLOTS, state.plot) ? state.plot : "curves";
  const { controls, spec, note } = PLOTS[kind][1](selectedCells());
  const tab = ([name, [text]]) => h("button", { type: "button", "aria-pressed": String(name === kind),
    onclick: () => set({ plot: name, column: "", off: "", zoom: "", axes: "" }) }, text);
  exported = spec ? pointRows(spec) : [];
  return [
    h("div", { class: "tabs", role: "group", "aria-label": "Kind of plot" }, Object.entries(PLOTS).map(tab)),
    h("div", { class: "controls" }, controls),
    spec ? chart(spec) : h("p", { class: "nothing" }, "No record of what is selected holds this."),
    spec && note ? h("p", { class: "remark" }, note) : null,
  ];
}

function pointRows(spec) {
  return spec.lines.flatMap((line) => line.points.map((point) => ({
    line: line.name, [spec.x.label]: point.x, [spec.y.label]: point.y, lowest: point.low ?? null,
    highest: point.high ?? null, of: point.tip ?? "",
  })));
}

const columnText = (column) => `${column.suite} · ${column.budget} · ${column.task}`;
const columnChoice = (columns, none) =>
  choice("task", "column", columns.map((one) => [one.key, columnText(one)]), { none });

function chanceOf(column) {
  const y = column.scale * column.chance;
  return Math.abs(y) < MOST_DRAWN ? [{ y, label: "chance" }] : [];
}

function curvesPlot(cells) {
  const curved = cells.filter((cell) => cell.curve);
  const columns = DATA.columns.filter((column) => curved.some((cell) => cell.at === column));
  const column = columns.find((one) => one.key === state.column) || columns[0];
  const controls = [columnChoice(columns, null), choice("split", "split", [["val", "validation"], ["test", "test"]])];
  if (!column) return { controls };
  const lines = curved.filter((cell) => cell.at === column).map((cell) =>
    ({ name: cell.name, look: cell.look, path: true, band: true, points: curvePoints(cell) }));
  const log = column.direction === "min" && lines.every((line) => line.points.every((point) => point.y > 0));
  const test = state.split === "test";
  return {
    controls,
    spec: {
      label: `${columnText(column)}: ${column.heading}`, lines, rules: chanceOf(column),
      x: { label: "optimiser steps", log: logarithmic("x", false) },
      y: { label: `${test ? "test" : "validation"} ${column.axis}`, log: logarithmic("y", log) },
    },
    note: `Mean over the instances that did not diverge${test ? "" : ", and their range"}; at most ` +
      `${DATA.most_points} evaluations of each are drawn.`,
  };
}

function curvePoints(cell) {
  const { step, val, low, high, test } = cell.curve;
  const ofVal = (x, i) => ({ x, y: val[i], low: low[i], high: high[i], cell: cell.key });
  const ofTest = (x, i) => ({ x, y: test[i], cell: cell.key });
  return step.map(state.split === "test" ? ofTest : ofVal).filter((point) => point.y !== null);
}
