"""Every item of the two papers: where it is, the paper's figure, ours, what is scaled down.

`python -m experiments.papers` writes docs/papers.md from experiments/papers.toml; its figures come
from the CSV files of experiments/results and nowhere else.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from ocsdf.utils.exactness import exact_floats

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"
PAGE = ROOT / "docs" / "papers.md"
STATES = {
    "works": "as in the paper, or larger",
    "scaled": "runs, smaller than in the paper",
    "partly": "a part is missing; the line says which",
    "needs": "cannot run on two cores in an hour; the line says what it needs",
    "theory": "nothing to run",
}
_HEAD = """# The papers, row by row

Written by `python -m experiments.papers` from `experiments/papers.toml`; every figure of ours comes
from a file of [experiments/results](../experiments/results/README.md). OCSDF: Bethune et al., ICML
2023. CNLS: Atzmon et al., NeurIPS 2019. AUROC and accuracy are in percent. "Oracle" means that test
labels chose a setting. A command `NAME` stands for `python -m experiments.NAME`.

## To reproduce a row

In a copy of the repository, with the table of CNLS Figure A1 as the example:

    pip install -e ".[experiments]"
    python -m experiments.level_set_sampling --preset smoke --output build/smoke
    python -m experiments.level_set_sampling --output build/mine

The second command shows within minutes that everything runs; its figures mean nothing. The third
measures what the row shows. It says how many cells it has to do and keeps each as soon as it is
done: stopped, the same command goes on. At its end it prints its tables and writes them to
`build/mine/level_set_sampling.md`: hold that page against the committed
[level_set_sampling](../experiments/results/level_set_sampling.md). Another processor rounds
otherwise, so that trained networks differ a little. **Without `--output` nothing is measured that
the record has**: the command writes its page anew from it.

On one core `level_set_control`, `level_set_sampling`, `linf` and `toy_variants` take minutes,
`toy2d`, `curves`, `implicit_shapes` and `reconstruction_loss` up to an hour, the others hours.
`--help` tells the presets of each: without `--preset` it is the committed one, and `paper`, where
there is one, spends what the paper does. Tables and images are read from the folder that the
environment variable `OCSDF_DATA_HOME` names, or downloaded where that is possible.

## All rows

"""


def main():
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(f"the papers, row by row: {PAGE.relative_to(ROOT)}")


def page():
    """Return the page as text."""
    items = read_items()
    counts = [(state, sum(item["state"] == state for item in items)) for state in STATES]
    lines = [_HEAD + f"{len(items)} items:\n"]
    lines += [f"- **{state}** ({n}): {STATES[state]}." for state, n in counts]
    lines += [
        "",
        "| item | state | what | where it is | the paper | here | command | scaled, missing |",
    ]
    lines += ["|" + "---|" * 8]
    for item in items:
        keys = ("where", "state", "what", "code", "paper", "ours", "command", "scaled")
        cells = [item.get(key, "") for key in keys]
        lines.append("| " + " | ".join(figures(cell).replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def read_items():
    """Return the items of the TOML file, each checked."""
    items = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["item"]
    known = {"where", "what", "code", "paper", "ours", "command", "scaled", "state"}
    for item in items:
        if unknown := set(item) - known:
            raise ValueError(f"{item['where']}: unknown keys {sorted(unknown)}")
        if item["state"] not in STATES:
            raise ValueError(f"{item['where']}: state must be one of {list(STATES)}")
        if item["state"] in ("scaled", "partly", "needs") and not item.get("scaled"):
            raise ValueError(f"{item['where']}: {item['state']!r} has to say what is scaled")
    return items


def figures(text):
    """Put figures in the place of their descriptions in braces."""
    return re.sub(r"\{([^{}]+)\}", lambda match: figure(match[1]), text)


def figure(description):
    """Look one figure up: file, column (or a sum of columns), filters, aggregate, format."""
    file, column, filters, aggregate, form = (part.strip() for part in description.split("|"))
    rows = chosen(read(file), filters)
    values = sum(rows[name] for name in column.split("+"))
    if not values.notna().any():
        raise ValueError(f"no figure for {description!r}")
    value = AGGREGATES[aggregate](rows, values)
    if form.startswith("v"):  # a lower bound, or an attacked value: rounded down
        form = form[1:]
        digits = int(form[1])
        value = np.floor(value * 10**digits + 1e-9) / 10**digits
    return format(value, form)


@cache
def read(file):
    """Return a CSV file of the results."""
    return pd.read_csv(RESULTS / file, **exact_floats())


def chosen(rows, filters):
    """Keep rows by `name=value` (empty: missing) and `name~part` filters, parted by commas."""
    for text in filter(None, re.split(r",\s*(?=[\w ]+[=~])", filters)):
        name, sign, value = re.match(r"([\w ]+?)\s*([=~])(.*)", text).groups()
        value = value.strip()
        if sign == "~":
            keep = rows[name].astype(str).str.contains(value, regex=False)
        elif not value:
            keep = rows[name].isna()
        elif pd.api.types.is_numeric_dtype(rows[name]):
            keep = np.isclose(rows[name], float(value))
        else:
            keep = rows[name] == value
        rows = rows[keep]
    return rows


def _oracle(rows, values):
    """Mean over tables of the best setting's mean over seeds."""
    setting = "margin" if "margin" in rows else "detector"
    means = values.groupby([rows["table"], rows[setting]]).mean()
    return means.groupby(level=0).max().mean()


def _oracle_class(rows, values):
    """Mean over classes of the best margin's value."""
    return values.groupby(rows["label"]).max().mean()


def _best_rate(rows, values):
    """Best mean over the five seeds that every learning rate has."""
    first = rows["seed"] < 5
    return values[first].groupby(rows["rate"][first]).mean().max()


AGGREGATES = {
    "mean": lambda rows, values: values.mean(),
    "median": lambda rows, values: values.median(),
    "sum": lambda rows, values: values.sum(),
    "min": lambda rows, values: values.min(),
    "max": lambda rows, values: values.max(),
    "mintable": lambda rows, values: values.groupby(rows["table"]).mean().min(),
    "maxtable": lambda rows, values: values.groupby(rows["table"]).mean().max(),
    "oracle": _oracle,
    "oracleclass": _oracle_class,
    "best-rate": _best_rate,
}

if __name__ == "__main__":
    main()
