// How to read the page, and the records that are not on it.
const HOW_TO_READ = [
  "A score is the test value at the best validation value of the ranked metric, or that of the last evaluation where " +
    "the suite says test_at: last; mean ± sample standard deviation (instances that did not diverge).",
  "The share of the gap is (score − chance) / (best possible − chance): 0 % is what the best constant reaches, 100 % " +
    "the best possible value. Means over tasks take each share from 0 to 100 %, and tasks weigh equally.",
  "Bold and underlined: the best mean that beats chance, and the next best ones down to the first that the paired 95 % " +
    "interval tells from it. That interval is uncorrected for the number of rows; rnnbench compare corrects by Holm. " +
    "Rows with diverged instances are never bold.",
  "Close to 100 % the rest is shown: ε4e−3 is 100 % − 0.004 %. Beside a mean share stands the number of its tasks.",
  "A rank, such as 2–4, runs from the best to the worst that the data allow: behind the rows whose 95 % interval of the " +
    "mean rank over the tasks of the board lies wholly before the row's own, and before those that lie wholly behind. " +
    "The intervals come from a bootstrap over tasks and seeds. A row that lacks a task, or has one instance, has none.",
  "Every view is in the address: copy it to share what you see. Arrow keys move through the matrix and along the " +
    "lines of a chart; Enter opens a cell, Back closes it.",
  "CSV and JSON hold what is shown, means and deviations unrounded. In CSV, a text that a spreadsheet would take for " +
    "a formula has an apostrophe in front.",
];

function about() {
  exported = DATA.problems.map(([path, reason]) => ({ path, reason }));
  const problems = DATA.problems.length
    ? table("Records that found no place", ["path", "reason"], DATA.problems, { numbers: 2 })
    : h("p", {}, "Every record found its place.");
  return [h("div", { class: "prose" },
    h("h2", {}, "How to read this page"), HOW_TO_READ.map((text) => h("p", {}, text)),
    h("p", {}, `Made from ${plural(DATA.records, "record")} by rnnbench ${DATA.version}. ${DATA.thinned}`),
    h("h2", {}, "Not placed"), problems)];
}
