// What is shown is a function of the state, and the state stands in the address: a link shows what its sender saw.
const DEFAULTS = {
  view: "overview", suite: "", budget: "", paper: "", least: "", most: "", q: "", sort: "", show: "share", cell: "",
  plot: "curves", column: "", split: "val", x: "parameters", y: "score", sweep: "", off: "", zoom: "", axes: "",
  verdict: "", theme: "",
};

function readState() {
  const given = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, given.get(key) ?? value]));
}

let state = readState();

function link(changes) {
  const given = Object.entries({ ...state, ...changes }).filter(([key, value]) => String(value) !== DEFAULTS[key]);
  return `#${new URLSearchParams(given)}`;
}

// Back leads out of a cell or a view; filters replace the entry, or typing a word would fill the history.
function set(changes, push = false) {
  const address = link(changes);
  state = { ...state, ...changes };
  if (address !== location.hash) history[push ? "pushState" : "replaceState"](null, "", address);
  render();
}

// Names in one text, with a bar between them.
const textOf = (names) => names.map((name) => name.replaceAll("~", "~0").replaceAll("|", "~1")).join("|");
const listOf = (text) =>
  text.split("|").filter(Boolean).map((name) => name.replaceAll("~1", "|").replaceAll("~0", "~"));
