"""A badge: a network's name and some of its totals, as a small SVG that needs no server."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from cnnprof.analysis.report import Report
from cnnprof.errors import brief, printable
from cnnprof.model.metrics import METRICS
from cnnprof.render.comparison import figure
from cnnprof.render.words import about

DEFAULT = ("params", "macs")
HEIGHT, PADDING, GLYPH = 20, 6, 6.6
"""Pixels; the width of a character of 11 pixels, on average. What a font has otherwise is fitted by `textLength`."""
NAMES = {"params": "params", "macs": "MACs", "flops": "FLOPs"}


def render(report: Report, metrics: Sequence[str] = DEFAULT) -> str:
    """The badge of a network: `resnet@50 | 25.6 M params · 4.09 G MACs`."""
    label = brief(printable(report.title), 40)
    message = " · ".join(_said(report, metric) for metric in metrics)
    left, right = (round(len(text) * GLYPH) + 2 * PADDING for text in (label, message))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="{HEIGHT}" role="img" '
        f"aria-label={quoteattr(f'{label}: {message}')}>",
        f"<title>{escape(f'{label}: {message}')}</title>",
        f'<clipPath id="r"><rect width="{left + right}" height="{HEIGHT}" rx="3"/></clipPath>',
        f'<g clip-path="url(#r)"><rect width="{left}" height="{HEIGHT}" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="{HEIGHT}" fill="#0b5cad"/></g>',
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
        _text(label, 0, left),
        _text(message, left, right),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _said(report: Report, metric: str) -> str:
    """`25.6 M params`; `depth 50`, of what has no unit; ≈ before an estimate."""
    value = report.metric(metric)
    if value is None:
        return f"no {metric}"
    shown = about(report.estimates, metric) + figure(metric, value).strip()
    name = NAMES.get(metric, metric)
    return f"{shown} {name}" if METRICS[metric].unit == "count" else f"{name} {shown}"


def _text(text: str, x: int, width: int) -> str:
    length = width - 2 * PADDING
    return f'<text x="{x + PADDING}" y="14" textLength="{length}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
