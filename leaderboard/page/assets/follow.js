// What a chart does under the pointer and the keys: name the nearest point, open its cell, zoom into a rectangle.
const NEAR = 40;
const DRAGGED = 8;

function follow(root, spec, placed, { x, y, box, ring, brush, width }) {
  const within = (value, from, length) => value >= from - 1 && value <= from + length + 1;
  const inside = placed.filter((one) => within(one.left, box.x, box.width) && within(one.top, box.y, box.height));
  let here = null, from = null;

  const place = (event) => {
    const bounds = root.getBoundingClientRect(), factor = width / bounds.width;
    return [factor * (event.clientX - bounds.left), factor * (event.clientY - bounds.top)];
  };
  const light = (one, spoken = false) => {
    here?.group.classList.remove("lit");
    here = one;
    root.classList.toggle("lit", Boolean(one));
    ring.toggleAttribute("hidden", !one);
    if (!one) return hideTip();
    one.group.classList.add("lit");
    fill(ring, { cx: one.left, cy: one.top }, []);
    const texts = pointLines(spec, one);
    showTip(ring.getBoundingClientRect(), texts.map((text, index) => h(index ? "span" : "strong", {}, text)));
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
  const beside = (step) => {
    const own = inside.filter((one) => one.line === here?.line);
    return own[own.indexOf(here) + step] || here || inside[0];
  };
  // The point of the next line that is nearest to this one along the axis.
  const above = (step) => {
    const lines = [...new Set(inside.map((one) => one.line))];
    const next = lines[(lines.indexOf(here?.line) + step + lines.length) % lines.length];
    const away = (one) => Math.abs(one.left - (here?.left ?? 0));
    return inside.filter((one) => one.line === next).reduce((a, b) => (away(b) < away(a) ? b : a));
  };
  const openHere = () => here?.point.cell && set({ cell: here.point.cell }, true);
  const keys = {
    "+": () => zoomBy(0.5), "-": () => zoomBy(2), 0: () => set({ zoom: "" }), Escape: () => light(null),
    Enter: openHere,
    ...(inside.length ? { ArrowRight: () => light(beside(1), true), ArrowLeft: () => light(beside(-1), true),
      ArrowUp: () => light(above(1), true), ArrowDown: () => light(above(-1), true) } : {}),
  };
  const listeners = {
    pointermove: (event) => {
      const [left, top] = place(event);
      if (!from) return light(nearest([left, top]));
      fill(brush, { x: Math.min(from[0], left), y: Math.min(from[1], top), width: Math.abs(left - from[0]),
        height: Math.abs(top - from[1]) }, []).removeAttribute("hidden");
    },
    pointerdown: (event) => { if (event.pointerType === "mouse" && event.button === 0) from = place(event); },
    pointerup: (event) => {
      const to = place(event), started = from;
      from = null;
      if (started && Math.hypot(to[0] - started[0], to[1] - started[1]) > DRAGGED) {
        const sides = [[started[0], to[0]].map(x.back), [to[1], started[1]].map(y.back)];
        set({ zoom: zoomText(sides.flatMap((pair) => pair.sort((a, b) => a - b))) });
      } else if (event.button === 0) openHere();
    },
    pointerleave: () => {
      from = null;
      brush.setAttribute("hidden", "");
      light(null);
    },
    dblclick: () => set({ zoom: "" }),
    blur: () => light(null),
    keydown: (event) => {
      if (!Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      keys[event.key]();
    },
  };
  for (const [name, listener] of Object.entries(listeners)) root.addEventListener(name, listener);
}

function pointLines(spec, { line, point }) {
  const ranged = Number.isFinite(point.low) && point.low !== point.high;
  const range = ranged ? ` (${short(point.low)} to ${short(point.high)})` : "";
  const values = [`${spec.x.label}: ${short(point.x)}`, `${spec.y.label}: ${short(point.y)}${range}`];
  return [line.name, ...values, ...(point.tip ? [point.tip] : [])];
}
