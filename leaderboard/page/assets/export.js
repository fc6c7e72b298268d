// What is shown, as CSV or JSON: the view sets `exported`, one flat object for each row.
let exported = [];

function cellRows(cells) {
  return cells.map((cell) => ({ suite: cell.at.suite, budget: cell.at.budget, task: cell.at.task, network: cell.name, metric: cell.at.metric, direction: cell.at.direction,
    mean: cell.mean, sd: cell.sd, n: cell.n, diverged: cell.diverged, share_of_gap: cell.share, ...rankOf(cell), chance: cell.chance, best_possible: cell.at.best_possible, parameters: cell.parameters,
    state_size: cell.state, seconds_per_step: cell.seconds, peak_memory_bytes: cell.memory, paper: cell.at.paper, command: cell.command }));
}

function rankOf(cell) {
  const [rank, mean, low, high] = cell.at.ranks[cell.network] || [null, null, null, null];
  return { board_rank: rank, board_mean_rank: mean, rank_low: low, rank_high: high };
}

// A text that a spreadsheet would take for a formula gets an apostrophe in front; JSON holds it as it is.
function csvField(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(rows) {
  const names = Object.keys(rows[0] || {});
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((row) => row.map(csvField).join(",")).join("\r\n") + "\r\n";
}

function download(kind) {
  const text = kind === "csv" ? csv(exported) : `${JSON.stringify(exported, null, 1)}\n`;
  const address = URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
  h("a", { href: address, download: `rnnbench-${state.view}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
