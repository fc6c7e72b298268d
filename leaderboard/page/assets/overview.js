// The overview: the matrix with its key, and a choice of what its cells show.
function overview() {
  const { cells, left } = scoredCells(selectedCells());
  const number = (of) => new Set(cells.map(of)).size;
  exported = cellRows(cells);
  announce(`${plural(cells.length, "cell")}: ${plural(number((cell) => cell.name), "network")}, ` +
    `${plural(number((cell) => cell.at), "task")}, ${plural(number((cell) => cell.at.board), "board")}`);
  const nothing = DATA.cells.length ? "Nothing matches these filters." : "There are no records yet.";
  return [
    h("div", { class: "controls" },
      choice("show", "show", [["share", "share of the gap (%)"], ["score", "score"]]), key()),
    cells.length ? h("div", { class: "scroll matrix-frame", tabindex: -1 }, grid(cells))
      : h("p", { class: "nothing" }, nothing),
    left.length ? h("p", { class: "remark" }, "Measured before training only, without a score: ",
      left.map((board, index) => [index ? ", " : "", h("a", { href: link(board) }, board.suite)]), ".") : null,
  ];
}

// Tasks on which nothing was trained have no score to show: they come when nothing else is selected.
function scoredCells(cells) {
  const columns = new Set(cells.filter((cell) => cell.mean !== null).map((cell) => cell.at));
  // Where every instance diverged, that is a result.
  for (const cell of cells) if (cell.diverged) columns.add(cell.at);
  if (!columns.size) return { cells, left: [] };
  const left = new Set(cells.filter((cell) => !columns.has(cell.at)).map((cell) => DATA.boards[cell.at.board]));
  return { cells: cells.filter((cell) => columns.has(cell.at)),
    left: [...left].map(({ suite, budget }) => ({ suite, budget })) };
}

function key() {
  const levels = Array.from({ length: 11 }, (_, index) => h("i", { class: `l${index}` }));
  return h("div", { class: "key" }, h("span", {}, "chance"), levels, h("span", {}, "best possible"),
    h("span", { class: "signs" },
      h("b", { class: "best" }, "84"), " best, or not distinguishable from it (uncorrected)",
      h("b", {}, "ε4e−3"), " 100 − 0.004", h("b", {}, "†"), " some instances diverged",
      h("b", {}, "rank"), " on its board that 95 % intervals allow, then its mean over tasks"));
}

// One flat object for each cell, as CSV and JSON hold it.
function cellRows(cells) {
  return cells.map((cell) => {
    const at = cell.at;
    const [rank, last, mean, low, high] = at.ranks[cell.network] || Array(5).fill(null);
    return {
      suite: at.suite, budget: at.budget, task: at.task, network: cell.name, metric: at.metric, direction: at.direction,
      mean: cell.mean, sd: cell.sd, n: cell.n, diverged: cell.diverged, share_of_gap: cell.share, chance: cell.chance,
      best_possible: at.best_possible, board_rank: rank, board_rank_last: last, board_mean_rank: mean,
      rank_low: low, rank_high: high, parameters: cell.parameters, state_size: cell.state, seconds_per_step: cell.seconds,
      peak_memory_bytes: cell.memory, paper: at.paper, sent_in: cell.sent, command: cell.command,
    };
  });
}
