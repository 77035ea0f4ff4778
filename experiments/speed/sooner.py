"""Seconds until a named configuration reaches the AUROC that the reference reaches.

The reference trains by the paper's settings (width 512, FullSort, margin 0.05, 40 epochs of which
5 with uniform negatives); only its seconds of training count. In turn with parts of its training,
the configuration ``FAST`` is fitted, a seed a turn, in a process that has fitted it once before;
its seconds are those of ``fit``. Both train and are judged on all rows. The reference's two forms
do the same mathematics: the kindest is trained to the end, and the seconds of the authors' are its
steps times its seconds a step, measured in the same turns. What is compared are the seconds until
the reference is first seen within a point of the AUROC where it ends: an upper bound, as it is
looked at after each turn only.

It needs OCSDF_DATA_HOME and takes 5 to 15 minutes a table. Turns that are done are kept in the
folder and not done again; the reference goes on from what was saved after the last one.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.common.results import BUILD, finish_cells
from experiments.speed.reference import FORMS
from experiments.speed.suite import COLOURS, DATA_HOME, REFERENCE, Verdict, figure_of, judge, spread
from experiments.speed.tables import EPOCHS, NEWTON_STEPS, UNIFORM_EPOCHS, Problem

NAME, ROUNDS, REQUIRES = "sooner", 4, (DATA_HOME, REFERENCE)
# The algorithm as published but for fewer steps and a higher rate; the same for all tables.
FAST = {"method": "paper", "margin": 0.05, "max_steps": 300, "learning_rate": 1e-2}
TARGETS = {"cardio": 25.0, "thyroid": 40.0, "satimage-2": 60.0}
TRAINED, TIMED = "kindest", "authors"
WIDTH, SEED, WITHIN = 512, 0, 1.0
_TIMED_STEPS = 10


def run(rounds, folder, tables=tuple(TARGETS), width=WIDTH, configuration=None):
    """Train the reference in as many parts as rounds, and fit ours after each."""
    configuration = FAST if configuration is None else configuration
    path, states = Path(folder) / "speed_sooner.csv", BUILD / "speed_sooner"
    states.mkdir(parents=True, exist_ok=True)
    rows = []
    for table in tables:
        cells = [
            {"table": table, "turn": turn, "turns": rounds, "width": width, "ours": configuration}
            for turn in range(rounds)
        ]
        with _Race(states) as race:
            done = finish_cells(cells, race, path)
        if not any("error" in row for row in done):
            for state in states.glob(f"{table}_{width}_{rounds}_*.npz"):
                state.unlink()
        rows += done
    return rows


def parts(n_epochs, n_uniform, turns):
    """Split the epochs among turns."""
    epochs = np.array_split(np.arange(n_epochs), turns)
    return [(int((part < n_uniform).sum()), int((part >= n_uniform).sum())) for part in epochs]


class _Race:
    """The work of a turn: keeps the reference alive between turns, or restores it."""

    def __init__(self, folder):
        self.folder = folder
        self.done = None
        self.forms = {}

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stop()

    def __call__(self, table, turn, turns, width, ours):
        try:
            row = self._turn(Problem.load(table), table, turn, turns, width, ours)
        except BaseException:
            self._stop()
            raise
        return row

    def _turn(self, problem, table, turn, turns, width, ours):
        states = [self.folder / f"{table}_{width}_{turns}_{i}.npz" for i in range(turns)]
        row = {}
        if self.done != turn:
            self._start(problem, width, states[turn - 1] if turn else None)
            # A throw-away fit: what is timed is a fit in a warm process.
            first = problem.fit_and_judge(**ours, random_state=turns)
            row["first_fit_seconds"] = first["seconds"]
        uniform, attracted = parts(EPOCHS, UNIFORM_EPOCHS, turns)[turn]
        steps_per_epoch = problem.steps_per_epoch()
        work = [(uniform * steps_per_epoch, 0), (attracted * steps_per_epoch, NEWTON_STEPS)]
        work = [(n, newton_steps) for n, newton_steps in work if n]
        trained, timed = self.forms[TRAINED], self.forms[TIMED]
        row["steps"] = sum(n for n, _ in work)
        row[f"{TRAINED}_seconds"] = sum(trained.train(*steps) for steps in work)
        row["reference_auroc"] = problem.auroc(trained.score(problem.points()))
        row[f"{TIMED}_seconds"] = sum(
            n * timed.train(_TIMED_STEPS, newton_steps) / _TIMED_STEPS for n, newton_steps in work
        )
        fit = problem.fit_and_judge(**ours, random_state=turn)
        row |= {f"our_{name}": value for name, value in fit.items()}
        trained.save(states[turn])
        # The state before last is needed no more: the row that came of it is kept.
        if turn > 1:
            states[turn - 2].unlink(missing_ok=True)
        self.done = turn + 1
        return row

    def _start(self, problem, width, state):
        self._stop()
        for form in FORMS:
            self.forms[form] = problem.reference(width, form, SEED)
        if state is not None:
            self.forms[TRAINED].restore(state)

    def _stop(self):
        for process in self.forms.values():
            process.close()
        self.done, self.forms = None, {}


def verdicts(table):
    """Judge AUROC and seconds of each table whose reference has trained to the end."""
    found = []
    for name, rows in table.groupby("table", sort=False):
        least = TARGETS.get(name, 1.0)
        titles = f"{name}, our AUROC", f"{name}, seconds of the reference to there / of our fit"
        if len(rows) < rows["turns"].iloc[0]:
            found += [judge(title, [], least=least) for title in titles]
            continue
        rows = rows.sort_values("turn")
        goal = rows["reference_auroc"].iloc[-1] - WITHIN
        reached = bool(rows["our_auroc"].median() >= goal)
        found.append(Verdict(titles[0], spread(rows["our_auroc"]), f">= {goal:.2f}", reached))
        turns = 1 + first_there(rows)
        authors, kindest = (
            rows[f"{form}_seconds"].iloc[:turns].sum() / rows["our_seconds"] for form in FORMS
        )
        whole = rows["authors_seconds"].sum() / rows["our_seconds"].median()
        note = f"at most; the kindest form: {spread(kindest)}; to the reference's end: {whole:.0f}"
        note += "" if reached else "; the AUROC is not reached, so it does not count"
        verdict = judge(titles[1], authors, least=least, note=note)
        found.append(verdict._replace(met=verdict.met and reached))
    return found


def first_there(rows):
    """The turn after which the reference is first seen within a point of where it ends.

    It may have been there before: it is looked at after each turn only.
    """
    aurocs = rows["reference_auroc"]
    return int((aurocs >= aurocs.iloc[-1] - WITHIN).to_numpy().argmax())


def describe(table):
    """Tell each table's seconds and AUROC, and when the reference first was where it ends."""
    lines = []
    configurations = table["ours"].map(json.dumps).unique() if "ours" in table else []
    lines += [f"our configuration: {one}" for one in configurations]
    if any(json.loads(one) != FAST for one in configurations):
        lines.append(f"not measured yet: the present configuration, {json.dumps(FAST)}")
    for name, rows in table.groupby("table", sort=False):
        rows = rows.sort_values("turn")
        seconds, aurocs = rows["authors_seconds"].cumsum(), rows["reference_auroc"]
        first = first_there(rows)
        start = rows.get("first_fit_seconds", pd.Series(dtype=float)).dropna()
        lines += [
            f"{name}: ours {spread(rows['our_auroc'])} in {spread(rows['our_seconds'])} s "
            f"(the first fit in a process: {spread(start)} s);",
            f"  the reference {aurocs.iloc[-1]:.2f} after {rows['steps'].sum()} steps and "
            f"{seconds.iloc[-1]:.0f} s, {rows['kindest_seconds'].sum():.0f} s in the kindest form; "
            f"within {WITHIN:g} point of it first seen after {seconds.iloc[first]:.0f} s",
        ]
    return "\n".join(lines)


def draw(table):
    """Draw AUROC against seconds: the reference on its way, and our fits."""
    groups = list(table.groupby("table", sort=False))
    figure, axes = figure_of(1, len(groups))
    for ax, (name, rows) in zip(axes, groups, strict=True):
        rows = rows.sort_values("turn")
        seconds = rows["authors_seconds"].cumsum()
        ax.plot(
            seconds,
            rows["reference_auroc"],
            "o-",
            color=COLOURS[1],
            label="reference, authors' form",
        )
        ax.plot(rows["our_seconds"], rows["our_auroc"], "o", color=COLOURS[0], label="ours, fits")
        ax.set(xscale="log", xlabel="seconds", ylabel="AUROC", title=name)
    axes[0].legend(frameon=False)
    return figure
