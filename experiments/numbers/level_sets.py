"""What the pages say of level sets: few labels, robust training, control, samples of them."""

from experiments.few_labels import choose
from experiments.numbers.words import nearest, record, spread, table

_SETS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
_LOSSES = ("geometric SVM", "cross-entropy", "hinge")
_KEY = ["images", "fraction", "loss"]
_N_IMAGES = 60_000


def few_labels():
    """Test accuracy from few labels, at the rate that held-out rows chose and at the best one."""
    rows = record("few_labels")
    # The first seeds, which all rates have, choose.
    first = rows[rows["seed"] < rows.groupby(_KEY)["seed"].transform("nunique").min()]
    chosen = rows.merge(choose(first)).groupby(_KEY)["test"]
    oracle = first.merge(choose(first, "test")).groupby(_KEY)["test"].mean()
    lines = []
    for images, fraction in dict.fromkeys(zip(rows["images"], rows["fraction"], strict=True)):
        cells = [chosen.get_group((images, fraction, loss)) for loss in _LOSSES]
        labels = f"{_SETS[images]}, {round(fraction * _N_IMAGES):,} labels"
        best = (nearest(oracle[images, fraction, loss]) for loss in _LOSSES)
        lines.append([labels, str(min(map(len, cells))), *map(spread, cells), *best])
    head = ["", "seeds", *_LOSSES, *(f"{loss}, oracle rate" for loss in _LOSSES)]
    return table(head, lines)


def few_labels_time():
    """Hours of all cells of few labels, one after the other."""
    return nearest(record("few_labels")["seconds"].sum() / 3600)


def robustness():
    """Accuracy under attacks, and what training costs."""
    training, attacks = record("robustness_training"), record("robustness")
    own = attacks.melt(
        ["attack", "source", "seed"],
        [name for name in attacks if name.startswith("accuracy_")],
        "target",
        "accuracy",
    )
    own = own[own["target"] == "accuracy_" + own["source"]]
    lines = []
    for method in ("ours", "TRADES", "Madry", "Standard"):
        trained = training[training["method"] == method]
        found = own[own["source"] == method].pivot(
            index="seed", columns="attack", values="accuracy"
        )
        passes = (nearest(trained[way].mean()) for way in ("forward", "backward"))
        cells = [spread(found[name]) for name in sorted(found)]
        lines.append([method, *passes, spread(trained["clean"]), *cells, spread(found.min(axis=1))])
    head = ["method", "forward", "backward", "clean", *sorted(found), "strongest of the three"]
    return table(head, lines)


def control():
    """The least distance of 16 points to the decision boundary, worst of the draws."""
    rows = record("level_set_control")
    lines = []
    for panel, part in rows.groupby("panel", sort=False):
        worst = part[["correct", "kept_linf", "kept_l2", "linf", "l2"]].min()
        counts = (f"{int(worst[name])} of 16" for name in ("correct", "kept_linf", "kept_l2"))
        lines.append([panel, *counts, *(nearest(worst[name], 3) for name in ("linf", "l2"))])
    head = ["trained with", "right sign", "0.03 away in l-inf", "0.03 away in l2"]
    return table([*head, "least l-inf distance", "least l2 distance"], lines)


def sampling():
    """Chamfer and Hausdorff distances of projected points to the level set."""
    rows = record("level_set_sampling")
    lines = []
    for name, part in rows[rows["name"] != "capsule"].groupby("name", sort=False):
        for start in ("uniform", "normal 0.01", "normal 0.05"):
            means = [part[f"{way} {start}"].mean() for way in ("chamfer", "hausdorff")]
            base = [part[f"{way} uniform"].mean() for way in ("chamfer", "hausdorff")]
            ratios = (nearest(a / b, 2) for a, b in zip(means, base, strict=True))
            lines.append([f"{name}, {start}", *(nearest(mean, 5) for mean in means), *ratios])
    head = ["network and starts", "Chamfer", "Hausdorff"]
    return table([*head, "Chamfer / uniform", "Hausdorff / uniform"], lines)


PARTS = {
    "few-labels": few_labels,
    "few-labels-hours": few_labels_time,
    "robustness": robustness,
    "level-set-control": control,
    "level-set-sampling": sampling,
}
