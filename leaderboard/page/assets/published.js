// Published values beside ours, each with its source and what is known of its protocol.
function publishedView() {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = DATA.published.filter((one) =>
    words.every((word) => `${one.model} ${one.task} ${one.source}`.toLowerCase().includes(word)) &&
    (!state.suite || one.ours.some((ours) => DATA.cells[ours.cell].at.suite === state.suite)) &&
    (!state.paper || one.paper === state.paper));
  const notes = distinct(rows.flatMap((one) => one.notes));
  const marks = (one) => one.notes.map((note) => h("sup", {}, `[${notes.indexOf(note) + 1}] `));
  const header = ["model", "parameters", "task", "metric", "published", "trained", "source", "ours", "note"];
  const texts = rows.map((one) => [one.model, one.parameters || "not stated", one.task, one.metric, one.value, one.trained || "not stated", one.source,
    one.ours.length ? one.ours.map(oursBeside) : null, marks(one)]);
  exported = rows.flatMap((one) => (one.ours.length ? one.ours : [null]).map((ours) => publishedRow(one, ours)));
  return [
    h("p", { class: "remark" }, "As printed in the source, under its protocol. The budgets smoke and cpu train far " +
      "shorter than the papers did: a gap to a published value is then no failed reproduction."),
    table("Published values beside ours", header, texts, { numbers: header.length, classes: "published" }),
    h("ol", { class: "notes" }, notes.map((note) => h("li", {}, note))),
  ];
}

function publishedRow(one, ours) {
  const cell = ours && DATA.cells[ours.cell];
  return {
    model: one.model, parameters: one.parameters, task: one.task, metric: one.metric, published: one.value,
    trained: one.trained, source: one.source, note: one.notes.join(" "), ours: ours?.mean ?? null, ours_sd: ours?.sd ?? null, ours_n: ours?.n ?? null,
    suite: cell?.at.suite ?? "", budget: cell?.at.budget ?? "", network: cell?.name ?? "",
  };
}

function oursBeside(ours) {
  const cell = DATA.cells[ours.cell];
  return h("div", {}, h("a", { href: link({ cell: cell.key }) }, ours.text),
    h("small", {}, ` ${cell.at.suite}, ${cell.at.budget}, ${cell.trained}`));
}
