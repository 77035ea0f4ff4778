"""What a self-contained HTML page is made with: templates, numbers as text, inline pictures."""

import io
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

from ocsdf.utils.rounding import percent_below, tenths_below

# matplotlib writes this colour into the SVG, and the page's own text colour takes its place there.
_INK = "#010203"


def fill_template(package, name, tests=None, **content):
    """Fill one of a package's templates."""
    import jinja2
    import numpy as np

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package),
        autoescape=jinja2.select_autoescape(enabled_extensions=("html.j2",)),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.tests |= tests or {}
    environment.filters |= {
        "percent": percent,
        "certified": certified_percent,
        "at_least": at_least,
        "at_most": at_most,
        "number": "{:.4g}".format,
        "thousands": "{:,}".format,
        "cell": table_cell,
        "median": np.median,
    }
    return environment.get_template(name).render(**content)


def table_cell(text):
    """Text of a cell of a Markdown table: in one line, without what Markdown or HTML read."""
    text = " ".join(str(text).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("`", "'"), ("*", "\\*")):
        text = text.replace(mark, safe)
    return text


def at_least(value):
    """Text of a proved lower bound: four digits, rounded down."""
    return f"{Context(prec=4, rounding=ROUND_FLOOR).create_decimal(float(value)):g}"


def at_most(value):
    """Text of a proved upper bound: four digits, rounded up."""
    return f"{Context(prec=4, rounding=ROUND_CEILING).create_decimal(float(value)):g}"


def percent(share):
    """Share as text, to the nearest tenth of a percent; a dash for None."""
    return "–" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def certified_percent(share):
    """Share as text, rounded down: a lower bound must not read as more than was proved."""
    return f"{tenths_below(percent_below(share))}\N{NO-BREAK SPACE}%"


def inline_svg(draw, **options):
    """Draw a picture in the colours and fonts of the page that it will stand in."""
    import matplotlib
    from markupsafe import Markup

    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    clear = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    style = dict.fromkeys(ink, _INK) | dict.fromkeys(clear, "none")
    style |= {"svg.fonttype": "none", "svg.hashsalt": "ocsdf", "axes.spines.top": False}
    style |= {"axes.spines.right": False, "font.family": "sans-serif"}
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    text = io.StringIO()
    with matplotlib.rc_context(style):
        drawn = draw()
        figure = getattr(drawn, "figure_", drawn)
        figure.savefig(text, format="svg", metadata=no_metadata, **options)
    svg = text.getvalue()
    return Markup(svg[svg.index("<svg") :].replace(_INK, "currentColor"))
