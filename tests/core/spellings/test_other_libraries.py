"""Programs written for micrograd and microgpt: their names where they are cheap, a sentence where they are not."""

import pytest

import tinygrad_edu as tg


def trace(root):
    """As in micrograd's trace_graph notebook: nodes and edges of a graph, by recursion."""
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges


def test_a_program_that_draws_micrograds_graphs():
    a, b = tg.Value(2.0, label="a"), tg.Value(-3.0, label="b")
    y = ((a * b + 10.0) ** 2).relu() + a + a / 4
    y.backward()
    nodes, edges = trace(y)
    assert len(nodes) == 11
    assert len(edges) == 12
    lines = ["digraph {"]
    for n in nodes:
        lines.append(f'"{id(n)}" [label="{n.label} | data {n.data:.4f} | grad {n.grad:.4f}"];')
        if n._op:
            lines.append(f'"{id(n)}{n._op}" [label="{n._op}"]; "{id(n)}{n._op}" -> "{id(n)}";')
    lines += [f'"{id(p)}" -> "{id(v)}{v._op}";' for p, v in edges]
    assert {n._op for n in nodes} == {"", "+", "*", "**2", "ReLU", "/"}
    assert len(lines) == 1 + 11 + 7 + 12


def test_a_node_used_twice_is_one_parent_of_micrograds():
    a = tg.Value(3.0)
    assert (a + a)._prev == (a,)
    assert (a + a).parents == (a, a)


def test_the_plain_numbers_of_an_expression_are_nodes_when_asked_for():
    x = tg.Value(3.0)
    y = 2.0 * x - 1
    y.backward()
    product, one = y.parents
    two, same = product.parents
    assert (two.data, one.data, same) == (2.0, 1.0, x)
    assert (two.grad, one.grad) == (3.0, -1.0)
    assert y.parents[1] is one
    assert product.partials == (3.0, 2.0)


ATTRIBUTES = ["m", "v", "_m", "_v", "velocity", "momentum", "_vis_color", "_backward", "shape", "clone"]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_attribute_of_ones_own_is_refused_with_a_sentence(name):
    p = tg.Value(1.0)
    with pytest.raises(AttributeError, match=rf"takes no attribute '{name}'.*dict"):
        setattr(p, name, 0.0)
    with pytest.raises(AttributeError, match=f"no attribute '{name}'"):
        getattr(p, name)
    assert not hasattr(p, name)


def test_any_other_attribute_is_refused_too():
    with pytest.raises(AttributeError, match="colour"):
        tg.Value(1.0).colour = "red"


def test_an_operation_of_three_inputs_among_the_others():
    a, b, c = tg.Value(1.0), tg.Value(2.0, label="b"), tg.Value(0.5)
    inner = b * 1.0
    y = tg.ops.clip(a + 0.0, c * 1.0, inner) * 3.0 + tg.ops.where(a > 0.0, inner, a)
    y.backward()
    assert (a.grad, b.grad, c.grad) == (3.0, 1.0, 0.0)
    clip = y.parents[0].parents[0]
    assert [round(d) for d in clip.partials] == [1, 0, 0]
    assert [p.data for p in clip.parents] == [1.0, 0.5, 2.0]
