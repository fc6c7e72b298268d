// The records as the page holds them, with the names by which the address calls their cells.
const DATA = JSON.parse(byId("data").textContent);

const keyOf = (...names) => names.map(encodeURIComponent).join("/");

for (const column of DATA.columns) {
  Object.assign(column, DATA.boards[column.board]);
  column.key = keyOf(column.suite, column.budget, column.task, column.metric);
}
for (const cell of DATA.cells) {
  cell.at = DATA.columns[cell.column];
  cell.name = DATA.networks[cell.network];
  cell.key = `${cell.at.key}/${encodeURIComponent(cell.name)}`;
  cell.words = `${cell.name} ${cell.at.task} ${cell.at.suite}`.toLowerCase();
}
const CELLS = new Map(DATA.cells.map((cell) => [cell.key, cell]));

const distinct = (values) => [...new Set(values)].filter(Boolean);

function selectedCells() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const bound = (text, otherwise) => (text.trim() && Number.isFinite(Number(text)) ? Number(text) : otherwise);
  const least = bound(state.least, -Infinity), most = bound(state.most, Infinity);
  return DATA.cells.filter((cell) =>
    (!state.suite || cell.at.suite === state.suite) && (!state.budget || cell.at.budget === state.budget) &&
    (!state.paper || cell.at.paper === state.paper) && cell.parameters >= least && cell.parameters <= most &&
    words.every((word) => cell.words.includes(word)));
}
