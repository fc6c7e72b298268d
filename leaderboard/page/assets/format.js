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

function percent(share) {
  if (share === null || share === undefined) return "–";
  const value = 100 * share;
  if (value < -99) return "<−99";
  if (value >= 99 && value < 99.95) return value.toFixed(1);
  return value.toFixed(0).replace("-", "−").replace(/^−0$/, "0");
}

const milliseconds = (seconds) => (seconds ? `${short(1000 * seconds)} ms` : "–");
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
