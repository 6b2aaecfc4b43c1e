"""A whole model in ONNX: the graph of a traced function, its input and outputs, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import length
from tinygrad_edu.compile.ir.truth import hold
from tinygrad_edu.compile.onnx_graph.arrays import KEPT, Arrays
from tinygrad_edu.compile.onnx_graph.nodes import FLOAT, WHOLE, Edge, Nodes
from tinygrad_edu.compile.passes.float_dtypes import common_dtype
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.errors import SettingError

OPSET, IR_VERSION = 18, 9  # for onnxruntime 1.14 and later


class OnnxModel:
    """A function of rows x as an ONNX model that computes in float32, or in float64.

    `function(x)` gives an array or a tuple of arrays; `outputs` names them. `names`: of the arrays that it closes over,
    by their ids. Errors: TraceError for what has no counterpart in ONNX.
    """

    def __init__(
        self, function: Any, sample: Any, outputs: Sequence[str], names: Mapping[int, str], dtype: str = "float32"
    ) -> None:
        wide = dtype == "float64"
        # onnxruntime has convolutions for float32 only
        self.trace = Trace(keep=frozenset() if wide else KEPT, floats=np.dtype(dtype))
        sample = np.asarray(sample)
        x = self.trace.input("x", np.broadcast_to(self.trace.floats.type(0), (2, *sample.shape[1:])))
        hold(x, sample)
        found = self.trace.run(lambda: function(x))
        held = [getattr(x, "array", x) for x in self.trace.captured.values()]
        self.trace.refuse_casts(common_dtype(held))  # a file of float32 from a float64 model has float32 throughout
        roots = found if isinstance(found, tuple) else (found,)
        self.nodes = Nodes(real=np.float64 if wide else np.float32)
        self.nodes.names |= {"x", *outputs}
        known = {x.name: Edge("x", WHOLE if x.integer else FLOAT)}
        for name, array in self.trace.captured.items():
            whole = self.trace.inputs[name].integer
            value = np.asarray(getattr(array, "array", array))
            if not np.isfinite(value).all():
                raise SettingError(f"{names.get(id(array), name)} is NaN or infinite: there is nothing to export")
            known[name] = self.nodes.constant(value, WHOLE if whole else FLOAT, names.get(id(array), name))
        self.writer, self.shape = Arrays(self.trace, self.nodes, x.name, known), sample.shape[1:]
        self.writer.refuse_rows()
        self.kind = known[x.name].kind
        memo: Any = {}
        self.results = [(name, self.writer.write(root, memo), root) for name, root in zip(outputs, roots, strict=True)]
        for name, edge, _ in self.results:
            self.name_result(name, edge)

    def name_result(self, name: str, edge: Edge) -> None:
        """An output under its own name."""
        self.nodes.nodes.append(self.nodes.onnx.helper.make_node("Identity", [edge.name], [name], name=name))

    def add_label(self, scores: str, labels: Sequence[Any]) -> None:
        """An output `label`: the class with the largest score, the first of several equal ones."""
        nodes = self.nodes
        index = nodes.add("ArgMax", [Edge(scores)], WHOLE, axis=1, keepdims=0)
        texts = np.asarray(labels).dtype.kind not in "iub"
        values = [str(x) for x in labels] if texts else [int(x) for x in labels]
        helper, types = nodes.onnx.helper, nodes.onnx.TensorProto
        self.label_type = types.STRING if texts else types.INT64
        packed = [x.encode() for x in values] if texts else values  # type: ignore[union-attr]
        nodes.initializers.append(helper.make_tensor(nodes.fresh("classes"), self.label_type, [len(values)], packed))
        nodes.nodes.append(helper.make_node("Gather", ["classes", index.name], ["label"], name="label", axis=0))

    label_type: Any = None

    def model(self) -> Any:
        """The ModelProto, which onnx.checker has looked at."""
        helper, types = self.nodes.onnx.helper, self.nodes.onnx.TensorProto
        real = types.DOUBLE if self.nodes.wide else types.FLOAT
        kind = types.INT64 if self.kind == WHOLE else real
        inputs = [helper.make_tensor_value_info("x", kind, ["n", *self.shape])]
        outputs = [helper.make_tensor_value_info(name, real, self.sizes(root)) for name, _, root in self.results]
        if self.label_type is not None:
            outputs.append(helper.make_tensor_value_info("label", self.label_type, ["n"]))
        graph = helper.make_graph(self.nodes.nodes, "network", inputs, outputs, self.nodes.initializers_in_use())
        opset = [helper.make_opsetid("", OPSET)]
        found = helper.make_model(graph, opset_imports=opset, producer_name="tinygrad_edu", ir_version=IR_VERSION)
        self.nodes.onnx.checker.check_model(found, full_check=True)
        return found

    def sizes(self, root: Any) -> list[Any]:
        """The shape of an output: the rows have a name, the other axes their length."""
        writer = self.writer
        return [
            length(n) if writer.fixed(n) else "n" if writer.names.of(n) == writer.rows else None for n in root.sizes
        ]
