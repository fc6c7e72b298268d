// The page: header, filters, the view that the address names, and the dialog of a cell.
const VIEWS = { overview: "Overview", plots: "Plots", claims: "Claims", published: "Published values", about: "About" };
const THEMES = { "": "auto", light: "light", dark: "dark" };

function overview() {
  const cells = selectedCells();
  exported = cellRows(cells);
  const boards = new Set(cells.map((cell) => cell.at.board)), names = new Set(cells.map((cell) => cell.name)), columns = new Set(cells.map((cell) => cell.at));
  announce(`${plural(cells.length, "cell")}: ${plural(names.size, "network")}, ${plural(columns.size, "task")}, ${plural(boards.size, "suite")}`);
  return [h("div", { class: "controls" }, choice("show", "show", [["share", "share of the gap (%)"], ["score", "score"]]), key()),
    cells.length ? h("div", { class: "scroll matrix-frame", tabindex: -1 }, grid(cells)) : h("p", { class: "nothing" }, DATA.cells.length ? "Nothing matches these filters." : "There are no records yet.")];
}

const key = () => h("div", { class: "key" }, h("span", {}, "chance"), Array.from({ length: 11 }, (_, index) => h("i", { class: `l${index}` })), h("span", {}, "best possible"),
  h("span", { class: "signs" }, h("b", { class: "best" }, "84"), " best, or not told apart from it", h("b", {}, "†"), " some instances diverged", h("b", {}, "rank"), " on its board, with the 95 % interval of its mean over tasks"));

function filters() {
  const field = (name, label, type, placeholder) => h("label", { class: `choice ${name}` }, h("span", {}, label),
    h("input", { type, name, value: state[name], placeholder, min: type === "number" ? 0 : null, oninput: (event) => set({ [name]: event.target.value }) }));
  const all = (name, values) => choice(name, name, distinct(values).map((value) => [value, value]), { none: "all" });
  return [field("q", "search", "search", "network, task, suite"), all("suite", DATA.boards.map((board) => board.suite)), all("budget", DATA.boards.map((board) => board.budget)),
    all("paper", DATA.boards.map((board) => board.paper)), field("least", "parameters from", "number", "0"), field("most", "to", "number", "∞"),
    h("button", { type: "button", class: "reset", onclick: () => { set({ ...DEFAULTS, view: state.view, theme: state.theme }); drawFilters(); } }, "reset")];
}

function drawFilters() {
  byId("filters").replaceChildren(...filters());
}

function about() {
  exported = DATA.problems.map(([path, reason]) => ({ path, reason }));
  return [h("div", { class: "prose" }, h("h2", {}, "How to read this page"),
    ["A score is the test value at the best validation value of the ranked metric, as mean ± sample standard deviation (instances that did not diverge).",
      "The share of the gap is (score − chance) / (best possible − chance): 0 % is what the best constant reaches, 100 % the best possible value. Means over tasks take each share from 0 to 1, and tasks weigh equally.",
      "A ring marks the best mean that beats chance, and what the paired 95 % interval cannot tell from it.",
      "Every view is in the address: copy it to share what you see. Arrow keys move through the matrix and along the lines of a chart; Enter opens a cell; Back closes it.",
      "CSV and JSON hold what is shown, at full precision. In CSV, a text that a spreadsheet would take for a formula has an apostrophe in front."].map((text) => h("p", {}, text)),
    h("p", {}, `Made from ${plural(DATA.records, "record")} by rnnbench ${DATA.version}.`),
    h("h2", {}, "Not placed"), DATA.problems.length ? table("Records that found no place", ["path", "reason"], DATA.problems, { numbers: 2 }) : h("p", {}, "Every record found its place."))];
}

function header() {
  byId("views").replaceChildren(...Object.entries(VIEWS).map(([view, text]) => h("a", { href: link({ view, cell: "", off: "", zoom: "", axes: "" }), "aria-current": state.view === view ? "page" : null }, text)));
  byId("theme").textContent = `theme: ${THEMES[state.theme] ?? "auto"}`;
  document.documentElement.dataset.theme = THEMES[state.theme] ? state.theme : "";
}

function render() {
  hideTip();
  const view = VIEWS[state.view] ? state.view : "overview", focused = document.activeElement, name = focused?.name;
  header();
  announce("");
  byId("filters").hidden = view === "about";
  byId("filters").className = view;
  byId("view").replaceChildren(h("h1", { class: "unseen" }, VIEWS[view]), ...{ overview, plots: plotsView, claims: claimsView, published: publishedView, about }[view]().flat().filter(Boolean));
  for (const draw of drawings.splice(0)) draw();
  if (name && !focused.isConnected) document.querySelector(`#view [name="${CSS.escape(name)}"]`)?.focus();
  byId("exports").hidden = !exported.length;
  const cell = CELLS.get(state.cell), dialog = byId("cell");
  if (cell) openCell(cell);
  else if (dialog.open) dialog.close();
  document.title = `${cell ? `${cell.name} on ${cell.at.task}` : VIEWS[view]} – rnnbench`;
}

function start() {
  byId("summary").textContent = [plural(DATA.records, "record"), plural(DATA.cells.length, "cell"), plural(DATA.boards.length, "board"), plural(DATA.claims.length, "claim")].join(" · ");
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("view").focus();
  });
  byId("csv").addEventListener("click", () => download("csv"));
  byId("json").addEventListener("click", () => download("json"));
  byId("theme").addEventListener("click", () => set({ theme: { "": "dark", dark: "light", light: "" }[state.theme] ?? "dark" }));
  byId("cell").addEventListener("close", () => { if (state.cell) set({ cell: "" }); });
  byId("cell").addEventListener("click", (event) => { if (event.target === event.currentTarget) set({ cell: "" }); });
  for (const name of ["hashchange", "popstate"]) addEventListener(name, () => {
    if (link({}) === (location.hash || "#")) return;
    state = readState();
    drawFilters();
    render();
  });
  addEventListener("beforeprint", () => {
    finishRows();
    const wide = document.querySelector("table.matrix");
    if (wide) wide.style.zoom = Math.min(1, 1000 / wide.offsetWidth);
  });
  addEventListener("afterprint", () => { document.querySelector("table.matrix")?.style.removeProperty("zoom"); });
  drawFilters();
  render();
}

start();
