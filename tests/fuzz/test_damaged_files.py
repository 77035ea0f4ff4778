"""Damaged files and random tables: one line says what is wrong, or the promises hold.

For an hour: ``python -m pytest tests/fuzz/test_damaged_files.py --fuzz-seconds 3600``.
"""

import resource
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ocsdf import OCSDF
from ocsdf.cli.commands import app
from ocsdf.surfaces import read_cloud

MOST_BYTES = 2**30
CODE = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "pickle.find_class")
EXPECTED = (ValueError, TypeError, OSError)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a whole file of each kind."""
    folder = tmp_path_factory.mktemp("fuzz")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    detector = OCSDF(hidden_layer_sizes=(8, 8), epochs=2, random_state=0).fit(frame)
    detector.save(folder / "whole.ocsdf")
    detector.fit(frame.to_numpy()).save(folder / "unnamed.ocsdf")
    frame.to_csv(folder / "whole.csv", index=False)
    frame.to_csv(folder / "whole.csv.gz", index=False)
    frame.to_parquet(folder / "whole.parquet")
    np.savez(folder / "whole.npz", X=frame.to_numpy(), y=np.arange(60) % 2)
    points = rng.normal(size=(150, 3))
    lines = [" ".join(map(str, point)) for point in points]
    (folder / "whole.obj").write_text("".join(f"v {line}\n" for line in lines))
    (folder / "whole.xyz").write_text("\n".join(lines))
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 150\n"
    header += "".join(f"property double {axis}\n" for axis in "xyz") + "end_header\n"
    (folder / "whole.ply").write_bytes(header.encode() + points.tobytes())
    return folder


@pytest.fixture(scope="module")
def code_run():
    """Collects what would run code; a hook cannot be taken away, only told to stop."""
    seen, active = [], [True]

    def hook(event, arguments):
        if active and event.startswith(CODE):
            seen.append((event, arguments))

    sys.addaudithook(hook)
    yield seen
    active.clear()


def damage(content, rng):
    """Flip bytes, cut off, take out, or repeat a part."""
    content = bytearray(content)
    kind = rng.integers(5)
    start, end = sorted(rng.integers(len(content) + 1, size=2))
    if kind == 0:
        return bytes(content[:start])
    if kind == 1:
        return bytes(content[:start] + content[end:])
    if kind == 2:
        return bytes(content[:end] + content[start:])
    for place in rng.integers(len(content), size=int(rng.integers(1, 9 if kind == 3 else 200))):
        content[place] = rng.integers(256) if kind == 3 else content[place] ^ 1 << rng.integers(8)
    return bytes(content)


def score(folder, path):
    """Score rows by the command: a model if the file is one, else the rows of the file."""
    model, rows = folder / "whole.ocsdf", folder / "whole.csv"
    if path.suffix == ".ocsdf":
        model = path
    else:
        model, rows = folder / "unnamed.ocsdf" if path.suffix == ".npz" else model, path
    words = [model, rows]
    result = CliRunner().invoke(app, ["score", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 2), result.output
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    if result.exit_code == 2:
        assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
        assert result.stdout == ""
    else:
        assert lines == []
    return result.exit_code


def read(_, path):
    """Read a cloud, whose mesh would take minutes."""
    try:
        read_cloud(path)
    except EXPECTED:
        return 2
    return 0


@pytest.mark.parametrize("suffix", [".ocsdf", ".csv", ".csv.gz", ".parquet", ".npz"])
def test_damaged_tables_and_models(folder, code_run, fuzz_seconds, suffix):
    attempt(folder, code_run, fuzz_seconds, suffix, score)


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".xyz"])
def test_damaged_clouds(folder, code_run, fuzz_seconds, suffix):
    attempt(folder, code_run, fuzz_seconds, suffix, read)


def attempt(folder, code_run, seconds, suffix, task):
    """Damage a file in many ways, for a time; print how it went."""
    whole, path = (folder / f"whole{suffix}").read_bytes(), folder / f"damaged{suffix}"
    assert task(folder, folder / f"whole{suffix}") == 0
    start, ends, seed = time.monotonic(), {0: 0, 2: 0}, 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code_run.clear()
    while time.monotonic() - start < seconds:
        path.write_bytes(damage(whole, np.random.default_rng(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                ends[task(folder, path)] += 1
            except BaseException as error:
                raise AssertionError(f"{suffix}, seed {seed}: {error!r}") from error
        taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        assert taken < MOST_BYTES, f"{suffix}, seed {seed}: {taken / 2**20:.0f} MiB"
        assert code_run == [], f"{suffix}, seed {seed}"
        seed += 1
    print(f"{suffix}: {seed} files, {ends[2]} refused, {taken / 2**20:.0f} MiB more")


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
