"""OCSDF beside detectors with and without a certificate: AUROC, attacked and guaranteed AUROC.

What Figure 3 of the paper shows for images, for six tables: fitted on half of the normal rows,
judged on rows that no fit has seen (protocol `oc`, at most 5,000 rows of a table). At each l2
radius, in standardized units, the table has the AUROC that an attack reaches and the AUROC that no
attack undercuts, where there is such a guarantee:

- OCSDF, the default and `method="paper"`: certified AUROC; attacked by l2 PGD;
- the exact nearest neighbour distance and the mean distance to random subsamples: the same;
- IsolationForest, smoothed by the median over Gaussian noise: guaranteed with a probability;
  attacked by steps along an estimated gradient. All its columns are the smoothed score's;
- DeepSVDD (PyOD; needs `pip install 'ocsdf[experiments]'`): attacked by l2 PGD, no guarantee.

`python -m experiments.comparators` does the cells that comparators.csv lacks, and writes that, .md
and .png. It goes on where it was stopped.
"""

import warnings

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning

from experiments.common.command import make_parser, write_text
from experiments.common.results import do_cells
from experiments.median_smoothing import MedianSmoothed
from ocsdf import load_table
from ocsdf.attacks.gradient_descent import attacked_auroc
from ocsdf.benchmark.detectors import find_detector
from ocsdf.certificate.metrics import certified_auroc
from ocsdf.data.splits import reduce_rows, split
from ocsdf.networks.gradients import unit
from ocsdf.sklearn_compat.distance_detectors import NearestNeighborDistance

TABLES = ("4_breastw", "6_cardio", "38_thyroid", "31_satimage-2", "40_vowels", "23_mammography")
RADII = (0.05, 0.1, 0.2, 0.5, 1.0)
# Their guarantee is of their own score; they are attacked through its gradient.
CERTIFIED = ("OCSDF", "OCSDF paper", "nearest neighbour", "random subsamples")
SMOOTHED, UNCERTIFIED = "IForest, smoothed", "DeepSVDD"
DETECTORS = (*CERTIFIED, SMOOTHED, UNCERTIFIED)
# Noise of the smoothing, its draws, and the probability that one of a cell's bounds is wrong.
SIGMA, N_DRAWS, FAILURE = 0.5, 1_000, 1e-3
# Steps of the attack on it, and noisy scores a step.
_STEPS, _PROBES = 15, 64
_CLEAN, _ATTACKED, _GUARANTEED = "auroc", "attacked_{:g}", "guaranteed_{:g}"
_ALL_ROWS = "guaranteed_all_rows_{:g}"


def compare(table, detector, seed, n_attacked):
    """Fit one detector on one table, attack it, and certify it where it has a certificate.

    Returned are, in percent, on the rows drawn: ``auroc``; ``attacked_EPS`` and ``guaranteed_EPS``
    for each radius. ``auroc_all_rows`` and ``guaranteed_all_rows_EPS`` are those of all rows left
    to judge. Guarantees are missing where there is none.
    """
    data = load_table(table)
    kept = reduce_rows(data.y)
    X, y = data.X[kept], data.y[kept]
    parts = split(X, y, "oc", seed)
    train, X, y = X[parts.train_rows], X[parts.test_rows], y[parts.test_rows]
    drawn = _draw(y, n_attacked, np.random.default_rng([seed, 2]))
    if detector in CERTIFIED:
        found = _certified(find_detector(detector), train, X, y, drawn, seed)
    else:
        mean, scale = train.mean(axis=0), train.std(axis=0)
        scale = np.where(scale > 0.0, scale, 1.0)
        train, X = (train - mean) / scale, (X - mean) / scale
        judge = {SMOOTHED: _smoothed, UNCERTIFIED: _uncertified}[detector]
        found = judge(train, X[drawn], y[drawn], seed)
    return {name: 100.0 * float(value) for name, value in found.items()}


def _draw(y, n_each, random_state):
    groups = (np.flatnonzero(y == label) for label in (0, 1))
    return np.concatenate(
        [random_state.permutation(rows)[: min(n_each, len(rows))] for rows in groups]
    )


def _certified(kind, train, X, y, drawn, seed):
    detector = kind.build(seed, X.shape[1], train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        detector.fit(train)
    attacked = (detector, X[drawn])
    if isinstance(detector, NearestNeighborDistance):
        attacked = (_NearestScore(detector), (X[drawn] - detector.mean_) / detector.scale_)
    attacked = attacked_auroc(*attacked, y[drawn], (0.0, *RADII), random_state=seed)
    guaranteed = detector.certified_auroc(X[drawn], y[drawn], RADII)
    all_rows = detector.certified_auroc(X, y, (0.0, *RADII))
    return (
        _named(attacked, _ATTACKED)
        | dict(zip(map(_GUARANTEED.format, RADII), guaranteed, strict=True))
        | {"auroc_all_rows": all_rows[0]}
        | dict(zip(map(_ALL_ROWS.format, RADII), all_rows[1:], strict=True))
    )


def _smoothed(train, X, y, seed):
    forest = IsolationForest(random_state=seed).fit(train)
    random_state = np.random.default_rng([seed, 3])
    # Minus an isolation forest's score of anomaly, which lies between 0 and 1.
    smoothed = MedianSmoothed(
        forest.score_samples, -1.0, 0.0, X.shape[1], SIGMA, N_DRAWS, random_state
    )
    signs = np.where(y == 1, 1.0, -1.0)
    best = smoothed.score(X)
    auroc = [_auroc(best, y)]
    for radius in RADII:
        moved = smoothed.attack(X, signs, radius, _STEPS, _PROBES, random_state)
        best = signs * np.maximum(signs * best, signs * smoothed.score(moved))
        auroc.append(_auroc(best, y))
    # Half of the failures for lower bounds, half for upper ones.
    lower, upper = smoothed.bounds(X, RADII, FAILURE / 2)
    worst = np.where(y == 1, upper, lower)
    guaranteed = [_auroc(scores, y) for scores in worst]
    return _named(auroc, _ATTACKED) | dict(
        zip(map(_GUARANTEED.format, RADII), guaranteed, strict=True)
    )


def _uncertified(train, X, y, seed):
    detector = find_detector(UNCERTIFIED).build(seed, X.shape[1], train).fit(train)
    attacked = attacked_auroc(_TorchScore(detector), X, y, (0.0, *RADII), random_state=seed)
    return _named(attacked, _ATTACKED)


def _named(auroc, pattern):
    """Name the AUROC at radius 0 and at the others."""
    names = (_CLEAN, *map(pattern.format, RADII))
    return dict(zip(names, auroc, strict=True))


def _auroc(scores, y):
    """AUROC of scores, high = normal; ties count one half."""
    return certified_auroc(scores[y == 0], scores[y == 1], 0.0)[0]


class _NearestScore:
    """A nearest neighbour's score, with its gradient from a tree: many times as fast."""

    def __init__(self, detector):
        self.score = detector._network.score
        self._tree = cKDTree(detector.model_.layers[-1].references.numpy().astype(np.float64))

    def value_and_gradient(self, points):
        distance, nearest = self._tree.query(points)
        return -distance, unit(self._tree.data[nearest] - points)


class _TorchScore:
    """Minus the squared distance to DeepSVDD's centre, with its gradient."""

    def __init__(self, detector):
        self._detector = detector

    def score(self, points):
        return -np.asarray(self._detector.decision_function(points), dtype=np.float64)

    def value_and_gradient(self, points):
        import torch

        detector = self._detector
        rows = torch.tensor(detector.scaler_.transform(points), dtype=torch.float32)
        rows.requires_grad_()
        detector.model_.eval()
        score = -torch.sum((detector.model_(rows) - detector.c_) ** 2, dim=-1)
        (slope,) = torch.autograd.grad(score.sum(), rows)
        return score.detach().numpy(), slope.numpy() / detector.scaler_.scale_


def describe(rows):
    """Write the comparison as Markdown."""
    n_seeds = rows["seed"].nunique()
    means = rows.groupby(["table", "detector"], sort=False, observed=True).mean(numeric_only=True)
    radii = ", ".join(f"{radius:g}" for radius in RADII)
    lines = [
        "# Attacked and guaranteed AUROC\n",
        f"AUROC in percent, mean of {n_seeds} seeds; at radius 0, then **attacked / guaranteed** "
        f"at l2 radii {radii} in standardized units, normal rows and anomalies both attacked. "
        "Fitted on half of the normal rows (protocol `oc`, tables cut to 5,000 rows), judged on "
        f"{int(rows['n_attacked'].max())} normal rows and as many anomalies of the rest, or as "
        "many as there are; the same rows for every detector.\n",
        "- OCSDF, nearest neighbour, random subsamples: the guarantee is a proof; attacked by l2 "
        "PGD (3 restarts, 50 steps of 0.025 eps).",
        f"- {SMOOTHED}: median of IsolationForest's score under Gaussian noise of standard "
        f"deviation {SIGMA:g} ({N_DRAWS:,} draws). All its columns are the smoothed score's; its "
        f"guarantee holds with a probability of {1 - FAILURE:.1%}, for all rows and radii of a "
        "cell together. Attacked along a gradient estimated from noisy scores, which is weaker "
        "than PGD.",
        f"- {UNCERTIFIED}: attacked by PGD; it has no guarantee.\n",
    ]
    for table in rows["table"].unique():
        lines += [f"## {table}\n", _table(means.loc[table]), ""]
    lines.append(_beaten(means))
    return "\n".join([*lines, *_all_rows(means), ""])


def _beaten(means):
    """Say where the smoothed forest keeps more AUROC under attack than ours."""
    told = []
    for radius in RADII:
        attacked = means[_ATTACKED.format(radius)].unstack()
        if {"OCSDF", SMOOTHED} <= set(attacked):
            ahead = attacked.index[attacked[SMOOTHED] > attacked["OCSDF"]]
            told.append(f"{radius:g}: {', '.join(ahead) or 'none'}")
    return f"Tables on which {SMOOTHED} has more AUROC left under attack: {'; '.join(told)}.\n"


def _table(means):
    header = ["detector", "AUROC", *(f"{radius:g}" for radius in RADII)]
    body = []
    for detector, row in means.iterrows():
        pairs = [
            f"{row[_ATTACKED.format(radius)]:.1f} / {_at_least(row[_GUARANTEED.format(radius)])}"
            for radius in RADII
        ]
        body.append([detector, f"{row[_CLEAN]:.1f}", *pairs])
    return pd.DataFrame(body, columns=header).to_markdown(index=False, disable_numparse=True)


def _at_least(percent):
    """A guarantee as text, rounded down."""
    return "none" if np.isnan(percent) else f"{np.floor(10.0 * percent + 1e-9) / 10.0:.1f}"


def _all_rows(means):
    """The guarantees on all rows, where they cost nothing."""
    columns = {"auroc_all_rows": "AUROC"} | {_ALL_ROWS.format(r): f"{r:g}" for r in RADII}
    found = means[list(columns)].dropna().rename(columns=columns)
    at = f"{RADII[2]:g}"
    guaranteed = found[at].unstack()
    shown = found.assign(AUROC=found["AUROC"].map("{:.1f}".format))
    shown[shown.columns[1:]] = shown[shown.columns[1:]].map(_at_least)
    above = int((guaranteed["OCSDF"] > guaranteed["nearest neighbour"]).sum())
    return [
        "## Guaranteed AUROC on all rows left to judge\n",
        shown.reset_index().to_markdown(index=False, disable_numparse=True),
        f"\nAt radius {at} OCSDF's is above the nearest neighbour's on {above} of "
        f"{len(guaranteed)} tables.",
    ]


def draw(rows, path):
    """Draw attacked and guaranteed AUROC against the radius, a panel a table."""
    from matplotlib.figure import Figure

    means = rows.groupby(["table", "detector"], sort=False, observed=True).mean(numeric_only=True)
    tables = list(rows["table"].unique())
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = np.ravel(figure.subplots(2, -(-len(tables) // 2), sharex=True, sharey=True))
    colours = [f"C{i}" for i in range(len(DETECTORS))]
    for ax, table in zip(axes, tables, strict=False):
        for colour, (detector, row) in zip(colours, means.loc[table].iterrows(), strict=False):
            attacked = [row[_CLEAN], *(row[_ATTACKED.format(radius)] for radius in RADII)]
            guaranteed = [row[_CLEAN], *(row[_GUARANTEED.format(radius)] for radius in RADII)]
            certain = np.isfinite(guaranteed).all()
            label = None if certain else f"{detector} (no guarantee)"
            ax.plot((0.0, *RADII), attacked, "--", color=colour, linewidth=1.2, label=label)
            if certain:
                ax.plot((0.0, *RADII), guaranteed, color=colour, linewidth=1.8, label=detector)
        ax.set(title=table, ylim=(0.0, 102.0))
        ax.grid(alpha=0.3)
    figure.supxlabel("l2 radius of the attack, standardized units")
    figure.supylabel("AUROC (%): dashed attacked, solid guaranteed")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=80)


def main():
    """Compare what has no row yet, and write the tables and the figure."""
    parser = make_parser(__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES, help="names or files")
    parser.add_argument("--detectors", nargs="+", default=DETECTORS, choices=DETECTORS)
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--rows", type=int, default=250, help="rows of each kind to attack")
    arguments = parser.parse_args()
    cells = [
        {"table": table, "detector": detector, "seed": seed, "n_attacked": arguments.rows}
        for seed in range(arguments.seeds)
        for table in arguments.tables
        for detector in arguments.detectors
    ]
    rows = do_cells(cells, compare, arguments, "comparators")
    for column, order in (("table", arguments.tables), ("detector", arguments.detectors)):
        rows[column] = pd.Categorical(rows[column], order)
    rows = rows.sort_values(["table", "detector", "seed"])
    write_text(describe(rows), arguments.output, "comparators")
    draw(rows, arguments.output / "comparators.png")


if __name__ == "__main__":
    main()
