// What a chart does under the pointer and the keys: name the nearest point, open its cell, zoom into a rectangle.
const NEAR = 40;

function follow(root, spec, placed, { x, y, box, ring, brush, width }) {
  const inside = placed.filter((one) => one.left >= box.x - 1 && one.left <= box.x + box.width + 1 && one.top >= box.y - 1 && one.top <= box.y + box.height + 1);
  let here = null, from = null;
  const place = (event) => {
    const bounds = root.getBoundingClientRect(), factor = width / bounds.width;
    return [factor * (event.clientX - bounds.left), factor * (event.clientY - bounds.top)];
  };
  const light = (one, spoken) => {
    here?.group.classList.remove("lit");
    here = one;
    root.classList.toggle("lit", Boolean(one));
    ring.toggleAttribute("hidden", !one);
    if (!one) return hideTip();
    one.group.classList.add("lit");
    one.group.parentNode.append(one.group);
    ring.setAttribute("cx", one.left);
    ring.setAttribute("cy", one.top);
    const bounds = root.getBoundingClientRect(), factor = bounds.width / width;
    const at = { left: bounds.left + factor * one.left - 6, top: bounds.top + factor * one.top - 6, width: 12, bottom: bounds.top + factor * one.top + 6 };
    const texts = pointLines(spec, one);
    showTip(at, texts.map((text, index) => h(index ? "span" : "strong", {}, text)));
    if (spoken) announce(texts.join(", "));
  };
  const nearest = ([left, top]) => {
    let best = null, least = NEAR;
    for (const one of inside) {
      const distance = Math.hypot(one.left - left, one.top - top);
      if (distance < least) [best, least] = [one, distance];
    }
    return best;
  };
  root.addEventListener("pointermove", (event) => {
    const [left, top] = place(event);
    if (!from) return light(nearest([left, top]));
    const sides = { x: Math.min(from[0], left), y: Math.min(from[1], top), width: Math.abs(left - from[0]), height: Math.abs(top - from[1]) };
    fill(brush, sides, []).removeAttribute("hidden");
  });
  root.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && event.button === 0) from = place(event); });
  root.addEventListener("pointerleave", () => { from = null; brush.setAttribute("hidden", ""); light(null); });
  root.addEventListener("pointerup", (event) => {
    const to = place(event), dragged = from && Math.hypot(to[0] - from[0], to[1] - from[1]) > 8;
    if (dragged) {
      const sides = [[from[0], to[0]].map(x.back), [to[1], from[1]].map(y.back)].map((pair) => pair.sort((a, b) => a - b));
      set({ zoom: sides.flat().map((value) => Number(value.toPrecision(5))).join(",") });
    } else if (here?.point.cell && event.button === 0) set({ cell: here.point.cell }, true);
    from = null;
  });
  root.addEventListener("dblclick", () => set({ zoom: "" }));
  root.addEventListener("blur", () => light(null));
  root.addEventListener("keydown", (event) => {
    const line = inside.filter((one) => one.line === here?.line), lines = [...new Set(inside.map((one) => one.line))];
    const beside = (step) => line[line.indexOf(here) + step] || here || inside[0];
    const other = (step) => {
      const next = lines[(lines.indexOf(here?.line) + step + lines.length) % lines.length];
      const candidates = inside.filter((one) => one.line === next);
      return candidates.reduce((a, b) => (Math.abs(b.left - (here?.left ?? 0)) < Math.abs(a.left - (here?.left ?? 0)) ? b : a), candidates[0]);
    };
    const acts = {
      ArrowRight: () => light(beside(1), true), ArrowLeft: () => light(beside(-1), true), ArrowUp: () => light(other(1), true),
      ArrowDown: () => light(other(-1), true), "+": () => zoomBy(0.5), "-": () => zoomBy(2), 0: () => set({ zoom: "" }),
      Escape: () => light(null), Enter: () => here?.point.cell && set({ cell: here.point.cell }, true),
    };
    if (acts[event.key] && (inside.length || event.key === "0" || event.key === "-")) {
      event.preventDefault();
      acts[event.key]();
    }
  });
}

function pointLines(spec, { line, point }) {
  const range = point.low !== undefined && point.low !== point.high ? ` (${short(point.low)} to ${short(point.high)})` : "";
  return [line.name, `${spec.x.label}: ${short(point.x)}`, `${spec.y.label}: ${short(point.y)}${range}`, ...(point.tip ? [point.tip] : [])];
}
