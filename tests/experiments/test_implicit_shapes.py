"""Solids from points inside them, in small."""

import numpy as np
import pandas as pd
import pytest

from experiments import implicit_shapes
from experiments.implicit_shapes import (
    BALLS,
    KDE,
    METHODS,
    OURS,
    describe,
    draw,
    run_cell,
)
from experiments.shapes import GENERATED, draw_inside, load_shape
from experiments.toy2d_data import clear_seeds
from ocsdf.training.domain import Box


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    tiny = implicit_shapes.PRESETS["smoke"]._replace(shapes=("ball",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(implicit_shapes.PRESETS, "smoke", tiny)
        keys = [{"shape": "ball", "method": m, "preset": "smoke", "seed": 0} for m in METHODS]
        rows = pd.DataFrame([{**key, **run_cell(**key, work=work)} for key in keys])
        text = describe(rows, "smoke")
        draw(rows, "smoke", 0, work, work / "solids.png")
    return rows.set_index("method"), text, work / "solids.png"


def test_a_ball_is_found_from_points_inside_it(rows):
    found, text, picture = rows
    assert found.loc[OURS, "iou"] > found.loc[BALLS, "iou"] and found.loc[OURS, "iou"] > 0.7
    assert (found["oracle_iou"] >= found["iou"]).all()
    assert found.loc[OURS, "watertight"] and 0.0 < found.loc[OURS, "share_evaluated"] < 1.1
    assert 0.01 < found.loc[KDE, "bandwidth"] <= 0.1
    assert "oracle level" in text and f"| mean    | {found.loc[OURS, 'iou']:.3f}" in text
    assert picture.stat().st_size > 10_000


def test_points_are_uniform_inside_the_solid():
    truth = load_shape("ball")
    points = draw_inside(truth, 4_000, np.random.default_rng(0))
    radii = np.linalg.norm(points, axis=1)
    # A share r^3 of a unit ball lies within r.
    assert len(points) == 4_000 and radii.max() <= 0.5 + 1e-9
    assert np.mean(radii < 0.25) == pytest.approx(1.0 / 8.0, abs=0.02)


def test_negatives_keep_clear_of_the_data():
    points = np.zeros((1, 3), dtype=np.float32)
    box = Box([-1.0] * 3, [1.0] * 3)
    seeds = clear_seeds(box, points, 0.8)(500, np.random.default_rng(0))
    assert seeds.shape == (500, 3) and np.linalg.norm(seeds, axis=1).min() >= 0.8


def test_shapes_are_watertight_and_of_unit_size(monkeypatch, tmp_path):
    for name in GENERATED:
        mesh = load_shape(name)
        assert mesh.is_watertight and mesh.extents.max() == pytest.approx(1.0)
        assert mesh.bounds.mean(axis=0) == pytest.approx([0.0] * 3)
    monkeypatch.setenv("OCSDF_DATA_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"meshes/cow.obj: take cow.obj from alecjacobson"):
        load_shape("cow")
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "cow.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(ValueError, match="cow is not watertight"):
        load_shape("cow")
