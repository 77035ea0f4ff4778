"""AUROC of method="paper" beside the reference's after the same number of steps.

Both train and are judged on all rows, with FullSort, the margin 0.05 and the paper's settings. This
early, one network's AUROC moves by tens of points between steps, so medians over seeds are
compared. It needs OCSDF_DATA_HOME. Cells that are done are kept in the folder and not done again.
"""

from pathlib import Path

from experiments.common.results import finish_cells
from experiments.speed.suite import DATA_HOME, REFERENCE, Verdict, figure_of, spread
from experiments.speed.tables import (
    BATCH,
    EPOCHS,
    MARGIN,
    NEWTON_STEPS,
    UNIFORM_EPOCHS,
    Problem,
)

NAME, ROUNDS, REQUIRES = "same_work", 3, (DATA_HOME, REFERENCE)
TABLES = ("thyroid", "cardio", "satimage-2", "mammography", "vowels")
OURS, REFERENCES = "ours", "reference"
WITHIN = 1.0


def run(rounds, folder, tables=TABLES, width=128, max_steps=600):
    """Train ours and the reference in turn, a cell each."""
    cells = [
        {"table": table, "method": method, "seed": seed, "width": width, "max_steps": max_steps}
        for table in tables
        for seed in range(rounds)
        for method in (OURS, REFERENCES)
    ]
    return finish_cells(cells, train_and_judge, Path(folder) / "speed_same_work.csv")


def train_and_judge(table, method, seed, width, max_steps):
    """Do one cell."""
    problem = Problem.load(table)
    steps_per_epoch = problem.steps_per_epoch(max_steps)
    train = _train_ours if method == OURS else _train_reference
    return {
        **train(problem, seed, width, steps_per_epoch),
        "steps": EPOCHS * steps_per_epoch,
    }


def _train_ours(problem, seed, width, steps_per_epoch):
    return problem.fit_and_judge(
        method="paper",
        margin=MARGIN,
        hidden_layer_sizes=(width,) * 4,
        epochs=EPOCHS,
        uniform_epochs=UNIFORM_EPOCHS,
        max_steps=EPOCHS * steps_per_epoch,
        batch_size=BATCH,
        newton_steps=NEWTON_STEPS,
        random_state=seed,
    )


def _train_reference(problem, seed, width, steps_per_epoch):
    with problem.reference(width, "authors", seed) as reference:
        seconds = reference.train(UNIFORM_EPOCHS * steps_per_epoch, 0)
        seconds += reference.train((EPOCHS - UNIFORM_EPOCHS) * steps_per_epoch, NEWTON_STEPS)
        return {"auroc": problem.auroc(reference.score(problem.points())), "seconds": seconds}


def verdicts(table):
    """Judge each table by the medians over the first seeds, as many as all tables have."""
    return [_verdict(name, rows) for name, rows in table.groupby("table", sort=False)]


def _verdict(name, rows):
    aurocs = rows[rows["seed"] < ROUNDS].set_index("method")["auroc"]
    title, target = f"AUROC after the same steps, {name}", f">= the reference - {WITHIN:g}"
    if set(aurocs.index) != {OURS, REFERENCES}:
        return Verdict(title, "not measured", target, False)
    ours, references = aurocs[[OURS]], aurocs[[REFERENCES]]
    met = ours.median() >= references.median() - WITHIN
    note = f"the reference: {spread(references)}"
    if (rows["seed"] >= ROUNDS).any():
        told = ", ".join(f"{name} {spread(part)}" for name, part in rows.groupby("method")["auroc"])
        note += f"; of all {rows['seed'].nunique()} seeds that were run: {told}"
    return Verdict(title, spread(ours), target, bool(met), note)


def describe(table):
    """Tell AUROC and seconds by table and method."""
    groups = table.groupby(["table", "width", "steps", "method"], sort=False)
    return groups[["auroc", "seconds"]].agg(spread).to_string()


def draw(table):
    """Draw each seed's AUROC by table."""
    figure, (ax,) = figure_of(1, 1)
    names = list(table["table"].unique())
    for shift, (method, rows) in enumerate(table.groupby("method")):
        places = [names.index(name) + 0.2 * shift - 0.1 for name in rows["table"]]
        ax.plot(places, rows["auroc"], "o", label=method, alpha=0.7)
    ax.set_xticks(range(len(names)), names, rotation=30)
    ax.set(ylabel="AUROC after the same steps")
    ax.legend(frameon=False)
    return figure
