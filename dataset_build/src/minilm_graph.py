"""The all-MiniLM-L6-v2 sentence encoder as an ONNX graph, written from its weights without torch.

One text a run: no padding, so no attention mask; mean pooling and L2 normalisation are inside the graph.
BERT: Devlin et al., 2019. MiniLM: Wang et al., 2020. The encoder: Reimers and Gurevych, 2019.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Precision = Literal["int8", "fp32"]
Weights = Mapping[str, npt.NDArray[Any]]

LAYERS, HIDDEN, HEADS = 6, 384, 12
OPSET, IR_VERSION = 17, 8
_EPSILON = 1e-12
#: Seven bits, so that processors without VNNI, which add pairs of 8-bit products in 16 bits, cannot overflow:
#: the same vectors on every machine, for 0.002 of cosine.
_WEIGHT_LEVELS = 63


def build(weights: Weights, precision: Precision) -> bytes:
    """Return the serialised ONNX model: `input_ids` (1, tokens) int64 to `embedding` (1, 384) float32.

    Args:
        weights: The tensors of the model's safetensors file, by name.
        precision: "int8" quantises the weights of every dense layer per output channel and the word vectors
            per word; activations are quantised per text while it runs. Attention itself stays in fp32.
    """
    return _Graph(weights, precision).serialise()


class _Graph:
    """Collects nodes and constants; every method adds an operation and returns the name of its output."""

    def __init__(self, weights: Weights, precision: Precision) -> None:
        self._weights = weights
        self._precision = precision
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._output = self._normalised_mean(self._encoder(self._embeddings()))

    def serialise(self) -> bytes:
        from onnx import TensorProto, checker, helper

        graph = helper.make_graph(
            [*self._nodes, helper.make_node("Identity", [self._output], ["embedding"])],
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, HIDDEN])],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="moe-toolkit",
        )
        checker.check_model(model)
        content: bytes = model.SerializeToString(deterministic=True)
        return content

    def _weight(self, name: str) -> npt.NDArray[np.float32]:
        return np.asarray(self._weights[name], dtype=np.float32)

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def _scalar(self, value: float) -> str:
        return self._constant(f"scalar_{value:g}", np.array(value, dtype=np.float32))

    def _indices(self, *values: int) -> str:
        return self._constant("indices_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def _add(self, operation: str, *inputs: str, **attributes: object) -> str:
        return self._add_many(operation, inputs, 1, **attributes)[0]

    def _add_many(self, operation: str, inputs: tuple[str, ...], outputs: int, **attributes: object) -> list[str]:
        from onnx import helper

        number = len(self._nodes)
        names = [f"{operation.lower()}_{number}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(operation, list(inputs), names, **attributes))
        return names

    def _embeddings(self) -> str:
        words = self._weight("embeddings.word_embeddings.weight")
        if self._precision == "int8":
            codes, scales = _quantise_rows(words, 127)
            looked_up = self._add("Gather", self._constant("words", codes), "input_ids")
            row_scales = self._add("Gather", self._constant("word_scales", scales[:, None]), "input_ids")
            vectors = self._add("Mul", self._add("Cast", looked_up, to=1), row_scales)
        else:
            vectors = self._add("Gather", self._constant("words", words), "input_ids")
        # One text has one segment, so the vector of segment 0 is part of every position.
        places = self._weight("embeddings.position_embeddings.weight")
        places = places + self._weight("embeddings.token_type_embeddings.weight")[0]
        length = self._add("Slice", self._add("Shape", "input_ids"), self._indices(1), self._indices(2))
        first = self._add("Slice", self._constant("positions", places), self._indices(0), length, self._indices(0))
        return self._layer_norm(self._add("Add", vectors, first), "embeddings.LayerNorm")

    def _encoder(self, states: str) -> str:
        for layer in range(LAYERS):
            prefix = f"encoder.layer.{layer}"
            attended = self._attention(states, prefix)
            states = self._layer_norm(self._add("Add", attended, states), f"{prefix}.attention.output.LayerNorm")
            wide = self._gelu(self._dense(states, f"{prefix}.intermediate.dense"))
            narrow = self._dense(wide, f"{prefix}.output.dense")
            states = self._layer_norm(self._add("Add", narrow, states), f"{prefix}.output.LayerNorm")
        return states

    def _attention(self, states: str, prefix: str) -> str:
        """Multi-head attention; query, key and value are one multiplication, 1/sqrt(d) is in the query's weights."""
        scale = np.float32((HIDDEN // HEADS) ** -0.5)
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        factors = (scale, np.float32(1), np.float32(1))
        pairs = list(zip(parts, factors, strict=True))
        matrix = np.concatenate([self._weight(f"{part}.weight") * by for part, by in pairs])
        bias = np.concatenate([self._weight(f"{part}.bias") * by for part, by in pairs])
        joint = self._multiply(states, f"{prefix}.qkv", matrix, bias)
        heads = self._add("Reshape", joint, self._indices(0, 0, 3, HEADS, HIDDEN // HEADS))
        split = self._add("Transpose", heads, perm=[2, 0, 3, 1, 4])
        query, key, value = (self._add("Gather", split, self._index(i), axis=0) for i in range(3))
        likeness = self._add("MatMul", query, self._add("Transpose", key, perm=[0, 1, 3, 2]))
        weights = self._add("Softmax", likeness, axis=-1)
        mixed = self._add("Transpose", self._add("MatMul", weights, value), perm=[0, 2, 1, 3])
        merged = self._add("Reshape", mixed, self._indices(0, 0, HIDDEN))
        return self._dense(merged, f"{prefix}.attention.output.dense")

    def _index(self, value: int) -> str:
        return self._constant(f"index_{value}", np.array(value, dtype=np.int64))

    def _dense(self, states: str, name: str) -> str:
        return self._multiply(states, name, self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))

    def _multiply(self, states: str, name: str, matrix: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> str:
        """Return `states @ matrix.T + bias`; `matrix` is (out, in), as torch keeps it."""
        bias_name = self._constant(f"{name}.bias", bias)
        if self._precision == "fp32":
            product = self._add("MatMul", states, self._constant(f"{name}.weight", matrix.T))
            return self._add("Add", product, bias_name)
        codes, scales = _quantise_rows(matrix, _WEIGHT_LEVELS)
        quantised, scale, zero = self._add_many("DynamicQuantizeLinear", (states,), 3)
        whole = self._add("MatMulInteger", quantised, self._constant(f"{name}.weight", codes.T), zero)
        factor = self._add("Mul", scale, self._constant(f"{name}.scale", scales))
        return self._add("Add", self._add("Mul", self._add("Cast", whole, to=1), factor), bias_name)

    def _layer_norm(self, states: str, name: str) -> str:
        scale = self._constant(f"{name}.weight", self._weight(f"{name}.weight"))
        bias = self._constant(f"{name}.bias", self._weight(f"{name}.bias"))
        return self._add("LayerNormalization", states, scale, bias, axis=-1, epsilon=_EPSILON)

    def _gelu(self, states: str) -> str:
        """The exact form: x/2 · (1 + erf(x/√2))."""
        curve = self._add("Erf", self._add("Div", states, self._scalar(float(np.sqrt(2)))))
        return self._add("Mul", self._add("Mul", states, self._add("Add", curve, self._scalar(1.0))), self._scalar(0.5))

    def _normalised_mean(self, states: str) -> str:
        mean = self._add("ReduceMean", states, axes=[1], keepdims=0)
        length = self._add("Max", self._add("ReduceL2", mean, axes=[1], keepdims=1), self._scalar(_EPSILON))
        return self._add("Div", mean, length)


def _quantise_rows(
    matrix: npt.NDArray[np.float32], levels: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return (codes, scales) with `codes * scales[:, None]` near `matrix`: symmetric, one scale per row."""
    scales = np.maximum(np.abs(matrix).max(axis=1), np.float32(1e-12)) / np.float32(levels)
    codes = np.clip(np.rint(matrix / scales[:, None]), -levels, levels).astype(np.int8)
    return codes, scales.astype(np.float32)
