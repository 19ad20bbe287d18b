"""Design tokens: every colour in light and dark, the font, and the Vega-Lite configuration that
all charts share.

Colours were chosen for contrast, for colour-blind eyes and for their order in grey, which
`tests/test_charts.py` checks; charts carry the light ones, and the exporter of pages turns each
into a CSS variable.
"""

from typing import Any

TOKENS: dict[str, tuple[str, str]] = {
    # surfaces, text and lines; halo and tip differ from their twins by a step, so that every light
    # hex names one variable of the page
    "page": ("#FFFFFF", "#12171D"),
    "panel": ("#F4F6F8", "#1A2129"),
    "line": ("#D8DDE3", "#333D48"),
    "rule": ("#1B2430", "#E8ECF0"),
    "control": ("#7B8794", "#7D8896"),
    "ink": ("#1B2430", "#E8ECF0"),
    "ink2": ("#4A5663", "#B5BFCA"),
    "ink3": ("#5F6B78", "#9AA6B2"),
    "grid": ("#E4E8EC", "#2A333D"),
    "axis": ("#818D9A", "#75818E"),
    "link": ("#0B5CAD", "#7DB7FF"),
    "focus": ("#0B5CAD", "#7DB7FF"),
    "accent": ("#B4470A", "#FF9B57"),
    "halo": ("#FFFFFE", "#12171D"),
    "tip": ("#1B2431", "#E8ECF1"),
    "tiptext": ("#FFFFFD", "#12171E"),
    # makers and their chips
    "trn3": ("#BE4D00", "#FA8D38"),
    "trn2": ("#D5762E", "#C9793B"),
    "trn1": ("#B58660", "#A07A5A"),
    "nvidia": ("#1B6E50", "#5AD8A8"),
    "tpu": ("#1F4FA3", "#789BF8"),
    "amd": ("#6E0A4A", "#EA5590"),
    "other": ("#7F8C98", "#8597A4"),
    # parts of a whole
    "p1": ("#2B2D5B", "#C3BEFA"),
    "p2": ("#5A57A6", "#918BE0"),
    "p3": ("#8E86CB", "#6A64B8"),
    "p4": ("#56606C", "#A9B2BC"),
    "p5": ("#828D99", "#747F8B"),
    # states: text and background
    "good": ("#11695F", "#6FD6C4"),
    "goodbg": ("#E2F3EF", "#12332F"),
    "warn": ("#8A5A00", "#F0BE5A"),
    "warnbg": ("#FCF1D6", "#382B0C"),
    "bad": ("#B3261E", "#FF9A90"),
    "badbg": ("#FCE8E6", "#43201D"),
    "none": ("#55606C", "#AAB4BF"),
    "nonebg": ("#ECEFF2", "#262E37"),
    "info": ("#0B4F96", "#9CC8FF"),
    "infobg": ("#E6EFFA", "#142C47"),
}
"""Every colour by name: (light, dark)."""
C = {name: light for name, (light, _) in TOKENS.items()}
"""Every colour by name, as charts carry it."""
PARTS = ("p1", "p2", "p3", "p4", "p5")
"""Colours of the parts of a whole, in the order of their meaning."""
FONT = (
    '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", '
    '"Liberation Sans", Arial, sans-serif'
)
GLYPHS = {
    "dot": "●",
    "hollow": "○",
    "square": "■",
    "faint": "▪",
    "triangle": "▲",
    "diamond": "◆",
    "bar": "■",
    "line": "━",
    "dashed": "╍",
    "band": "▬",
    "dashband": "╍",
    "tick": "┃",
    "whisker": "├┤",
}
"""Marks of a key as text, where no page draws them."""

STYLES: dict[str, Any] = {
    "unity": {
        "color": C["ink"],
        "strokeWidth": 1.5,
    },
    "threshold": {
        "color": C["ink2"],
        "strokeWidth": 1.25,
        "strokeDash": [2, 3],
    },
    "range": {
        "strokeWidth": 6,
        "opacity": 0.35,
    },
    "thin": {
        "strokeWidth": 3,
        "opacity": 0.3,
    },
    "halo": {
        "stroke": C["halo"],
        "fill": C["halo"],
        "strokeWidth": 4,
        "strokeJoin": "round",
    },
    "part": {
        "stroke": C["page"],
        "strokeWidth": 1.5,
    },
    "shade": {
        "color": C["trn3"],
        "opacity": 0.16,
    },
    "mark": {
        "color": C["ink"],
    },
    "strong": {
        "fontWeight": 600,
    },
}
"""Named looks of marks, as in ``mark_rule(style=...)``."""
CONFIG: dict[str, Any] = {
    "background": "transparent",
    "autosize": {
        "type": "fit-x",
        "contains": "padding",
    },
    "padding": {
        "left": 2,
        "right": 8,
        "top": 14,
        "bottom": 4,
    },
    "view": {
        "stroke": None,
    },
    "legend": {
        "disable": True,
    },
    "numberFormat": ",.3~r",
    "mark": {
        "aria": False,
    },
    "axis": {
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelColor": C["ink2"],
        "titleColor": C["ink2"],
        "gridColor": C["grid"],
        "gridWidth": 1,
        "domainColor": C["axis"],
        "tickColor": C["axis"],
        "tickSize": 4,
        "labelPadding": 5,
        "titlePadding": 8,
        "labelLimit": 220,
        "labelOverlap": "greedy",
        "labelSeparation": 8,
    },
    "axisX": {
        "grid": False,
        "titleAnchor": "end",
        "titleAlign": "right",
    },
    "axisY": {
        "domain": False,
        "ticks": False,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "end",
        "titleX": 0,
        "titleY": -14,
        "titleBaseline": "bottom",
    },
    "line": {
        "strokeWidth": 2.25,
        "strokeCap": "butt",
        "strokeJoin": "round",
    },
    "point": {
        "filled": True,
        "size": 64,
        "strokeWidth": 1.75,
        "opacity": 1,
    },
    "area": {
        "line": False,
    },
    "text": {
        "fontSize": 12,
        "color": C["ink"],
        "baseline": "middle",
        "align": "left",
    },
    "range": {
        "category": [C["trn3"], C["nvidia"], C["tpu"], C["amd"], C["other"]],
    },
}
"""Vega-Lite configuration of the exported page."""
CONFIG |= {"font": FONT, "style": STYLES}
TITLE = {
    "anchor": "start",
    "frame": "bounds",
    "fontSize": 15,
    "fontWeight": 700,
    "color": C["ink"],
    "subtitleFontSize": 12,
    "subtitleColor": C["ink2"],
    "subtitlePadding": 4,
    "offset": 12,
}
NOTEBOOK: dict[str, Any] = CONFIG | {
    "background": C["page"],
    "padding": {"left": 16, "right": 16, "top": 14, "bottom": 12},
    "title": TITLE,
}
"""The same on a white card with titles, for notebooks and pictures."""
DASHES: tuple[list[int], ...] = ([1, 0], [6, 3], [2, 3])
"""Dash patterns of chips of one colour, newest first."""
