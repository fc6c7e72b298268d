// Numbers for readers, as the leaderboard writes them.
function short(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e").replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(digits + 1))).replace("-", "−");
}

function count(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1000) return String(value);
  return value < 999950 ? `${(value / 1e3).toFixed(1)}k` : `${(value / 1e6).toFixed(1)}M`;
}

const span = (values, text) => {
  const low = text(Math.min(...values)), high = text(Math.max(...values));
  return low === high ? low : `${low}–${high}`;
};

// Close to the best possible value it is the rest that tells: 99.9, 99.98, then ε4e−3, for 100 − 0.004.
function percent(share, rest = "ε") {
  if (share === null || share === undefined) return "–";
  const value = 100 * share, left = 100 * (1 - share);
  if (value < -99) return "<−99";
  if (left > 0 && left < 0.01) return rest + left.toExponential(0).replace("-", "−");
  return value.toFixed(left <= 0 || left > 1 ? 0 : left < 0.1 ? 2 : 1).replace("-", "−").replace(/^−0$/, "0");
}

const percentInWords = (share) => `${percent(share, "100 − ")} %`;

const milliseconds = (seconds) => (seconds ? `${short(1000 * seconds)} ms` : "–");
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
