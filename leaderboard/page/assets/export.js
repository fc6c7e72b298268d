// What is shown, as CSV or JSON: every view sets `exported`, one flat object for each row.
let exported = [];

// A text that a spreadsheet would take for a formula gets an apostrophe in front; JSON holds it as it is.
function csvField(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(rows) {
  const names = Object.keys(rows[0] || {});
  const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
  return lines.map((line) => `${line.map(csvField).join(",")}\r\n`).join("");
}

function download(kind) {
  const text = kind === "csv" ? csv(exported) : `${JSON.stringify(exported, null, 1)}\n`;
  const type = kind === "csv" ? "text/csv" : "application/json";
  const address = URL.createObjectURL(new Blob([text], { type }));
  h("a", { href: address, download: `rnnbench-${state.view}.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
