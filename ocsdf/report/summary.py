"""A judgement as numbers and as one self-contained HTML page."""

import platform
import re
from contextlib import suppress
from importlib import metadata
from typing import NamedTuple

import numpy as np

from ocsdf.report.evaluation import RESAMPLES
from ocsdf.utils.html import fill_template, inline_svg

_SHOWN_FEATURES = 12
OURS = "this model"
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


def summarize(judgement, estimator, setting, examples, attacked=None, rivals=()):
    """Everything the report says in numbers, as JSON types.

    Parameters
    ----------
    judgement : Judgement
    estimator : OCSDF
        Fitted.
    setting : Setting
    examples : dict of str to Examples
        Of :func:`ocsdf.report.evaluation.ranked_examples`.
    attacked : AttackedRanking, default=None
        Of :func:`ocsdf.report.rivals.attack`.
    rivals : sequence of Rival, default=()
        Of :func:`ocsdf.report.rivals.compare`.

    Returns
    -------
    summary : dict
        Without labels, no AUROC; ``attack`` and ``comparison`` only with what they tell of. Radii
        in scaled l2; None where an interval is undefined.
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
    if attacked is not None:
        summary["attack"] = _attack_facts(attacked)
    if rivals:
        summary["comparison"] = [_own_facts(summary), *map(_rival_facts, rivals)]
    summary["examples"] = {
        name: [_example_facts(judgement, setting, *one) for one in zip(*some, strict=True)]
        for name, some in examples.items()
    }
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


def _attack_facts(attacked):
    curves = (attacked.radii, attacked.certified_auroc, attacked.attacked_auroc)
    names = ("radius", "certified_auroc", "attacked_auroc")
    return {
        "attacker": "l2 PGD",
        "attacked": "normal rows and anomalies",
        "normal_rows": attacked.n_normals,
        "anomalies": attacked.n_anomalies,
        "restarts": attacked.n_restarts,
        "steps": attacked.n_steps,
        "auroc": attacked.auroc,
        "radii": [
            dict(zip(names, map(float, one), strict=True)) for one in zip(*curves, strict=True)
        ],
    }


def _own_facts(summary):
    """This report's model, as a line of its comparison."""
    return {
        "detector": OURS,
        "auroc": summary["auroc"]["value"],
        "average_precision": summary["average_precision"],
        "certified_auroc": [row["certified_auroc"]["value"] for row in summary["radii"]],
        "transductive": False,
        "joint": False,
        "error": None,
    }


def _rival_facts(rival):
    bounds = rival.certified_auroc
    facts = {"detector": rival.name} | rival._asdict()
    del facts["name"]
    return facts | {"certified_auroc": None if bounds is None else bounds.tolist()}


def _example_facts(judgement, setting, row, radius, distance):
    facts = {
        "row": int(setting.rows[row]),
        "score": float(judgement.scores[row]),
        "verdict": "normal" if judgement.inside[row] else "anomaly",
        "certified_radius": float(radius),
        "boundary_within": _number(distance),
    }
    if judgement.y is not None:
        facts["label"] = "anomaly" if judgement.y[row] else "normal"
    return facts


def _estimate(ranking, at):
    return {
        "value": _number(ranking.certified_auroc[at]),
        "lower": _number(ranking.lower[at]),
        "upper": _number(ranking.upper[at]),
    }


def _number(value):
    """A float for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None


def render(judgement, estimator, setting, examples, attacked=None, rivals=()):
    """Draw a judgement as one self-contained HTML page, without scripts or network.

    Parameters
    ----------
    judgement : Judgement
    estimator : OCSDF
        The fitted model that was judged.
    setting : Setting
    examples, attacked, rivals : object
        As for :func:`summarize`.

    Returns
    -------
    html : str
    """
    return fill_template(
        "ocsdf.report",
        "report.html.j2",
        facts=summarize(judgement, estimator, setting, examples, attacked, rivals),
        judgement=judgement,
        estimator=estimator,
        setting=setting,
        params=estimator.get_params(),
        n_parameters=estimator.model_.count_params(),
        domain=type(estimator.domain_).__name__.lower(),
        flagged=_flagged(judgement),
        figures=_figures(judgement, estimator, attacked),
        features=list(zip(setting.feature_names, estimator.mean_, estimator.scale_, strict=True)),
        shown_features=_SHOWN_FEATURES,
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


def _flagged(judgement):
    """How many normal rows and anomalies were called anomalies."""
    if judgement.y is None:
        return None
    flagged = judgement.y[~judgement.inside]
    return {"normal": int((flagged == 0).sum()), "anomalies": int((flagged == 1).sum())}


def _figures(judgement, estimator, attacked):
    from ocsdf.displays import (
        CertifiedAUROCDisplay,
        ScoreHistogramDisplay,
        TrainingHistoryDisplay,
    )

    figures = {
        "scores": inline_svg(
            lambda: ScoreHistogramDisplay.from_predictions(
                judgement.scores, judgement.y, offset=estimator.offset_
            )
        ),
        "history": inline_svg(lambda: TrainingHistoryDisplay.from_estimator(estimator)),
    }
    ranking = judgement.ranking
    if ranking is not None:
        ends = (ranking.lower, ranking.upper) if np.isfinite(ranking.lower).all() else ()
        curve = CertifiedAUROCDisplay(ranking.radii, ranking.certified_auroc, *ends)
        figures["certified"] = inline_svg(curve.plot)
    if attacked is not None:
        radii, certified, left = (
            np.insert(curve, 0, start)
            for curve, start in (
                (attacked.radii, 0.0),
                (attacked.certified_auroc, attacked.auroc),
                (attacked.attacked_auroc, attacked.auroc),
            )
        )
        figures["attacked"] = inline_svg(
            CertifiedAUROCDisplay(radii, certified, attacked=left).plot
        )
    return figures
