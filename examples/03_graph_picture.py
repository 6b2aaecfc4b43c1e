"""03. A picture of the graph: every number, and its gradient beside it.

You will learn to draw whatever you have computed, to read the picture, and what a whole network of one neuron looks
like. The pictures go to out/. Open the .html file in a browser: you can zoom, and step through both passes.

    python examples/03_graph_picture.py
"""

from pathlib import Path

import tinygrad_edu as tg

out = Path("out")

# A box is a number with its gradient, a circle an operation. Numbers flow to the right, gradients to the left.
a, b, c = tg.Value(0.5, label="a"), tg.Value(-1.0, label="b"), tg.Value(0.8, label="c")
y = (a * b + c).tanh()
y.label = "y"
y.backward()  # without it the picture has numbers, but no gradients
picture = tg.draw(y, title="y = tanh(a*b + c)")
print(picture.summary)
print("wrote", picture.save(out / "03_graph.svg"))

# A neuron with two inputs, and its loss for one sample: (output - target)².
weights = [tg.Value(0.8, label="w1"), tg.Value(-0.4, label="w2")]
inputs = [tg.Value(1.0, label="x1"), tg.Value(2.0, label="x2")]
output = (sum(w * x for w, x in zip(weights, inputs, strict=True)) + tg.Value(0.1, label="bias")).tanh()
loss = (output - 1.0) ** 2
loss.label = "loss"
loss.backward()
print("\nwhat one sample asks of the weights (each moves against its gradient):")
for w in weights:
    print(f"  {w.label} = {w.data:+.2f}   gradient {w.grad:+.4f}: {'up' if w.grad < 0 else 'down'}")
print("wrote", tg.draw(loss, title="one neuron, one sample").save(out / "03_neuron.html"))

# A model is drawn with named weights, and layer by layer if there are too many boxes to read.
model = tg.nn.MLP([2, 16, 16, 1], seed=0, backend="scalar")
small = tg.draw(model, title="2-16-16-1, one box for each layer", collapse="layer")
print(f"\n{small.summary.split(';')[0]}: too many to read, so one box stands for each layer")
print("wrote", small.save(out / "03_layers.svg"))
