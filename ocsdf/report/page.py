"""A report's summary as a page: HTML or Markdown."""

from ocsdf.report.figures import draw_figures
from ocsdf.utils.html import fill_template

_SHOWN_FEATURES = 12


def render_html(facts):
    """Draw a summary as one self-contained HTML page, without scripts or network.

    Parameters
    ----------
    facts : dict
        Of :func:`ocsdf.report.summary.summarize`.

    Returns
    -------
    html : str
    """
    return fill_template(
        "ocsdf.report",
        "report.html.j2",
        facts=facts,
        figures=draw_figures(facts),
        shown_features=_SHOWN_FEATURES,
    )


def render_markdown(facts):
    """Write a summary as Markdown: the tables of the page, without its pictures.

    Parameters
    ----------
    facts : dict
        Of :func:`ocsdf.report.summary.summarize`.

    Returns
    -------
    markdown : str
    """
    return fill_template("ocsdf.report", "report.md.j2", facts=facts)
