"""A fitted detector as one ONNX graph: raw rows to score, verdict and certified radius."""

import numpy as np

from ocsdf.export.graph import Graph

_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24}
# Coordinates beyond are clipped, as the estimators do.
_FARTHEST = 1e30
# Rows whose squares cannot overflow in the graph's type; others get no certificate.
_NEAR = {"float64": 1e150, "float32": 1e15}

_STRETCHED = "standardized features stretched where training rows are crowded"
_KIND = {True: "standardized", False: "stretched"}


def detector_graph(network, mean, scale, offset, dtype="float64", stretched=None):
    r"""Write a detector as an ONNX graph.

    The input ``X`` holds raw rows, (n, n_features). The outputs are ``score``, f(x);
    ``decision``, f(x) less the offset; ``verdict``, 1 for normal and -1 for an anomaly; and
    ``certified_radius``,

    .. math:: \max\Big(0, \frac{|f(x) - c| (1 - b / L) - 4 (a + b \|z\|)}{L}\Big)

    rounded down, in certificate units, with :math:`a + b \|z\|` a bound of the rounding error of
    f at the standardized row z in the graph's float type. That is twice what the package takes
    off, so that it covers how the runtime's scores and the package's may differ: the radius is
    never above the package's own.

    Parameters
    ----------
    network : CertifiedNetwork
    mean, scale : ndarray of shape (n_features,)
    offset : float
    dtype : {"float64", "float32"}, default="float64"
        In float32, rows are standardized in float64 still: what a row loses where its mean is
        large beside its scale, no slack could make up for.
    stretched : Piecewise or None, default=None
        What standardized rows are stretched by; the radius is in its units.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ValueError
        If the type is another.
    TypeError
        If an operation has no ONNX form.
    ImportError
        Without the extra ``onnx``.
    """
    if dtype not in _ROUNDOFF:
        raise ValueError(f"dtype must be 'float64' or 'float32'; got {dtype!r}.")
    graph, roundoff = Graph(dtype), _ROUNDOFF[dtype]
    tensor_type = {"float64": 11, "float32": 1}[dtype]
    row = "X" if dtype == "float64" else graph.add("Cast", "X", to=11)
    bounds = [graph.constant(end, np.float64) for end in (-_FARTHEST, _FARTHEST)]
    centred = graph.add("Sub", row, graph.constant(mean, np.float64))
    scaled = graph.add("Div", centred, graph.constant(scale, np.float64))
    scaled = graph.add("Clip", scaled, *bounds)
    if stretched is not None:
        scaled = stretched.to_onnx(graph, scaled, (len(mean),), np.float64)
        scaled = graph.add("Clip", scaled, *bounds)
    points = graph.add("Cast", scaled, to=tensor_type)
    score = graph.reshape(network.network.to_onnx(graph, points), (-1,))
    decision = graph.add("Sub", score, graph.constant(offset))
    # Rounding to the type counts as well: relative to the row, one unit and a half.
    relative, absolute = network.point_rounding
    constant, slope = network.network.float_error(
        roundoff, relative=relative + 3.0 * roundoff, absolute=absolute
    )
    radius = _radius(graph, points, decision, (constant, slope), network.lipschitz_bound)
    inside = graph.add("GreaterOrEqual", decision, graph.constant(0.0))
    one, minus = graph.integers(1), graph.integers(-1)
    named = {
        "score": (graph.add("Identity", score), dtype),
        "decision": (graph.add("Identity", decision), dtype),
        "verdict": (graph.add("Where", inside, one, minus), np.int64),
        "certified_radius": (graph.add("Cast", radius, to=tensor_type), dtype),
    }
    for name, (value, _) in named.items():
        graph.name_output(value, name)
    about = {
        "lipschitz_bound": repr(network.lipschitz_bound),
        "certificate": "l2 norm in "
        + ("standardized features, (X - mean) / scale" if stretched is None else _STRETCHED),
        "rounding": f"{constant!r} + {slope!r} * norm of the {_KIND[stretched is None]} row",
    }
    n_features = len(mean)
    return graph.model(
        {"X": (dtype, ("n", n_features))},
        {name: (kind, ("n",)) for name, (_, kind) in named.items()},
        about,
    )


def _radius(graph, points, decision, error, lipschitz):
    """Certified radii, in float64 and rounded down by a little more than it may round."""
    constant, slope = error

    def number(value):
        return graph.constant(value, np.float64)

    points, decision = (graph.add("Cast", value, to=11) for value in (points, decision))
    squares = graph.add(
        "ReduceSum", graph.add("Mul", points, points), graph.integers([1]), keepdims=0
    )
    norm = graph.add("Sqrt", squares)
    kept = graph.add("Mul", graph.add("Abs", decision), number(1.0 - 2.0 * slope / lipschitz))
    lost = graph.add("Add", number(4.0 * constant), graph.add("Mul", number(4.0 * slope), norm))
    lost = graph.add("Mul", lost, number(1.0 + 2.0**-20))
    left = graph.add("Max", graph.add("Sub", kept, lost), number(0.0))
    left = graph.add(
        "Where", graph.add("Less", norm, number(_NEAR[graph.dtype.name])), left, number(0.0)
    )
    # 2^-22 also covers the rounding down to float32.
    shrink = 1.0 - (2.0**-40 if graph.dtype == np.float64 else 2.0**-22)
    return graph.add("Mul", left, number(shrink / lipschitz))
