// The overview as data: architectures down, tasks of all suites across, a column of ranks in front of each board's.
const clamped = (share) => Math.min(1, Math.max(0, share));

function meanShare(cells) {
  const shares = cells.filter((cell) => cell.share !== null).map((cell) => clamped(cell.share));
  return shares.length ? shares.reduce((sum, share) => sum + share, 0) / shares.length : null;
}

function matrixOf(cells) {
  const rows = new Map();
  for (const cell of cells) {
    if (!rows.has(cell.name)) rows.set(cell.name, { name: cell.name, index: cell.network, cells: new Map() });
    rows.get(cell.name).cells.set(cell.at, cell);
  }
  for (const row of rows.values()) {
    row.all = [...row.cells.values()];
    row.share = meanShare(row.all);
    row.shares = row.all.filter((cell) => cell.share !== null).length;
    row.parameters = Math.max(...row.all.map((cell) => cell.parameters));
  }
  const used = new Set(cells.map((cell) => cell.at));
  const groups = groupsOf(DATA.columns.filter((column) => used.has(column)));
  return { rows: sorted([...rows.values()]), groups, columns: groups.flatMap((group) => group.columns) };
}

function groupsOf(columns) {
  const groups = new Map();
  for (const column of columns) {
    if (!groups.has(column.board)) {
      const { suite, budget, ranks } = column;
      const rank = { task: "rank", key: keyOf("rank", suite, budget), ranks };
      groups.set(column.board, { suite, budget, columns: Object.keys(ranks).length > 1 ? [rank] : [] });
    }
    groups.get(column.board).columns.push(column);
    column.starts = false;
  }
  for (const group of groups.values()) group.columns[0].starts = true;
  return [...groups.values()];
}

// By board as a rule; without a value last, whichever way round.
function sorted(rows) {
  const down = state.sort.startsWith("-"), value = valueOf(state.sort.replace(/^-/, ""));
  const keyed = rows.map((row) => [value(row), row]);
  keyed.sort(([one, a], [other, b]) => (one === null) - (other === null) ||
    (one === null ? 0 : (down ? -1 : 1) * (one < other ? -1 : Number(one > other))) || a.index - b.index);
  return keyed.map(([, row]) => row);
}

function valueOf(key) {
  const column = DATA.columns.find((one) => one.key === key);
  const board = DATA.boards.find((one) => keyOf("rank", one.suite, one.budget) === key);
  if (column) {
    const sign = column.direction === "min" ? 1 : -1;
    return (row) => (typeof row.cells.get(column)?.mean === "number" ? sign * row.cells.get(column).mean : null);
  }
  if (board) return (row) => board.ranks[row.index]?.[2] ?? null;
  if (key === "parameters") return (row) => row.parameters;
  if (key === "network") return (row) => row.name.toLowerCase();
  if (key === "share") return (row) => (row.share === null ? null : -row.share);
  return (row) => (row.share === null ? null : row.index);
}
