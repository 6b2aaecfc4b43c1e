"""Cases 5 and 9: the examiner on the backward passes of the questions themselves, as CASES.md names them."""

import runpy
from pathlib import Path

import pytest

from tinygrad_edu import cases
from tinygrad_edu.cases import by_hand, one_one_one
from tinygrad_edu.errors import DetachedError

EXAMPLE = Path(__file__).parents[3] / "examples" / "check_my_backprop.py"


def named(report):
    assert report.certain
    assert max(slip.residual for slip in report.explanations[0]) < 1e-9
    return {(slip.code, slip.where) for slip in report.explanations[0]}


def test_case_9_is_the_gradient_multiplied_by_the_weight():
    report = by_hand.examine_step()
    assert named(report) == {("gradient_times_weight", "every weight")}
    assert report.note == ""
    assert "W_l ∘ the right gradient" in str(report)


def test_the_code_in_plain_python_is_the_network_of_the_case():
    """Its first step is the one of `course`, whose 1,000th pass is the published number."""
    net = by_hand.InPlainPython()
    first, second = by_hand.course(by_hand.their_update, 2)
    assert net.outputs(net.weights)[1] == pytest.approx(first, rel=1e-14)
    assert net.outputs(net.update())[1] == pytest.approx(second, rel=1e-13)
    assert str(float(by_hand.INPUT[0])) == "0.05"


def test_math_is_left_as_it_was():
    """While a forward on lists is traced, `math` is exchanged in its module; afterwards it is not."""
    by_hand.examine_step()
    with pytest.raises(DetachedError):
        by_hand.logistic(by_hand.Value(1.0))


@pytest.mark.parametrize("start", one_one_one.STARTS)
def test_case_5_is_the_derivative_at_the_error_and_the_weight_for_the_input(start):
    report = one_one_one.examine_update(start)
    assert named(report) == {("derivative_at_error", "every layer"), ("weight_instead_of_input", "every weight")}
    assert "σ'(error)" in str(report)


def test_the_example_of_a_newcomer_and_its_fix(capsys):
    """The card names the slip; with the line that it proposes, the gradients are right."""
    example = runpy.run_path(str(EXAMPLE))
    assert named(example["report"]) == {("derivative_at_activation", "hidden layer 1")}
    assert "derivative_at_activation in the hidden layer 1" in capsys.readouterr().out
    assert "a1(1 - a1)" in example["report"].slips[0].fix
    mended = EXAMPLE.read_text(encoding="utf-8").replace("sigmoid_derivative(hidden)", "hidden * (1 - hidden)")
    exec(compile(mended, str(EXAMPLE), "exec"), {"__name__": "mended"})
    assert "All 4 gradients are right." in capsys.readouterr().out


@pytest.mark.slow
def test_other_cases_have_no_card():
    assert cases.run("robbins_monro", quick=True, picture=False).examined is None
