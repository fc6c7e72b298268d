// What a cell opens: its instances, curve, recipe, hardware, commits, and the command that runs it again.
function openCell(cell) {
  const dialog = byId("cell");
  const parts = [
    h("header", {}, h("div", {}, h("h2", { id: "cell-title" }, `${cell.name} on ${cell.at.task}`), h("p", {}, `${cell.at.suite}, budget ${cell.at.budget}`)),
      h("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => set({ cell: "" }) }, "×")),
    facts(cell), command(cell), cell.reason ? h("p", { class: "remark" }, `Trained otherwise than the others: ${cell.reason}`) : null,
    section("Instances", instancesTable(cell)), cell.curve ? section("Learning curve", sketch(cell)) : null,
    section("Recipe", recipe(cell)), section("Hardware and code", hardware(cell))];
  dialog.replaceChildren(...parts.filter(Boolean));
  if (!dialog.open) dialog.showModal();
}

const section = (title, ...children) => h("section", {}, h("h3", {}, title), children);

function facts(cell) {
  const at = cell.at, published = (cell.published || []).map((index) => DATA.published[index]);
  const entries = [
    [at.heading, cell.text], ["share of the gap", `${percent(cell.share)} %`], ["chance, best possible", `${short(at.scale * cell.chance)}, ${short(at.scale * at.best_possible)}`],
    ["published", published.map((one) => `${one.value} (${one.source}${one.epochs ? `, ${one.epochs} epochs` : ""})`).join("; ")],
    ["parameters", cell.parameters.toLocaleString("en")], ["state size", cell.state], ["trained for", cell.trained], ["chosen from", cell.grid],
    ["time a step", milliseconds(cell.seconds)], ["peak memory", mebibytes(cell.memory)],
    ...Object.entries(cell.dynamics).map(([key, value]) => [DATA.dynamics[key], short(value)])];
  return h("dl", { class: "facts" }, entries.filter(([, text]) => text || text === 0).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(text)))));
}

function command(cell) {
  const copied = (event) => navigator.clipboard?.writeText(cell.command).then(() => { event.target.textContent = "copied"; }, () => announce("The command could not be copied"));
  return h("div", { class: "command" }, h("code", { tabindex: 0 }, cell.command), navigator.clipboard ? h("button", { type: "button", onclick: copied }, "copy") : null);
}

const INSTANCE = ["instance", "status", "test", "val", "best_test", "steps", "reached", "seconds", "memory", "commit"];

function instancesTable(cell) {
  const scale = (value) => (value === null ? "–" : short(cell.at.scale * value, 4));
  const texts = { test: scale, val: scale, best_test: scale, seconds: milliseconds, memory: mebibytes, commit: (index) => DATA.commits[index].slice(0, 8),
    reached: (value) => value ?? "–", status: (text) => text, steps: (value) => value.toLocaleString("en") };
  const heads = { test: `test ${cell.at.axis}`, val: "validation", best_test: "best test over training", reached: "iterations to minimal performance", seconds: "a step" };
  const rows = cell.instances.instance.map((_, row) => INSTANCE.map((name) => (texts[name] || String)(cell.instances[name][row])));
  return table("Instances", INSTANCE.map((name) => heads[name] || name), rows, { numbers: 2, classes: "instances" });
}

// The dialog's curve does not zoom: the address holds one zoom, and "Plots" shows the same line beside others.
function sketch(cell) {
  const { step, val, test } = cell.curve, width = 850, height = 210;
  const series = [["validation", val, 0], ["test", test, 1]].map(([name, values, look]) => [name, look, step.map((x, index) => [x, values[index]]).filter(([, y]) => y !== null)]);
  const all = series.flatMap(([, , points]) => points), log = cell.at.direction === "min" && all.every(([, y]) => y > 0);
  const x = axis(extent(step, false), false, 60, width - 10), y = axis(extent(all.map(([, value]) => value), log), log, height - 34, 10);
  const box = { x: 60, y: 10, width: width - 70, height: height - 44 };
  return h("figure", { class: "chart small" }, s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Mean ${cell.at.heading} over optimiser steps; its last validation value is ${short(val[val.length - 1])}` },
    axes({ x: { label: "" }, y: { label: cell.at.axis } }, x, y, box),
    series.map(([, look, points]) => s("g", { class: `series ${lookOf(look)}` }, s("path", { class: "line", d: `M${points.map(([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`).join("L")}` })))),
  h("figcaption", {}, series.map(([name, look]) => h("span", { class: lookOf(look) }, s("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" }, s("path", { class: "line", d: "M1,6H25" })), name)),
    h("a", { href: link({ cell: "", view: "plots", plot: "curves", column: cell.at.key, suite: cell.at.suite }) }, "beside the other networks")));
}

function recipe(cell) {
  return table("Recipe", ["setting", "value"], cell.recipe.map((index) => DATA.settings[index]), { numbers: 2, classes: "settings" });
}

function hardware(cell) {
  const commits = distinct(cell.instances.commit).concat(cell.instances.commit.includes(0) ? [0] : []);
  return [h("ul", {}, cell.hardware.map((index) => h("li", {}, DATA.hardware[index]))),
    h("p", {}, `Commit ${distinct(commits.map((index) => DATA.commits[index])).join(", ")}; finished ${cell.finished}.`)];
}
