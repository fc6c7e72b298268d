// What a cell opens: its instances, curve, recipe, hardware, commits, and the command that runs it again.
function openCell(cell) {
  const dialog = byId("cell");
  const closing = { type: "button", class: "close", "aria-label": "Close", onclick: () => set({ cell: "" }) };
  const reason = cell.reason ? h("p", { class: "remark" }, `Trained otherwise than the others: ${cell.reason}`) : null;
  const parts = [
    h("header", {}, h("div", {}, h("h2", { id: "cell-title" }, `${cell.name} on ${cell.at.task}`),
      h("p", {}, `${cell.at.suite}, budget ${cell.at.budget}`)), h("button", closing, "×")),
    facts(cell), command(cell), reason, section("Instances", listed(cell), instancesTable(cell)),
    cell.curve ? section("Learning curve", sketch(cell)) : null,
    section("Recipe", table("Recipe", ["setting", "value"], cell.recipe.map((index) => DATA.settings[index]),
      { numbers: 2, classes: "settings" })),
    section("Hardware and code", hardware(cell)),
  ];
  dialog.replaceChildren(...parts.filter(Boolean));
  if (!dialog.open) dialog.showModal();
}

const section = (title, ...children) => h("section", {}, h("h3", {}, title), children);

function facts(cell) {
  const at = cell.at;
  const published = (cell.published || []).map((index) => DATA.published[index]);
  const rank = at.ranks[cell.network];
  const entries = [
    [at.heading, cell.text],
    ["share of the gap", percentInWords(cell.share)],
    ["chance, best possible", `${short(at.scale * cell.chance)}, ${short(at.scale * at.best_possible)}`],
    ["rank on the board", rank && `${rankText(rank)} (mean ${short(rank[2])}, ${short(rank[3])} to ${short(rank[4])})`],
    ["published", published.map((one) => `${one.value} (${[one.source, one.parameters && `${one.parameters} parameters`,
      one.trained || "length not stated"].filter(Boolean).join(", ")})`).join("; ")],
    ["sent in", cell.sent],
    ["parameters", cell.parameters.toLocaleString("en")],
    ["state size", String(cell.state)],
    ["trained for", cell.trained],
    ["chosen from", cell.grid],
    ["time a step", milliseconds(cell.seconds)],
    ["peak memory", mebibytes(cell.memory)],
    ...Object.entries(cell.dynamics).map(([name, value]) => [DATA.dynamics[name], short(value)]),
  ];
  return h("dl", { class: "facts" }, entries.filter(([, text]) => text).map(([name, text]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, text))));
}

function command(cell) {
  const copy = (event) => navigator.clipboard.writeText(cell.command).then(
    () => { event.target.textContent = "copied"; }, () => announce("The command could not be copied"));
  return h("div", { class: "command" }, h("code", { tabindex: 0 }, cell.command),
    navigator.clipboard ? h("button", { type: "button", onclick: copy }, "copy") : null);
}

function listed(cell) {
  const count = cell.instances.instance.length;
  return count < cell.records ? h("p", {}, `The first ${count} of ${cell.records} instances.`) : null;
}

function instancesTable(cell) {
  const score = (value) => (value === null ? "–" : short(cell.at.scale * value, 4));
  const columns = [
    ["instance", "instance", String], ["status", "status", String], ["test", `test ${cell.at.axis}`, score],
    ["val", "validation", score], ["best_test", "best test over training", score],
    ["steps", "steps", (value) => value.toLocaleString("en")],
    ["reached", "iterations to minimal performance", (value) => value ?? "–"], ["seconds", "a step", milliseconds],
    ["memory", "memory", mebibytes], ["commit", "commit", (index) => DATA.commits[index].slice(0, 8)],
  ];
  const values = cell.instances;
  const rows = values.instance.map((_, row) => columns.map(([name, , text]) => text(values[name][row])));
  return table("Instances", columns.map(([, heading]) => heading), rows, { numbers: 2, classes: "instances" });
}

// This curve does not zoom: the address holds one zoom, and "Plots" shows the same line beside others.
function sketch(cell) {
  const { step, val, test } = cell.curve, width = 850, height = 210;
  const points = (values) => step.map((x, index) => [x, values[index]]).filter(([, y]) => y !== null);
  const series = [["validation", 0, points(val)], ["test", 1, points(test)]];
  const all = series.flatMap(([, , own]) => own.map(([, y]) => y));
  const log = cell.at.direction === "min" && all.every((y) => y > 0);
  const x = axis(extent(step, false), false, MARGIN.left, width - 10);
  const y = axis(extent(all, log), log, height - 34, MARGIN.top);
  const box = { x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - 10, height: height - MARGIN.top - 34 };
  const place = ([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`;
  const label = `Mean ${cell.at.heading} over optimiser steps, at last ${short(val[val.length - 1])} on validation`;
  const beside = link({ cell: "", view: "plots", plot: "curves", column: cell.at.key, suite: cell.at.suite });
  return h("figure", { class: "chart small" },
    s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      axes({ x: { label: "" }, y: { label: cell.at.axis } }, x, y, box),
      series.map(([, look, own]) => s("g", { class: lookOf(look) },
        s("path", { class: "line", d: `M${own.map(place).join("L")}` }),
        own.length === 1 ? s("path", { class: "dot", d: MARKERS.o, transform: `translate(${place(own[0])})` }) : null))),
    h("figcaption", {}, series.map(([name, look]) => h("span", { class: lookOf(look) }, sample({ path: true }), name)),
      h("a", { href: beside }, "beside the other networks")));
}

function hardware(cell) {
  const commits = [...new Set(cell.instances.commit)].map((index) => DATA.commits[index]).join(", ");
  return [h("ul", {}, cell.hardware.map((index) => h("li", {}, DATA.hardware[index]))),
    h("p", {}, `Commit ${commits}; finished ${cell.finished}.`)];
}
