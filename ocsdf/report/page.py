"""A report's summary as a page: HTML or Markdown."""

from ocsdf.report.figures import draw_figures
from ocsdf.utils.html import fill_template

_SHOWN_FEATURES = 12


def render_html(facts):
    """Write a summary as one self-contained HTML page, without scripts or network.

    Parameters
    ----------
    facts : dict
        What :func:`ocsdf.report.summary.summarize` returns.

    Returns
    -------
    html : str

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from ocsdf import OCSDF
    >>> from ocsdf.report import Setting, evaluate, ranked_examples, render_html, summarize
    >>> wine = load_wine()
    >>> X, y = wine.data[40:], (wine.target[40:] > 0).astype(int)
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(wine.data[:40])
    >>> evaluation = evaluate(detector, X, y, radii=[0.1], n_resamples=20)
    >>> examples = ranked_examples(detector, X, evaluation, n_each=1)
    >>> setting = Setting("wine", "model", 0, 40, range(len(X)), tuple(wine.feature_names))
    >>> page = render_html(summarize(evaluation, detector, setting, examples))
    >>> page[:15].lower(), "<script" in page
    ('<!doctype html>', False)
    """
    return fill_template(
        "ocsdf.report",
        "report.html.j2",
        facts=facts,
        figures=draw_figures(facts),
        shown_features=_SHOWN_FEATURES,
    )


def render_markdown(facts):
    """Write the same as Markdown: the tables of the page, without its pictures.

    Parameters
    ----------
    facts : dict
        As for :func:`render_html`.

    Returns
    -------
    markdown : str

    Examples
    --------
    Rows without labels do for a report of scores, verdicts and radii:

    >>> import numpy as np
    >>> from ocsdf import OCSDF
    >>> from ocsdf.report import Setting, evaluate, render_markdown, summarize
    >>> rows = np.random.default_rng(0).normal(size=(80, 2))
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(rows[:60])
    >>> facts = summarize(
    ...     evaluate(detector, rows[60:], None, radii=[0.1]),
    ...     detector,
    ...     Setting("cloud", "model", 0, 60, range(20), ("x", "y")),
    ...     examples={},
    ... )
    >>> print(render_markdown(facts).splitlines()[0])
    # cloud: anomaly detection with a certificate
    """
    return fill_template("ocsdf.report", "report.md.j2", facts=facts)
