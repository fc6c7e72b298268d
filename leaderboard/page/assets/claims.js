// The papers' statements: verdict, numbers, and a figure of what was compared with what was asked.
const VERDICTS = { holds: "✓", fails: "✗", undecided: "?", open: "○" };

function claimsView() {
  const there = DATA.claims.filter((claim) =>
    (!state.verdict || claim.verdict === state.verdict) && (!state.paper || claim.paper_name === state.paper) &&
    (!state.suite || claim.suites.includes(state.suite)) &&
    `${claim.id} ${claim.statement}`.toLowerCase().includes(state.q.toLowerCase()));
  const number = (verdict) => DATA.claims.filter((claim) => claim.verdict === verdict).length;
  const verdicts = Object.keys(VERDICTS).filter(number);
  const tabs = [["", `all ${DATA.claims.length}`],
    ...verdicts.map((verdict) => [verdict, `${VERDICTS[verdict]} ${number(verdict)} ${verdict}`])];
  exported = there.flatMap(claimRows);
  return [
    h("div", { class: "tabs", role: "group", "aria-label": "Verdict" }, tabs.map(([verdict, text]) =>
      h("button", { type: "button", "aria-pressed": String(state.verdict === verdict),
        onclick: () => set({ verdict }) }, text))),
    h("p", { class: "remark" }, "Each is decided from these records alone, by a rule that was written before them. " +
      "Dots are values, lines 95 % intervals, strokes thresholds. undecided: the interval covers the threshold. " +
      "open: records are missing."),
    h("div", { class: "claims" }, there.map(claimCard)),
  ];
}

function claimRows(claim) {
  return (claim.outcomes.length ? claim.outcomes : [{}]).map((outcome) => ({
    claim: claim.id, statement: claim.statement, verdict: claim.verdict, compared: outcome.what ?? "",
    value: outcome.value ?? null, low: outcome.low ?? null, high: outcome.high ?? null, wanted: outcome.wanted ?? "",
    n: outcome.n ?? null,
  }));
}

function claimCard(claim) {
  const board = (suite) => link({ view: "overview", suite, budget: "", paper: "", q: "", sort: "" });
  return h("article", { class: `claim ${claim.verdict}` },
    h("header", {}, h("h2", {}, h("span", {}, claim.id), " ", claim.statement),
      h("strong", { class: "verdict" }, `${VERDICTS[claim.verdict]} ${claim.verdict}`)),
    h("p", { class: "place" }, `${claim.paper_name}, ${claim.place}`,
      claim.suites.map((suite) => [" · ", h("a", { href: board(suite) }, suite)])),
    [claim.note, claim.reason].filter(Boolean).map((text) => h("p", { class: "remark" }, text)),
    claim.outcomes.length ? h("details", { open: claim.outcomes.length <= 8 },
      h("summary", {}, plural(claim.outcomes.length, "comparison")), outcomesTable(claim)) : null,
    claim.missing ? h("p", {}, `${plural(claim.missing, "cell")} missing, ${hoursOf(claim)}:`) : null,
    claim.commands.map((text) => h("div", { class: "command" }, h("code", { tabindex: 0 }, text))));
}

// Claims that share records have their hours at one of them.
const hoursOf = ({ hours }) => (hours ? `about ${hours} core-hour${hours === 1 ? "" : "s"}`
  : "the hours are those of another claim");

const threshold = (outcome) => {
  const found = /(-?[\d.]+(?:e[-+]?\d+)?)\s*$/.exec(outcome.wanted);
  return found ? Number(found[1]) : null;
};

// A row for each comparison, with its figure: the value, its interval, and a stroke at the threshold of the rule.
function outcomesTable(claim) {
  const all = claim.outcomes.flatMap((one) => [one.value, one.low, one.high, threshold(one)]).filter(Number.isFinite);
  const log = all.every((value) => value > 0) && Math.max(...all) > 1000 * Math.min(...all);
  const x = axis(extent(all, log), log, 12, 228);
  const tick = (value) => s("text", { x: x.at(value), y: 12, "text-anchor": "middle" }, tickText(value));
  const scale = s("svg", { viewBox: "0 0 240 16", class: "axes", role: "img", "aria-label": "scale of the figure" },
    ticksOf(x.range, log, 4).map(tick));
  const remarked = claim.outcomes.some((one) => one.remark);
  const header = ["compared", all.length ? scale : "", "value", "95 % interval", "must be", "n", "verdict",
    ...(remarked ? ["remark"] : [])];
  const rows = claim.outcomes.map((one) => [one.what, outcomeFigure(one, x), short(one.value),
    one.low === null || one.high === null ? "–" : `${short(one.low)} to ${short(one.high)}`, one.wanted, one.n,
    h("span", { class: one.verdict }, h("b", { class: "verdict" }, one.verdict)), ...(remarked ? [one.remark] : [])]);
  return table(`Comparisons of ${claim.id}`, header, rows, { numbers: header.length, classes: "outcomes" });
}

function outcomeFigure(one, x) {
  if (one.value === null || !Number.isFinite(x.at(one.value))) return "";
  const wanted = threshold(one), whole = one.low !== null && one.high !== null;
  const text = `${short(one.value)}${wanted === null ? "" : `, threshold ${short(wanted)}`}`;
  return s("svg", { viewBox: "0 0 240 20", role: "img", "aria-label": text, class: `outcome ${one.verdict}` },
    s("g", { class: "axes" }, s("line", { x1: 0, x2: 240, y1: 10, y2: 10 })),
    wanted === null ? null : s("line", { class: "threshold", x1: x.at(wanted), x2: x.at(wanted), y1: 2, y2: 18 }),
    whole ? s("line", { class: "interval", x1: x.at(one.low), x2: x.at(one.high), y1: 10, y2: 10 }) : null,
    s("circle", { cx: x.at(one.value), cy: 10, r: 4.5 }));
}
