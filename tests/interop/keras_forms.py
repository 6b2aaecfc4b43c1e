"""Keras models as their JSON has them."""

import json


def layer(kind, **config):
    return {"class_name": kind, "config": config}


def keras_json(*layers, shape=(3,)):
    head = layer("InputLayer", batch_shape=[None, *shape])
    return json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": [head, *layers]}})


def functional(graph, outputs, keras=3):
    """A functional model of Dense layers; graph: "input first:input second:first"."""
    made = []
    for entry in graph.split():
        name, _, source = entry.partition(":")
        found = layer("Dense", units=2, name=name) if source else layer("InputLayer", batch_shape=[None, 3], name=name)
        history = {"class_name": "__keras_tensor__", "config": {"shape": [None, 3], "keras_history": [source, 0, 0]}}
        nodes = [{"args": [history], "kwargs": {}}] if keras == 3 else [[[source, 0, 0, {}]]]
        made.append({**found, "name": name, "inbound_nodes": nodes if source else []})
    ends = [[name, 0, 0] for name in outputs]
    config = {"layers": made, "output_layers": ends[0] if len(ends) == 1 and keras == 3 else ends}
    return json.dumps({"class_name": "Functional", "config": config, "keras_version": f"{keras}.0.0"})
