"""All benchmarks of speed: ours and its peers in turn, as ratios within one run.

Each benchmark leaves speed_<name>.csv and speed_<name>.png in the output folder; at the end there
is a line for each acceptance target. All of them take about two hours on two cores, on a machine
that does nothing else. Benchmarks that take long keep what is done in speed_<name>/ and go on from
there; remove that folder to measure anew.
"""

import argparse
import importlib
import traceback
from types import SimpleNamespace

from experiments.speed import scoring, suite

# The short ones first.
BENCHMARKS = ("scoring", "steps", "fits", "same_work", "growth", "sooner")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m experiments.speed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument("--rounds", type=int, help="for all; each has its own default")
    parser.add_argument("--output", default=suite.FOLDER, help="folder of the results")
    arguments = parser.parse_args(arguments)
    verdicts, silent = [], []
    for name in BENCHMARKS:
        if name not in arguments.only:
            continue
        try:
            found = suite.perform(find(name), arguments.rounds, arguments.output)
        except Exception:  # the others take hours, and go on
            traceback.print_exc()
            found = []
        verdicts += found
        silent += [] if found else [name]
    for verdict in verdicts:
        print(verdict)
    if silent:
        print(f"not judged: {', '.join(silent)}; see above")


def find(name):
    """Return the benchmark of a name.

    Parameters
    ----------
    name : str
        One of ``BENCHMARKS``.

    Returns
    -------
    module or SimpleNamespace
        What :func:`experiments.speed.suite.perform` takes.
    """
    if name != "scoring":
        return importlib.import_module(f"experiments.speed.{name}")
    return SimpleNamespace(
        NAME=name,
        ROUNDS=5,
        REQUIRES=(),
        run=lambda rounds, folder: scoring.run(rounds),
        describe=_scoring_rates,
        verdicts=_scoring_verdicts,
        draw=_scoring_picture,
    )


def _scoring_rates(table):
    groups = table.groupby(["benchmark", "detector"], sort=False)["rows_per_second"]
    return groups.apply(suite.spread).to_string()


def _scoring_verdicts(table):
    return [
        suite.Verdict(f"rows scored a second, {name}", measured, f">= {target:g}", met)
        for name, measured, target, met in scoring.summarize(table).itertuples(index=False)
    ]


def _scoring_picture(table):
    figure, (ax,) = suite.figure_of(1, 1)
    groups = table[table["benchmark"] == scoring.TABLE].groupby("detector", sort=False)
    suite.spans(ax, dict(iter(groups["rows_per_second"])), "rows scored a second")
    return figure


if __name__ == "__main__":
    main()
