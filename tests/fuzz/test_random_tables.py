"""Random tables through the commands: a result or one line, and no file lost.

For an hour: ``python -m pytest tests/fuzz/test_random_tables.py --fuzz-seconds 3600``.
"""

import time
import warnings

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from ocsdf.cli.commands import app

NAMES = [
    "a",
    "b",
    "é",
    "x,y",
    " lead",
    "=1+1",
    "[bold]",
    "\x1b[31m",
    "",
    "Unnamed: 0",
    "1.5",
    "a",
    "😀",
]
VALUES = {
    "normal": lambda rng, n: rng.normal(size=n),
    "large": lambda rng, n: rng.normal(size=n) * 10.0 ** rng.integers(-300, 300),
    "constant": lambda rng, n: np.full(n, rng.normal()),
    "integers": lambda rng, n: rng.integers(-5, 5, size=n),
    "long": lambda rng, n: rng.integers(2**62, size=n),
    "numbers of rows": lambda rng, n: np.arange(n),
    "booleans": lambda rng, n: rng.random(n) < 0.5,
    "gaps": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
    "text": lambda rng, n: rng.choice(["x", "NA", "", '"', "1,5", "é\n"], size=n),
    "dates": lambda rng, n: pd.date_range("2026-01-01", periods=n).astype(str),
}


def random_table(rng):
    """Return a frame, how to write it, and the options that a user may give."""
    n_rows, n_columns = int(rng.choice([0, 1, 2, 3, 30, 60])), int(rng.integers(1, 6))
    usual = rng.random() < 0.6
    kinds = ["normal", "normal", "integers", "booleans", "constant"] if usual else list(VALUES)
    columns = [VALUES[str(rng.choice(kinds))](rng, n_rows) for _ in range(n_columns)]
    frame = pd.DataFrame(dict(enumerate(columns)))
    frame.columns = [str(rng.choice(NAMES)) for _ in range(n_columns)]
    options = []
    if rng.random() < 0.5:
        frame.insert(int(rng.integers(n_columns + 1)), "y", rng.integers(0, 2, size=n_rows))
        options += ["--label", "y"]
    if rng.random() < 0.2:
        options += ["--drop", str(rng.choice(NAMES))]
    written = {
        "sep": str(rng.choice([",", ";", "\t"])),
        "decimal": str(rng.choice([".", ","])) if rng.random() < 0.3 else ".",
        "index": bool(rng.random() < 0.2),
        "header": bool(rng.random() < 0.9),
    }
    return frame, written, options


def test_random_tables(tmp_path, monkeypatch, fuzz_seconds):
    monkeypatch.chdir(tmp_path)
    start, seed, ends = time.monotonic(), 0, {}
    while time.monotonic() - start < fuzz_seconds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                for command, code in go_through(folder, np.random.default_rng(seed)):
                    ends[command, code] = ends.get((command, code), 0) + 1
            except BaseException as error:
                raise AssertionError(f"seed {seed}: {error!r}") from error
        seed += 1
    print(f"{seed} tables: {ends}")


def go_through(folder, rng):
    """Fit, score and report, and check what each leaves behind."""
    frame, written, options = random_table(rng)
    table, model = folder / "t.csv", folder / "m.ocsdf"
    frame.to_csv(table, **written)
    content = table.read_bytes()
    commands = {
        "fit": (["fit", table, *options, "--epochs", "2", "--output", model], model),
        "score": (["score", model, table, "--output", folder / "s.csv"], folder / "s.csv"),
        "report": (["report", table, *options, "--epochs", "2", "--output", folder / "r.html"],)
        + (folder / "r.html",),
    }
    for command, (words, output) in commands.items():
        before = set(folder.iterdir())
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code in (0, 2), result.output
        told = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
        assert len(told) == (result.exit_code == 2), result.stderr
        assert all(line.startswith("error: ") for line in told), result.stderr
        assert set(folder.iterdir()) - before == ({output} if result.exit_code == 0 else set())
        assert table.read_bytes() == content
        yield command, result.exit_code
