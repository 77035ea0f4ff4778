"""A judgement as numbers and as one self-contained HTML page."""

import io
import math
import platform
import re
from contextlib import suppress
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from importlib import metadata
from typing import NamedTuple

import numpy as np

from ocsdf.judgement import RESAMPLES

_SHOWN_ROWS = 5
_SHOWN_FEATURES = 12
# matplotlib writes this colour into the SVG, and the page's own text colour takes its place there.
_INK = "#010203"
PACKAGES = (
    *("ocsdf", "tensorflow", "keras", "numpy", "scipy", "scikit-learn", "deel-lip", "pyod"),
    *("pandas", "matplotlib"),
)


class Setting(NamedTuple):
    """Where the rows came from.

    Attributes
    ----------
    name : str
        The data set's name.
    protocol : {"oc", "ad", "unlabelled"}
        Fitted on half of the normal rows and judged on the rest; fitted and judged on all rows;
        or the same without labels.
    seed : int
        Seed of the split, of the training and of the bootstrap.
    n_fitted : int
        Rows the model was fitted on.
    rows : ndarray of shape (n_samples,)
        Place in the table, counted from 0, of each row judged.
    feature_names : sequence of str
    warnings : sequence of str
        What the fit warned of.
    """

    name: str
    protocol: str
    seed: int
    n_fitted: int
    rows: np.ndarray
    feature_names: tuple
    warnings: tuple = ()


def summarize(judgement, estimator, setting):
    """Everything the report says in numbers, as JSON types.

    Parameters
    ----------
    judgement : Judgement
    estimator : OCSDF
        Fitted.
    setting : Setting

    Returns
    -------
    summary : dict
        Without labels, no AUROC. Radii in scaled l2; None where an interval is undefined.
    """
    ranking = judgement.ranking
    summary = {
        "data": setting.name,
        "protocol": setting.protocol,
        "seed": setting.seed,
        "rows_fitted": setting.n_fitted,
        "rows_judged": len(judgement.scores),
        "features": estimator.n_features_in_,
        "rows_called_anomalies": int((~judgement.inside).sum()),
        "rows_outside_domain": judgement.outside_domain,
        "lipschitz_bound": float(estimator.lipschitz_bound_),
        "float_slack": judgement.float_slack,
        "margin": float(estimator.margin_),
        "radius_unit": "scaled l2",
        "warnings": list(setting.warnings),
    }
    if ranking is not None:
        summary["anomalies_judged"] = int(judgement.y.sum())
        summary["auroc"] = _estimate(ranking, 0)
        summary["average_precision"] = _number(ranking.average_precision)
    summary["radii"] = [_at_radius(judgement, index) for index in range(len(judgement.radii))]
    return summary


def _at_radius(judgement, index):
    radius, ranking = judgement.radii[index], judgement.ranking
    row = {
        "radius": float(radius),
        "certified_verdicts": int(judgement.certified_verdicts[index]),
    }
    if ranking is not None:
        at = np.searchsorted(ranking.radii, radius)
        row["certified_auroc"] = _estimate(ranking, at)
        row["certified_tpr"] = _number(ranking.certified_tpr[at])
        row["certified_recall"] = _number(ranking.certified_recall[at])
    return row


def _estimate(ranking, at):
    return {
        "value": _number(ranking.certified_auroc[at]),
        "lower": _number(ranking.lower[at]),
        "upper": _number(ranking.upper[at]),
    }


def _number(value):
    """A float for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None


def render(judgement, estimator, setting):
    """Draw a judgement as one self-contained HTML page, without scripts or network.

    Parameters
    ----------
    judgement : Judgement
    estimator : OCSDF
        The fitted model that was judged.
    setting : Setting

    Returns
    -------
    html : str
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ocsdf"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["percent"] = percent
    environment.filters["certified"] = certified_percent
    environment.filters["at_least"] = at_least
    environment.filters["at_most"] = at_most
    environment.filters["number"] = "{:.4g}".format
    environment.filters["median"] = np.median
    order = np.argsort(-judgement.scores, kind="stable")
    return environment.get_template("report.html.j2").render(
        facts=summarize(judgement, estimator, setting),
        judgement=judgement,
        estimator=estimator,
        setting=setting,
        params=estimator.get_params(),
        n_parameters=estimator.model_.count_params(),
        domain=type(estimator.domain_).__name__.lower(),
        flagged=_flagged(judgement),
        figures=_figures(judgement, estimator),
        features=list(zip(setting.feature_names, estimator.mean_, estimator.scale_, strict=True)),
        shown_features=_SHOWN_FEATURES,
        extremes={"Most normal": order[:_SHOWN_ROWS], "Least normal": order[::-1][:_SHOWN_ROWS]},
        resamples=RESAMPLES,
        versions=package_versions(),
    )


def package_versions():
    """Versions of Python and of the packages a result depends on; None if not installed.

    Returns
    -------
    versions : dict of str to str or None
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        versions[name] = None
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def installed_extras():
    """Tell which extras of the installed distribution have all their packages.

    Returns
    -------
    extras : dict of str to bool
    """
    installed = {}
    for requirement in metadata.requires("ocsdf") or ():
        extra = re.search(r"extra == ['\"]([\w-]+)", requirement)
        if extra:
            name = re.match(r"[\w.-]+", requirement).group()
            present = any(metadata.distributions(name=name))
            installed[extra.group(1)] = installed.get(extra.group(1), True) and present
    return installed


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
    # What is a hair under a tenth is one that float64 could not hold: 0.29 * 1000 is 290.
    return percent(math.floor(1000 * share + 1e-9) / 1000)


def _flagged(judgement):
    """How many normal rows and anomalies were called anomalies."""
    if judgement.y is None:
        return None
    flagged = judgement.y[~judgement.inside]
    return {"normal": int((flagged == 0).sum()), "anomalies": int((flagged == 1).sum())}


def _figures(judgement, estimator):
    from ocsdf.displays import (
        CertifiedAUROCDisplay,
        ScoreHistogramDisplay,
        TrainingHistoryDisplay,
    )

    figures = {
        "scores": _svg(
            lambda: ScoreHistogramDisplay.from_predictions(
                judgement.scores, judgement.y, offset=estimator.offset_
            )
        ),
        "history": _svg(lambda: TrainingHistoryDisplay.from_estimator(estimator)),
    }
    ranking = judgement.ranking
    if ranking is not None:
        ends = (ranking.lower, ranking.upper) if np.isfinite(ranking.lower).all() else ()
        curve = CertifiedAUROCDisplay(ranking.radii, ranking.certified_auroc, *ends)
        figures["certified"] = _svg(curve.plot)
    return figures


def _svg(draw):
    """Inline SVG of the display that `draw` returns, in the colours and fonts of the page."""
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
        draw().figure_.savefig(text, format="svg", metadata=no_metadata)
    svg = text.getvalue()
    return Markup(svg[svg.index("<svg") :].replace(_INK, "currentColor"))
