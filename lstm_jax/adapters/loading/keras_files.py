"""Weights of Keras: its files, its layers and its models.

.h5, .hdf5     Keras 2: model.save or save_weights; arrays have their names
.weights.h5    Keras 3: layers/NAME/cell/vars/0, 1, 2 are kernel, recurrent_kernel, bias
.keras         a zip of such a file and of config.json, which says activations
"""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from lstm_jax.adapters.loading.source import Source
from lstm_jax.adapters.modules import library

FIELDS = ("kernel", "recurrent_kernel", "bias")
VARIABLE = re.compile(
    r"(?P<layer>.+?)/(?:(?P<side>forward|backward)_layer/)?(?:cell/)?vars/(?P<at>\d+)"
)
SAID = ("activation", "recurrent_activation", "reset_after", "go_backwards")
Settings = dict[str, dict[str, Any]]


def of_h5(what: str, file: Any) -> Source:
    """Returns the source of a .h5 file, given by path or open in memory."""
    h5py = library("h5py", "h5py")
    with h5py.File(file, "r") as root:
        config = json.loads(root.attrs.get("model_config", "{}"))
        version = _text(root.attrs.get("keras_version", config.get("keras_version")))
        root = root["model_weights"] if "model_weights" in root else root
        version = version or _text(root.attrs.get("keras_version"))
        settings = _settings(config, version or "")
        if "layer_names" in root.attrs:
            arrays = dict(_by_name(root))
            for layer in map(_text, root.attrs["layer_names"]):
                settings.setdefault(layer or "", {"keras": version or "2.0-tf"})
            return Source(what, arrays, settings)
        return Source(what, _by_number(root, {}), {})


def of_keras(what: str, path: str) -> Source:
    """Returns the source of a .keras file."""
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        version = json.loads(archive.read("metadata.json"))["keras_version"]
        stored = io.BytesIO(archive.read("model.weights.h5"))
    with library("h5py", "h5py").File(stored, "r") as root:
        arrays = _by_number(root, _names(config))
    return Source(what, arrays, _settings(config, version))


def of_layers(what: str, module: Any) -> Source:
    """Returns the source of a layer or a model in memory."""
    arrays, settings = {}, {}
    keras = library("keras", "keras")
    for layer in _layers_of(module):
        sides = {"": layer}
        if hasattr(layer, "forward_layer"):
            sides = {
                "forward/": layer.forward_layer,
                "backward/": layer.backward_layer,
            }
        for side, one in sides.items():
            recurrent = hasattr(one, "cell")
            names = FIELDS if recurrent else ("kernel", "bias")
            for name, weight in zip(names, one.weights, strict=False):
                array = keras.ops.convert_to_numpy(weight.value)
                arrays[f"{layer.name}/{side}{name}"] = array
        config = {"class_name": type(layer).__name__, "config": layer.get_config()}
        settings[layer.name] = _said(config, keras.__version__)
    return Source(what, arrays, settings)


def _layers_of(module: Any) -> Iterator[Any]:
    if hasattr(module, "layers"):
        for layer in module.layers:
            yield from _layers_of(layer)
    else:
        yield module


def _by_name(root: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the arrays of Keras 2: layer/[sub/]kernel:0, in a group per layer."""
    for layer in map(_text, root.attrs["layer_names"]):
        for name in map(_text, root[layer].attrs["weight_names"]):
            side = re.search(r"(?:^|/)(forward|backward)_", name or "")
            field = (name or "").rpartition("/")[2].partition(":")[0]
            at = f"{side[1]}/{field}" if side else field
            yield f"{layer}/{at}", np.asarray(root[layer][name])


def _by_number(root: Any, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Returns the arrays of Keras 3, under the layers' own names if these are known."""
    arrays = {}

    def visit(path, node):
        match = VARIABLE.fullmatch(path)
        if match is None or not hasattr(node, "shape") or path.startswith("optimizer"):
            return
        recurrent = "cell/vars" in path
        fields = FIELDS if recurrent else ("kernel", "bias")
        at = int(match["at"])
        layer = match["layer"].removeprefix("layers/")
        side = f"{match['side']}/" if match["side"] else ""
        field = fields[at] if at < len(fields) else str(at)
        arrays[f"{names.get(layer, layer)}/{side}{field}"] = np.asarray(node)

    root.visititems(visit)
    return arrays


def _names(config: dict[str, Any]) -> dict[str, str]:
    """Returns the layers' own names by the place where Keras 3 stores them."""
    count: Counter[str] = Counter()
    names = {}
    for layer in config.get("config", {}).get("layers", []):
        stem = _snake_case(layer["class_name"])
        at = f"{stem}_{count[stem]}" if count[stem] else stem
        count[stem] += 1
        names[at] = layer["config"]["name"]
        for inner, name in _names(layer).items():
            names[f"{at}/layers/{inner}"] = f"{layer['config']['name']}/{name}"
    return names


def _snake_case(name: str) -> str:
    name = re.sub(r"\W+", "", name)
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _settings(config: dict[str, Any], version: str, within: str = "") -> Settings:
    """Returns what the config says of every layer, by its name."""
    found = {}
    inner = config.get("config", {})
    layers = inner if isinstance(inner, list) else inner.get("layers", [])
    for layer in layers:
        name = f"{within}{layer['config'].get('name', '')}"
        found[name] = _said(layer, version)
        found |= _settings(layer, version, f"{name}/")
    return found


def _said(layer: dict[str, Any], version: str) -> dict[str, Any]:
    config = layer["config"]
    said = {key: _name_of(config[key]) for key in SAID if key in config}
    if layer["class_name"].startswith("CuDNN"):
        said |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    if layer["class_name"] == "Bidirectional":
        said = _said(config["layer"], version) | {"merge_mode": config["merge_mode"]}
        said.pop("go_backwards", None)
    return said | {"keras": version}


def _name_of(setting: Any) -> Any:
    """Returns an activation's name, which an object of Keras 3 has in its config."""
    if isinstance(setting, dict):
        return setting.get("config") or setting.get("class_name")
    return setting


def _text(value: Any) -> str | None:
    return value.decode() if isinstance(value, bytes) else value
