"""Surfaces from raw points, in small."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from experiments import surfaces
from experiments.shapes import load_shape
from experiments.surface_tables import describe, draw
from experiments.surfaces import (
    ALONE,
    CNLS,
    LIPSCHITZ,
    METHODS,
    NOISE,
    POISSON,
    draw_cloud,
    mesh_file,
    run_cell,
)
from ocsdf.surfaces.reconstruction import Effort

TINY = surfaces.PRESETS["smoke"]._replace(
    effort=Effort(16, 2_000, 60, 4, 256, 5e-3),
    regression_steps=60,
    lipschitz_width=8,
    lipschitz_steps=60,
    alone_steps=4,
    n_samples=500,
    resolution=24,
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    key = {"shape": "ball", "n_points": 600, "preset": "smoke", "seed": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(surfaces.PRESETS, "smoke", TINY)
        rows = [{**key, "method": m, **run_cell(method=m, **key, work=work)} for m in METHODS]
    return pd.DataFrame(rows), work


@pytest.mark.slow
def test_every_method_gives_a_surface(found):
    rows, _ = found
    rows = rows.set_index("method")
    # The ball's radius is 1/2; a few steps of so small a 1-Lipschitz network are rough.
    distances = rows[["to_truth", "from_truth"]].max(axis=1)
    assert (distances.drop([LIPSCHITZ, ALONE]) < 0.1).all()
    assert (distances[[LIPSCHITZ, ALONE]] < 0.4).all()
    assert rows.loc[[CNLS, POISSON], "watertight"].all()
    assert (rows["chamfer_l2"] < rows["chamfer_l1"]).all()
    assert (rows["floor_l2"] < rows["floor_l1"]).all()
    networks = rows["error_near"].notna()
    assert networks.sum() == 4 and rows.loc[CNLS, "error_near"] < 0.1
    assert rows.loc[LIPSCHITZ, ["slope_near", "slope_far"]].max() <= 1.0 + 1e-4


@pytest.mark.slow
def test_tables_and_picture(found, tmp_path):
    rows, work = found
    text = describe(pd.concat([rows, rows.assign(n_points=TINY.many)]), METHODS, TINY)
    row = rows.set_index("method").loc[CNLS]
    assert f"{500.0 * (row['to_truth'] + row['from_truth']):.2f}" in text
    assert " of 1 shapes. Of the 2 meshes of our two rows" in text and "| nan" not in text
    files = partial(mesh_file, work, "smoke", 0)
    draw({"ball": np.zeros((600, 3))}, files, (CNLS, POISSON), tmp_path / "surfaces.png")
    assert (tmp_path / "surfaces.png").stat().st_size > 10_000


def test_clouds_have_the_noise_that_is_said():
    cloud = draw_cloud(load_shape("ball"), 5_000, np.random.default_rng(0))
    assert np.std(np.linalg.norm(cloud, axis=1)) == pytest.approx(NOISE, rel=0.05)
