"""Attributes by their names in one spelling, so that a program's lines need only be read in that one."""

from __future__ import annotations

import ast
import string


class Plain(ast.NodeTransformer):
    """getattr(net, "W") and vars(net)["W"] as net["W"], setattr(net, "W", x) as net["W"] = x, to be looked up alike.

    dict(W=x) is {"W": x}, and "W{}".format(l) is f"W{l}".

    >>> ast.unparse(Plain().visit(ast.parse("setattr(net, k, getattr(net, k) - lr * vars(net)[f'd{k}'])")))
    "net[k] = net[k] - lr * net[f'd{k}']"
    """

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if is_call(node, "getattr") and len(node.args) > 1:
            return ast.copy_location(ast.Subscript(node.args[0], node.args[1], ast.Load()), node)
        if is_call(node, "dict") and not node.args and all(k.arg for k in node.keywords):
            names: list[ast.expr | None] = [ast.copy_location(ast.Constant(k.arg), k) for k in node.keywords]
            return ast.copy_location(ast.Dict(names, [k.value for k in node.keywords]), node)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "format" and not node.keywords:
            return filled_template(node.func.value, node)
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        inside = node.value
        if is_call(inside, "vars") and inside.args:  # type: ignore[attr-defined]
            inside = inside.args[0]  # type: ignore[attr-defined]
        elif isinstance(inside, ast.Attribute) and inside.attr == "__dict__":
            inside = inside.value
        return ast.copy_location(ast.Subscript(inside, node.slice, node.ctx), node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if not is_call(node.value, "setattr") or len(node.value.args) != 3:  # type: ignore[attr-defined]
            return node
        of, name, value = node.value.args  # type: ignore[attr-defined]
        written = ast.Assign([ast.Subscript(of, name, ast.Store())], value)
        return ast.fix_missing_locations(ast.copy_location(written, node))


def filled_template(template: ast.expr, call: ast.Call) -> ast.expr:
    """ "W{}".format(l) as f"W{l}"; any other call as it is.

    >>> ast.unparse(Plain().visit(ast.parse("p['W{}'.format(l)] -= lr * g['dW{0}'.format(l)]")))
    "p[f'W{l}'] -= lr * g[f'dW{l}']"
    """
    if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
        return call
    parts: list[ast.expr] = []
    try:
        for k, (text, name, spec, _) in enumerate(string.Formatter().parse(template.value)):
            parts += [ast.Constant(text)] if text else []
            if name is not None:
                plain = not spec and (not name or name.isdigit())
                parts += [ast.FormattedValue(call.args[int(name or k)], -1)] if plain else [ast.Constant(None)]
    except (IndexError, ValueError):
        return call
    if any(isinstance(x, ast.Constant) and x.value is None for x in parts):
        return call
    return ast.fix_missing_locations(ast.copy_location(ast.JoinedStr(parts), call))


def is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
