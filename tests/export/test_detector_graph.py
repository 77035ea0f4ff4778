"""The exported graph says what the package says, and certifies no more."""

import numpy as np
import onnxruntime as ort
import pytest
from typer.testing import CliRunner

from ocsdf import OCSDF, ImageOCSDF
from ocsdf.certificate.network import CertifiedNetwork
from ocsdf.cli.commands import app
from ocsdf.export.detector import detector_graph
from ocsdf.export.graph import Graph
from ocsdf.operations.chain import Chain
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.linear import Asinh, Dense, Scaling
from ocsdf.operations.sorting import GroupSort, MaxMin, SortedHalves


def session(model):
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def run_chain(operations, rows, dtype="float64"):
    graph = Graph(dtype)
    chain = Chain(tuple(operations), (rows.shape[1],))
    graph.name_output(graph.add("Identity", chain.to_onnx(graph, "X")), "y")
    shape = ("n", chain.output_shape()[0])
    model = graph.model({"X": (dtype, ("n", rows.shape[1]))}, {"y": (dtype, shape)}, {})
    return session(model).run(None, {"X": rows.astype(dtype)})[0], chain.evaluate(rows)


rng = np.random.default_rng(0)
REFERENCES = rng.normal(size=(48, 6))


@pytest.mark.parametrize(
    "operation",
    [
        Dense(rng.normal(size=(6, 3)), rng.normal(size=3)),
        Scaling(rng.normal(size=6), rng.normal(size=6)),
        Asinh(2.0),
        GroupSort(None),
        GroupSort(3, coefficient=0.5),
        SortedHalves(),
        MaxMin(coefficient=0.7),
        SubsampleDistance(REFERENCES, (48,), "l2"),
        SubsampleDistance(REFERENCES, (4, 16), "l1"),
        SubsampleDistance(REFERENCES, (8, 24), "l2"),
    ],
    ids=lambda operation: type(operation).__name__,
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_operation_alone(operation, dtype):
    rows = np.random.default_rng(1).normal(size=(50, 6)) * np.logspace(-3, 2, 6)
    rows = rows.astype(dtype).astype(np.float64)
    theirs, ours = run_chain([operation], rows, dtype)
    u = {"float64": 2.0**-53, "float32": 2.0**-24}[dtype]
    # Any order of summation: n + 8 roundings of what the terms are at most.
    size = 60 * u * (np.abs(rows).sum(axis=1, keepdims=True) * 4.0 + 8.0)
    assert np.all(np.abs(theirs - ours) <= size)


def test_asinh_keeps_small_values_and_large_ones():
    values = np.concatenate([10.0 ** np.arange(-300, 31, 3.0), [0.0]])
    rows = np.stack([values, -values], axis=1)
    theirs, ours = run_chain([Asinh(2.0)], rows)
    assert np.all(np.abs(theirs - ours) <= 20 * 2.0**-53 * np.abs(ours))
    near = rows[np.all(np.abs(rows) > 1e-30, axis=1)]
    theirs, ours = run_chain([Asinh(2.0)], near, "float32")
    assert np.all(np.abs(theirs - ours) <= 24 * 2.0**-24 * np.abs(ours))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 5)) * [1.0, 1e3, 1e-3, 1.0, 1.0] + [0.0, 1e4, 0.0, 5.0, 0.0]
    X[:, 3] = np.round(X[:, 3])
    far = X[:80] + rng.normal(size=(80, 5)) * [4.0, 5e3, 4e-3, 3.0, 4.0]
    return np.vstack([X, far, X[:3] * 1e6])


@pytest.fixture(scope="module", params=["fullsort", "groupsort2"])
def detector(request, rows):
    settings = {"hidden_layer_sizes": (16, 16), "epochs": 2, "random_state": 0}
    return OCSDF(activation=request.param, **settings).fit(rows[:300])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_graph_agrees_and_certifies_no_more(detector, rows, dtype, tmp_path):
    detector.export(tmp_path / "m.onnx", dtype=dtype)
    runtime = ort.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    X = rows.astype(dtype)
    score, decision, verdict, radius = runtime.run(None, {"X": X})
    X = X.astype(np.float64)
    network, points = detector._network, (X - detector.mean_) / detector.scale_
    u = {"float64": 2.0**-53, "float32": 2.0**-24}[dtype]
    constant, slope = network.network.float_error(u, relative=3.0 * u)
    error = constant + slope * np.linalg.norm(points, axis=1) + network.rounding_error(points)
    ours = detector.score_samples(X)
    assert np.all(np.abs(score - ours) <= error)
    assert np.all(np.abs(decision - (ours - detector.offset_)) <= error + u * np.abs(ours))
    differs = verdict != detector.predict(X)
    assert not np.any(differs & (np.abs(ours - detector.offset_) > error))
    assert np.all(radius <= detector.certified_radius(X)) and np.all(radius >= 0.0)
    close = radius[:-3] >= 0.9 * detector.certified_radius(X)[:-3] - 8.0 * error[:-3]
    assert close.mean() == 1.0, "or the graph would certify nothing"


def test_a_batch_of_any_size(detector, rows):
    model = detector_graph(
        detector._network,
        detector.mean_,
        detector.scale_,
        detector.offset_,
        "float64",
        detector.stretch_,
    )
    runtime = session(model)
    for n in (0, 1, 7):
        outputs = runtime.run(None, {"X": rows[:n]})
        assert [len(output) for output in outputs] == [n] * 4


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_that_the_package_refuses_are_certified_nothing(detector, rows, dtype):
    scaling = detector.mean_, detector.scale_
    model = detector_graph(detector._network, *scaling, detector.offset_, dtype, detector.stretch_)
    missing = rows[:2].astype(dtype)
    missing[0, 0] = np.nan
    verdict, radius = session(model).run(["verdict", "certified_radius"], {"X": missing})
    assert verdict[0] == -1 and radius[0] == 0.0
    assert verdict[1] == detector.predict(missing[1:])[0]


def test_ties_at_the_verdict():
    # f(x) = x, an offset that is one of the rows: inside, in both.
    chain = Chain((Dense([[1.0]], [0.0]),), (1,))
    model = detector_graph(CertifiedNetwork(chain), np.zeros(1), np.ones(1), 0.5)
    verdict, radius = session(model).run(
        ["verdict", "certified_radius"], {"X": np.array([[0.5], [np.nextafter(0.5, 0)], [2.0]])}
    )
    assert verdict.tolist() == [1, -1, 1]
    assert radius[:2].tolist() == [0.0, 0.0] and 1.4999 < radius[2] < 1.5


def test_what_cannot_be_exported_says_so(detector, tmp_path):
    images = np.random.default_rng(0).random((12, 8, 8, 1))
    picture = ImageOCSDF(hidden_layer_sizes=(8,), max_steps=1, random_state=0).fit(images)
    with pytest.raises(TypeError, match="has no ONNX form yet"):
        picture.export(tmp_path / "images.onnx")
    assert not (tmp_path / "images.onnx").exists()
    with pytest.raises(ValueError, match="dtype must be 'float64' or 'float32'; got 'float16'"):
        detector.export(tmp_path / "m.onnx", dtype="float16")


def test_command(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    detector.save("m.ocsdf")
    result = CliRunner().invoke(app, ["export", "m.ocsdf", "-o", "m.onnx", "--dtype", "float32"])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"onnx: {tmp_path / 'm.onnx'}"
    assert (tmp_path / "m.onnx").stat().st_size > 1000


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'ocsdf\[onnx\]'"):
        Graph()
