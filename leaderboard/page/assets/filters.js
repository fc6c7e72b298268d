// The filters, above every view; what they leave out is in `selectedCells`.
function filters() {
  const field = (name, label, type, placeholder) =>
    h("label", { class: `choice ${name}` }, h("span", {}, label),
      h("input", { type, name, value: state[name], placeholder, min: type === "number" ? 0 : null,
        oninput: (event) => set({ [name]: event.target.value }) }));
  const among = (name) => {
    const values = distinct(DATA.boards.map((board) => board[name]));
    return choice(name, name, values.map((value) => [value, value]), { none: "all" });
  };
  const reset = () => {
    set({ ...DEFAULTS, view: state.view, theme: state.theme });
    drawFilters();
  };
  return [field("q", "search", "search", "network, task, suite"), among("suite"), among("budget"), among("paper"),
    field("least", "parameters from", "number", "0"), field("most", "to", "number", "∞"),
    h("button", { type: "button", class: "reset", onclick: reset }, "reset")];
}

function drawFilters() {
  byId("filters").replaceChildren(...filters());
}
