// Scores along a swept setting with the papers' marks, and measures along time, rank, or the inputs seen.
const ITERATIONS = "iterations to minimal performance";

function sweepsPlot(cells) {
  const selected = new Set(cells);
  const sweeps = DATA.sweeps.filter((sweep) =>
    sweep.lines.some((line) => line.points.some(([, cell]) => selected.has(DATA.cells[cell]))));
  const named = sweeps.map((sweep) => [keyOf(sweep.suite, sweep.budget, sweep.setting, sweep.metric), sweep]);
  const [, sweep] = named.find(([name]) => name === state.sweep) || named[0] || [];
  const texts = named.map(([name, one]) => [name, `${one.suite} · ${one.budget} · ${one.label}`]);
  const controls = [choice("sweep", "sweep", texts)];
  if (!sweep) return { controls };
  if (sweep.timed) controls.push(choice("show", "y", [["score", "score"], ["iterations", ITERATIONS]]));
  const scored = !(sweep.timed && state.y === "iterations");
  const value = scored ? "score" : "iterations";
  const column = DATA.cells[sweep.lines[0].points[0][1]].at;
  const lines = sweep.lines.map((line) => ({ name: line.name, look: line.look, path: true, band: true, dots: true,
    points: line.points.map(([x, cell]) => sweepPoint(x, DATA.cells[cell], value)).filter(Boolean) }));
  if (scored && sweep.published.length) lines.push({ name: "published", look: 0, marker: "star", dots: true,
    points: sweep.published.map(([x, y, tip]) => ({ x, y, tip })) });
  const ys = lines.flatMap((line) => line.points.map((point) => point.y));
  const wide = scored ? column.direction === "min" : Math.max(...ys) > 5 * Math.min(...ys);
  return {
    controls,
    spec: {
      label: `${sweep.suite}, ${sweep.budget}: over ${sweep.label}`, lines, rules: scored ? chanceOf(column) : [],
      marks: sweep.marks.map(([x, label]) => ({ x, label })),
      x: { label: sweep.label, log: logarithmic("x", sweep.log), values: sweep.values.length <= 12 && sweep.values },
      y: { label: scored ? `test ${column.axis}` : ITERATIONS, log: logarithmic("y", wide && ys.every((y) => y > 0)) },
    },
    note: sweep.caption,
  };
}

function sweepPoint(x, cell, value) {
  if (!cell[value]) return null;
  const [y, low, high, whole] = cell[value];
  return { x, y, low, high, hollow: !whole, cell: cell.key, tip: `${cell.name}, n = ${cell.n}` };
}

function measuresPlot(cells) {
  const selected = new Set(cells);
  const own = (one) => one.lines.filter((line) => selected.has(DATA.cells[line.cell]));
  const named = DATA.series.filter((one) => own(one).length)
    .map((one) => [keyOf(one.title, one.suite, one.budget, one.task), one]);
  const [, one] = named.find(([name]) => name === state.column) || named[0] || [];
  const texts = named.map(([name, each]) => [name, `${each.title} · ${each.suite} · ${each.task}`]);
  const controls = [choice("measure", "column", texts)];
  if (!one) return { controls };
  const lines = own(one).map((line) => {
    const { name, look, key } = DATA.cells[line.cell];
    const points = line.x.map((x, i) => ({ x, y: line.mean[i], low: line.low[i], high: line.high[i], cell: key }));
    const there = points.filter(({ y }) => y !== null);
    return { name, look, path: true, band: true, dots: line.x.length < 20, points: there };
  });
  return {
    controls,
    spec: { label: `${one.title}: ${one.suite}, ${one.budget}, ${one.task}`, lines,
      marks: (one.marks || []).map(([x, label]) => ({ x, label })),
      x: { label: one.x, log: logarithmic("x", one.log_x) }, y: { label: one.y, log: logarithmic("y", one.log_y) } },
    note: "Mean over instances (of exponents also over sequences), and their range.",
  };
}
