// One box for what is under the pointer or has the focus; screen readers hear of it by aria-describedby or the status.
function showTip(box, lines) {
  const tip = byId("tip");
  tip.replaceChildren(...lines.filter(Boolean));
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  const left = Math.min(Math.max(8, box.left + box.width / 2 - width / 2), innerWidth - width - 8);
  const above = box.top - height - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : Math.min(box.bottom + 10, innerHeight - height - 8)}px`;
}

function hideTip() {
  byId("tip").hidden = true;
}
