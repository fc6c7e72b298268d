// The matrix as a table. Columns of fixed width spare the browser a look at every cell, and the rows of a large table
// come in parts, so that the first screen is there at once.
const WIDTHS = {
  name: [210, 120], size: [100, 100], mean: [88, 76], rank: [80, 80], share: [48, 48], score: [122, 122],
};
const CELLS_AT_ONCE = 1200;
// Pixels across a page of A4 in landscape.
const PRINTED_WIDTH = 1000;
let onScreen = null;
let waiting = null;
let finishRows = () => {};

function grid(cells) {
  const { rows, groups, columns } = matrixOf(cells), narrow = innerWidth <= 700;
  const kinds = leading(narrow).map(([kind]) => kind);
  kinds.push(...columns.map((column) => (column.metric ? state.show : "rank")));
  const widths = kinds.map((kind) => (WIDTHS[kind] || WIDTHS.share)[Number(narrow)]);
  const body = h("tbody");
  const whole = h("table", { class: "matrix", role: "grid", "aria-label": "Architectures by tasks",
    "aria-rowcount": rows.length + 2, onclick: onGridClick, onkeydown: onGridKey, onfocusin: onGridFocus,
    onpointerover: onGridFocus, onpointerleave: hideTip, onfocusout: hideTip },
  h("colgroup", {}, widths.map((pixels) => sized(h("col"), pixels))), headOf(groups, columns, narrow), body);
  fillRows(body, rows, (row) => rowOf(row, columns, narrow), Math.ceil(CELLS_AT_ONCE / widths.length));
  body.querySelector("[data-cell]")?.setAttribute("tabindex", 0);
  return sized(whole, widths.reduce((sum, pixels) => sum + pixels + 1, 1));
}

// Kind of column, heading, name in the address.
function leading(narrow) {
  const found = [["name", "network", "network"], ["size", "parameters", "parameters"], ["mean", "mean %", "share"]];
  return narrow ? found.filter(([kind]) => kind !== "size") : found;
}

function sized(node, pixels) {
  node.style.width = `${pixels}px`;
  return node;
}

function fillRows(body, rows, make, size) {
  let place = 0;
  const more = (number) => {
    body.append(...rows.slice(place, place + number).map(make));
    place += number;
    waiting = place < rows.length ? setTimeout(more, 0, size) : null;
  };
  clearTimeout(waiting);
  finishRows = () => {
    clearTimeout(waiting);
    more(rows.length);
  };
  more(size);
}

// On paper a matrix of many boards would be too small to read: each board comes by itself there, with its own rows.
function printMatrix() {
  const frame = document.querySelector(".matrix-frame");
  if (!frame) return;
  finishRows();
  onScreen = frame.firstChild;
  const boards = new Map(DATA.boards.map((_, index) => [index, []]));
  for (const { dataset } of onScreen.querySelectorAll("[data-cell]")) {
    const cell = CELLS.get(dataset.cell);
    boards.get(cell.at.board).push(cell);
  }
  const apart = onScreen.offsetWidth > PRINTED_WIDTH ? [...boards.values()].filter((cells) => cells.length) : [];
  const tables = apart.map((cells) => {
    const one = grid(cells);
    finishRows();
    return one;
  });
  if (tables.length) frame.replaceChildren(...tables);
  for (const one of frame.children) one.style.zoom = Math.min(1, PRINTED_WIDTH / one.offsetWidth);
}

function restoreMatrix() {
  onScreen?.style.removeProperty("zoom");
  document.querySelector(".matrix-frame")?.replaceChildren(onScreen);
}

function headOf(groups, columns, narrow) {
  const first = leading(narrow);
  const titleOf = (column) => (column.metric ? `${column.task}, ${column.heading} (${column.suite}, ${column.budget})`
    : "Ranks on this board that the 95 % intervals allow, then the mean rank over its tasks");
  const titles = { share: "Mean share of the gap over the tasks of the row that are shown, and their number: " +
    "rows with other tasks do not compare" };
  return h("thead", {},
    h("tr", { class: "groups" }, first.map(() => h("td")), groups.map(groupHeading)),
    h("tr", {}, first.map(([kind, text, name]) => heading(text, name, risesTo(name),
      { class: kind === "name" ? "name" : "number", title: titles[name] })),
      columns.map((column) => heading(column.task, column.key, risesTo(column.key, column),
        { class: column.starts ? "task start" : "task", title: titleOf(column) }))));
}

const groupHeading = ({ suite, budget, columns }) => h("th", { colspan: columns.length, scope: "colgroup", class: "group" },
  h("a", { href: link({ suite, budget }), title: `${suite}, budget ${budget}` }, suite, h("small", {}, budget)));

// Whether the first order of a column, the best first, is one of rising values as they are shown.
const risesTo = (name, column) =>
  name !== "share" && (!column?.metric || (state.show === "score" && column.direction === "min"));

function heading(text, name, rises, attributes) {
  const on = state.sort.replace(/^-/, "") === name, down = state.sort.startsWith("-") === rises;
  const order = on ? (down ? "descending" : "ascending") : null;
  return h("th", { scope: "col", "aria-sort": order, ...attributes }, h("button", { type: "button", "data-sort": name },
    h("span", {}, text), on ? h("i", { "aria-hidden": "true" }, down ? "▾" : "▴") : null));
}

function rowOf(row, columns, narrow) {
  const number = (...texts) => h("td", { class: "number" }, texts);
  return h("tr", {}, h("th", { scope: "row", class: "name", title: row.name }, row.name),
    narrow ? null : number(span(row.all.map((cell) => cell.parameters), count)), number(percent(row.share), h("small", {}, ` (${row.shares})`)),
    columns.map((column) => (column.metric ? cellOf(row.cells.get(column), column) : rankOf(column.ranks[row.index]))));
}

function cellOf(cell, column) {
  const start = column.starts ? "start" : "";
  if (!cell) return h("td", start ? { class: start } : {});
  const level = cell.share === null ? "none" : Math.round(10 * clamped(cell.share));
  const classes = `heat l${level} ${cell.best ? "best" : ""} ${start}`;
  const text = state.show === "score" ? cell.text.replace(/ \(.*/, "") : percent(cell.share);
  const marked = cell.diverged ? `${cell.mean === null ? "" : text}†` : text;
  return h("td", { class: classes, "data-cell": cell.key, tabindex: -1 }, marked);
}

function rankOf(rank) {
  if (!rank) return h("td", { class: "rank start" });
  const [, , mean, low, high] = rank, title = `mean rank ${mean.toFixed(2)}, 95 %: ${low.toFixed(2)} to ${high.toFixed(2)}`;
  return h("td", { class: "rank start", title }, h("b", {}, rankText(rank)), h("small", {}, ` ${mean.toFixed(1)}`));
}

const rankText = ([first, last]) => (first === last ? String(first) : `${first}–${last}`);

function onGridClick(event) {
  const heading = event.target.closest("[data-sort]"), cell = event.target.closest("[data-cell]");
  if (heading) {
    const name = heading.dataset.sort;
    set({ sort: state.sort === name ? `-${name}` : state.sort === `-${name}` ? "" : name });
    document.querySelector(`[data-sort="${CSS.escape(name)}"]`)?.focus();
  } else if (cell) set({ cell: cell.dataset.cell }, true);
}

// Arrows move through the cells, as in a spreadsheet; Enter opens one.
function onGridKey(event) {
  const here = event.target.closest("[data-cell]");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!here || !(step || event.key === "Enter" || event.key === " ")) return;
  event.preventDefault();
  if (!step) return set({ cell: here.dataset.cell }, true);
  const rows = [...here.closest("tbody").rows];
  let row = rows.indexOf(here.parentNode), column = here.cellIndex, next = null;
  do {
    row += step[0];
    column += step[1];
    next = rows[row]?.cells[column];
  } while (next && next.tagName !== "TH" && !next.dataset.cell);
  if (!next?.dataset.cell) return;
  here.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function onGridFocus(event) {
  const place = event.target.closest("[data-cell]");
  if (!place) return hideTip();
  const cell = CELLS.get(place.dataset.cell);
  const texts = [`${cell.at.suite}, budget ${cell.at.budget}`, `${cell.at.heading} ${cell.text}`,
    `${percentInWords(cell.share)} of the gap from chance to best`,
    ...(cell.sent ? [`sent in: ${cell.sent}`] : []),
    ...(cell.diverged ? [`† ${cell.diverged} of ${cell.records} diverged`] : [])];
  place.setAttribute("aria-describedby", "tip");
  showTip(place.getBoundingClientRect(),
    [h("strong", {}, `${cell.name} on ${cell.at.task}`), ...texts.map((text) => h("span", {}, text))]);
}
