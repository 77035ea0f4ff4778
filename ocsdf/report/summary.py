"""Everything a report says, computed once, as one dict of JSON types."""

from typing import NamedTuple

import numpy as np

from ocsdf.report.alarms import alarm_facts
from ocsdf.report.costs import cost_facts
from ocsdf.report.curves import curve_facts, histogram_facts
from ocsdf.report.evaluation import RESAMPLES
from ocsdf.report.provenance import package_versions
from ocsdf.report.subgroups import subgroup_facts

OURS = "this model"


class Setting(NamedTuple):
    """Where the rows came from.

    Attributes
    ----------
    name : str
        The data set's name.
    protocol : {"oc", "ad", "unlabelled", "model"}
        Fitted on half of the normal rows and judged on the rest; fitted and judged on all rows;
        the same without labels; or all rows judged by a model that was there before.
    seed : int
        Seed of the split, of the training and of the bootstrap.
    n_fitted : int or None
        Rows the model was fitted on; None where that is not known.
    rows : ndarray of shape (n_samples,)
        Place in the table, counted from 0, of each row judged.
    feature_names : sequence of str
    warnings : sequence of str
        What the fit warned of.
    made : dict
        What :func:`ocsdf.report.provenance.provenance` returns.
    alpha : float
        Level of the alarms.
    cost_miss, cost_alarm : float
        What an anomaly without an alarm costs, and a normal row with one.
    by : tuple of (str, ndarray of shape (n_samples,)) or None
        A column that parts the rows in subgroups, and its name.

    Examples
    --------
    >>> from ocsdf.report import Setting
    >>> setting = Setting("wine", "model", 0, 40, range(138), ("alcohol", "ash"))
    >>> setting.alpha
    0.05
    """

    name: str
    protocol: str
    seed: int
    n_fitted: int | None
    rows: np.ndarray
    feature_names: tuple
    warnings: tuple = ()
    made: dict | None = None
    alpha: float = 0.05
    cost_miss: float = 1.0
    cost_alarm: float = 1.0
    by: tuple | None = None


def summarize(
    evaluation,
    estimator,
    setting,
    examples,
    attacked=None,
    rivals=(),
    seeds=None,
    challenged=None,
):
    """Everything the report says in numbers, as JSON types.

    Parameters
    ----------
    evaluation : Evaluation
    estimator : OCSDF
        Fitted.
    setting : Setting
    examples : dict of str to Examples
        What :func:`ocsdf.report.evaluation.ranked_examples` returns.
    attacked : AttackedRanking, default=None
        What :func:`ocsdf.report.rivals.attack` returns.
    rivals : sequence of Rival, default=()
        What :func:`ocsdf.report.rivals.compare` returns.
    seeds : dict, default=None
        What :func:`ocsdf.report.seeds.seed_facts` returns.
    challenged : dict, default=None
        What :func:`ocsdf.report.challenge.challenge_facts` returns.

    Returns
    -------
    summary : dict
        Without labels, no AUROC; ``attack`` and ``comparison`` only with what they tell of. Radii
        in scaled l2; None where an interval is undefined.

    Examples
    --------
    >>> import json
    >>> import numpy as np
    >>> from ocsdf import OCSDF
    >>> from ocsdf.report import Setting, evaluate, ranked_examples, summarize
    >>> normal, shifted = np.random.default_rng(0).normal(size=(2, 60, 2)) + [[[0.0]], [[3.0]]]
    >>> detector = OCSDF(max_steps=20, random_state=0).fit(normal)
    >>> setting = Setting("shift", "model", 0, len(normal), range(len(shifted)), ("x", "y"))
    >>> judged = evaluate(detector, shifted, None, radii=[0.1])
    >>> most_abnormal = ranked_examples(detector, shifted, judged, n_each=1)
    >>> facts = json.loads(json.dumps(summarize(judged, detector, setting, most_abnormal)))
    >>> facts["rows_judged"], facts["features"], facts["rows_called_anomalies"] > 30
    (60, 2, True)
    """
    ranking = evaluation.ranking
    summary = {
        "data": setting.name,
        "protocol": setting.protocol,
        "seed": setting.seed,
        "rows_fitted": setting.n_fitted,
        "rows_judged": len(evaluation.scores),
        "features": estimator.n_features_in_,
        "rows_called_anomalies": int((~evaluation.inside).sum()),
        "rows_outside_domain": evaluation.outside_domain,
        "lipschitz_bound": float(estimator.lipschitz_bound_),
        "float_slack": evaluation.float_slack,
        "margin": float(estimator.margin_),
        "radius_unit": "scaled l2",
        "warnings": list(setting.warnings),
        "made": setting.made,
        "versions": package_versions(),
        "model": _model_facts(estimator, setting),
        "median_certified_radius": float(np.median(evaluation.certified_radii)),
        "histogram": histogram_facts(evaluation, estimator.offset_),
    }
    if ranking is not None:
        summary["anomalies_judged"] = int(evaluation.y.sum())
        summary["auroc"] = _estimate(ranking, 0)
        summary["average_precision"] = _number(ranking.certified_precision[0])
        summary["resamples"] = RESAMPLES
        summary["flagged"] = {
            "normal": int((~evaluation.inside & (evaluation.y == 0)).sum()),
            "anomalies": int((~evaluation.inside & (evaluation.y == 1)).sum()),
        }
        summary["at_radius_0"] = _ranking_facts(ranking, 0)
        summary["certified_curve"] = {
            name: [_number(value) for value in getattr(ranking, name)]
            for name in ("radii", "certified_auroc", "lower", "upper")
        }
        summary["curves"] = curve_facts(evaluation, estimator.lipschitz_bound_)
        summary |= _decision_facts(evaluation, estimator, setting)
    summary["radii"] = [_at_radius(evaluation, index) for index in range(len(evaluation.radii))]
    if setting.by is not None:
        summary["subgroups"] = subgroup_facts(evaluation, estimator.lipschitz_bound_, *setting.by)
    if seeds is not None:
        summary["seeds"] = seeds
    if attacked is not None:
        summary["attack"] = _attack_facts(attacked)
    if rivals:
        summary["comparison"] = [_own_facts(summary), *map(_rival_facts, rivals)]
    if challenged is not None:
        detectors = [one | {"detector": one["detector"] or OURS} for one in challenged["detectors"]]
        summary["challenge"] = challenged | {"detectors": detectors}
    summary["examples"] = {
        name: [_example_facts(evaluation, setting, *one) for one in zip(*some, strict=True)]
        for name, some in examples.items()
    }
    return summary


def _at_radius(evaluation, index):
    radius, ranking = evaluation.radii[index], evaluation.ranking
    row = {
        "radius": float(radius),
        "certified_verdicts": int(evaluation.certified_verdicts[index]),
    }
    if ranking is not None:
        at = np.searchsorted(ranking.radii, radius)
        row |= _ranking_facts(ranking, at)
    return row


def _ranking_facts(ranking, at):
    return {
        "certified_auroc": _estimate(ranking, at),
        "certified_average_precision": _number(ranking.certified_precision[at]),
        "certified_tpr": _number(ranking.certified_tpr[at]),
        "certified_recall": _number(ranking.certified_recall[at]),
    }


def _decision_facts(evaluation, estimator, setting):
    """Alarms at a level, where rows can calibrate them that fitting did not see; costs."""
    facts, thresholds = {}, {"own": float(estimator.offset_)}
    if setting.protocol != "ad":
        bound = estimator.lipschitz_bound_
        facts["alarms"] = alarm_facts(evaluation, bound, setting.alpha, setting.seed)
        if "threshold" in facts["alarms"]:
            thresholds["alpha"] = facts["alarms"]["threshold"]
    costs = {"cost_miss": setting.cost_miss, "cost_alarm": setting.cost_alarm}
    facts["costs"] = cost_facts(evaluation.scores, evaluation.y, thresholds, **costs)
    return facts


def _model_facts(estimator, setting):
    names, history = setting.feature_names, estimator.history_
    _, arrays = estimator._network.network.describe()
    stretched, encoder = estimator.stretch_, estimator.encoder_
    slopes = np.ones(len(estimator.mean_)) if stretched is None else stretched.steepest
    columns = names, estimator.mean_, estimator.scale_, slopes
    if encoder is not None:
        # Codes have no unit of their own.
        names = np.array(encoder.coordinate_names_)
        columns = [one[~encoder.is_code_] for one in (names, *columns[1:])]
    return {
        "threshold": float(estimator.offset_),
        "domain": type(estimator.domain_).__name__.lower(),
        "parameters": {name: _plain(value) for name, value in estimator.get_params().items()},
        "n_parameters": sum(array.size for array in arrays.values()),
        "epochs": estimator.n_iter_,
        "history": {name: [_number(value) for value in curve] for name, curve in history.items()},
        # A change of a feature counts as its size / scale * slope at the most.
        "stretched": stretched is not None,
        "features": [
            {"name": str(name), "mean": float(mean), "scale": float(scale), "slope": float(slope)}
            for name, mean, scale, slope in zip(*columns, strict=True)
        ],
        "coded": [] if encoder is None else encoder.coded_names,
    }


def _plain(value):
    """A parameter as a JSON type: text where it has none."""
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float | None) else repr(value)


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
    for name in ("name", "attacked_auroc", "attack_error"):
        del facts[name]
    return facts | {"certified_auroc": None if bounds is None else bounds.tolist()}


def _example_facts(evaluation, setting, row, radius, distance):
    facts = {
        "row": int(setting.rows[row]),
        "score": float(evaluation.scores[row]),
        "verdict": "normal" if evaluation.inside[row] else "anomaly",
        "certified_radius": float(radius),
        "boundary_within": _number(distance),
    }
    if evaluation.y is not None:
        facts["label"] = "anomaly" if evaluation.y[row] else "normal"
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
