// Nodes are only ever made here, with texts as text nodes: what stands in a record is never read as markup.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child || child === 0 || child === ""));
  return node;
}

const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (id) => document.getElementById(id);

function table(caption, header, rows, { numbers = 1, classes = "" } = {}) {
  const cell = (tag) => (value, index) =>
    h(tag, { class: index >= numbers ? "number" : null, scope: tag === "th" ? "col" : null }, value ?? "–");
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: `plain ${classes}` },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, header.map(cell("th")))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell("td")))))));
}

function choice(label, key, options, { none = null } = {}) {
  const all = none === null ? options : [["", none], ...options];
  return h("label", { class: `choice ${key}` }, h("span", {}, label),
    h("select", { name: key, onchange: (event) => set({ [key]: event.target.value, zoom: "", off: "" }) },
      all.map(([value, text]) => h("option", { value, selected: String(state[key]) === String(value) }, text))));
}

const announce = (text) => { byId("status").textContent = text; };
