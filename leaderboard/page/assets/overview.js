// The overview: the matrix with its key, and a choice of what its cells show.
function overview() {
  const cells = selectedCells();
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
  ];
}

function key() {
  const levels = Array.from({ length: 11 }, (_, index) => h("i", { class: `l${index}` }));
  return h("div", { class: "key" }, h("span", {}, "chance"), levels, h("span", {}, "best possible"),
    h("span", { class: "signs" },
      h("b", { class: "best" }, "84"), " best, or not told apart from it", h("b", {}, "†"), " some instances diverged",
      h("b", {}, "rank"), " on its board, with the 95 % interval of its mean over tasks"));
}

// One flat object for each cell, as CSV and JSON hold it.
function cellRows(cells) {
  return cells.map((cell) => {
    const at = cell.at;
    const [rank, mean, low, high] = at.ranks[cell.network] || [null, null, null, null];
    return {
      suite: at.suite, budget: at.budget, task: at.task, network: cell.name, metric: at.metric, direction: at.direction,
      mean: cell.mean, sd: cell.sd, n: cell.n, diverged: cell.diverged, share_of_gap: cell.share, chance: cell.chance,
      best_possible: at.best_possible, board_rank: rank, board_mean_rank: mean, rank_low: low, rank_high: high,
      parameters: cell.parameters, state_size: cell.state, seconds_per_step: cell.seconds,
      peak_memory_bytes: cell.memory, paper: at.paper, sent_in: cell.sent, command: cell.command,
    };
  });
}
