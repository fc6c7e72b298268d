// The overview as a table. Columns of fixed width spare the browser a look at every cell, and the rows of a large table
// come in parts, so that the first screen is there at once.
const WIDTHS = { name: [210, 120], size: [100, 0], mean: [68, 56], rank: [80, 80], share: [39, 39], score: [122, 122] };
const CELLS_AT_ONCE = 1200;
let waiting = null;
let finishRows = () => {};

const level = (share) => (share === null ? "none" : Math.round(10 * clamped(share)));

function cellText(cell) {
  const text = state.show === "score" ? cell.text.replace(/ \(.*/, "") : percent(cell.share);
  return cell.diverged ? `${cell.mean === null ? "" : text}†` : text;
}

function grid(cells) {
  const { rows, groups, columns } = matrixOf(cells), narrow = Number(innerWidth <= 700);
  const width = (kind) => WIDTHS[kind][narrow], kindOf = (column) => (column.ranks && !column.metric ? "rank" : state.show === "score" ? "score" : "share");
  const widths = ["name", ...(narrow ? [] : ["size"]), "mean", ...columns.map(kindOf)].map(width);
  const heads = [heading("network", "network", { class: "name" }), narrow ? null : heading("parameters", "parameters", { class: "number" }),
    heading("mean %", "share", { class: "number", title: "mean share over the tasks shown, each from 0 to 100 %; tasks weigh equally" })].filter(Boolean);
  const head = h("thead", {},
    h("tr", { class: "groups" }, heads.map(() => h("td")), groups.map(groupHeading)),
    h("tr", {}, heads, columns.map((column) => heading(column.task, column.key, { class: column.starts ? "task start" : "task", title: column.metric
      ? `${column.task}, ${column.heading} (${column.suite}, ${column.budget})` : "Rank on this board; rows whose 95 % intervals overlap share it" }))));
  const body = h("tbody");
  const whole = h("table", { class: "matrix", role: "grid", "aria-label": "Architectures by tasks", "aria-rowcount": rows.length + 2, onclick: onGridClick, onkeydown: onGridKey,
    onfocusin: onGridFocus, onpointerover: onGridFocus, onpointerleave: hideTip, onfocusout: hideTip }, h("colgroup", {}, widths.map((pixels) => sized(h("col"), pixels))), head, body);
  fillRows(body, rows, (row) => rowOf(row, columns, narrow), Math.ceil(CELLS_AT_ONCE / widths.length));
  const first = body.querySelector("[data-cell]");
  if (first) first.tabIndex = 0;
  return sized(whole, widths.reduce((sum, pixels) => sum + pixels + 1, 1));
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

function groupHeading(group) {
  return h("th", { colspan: group.columns.length, scope: "colgroup", class: 5 * group.columns.length <= group.suite.length ? "group narrow" : "group" },
    h("a", { href: link({ suite: group.suite, budget: group.budget }), title: `${group.suite}, budget ${group.budget}` }, group.suite, h("small", {}, group.budget)));
}

function heading(text, key, attributes) {
  const on = state.sort.replace(/^-/, "") === key, down = state.sort.startsWith("-");
  return h("th", { scope: "col", "aria-sort": on ? (down ? "descending" : "ascending") : null, ...attributes },
    h("button", { type: "button", "data-sort": key }, h("span", {}, text), on ? h("i", { "aria-hidden": "true" }, down ? "▾" : "▴") : null));
}

function rowOf(row, columns, narrow) {
  return h("tr", {}, h("th", { scope: "row", class: "name", title: row.name }, row.name),
    narrow ? null : h("td", { class: "number" }, span(row.all.map((cell) => cell.parameters), count)), h("td", { class: "number" }, percent(row.share)),
    columns.map((column) => {
      const cell = row.cells.get(column), start = column.starts ? "start" : "";
      if (!column.metric) return rankCell(column.ranks[row.index]);
      if (!cell) return h("td", start ? { class: start } : null);
      return h("td", { class: `heat l${level(cell.share)} ${cell.best ? "best" : ""} ${start}`, "data-cell": cell.key, tabindex: -1 }, cellText(cell));
    }));
}

function rankCell(rank) {
  return h("td", { class: "rank start" }, rank ? [h("b", {}, String(rank[0])), h("small", {}, ` ${rank[2].toFixed(1)}–${rank[3].toFixed(1)}`)] : null);
}

function onGridClick(event) {
  const sort = event.target.closest("[data-sort]"), cell = event.target.closest("[data-cell]");
  if (sort) {
    const key = sort.dataset.sort;
    set({ sort: state.sort === key ? `-${key}` : state.sort === `-${key}` ? "" : key });
    document.querySelector(`[data-sort="${CSS.escape(key)}"]`)?.focus();
  } else if (cell) set({ cell: cell.dataset.cell }, true);
}

// Arrows move through the cells, as in a spreadsheet; Enter opens one.
function onGridKey(event) {
  const here = event.target.closest("[data-cell]");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (here && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    set({ cell: here.dataset.cell }, true);
  } else if (here && step) {
    event.preventDefault();
    const rows = [...here.closest("tbody").rows];
    let row = rows.indexOf(here.parentNode), column = here.cellIndex, next = null;
    do {
      row += step[0];
      column += step[1];
      next = rows[row]?.cells[column];
    } while (next && next.tagName !== "TH" && !next.dataset.cell);
    if (next?.dataset.cell) {
      here.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
  }
}

function onGridFocus(event) {
  const place = event.target.closest("[data-cell]");
  if (!place) return hideTip();
  const cell = CELLS.get(place.dataset.cell);
  place.setAttribute("aria-describedby", "tip");
  showTip(place.getBoundingClientRect(), [h("strong", {}, `${cell.name} on ${cell.at.task}`), h("span", {}, `${cell.at.suite}, budget ${cell.at.budget}`),
    h("span", {}, `${cell.at.heading} ${cell.text}`), h("span", {}, `${percent(cell.share)} % of the gap from chance to best`),
    cell.diverged ? h("span", {}, `† ${cell.diverged} of ${cell.instances.instance.length} diverged`) : null]);
}
