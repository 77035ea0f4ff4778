"""An ONNX graph that is being made: nodes and constants, all in one float type."""

import numpy as np

OPSET = 18


def require_onnx():
    """Import ``onnx``, or say which extra has it."""
    try:
        import onnx
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError("ONNX export needs onnx: pip install 'ocsdf[onnx]'") from None
    return onnx


class Graph:
    """Nodes of an ONNX graph, added one by one; results are told by their names.

    Parameters
    ----------
    dtype : {"float64", "float32"}, default="float64"
        Precision of all constants, and so of all results.
    """

    def __init__(self, dtype="float64"):
        self.dtype = np.dtype(dtype)
        self._onnx = require_onnx()
        self._nodes, self._constants, self._known = [], [], {}

    def add(self, operator, *inputs, outputs=1, **attributes):
        """Add a node.

        Parameters
        ----------
        operator : str
            An operator of ONNX's default domain.
        *inputs : str
            Names of results or constants.
        outputs : int, default=1
        **attributes
            Attributes of the operator.

        Returns
        -------
        str, or tuple of str where there are several outputs
        """
        # Nodes have names, too: runtimes derive those of fused ones from them.
        number = len(self._nodes)
        names = tuple(f"v{number}_{place}" for place in range(outputs))
        node = self._onnx.helper.make_node(operator, inputs, names, f"n{number}", **attributes)
        self._nodes.append(node)
        return names[0] if outputs == 1 else names

    def constant(self, values, dtype=None):
        """Add numbers, in the graph's float type unless another is given.

        Parameters
        ----------
        values : array-like
        dtype : str or dtype or None, default=None

        Returns
        -------
        str
        """
        array = np.asarray(values).astype(self.dtype if dtype is None else dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = f"c{len(self._constants)}"
            tensor = self._onnx.numpy_helper.from_array(array, self._known[key])
            self._constants.append(tensor)
        return self._known[key]

    def integers(self, values):
        """Add integers, such as axes and shapes.

        Parameters
        ----------
        values : sequence of int

        Returns
        -------
        str
        """
        return self.constant(values, np.int64)

    def reshape(self, values, shape):
        """Give values another shape.

        Parameters
        ----------
        values : str
        shape : tuple of int
            -1 stands for the batch.

        Returns
        -------
        str
        """
        return self.add("Reshape", values, self.integers(shape))

    def least(self, values, size, n_groups):
        """Take the least of groups of columns, whose members lie n_groups apart.

        Parameters
        ----------
        values : str
            Name of a result of shape (n, size * n_groups).
        size, n_groups : int

        Returns
        -------
        str
            Name of a result of shape (n, n_groups).
        """
        grouped = self.reshape(values, (-1, size, n_groups))
        return self.add("ReduceMin", grouped, self.integers([1]), keepdims=0)

    def name_output(self, value, name):
        """Give the one result of a node the name that it has outside.

        Parameters
        ----------
        value : str
            A result that no other node takes.
        name : str
        """
        node = next(node for node in self._nodes if value in node.output)
        node.output[list(node.output).index(value)] = name

    def model(self, inputs, outputs, about):
        """Finish the graph.

        Parameters
        ----------
        inputs, outputs : dict of str to (dtype, tuple of (int or str))
            Types and shapes by name.
        about : dict of str to str
            What the file says of itself.

        Returns
        -------
        onnx.ModelProto
            Checked.
        """
        helper = self._onnx.helper

        def described(values):
            return [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
                )
                for name, (dtype, shape) in values.items()
            ]

        graph = helper.make_graph(
            self._nodes, "ocsdf", described(inputs), described(outputs), self._constants
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="ocsdf"
        )
        # The oldest that has this opset, so that older runtimes read it.
        model.ir_version = 8
        helper.set_model_props(model, about)
        self._onnx.checker.check_model(model, full_check=True)
        return model
