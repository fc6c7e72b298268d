// Axes: from values to places, and where the ticks stand.
// Beyond it, differences overflow.
const MOST_DRAWN = 1e200;

function extent(values, log) {
  const usable = values.filter((value) => Math.abs(value) < MOST_DRAWN && (!log || value > 0));
  if (!usable.length) return log ? [1, 10] : [0, 1];
  let low = usable.reduce((a, b) => Math.min(a, b)), high = usable.reduce((a, b) => Math.max(a, b));
  if (log) {
    const margin = (high / low) ** 0.04;
    return low === high ? [low / 2, high * 2] : [low / margin, high * margin];
  }
  const margin = low === high ? Math.abs(low) * 0.1 || 1 : 0.04 * (high - low);
  return [low - margin, high + margin];
}

function ticksOf([low, high], log, most) {
  if (log) {
    const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
    const every = Math.max(1, Math.ceil((last - first) / most)), parts = last - first > 2 ? [1] : [1, 2, 5];
    const found = [];
    for (let power = first; power <= last; power += every) for (const part of parts) found.push(part * 10 ** power);
    const inside = found.filter((value) => value >= low && value <= high);
    if (inside.length > 1) return inside;
  }
  const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * size >= rough) * size;
  const found = [];
  for (let index = Math.ceil(low / step); index * step <= high; index += 1) found.push(index * step);
  return found.map((value) => Number(value.toPrecision(12)));
}

function axis(range, log, from, to) {
  const place = log ? Math.log : (value) => value;
  const [low, high] = range.map(place);
  const at = (value) => from + ((place(value) - low) / (high - low)) * (to - from);
  const back = (pixel) => {
    const value = low + ((pixel - from) / (to - from)) * (high - low);
    return log ? Math.exp(value) : value;
  };
  return { at, back, range, log };
}

const tickText = (value) => {
  const power = Math.log10(Math.abs(value));
  return value && (power >= 5 || power <= -4) ? value.toExponential().replace("e+", "e").replace("-", "−")
    : short(value);
};
