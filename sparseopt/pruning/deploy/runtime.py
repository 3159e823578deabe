"""Models as ONNX graphs, run by ONNX Runtime."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

Tensor = torch.Tensor


class OnnxModel(nn.Module):
    """An ONNX graph as a module: takes what the model was called with, of the same shapes, and returns its tensors.

    graph: the serialised model; one tensor is returned as it is, several as a tuple.  On the CPU; for inference.
    """

    def __init__(self, graph: bytes) -> None:
        super().__init__()
        self.graph = graph
        self._session: Any = None

    @property
    def session(self) -> Any:
        """The session of ONNX Runtime, on as many threads as torch uses, made at the first call."""
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            self._session = onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        return self._session

    def forward(self, *arguments: Tensor, **keywords: Tensor) -> Any:
        """The outputs of the graph."""
        names = [given.name for given in self.session.get_inputs()]
        tensors = dict(zip(names, arguments, strict=False)) | keywords
        arrays = {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in tensors.items()}
        outputs = [torch.from_numpy(array) for array in self.session.run(None, arrays)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def save(self, path: str | Path) -> None:
        """Write the graph to a file for other runtimes."""
        Path(path).write_bytes(self.graph)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_session": None}

    def extra_repr(self) -> str:
        """For print(model)."""
        return f"{len(self.graph)} bytes"


def to_onnx(model: nn.Module, sample: Any) -> OnnxModel:
    """The model as a graph for inputs of the shapes of the sample, of any first size where torch can trace it so.

    A first size of 1 stays 1.  RuntimeError where torch cannot trace the model at all.
    """
    keywords = dict(sample) if isinstance(sample, Mapping) else {}
    arguments = () if keywords else tuple(sample) if isinstance(sample, tuple | list) else (sample,)
    with warnings.catch_warnings():  # the exporter warns of its own parts
        warnings.simplefilter("ignore")
        program = _traced(model, arguments, keywords, _free(arguments, keywords))
    buffer = io.BytesIO()
    program.save(buffer)
    return OnnxModel(buffer.getvalue())


def _traced(model: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], free: Any) -> Any:
    try:
        return torch.onnx.export(model, arguments, kwargs=keywords, dynamo=True, verbose=False, dynamic_shapes=free)
    except RuntimeError:
        if free is None:
            raise
        return _traced(model, arguments, keywords, None)


def _free(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Which sizes of the inputs the graph leaves open, as torch.export wants it: the first of each tensor."""

    def first(value: Any) -> Any:
        return {0: torch.export.Dim.AUTO} if isinstance(value, Tensor) and value.ndim else None

    return {name: first(value) for name, value in keywords.items()} or tuple(map(first, arguments))
