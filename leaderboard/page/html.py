"""One HTML file of the page's data, script and style, under a policy that lets nothing else run, load or be sent."""

import base64
import hashlib
import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnbench.leaderboard.drawing.figure_style import COLOURS

_ASSETS = Path(__file__).parent / "assets"
_STYLES = ("base.css", "tables.css", "charts.css", "media.css")
# In the order in which they run: each uses what stands before it.
_SCRIPTS = (
    "dom.js", "format.js", "state.js", "data.js", "tip.js", "axis.js", "draw.js", "follow.js", "chart.js", "export.js",
    "filters.js", "matrix.js", "grid.js", "overview.js", "plots.js", "scatter.js", "along.js", "cell.js", "claims.js",
    "published.js", "about.js", "main.js",
)  # fmt: skip
# On dark paper the figures' black would vanish, and their darkest blue nearly so.
_ON_DARK = {"#000000": "#dfe3e8", "#0072B2": "#3d9ad6"}


def render(data: Mapping[str, Any]) -> bytes:
    """Return the page: the same bytes for the same data."""
    palette = "".join(f"--c{i}:light-dark({c},{_ON_DARK.get(c, c)});" for i, c in enumerate(COLOURS))
    style = f":root{{{palette}}}\n{_joined(_STYLES)}"
    script = f'(() => {{\n"use strict";\n{_joined(_SCRIPTS)}}})();\n'
    # No text of the data can end the element that holds it.
    plain = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    template = string.Template((_ASSETS / "page.html").read_text(encoding="utf-8"))
    return template.substitute(policy=_policy(script, style), style=style, script=script, data=plain).encode()


def _joined(names: tuple[str, ...]) -> str:
    return "".join((_ASSETS / name).read_text(encoding="utf-8") for name in names)


def _policy(script: str, style: str) -> str:
    """Return the content security policy: our script and style by their hashes, and markup from no string."""
    return (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; base-uri 'none'; "
        "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
