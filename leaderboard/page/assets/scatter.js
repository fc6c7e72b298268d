// Scores against what they cost, with the Pareto front, and against measures of dynamics.
const COSTS = {
  parameters: "parameters", state: "state size", seconds: "seconds a step", memory: "peak memory (bytes)",
};
const FRONT = "Stepped line: the Pareto front, cells that no other one beats at the same cost or less. ";
const NO_FRONT = "Each point is one network on one task, coloured by suite; choose a task to see its networks and " +
  "their Pareto front. ";

function scoresPlot(cells) {
  const scored = cells.filter((cell) => cell.mean !== null && cell.share !== null);
  const columns = DATA.columns.filter((column) => scored.some((cell) => cell.at === column));
  const column = columns.find((one) => one.key === state.column);
  const among = scored.filter((cell) => !column || cell.at === column);
  const measured = distinct(among.flatMap((cell) => Object.keys(cell.dynamics)));
  const places = { ...COSTS, ...Object.fromEntries(measured.map((name) => [name, DATA.dynamics[name]])) };
  const controls = [columnChoice(columns, "all that are selected"), choice("against", "x", Object.entries(places))];
  if (!among.length) return { controls };
  const against = Object.hasOwn(places, state.x) ? state.x : "parameters";
  const points = among.map((cell) => scorePoint(cell, against, column)).filter((point) => point.x !== null);
  const groups = new Map();
  for (const point of points) groups.set(point.group, [...(groups.get(point.group) || []), point]);
  const lines = [...groups].map(([name, own], index) =>
    ({ name, look: column ? own[0].look : index, dots: true, points: own }));
  const front = column && Object.hasOwn(COSTS, against);
  const log = column?.direction === "min" && points.every((point) => point.y > 0);
  return {
    controls,
    spec: {
      label: column ? `${columnText(column)}: ${column.heading}` : "Share of the gap from chance to best, by suite",
      lines, fronts: front ? [pareto(points, column.direction)] : [], rules: column ? chanceOf(column) : [],
      x: { label: places[against], log: logarithmic("x", Object.hasOwn(COSTS, against)) },
      y: { label: column ? `test ${column.axis}` : "share of the gap (%)", log: logarithmic("y", Boolean(log)) },
    },
    note: `${front ? FRONT : column ? "" : NO_FRONT}Hollow: some instances diverged.`,
  };
}

function scorePoint(cell, against, column) {
  const x = Object.hasOwn(COSTS, against) ? cell[against] : cell.dynamics[against];
  const tip = `${column ? "" : `${cell.name} on ${cell.at.task}: `}${cell.at.heading} ${cell.text}`;
  return { x: x ?? null, y: column ? column.scale * cell.mean : 100 * cell.share, tip, cell: cell.key, look: cell.look,
    group: column ? cell.name : cell.at.suite, hollow: Boolean(cell.diverged) };
}

function pareto(points, direction) {
  const sign = direction === "min" ? 1 : -1, front = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || sign * (a.y - b.y))) {
    if (!front.length || sign * point.y < sign * front[front.length - 1].y) front.push(point);
  }
  return front;
}
