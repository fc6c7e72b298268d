// The page: its header, the view that the address names, and the dialog of a cell.
const VIEWS = {
  overview: ["Overview", overview],
  plots: ["Plots", plotsView],
  claims: ["Claims", claimsView],
  published: ["Published values", publishedView],
  about: ["About", about],
};
const THEMES = { "": "auto", dark: "dark", light: "light" };

function header(shownView) {
  const links = Object.entries(VIEWS).map(([view, [text]]) => {
    const href = link({ view, cell: "", off: "", zoom: "", axes: "" });
    return h("a", { href, "aria-current": view === shownView ? "page" : null }, text);
  });
  byId("views").replaceChildren(...links);
  byId("theme").textContent = `theme: ${THEMES[state.theme] ?? "auto"}`;
  document.documentElement.dataset.theme = THEMES[state.theme] ? state.theme : "";
}

function render() {
  const view = Object.hasOwn(VIEWS, state.view) ? state.view : "overview";
  const [title, draw] = VIEWS[view];
  const focused = document.activeElement;
  const name = focused?.name;
  hideTip();
  header(view);
  announce("");
  // Elsewhere it is for screen readers: it would push a chart down whenever a point is named.
  byId("status").className = view === "overview" ? "" : "unseen";
  byId("filters").hidden = view === "about";
  byId("filters").className = view;
  const cell = CELLS.get(state.cell);
  const unknown = state.cell && !cell ? h("p", { class: "remark", id: "unknown-cell" }, "The address names a cell that " +
    `is not on this page: ${state.cell.slice(0, 300)}. Its records may be of another version of the suite.`) : null;
  byId("view").replaceChildren(h("h1", { class: "unseen" }, title), ...[unknown, ...draw()].filter(Boolean));
  for (const later of drawings.splice(0)) later();
  if (name && !focused.isConnected) document.querySelector(`#view [name="${CSS.escape(name)}"]`)?.focus();
  byId("exports").hidden = !exported.length;
  if (cell) openCell(cell);
  else if (byId("cell").open) byId("cell").close();
  document.title = `${cell ? `${cell.name} on ${cell.at.task}` : title} – rnnbench`;
  document.documentElement.dataset.drawn = location.hash;
}

// An address that was typed, or that Back and Forward lead to.
function onAddress() {
  if (link({}) === (location.hash || "#")) return;
  state = readState();
  drawFilters();
  render();
}

function start() {
  const counts = [[DATA.records, "record"], [DATA.cells.length, "cell"], [DATA.boards.length, "board"],
    [DATA.claims.length, "claim"]];
  byId("summary").textContent = counts.map(([number, noun]) => plural(number, noun)).join(" · ");
  byId("skip").addEventListener("click", (event) => {
    event.preventDefault();
    byId("view").focus();
  });
  for (const kind of ["csv", "json"]) byId(kind).addEventListener("click", () => download(kind));
  byId("theme").addEventListener("click", () => {
    const names = Object.keys(THEMES);
    set({ theme: names[(names.indexOf(state.theme) + 1) % names.length] });
  });
  // The event comes later than the closing: by then another cell may be open.
  byId("cell").addEventListener("close", ({ target }) => state.cell && !target.open && set({ cell: "" }));
  // A click beside the dialog.
  byId("cell").addEventListener("click", (event) => event.target === event.currentTarget && set({ cell: "" }));
  for (const name of ["hashchange", "popstate"]) addEventListener(name, onAddress);
  addEventListener("beforeprint", printMatrix);
  addEventListener("afterprint", restoreMatrix);
  drawFilters();
  render();
}

start();
