"""C3: labels of files as people have them."""

import numpy as np
import pytest

from ocsdf.data.tables import load_table


@pytest.mark.parametrize("kind", [">i8", ">f4", ">i2", ">f8", "<i8", "?", ">U1"])
def test_C3_labels_of_any_byte_order(tmp_path, kind):
    labels = np.array([0, 1, 0]).astype(kind)
    np.savez(tmp_path / "table.npz", X=np.eye(3), y=labels)
    anomaly = "1" if kind == ">U1" else None
    table = load_table(tmp_path / "table.npz", anomaly=anomaly)
    np.testing.assert_array_equal(table.y, [0, 1, 0])


@pytest.mark.parametrize("name", ["None", "NA", "null", "NaN", "n/a", "N/A"])
def test_C3_class_names_that_read_as_missing(tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_text(f"x,kind\n1,{name}\n2,bad\n3,{name}\n")
    np.testing.assert_array_equal(load_table(path, "kind", "bad").y, [0, 1, 0])
    np.testing.assert_array_equal(load_table(path, "kind", name).y, [1, 0, 1])
    path.write_text("x,kind\n1,good\n2,bad\n3,\n")
    with pytest.raises(ValueError, match="missing .* in 1 rows"):
        load_table(path, "kind", "bad")


@pytest.mark.parametrize("others", [["maybe"], ["maybe", "unknown"], ["a", "b", "c"], [7]])
def test_C3_a_third_value_is_told(tmp_path, others):
    path = tmp_path / "table.csv"
    path.write_text("x,kind\n1,good\n2,bad\n" + "".join(f"3,{other}\n" for other in others))
    with pytest.warns(UserWarning, match=rf"has {2 + len(others)} values: 'good', .* as normal"):
        table = load_table(path, "kind", "bad")
    assert table.y.sum() == 1
