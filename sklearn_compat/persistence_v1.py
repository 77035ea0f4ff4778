"""Files of version 1, whose network is a Keras archive: read without Keras.

The description names each layer by its module, class and registered name. Only those that
detectors ever saved are known, in sequential networks, and their weights are read as plain arrays:
no name that a file gives is looked up anywhere, and no function of Keras sees the file.
"""

import io
import json
import re

from ocsdf.operations.chain import Chain
from ocsdf.operations.cones import Cones
from ocsdf.operations.distances import SubsampleDistance
from ocsdf.operations.ensembles import ScaledMinimum, WeightedMean
from ocsdf.operations.linear import Asinh, Centered, Dense
from ocsdf.operations.sorting import GroupSort, SortedHalves
from ocsdf.utils.archives import array_from_bytes, read_members

_SEQUENTIAL = ("keras", "Sequential", None)
_INPUT = ("keras.layers", "InputLayer", None)


def read(members):
    """Read the members of a file of version 1 as a description and arrays of version 2.

    A ValueError, KeyError or TypeError tells of no such file, or of a layer that is not known.
    """
    if members.keys() != {"meta.json", "arrays.npz", "model.keras"}:
        raise ValueError("unexpected members")
    meta = json.loads(members["meta.json"])
    stored = read_members(members["arrays.npz"])
    arrays = {
        name.removesuffix(".npy"): array_from_bytes(content) for name, content in stored.items()
    }
    description, weights = _network(members["model.keras"]).describe("network.")
    is_image = meta.get("image_shape") is not None
    added = {"version": 1, "class": "ImageOCSDF" if is_image else "OCSDF", "network": description}
    return meta | added, arrays | weights


def _network(content):
    # The HDF5 file holds plain weights; the library is one of Keras's own requirements.
    import h5py

    parts = read_members(content)
    config = json.loads(parts["config.json"])
    weights = parts["model.weights.h5"]
    with h5py.File(io.BytesIO(weights), "r") as file:
        return _chain(config, _Weights(file, len(weights)))


class _Weights:
    """A group of a weight file, from which no link leads elsewhere and no array is compressed."""

    def __init__(self, group, size):
        self._group, self._size = group, size

    def inside(self, *names):
        """Return the group that names lead to."""
        group = self._group
        for name in names:
            group = group[self._checked(group, name)]
        return _Weights(group, self._size)

    def arrays(self):
        """Return the layer's own weights, in order."""
        group = self.inside("vars")._group
        return [self._array(group[self._checked(group, str(i))]) for i in range(len(group))]

    def _checked(self, group, name):
        import h5py

        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError("a link that leads elsewhere")
        return name

    def _array(self, dataset):
        plain = dataset.dtype.str == "<f4" and dataset.chunks is None and not dataset.is_virtual
        if not plain or dataset.external or dataset.nbytes > self._size:
            raise ValueError("weights that are no plain array")
        return dataset[()]


def _chain(config, weights):
    """Read a sequential network; its layers' weights lie under names that count each class."""
    if _identity(config) != _SEQUENTIAL:
        raise ValueError("a network that is not sequential")
    first, *layers = config["config"]["layers"]
    if _identity(first) != _INPUT:
        raise ValueError("a network without an input")
    seen, operations = {}, []
    for layer in layers:
        translate = _LAYERS[_identity(layer)]
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", layer["class_name"]).lower()
        number = seen[name] = seen.get(name, -1) + 1
        inner = weights.inside("layers", f"{name}_{number}" if number else name)
        operations.append(translate(layer["config"], inner))
    return Chain(operations, tuple(first["config"]["batch_shape"][1:]))


def _identity(config):
    if not isinstance(config["config"], dict) or "inbound_nodes" in config:
        raise ValueError("a layer with nodes")
    return config["module"], config["class_name"], config["registered_name"]


def _dense(config, weights):
    if config["activation"] != "linear" or not config["use_bias"]:
        raise ValueError("a dense layer with an activation or without a bias")
    return Dense(*weights.arrays())


def _full_sort(config, weights):
    return GroupSort(None, coefficient=config["k_coef_lip"])


def _group_sort_2(config, weights):
    return SortedHalves(coefficient=config["k_coef_lip"])


def _distance(config, weights):
    (references,) = weights.arrays()
    return SubsampleDistance(references, config["group_sizes"], config["norm"])


def _cones(config, weights):
    (bases,) = weights.arrays()
    settings = (config[name] for name in ("n_cones", "rank", "angle", "floor"))
    return Cones(bases, *settings)


def _members(config, weights):
    counted = ("sequential", *(f"sequential_{i}" for i in range(1, len(config["members"]))))
    pairs = zip(config["members"], counted, strict=True)
    return [_chain(member, weights.inside("members", name)) for member, name in pairs]


def _mean(config, weights):
    return WeightedMean(_members(config, weights), config["weights"], *weights.arrays())


def _minimum(config, weights):
    return ScaledMinimum(_members(config, weights), config["scales"], *weights.arrays())


_LAYERS = {
    ("keras.layers", "Dense", None): _dense,
    ("ocsdf.layers", "FullSort", "ocsdf>FullSort"): _full_sort,
    ("ocsdf.layers", "GroupSort2", "ocsdf>GroupSort2"): _group_sort_2,
    ("ocsdf.layers", "Asinh", "ocsdf>Asinh"): lambda config, weights: Asinh(config["scale"]),
    ("ocsdf.layers", "Centered", "ocsdf>Centered"): lambda config, weights: Centered(),
    ("ocsdf.distances", "SubsampleDistance", "ocsdf>SubsampleDistance"): _distance,
    ("ocsdf.cones", "Cones", "ocsdf>Cones"): _cones,
    ("ocsdf.ensembles", "WeightedMean", "ocsdf>WeightedMean"): _mean,
    ("ocsdf.ensembles", "ScaledMinimum", "ocsdf>ScaledMinimum"): _minimum,
}
