"""Damaged files: never anything but one line and exit code 2, never a gigabyte, never code.

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
