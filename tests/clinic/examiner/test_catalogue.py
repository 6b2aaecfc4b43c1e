"""The catalogue: every code has what a learner reads, and every text can be filled in wherever the slip applies."""

import numpy as np
import pytest

from bench import examiner
from bench.clinic import slipped, slipped_elman
from bench.clinic.slipped import Injected
from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Mutant, Variant, mutants, slip
from tinygrad_edu.clinic.examiner.catalogue import Learner as Given
from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change
from tinygrad_edu.clinic.examiner.forward.tracing import trace_call
from tinygrad_edu.clinic.examiner.report import SCOPE, describe_mutant
from tinygrad_edu.clinic.examiner.search import Search

LISTED = """sign_flipped constant_factor missing_activation_derivative derivative_at_activation derivative_at_error
wrong_activation_derivative not_transposed updated_weights_used weight_instead_of_input gradient_times_weight
wrong_layer_input missing_bias_gradient bias_not_summed delta_not_propagated missing_softmax_ce_simplification
loss_derivative_missing relu_mask_wrong time_step_dropped only_last_sample regularisation_missing
regularisation_on_bias regularisation_wrong upstream_gradient_dropped bias_wrong_axis wrong_matrix_in_propagation
gradient_transposed derivative_at_preactivation statistics_as_constants softmax_without_its_dot dropout_mask_forgotten
softmax_over_samples gradient_clipped_by_norm gradient_clipped_by_value gradient_sign_only gradient_normalised
gradient_reversed gradient_of_another_parameter repeated_index_counted_once hidden_gradient_not_handed_back
cell_gradient_not_handed_back overlaps_counted_once kernel_flipped statistics_share_wrong loss_term_scaled
maximum_without_its_mask stride_forgotten padding_forgotten backpropagation_truncated
shared_weight_counted_once
skip_connection_forgotten slope_below_a_maximum_missing gradient_of_one_number data_term_scaled
entry_sign_flipped entry_left_out entry_of_another_index input_forgotten weight_for_the_input entry_of_one_sample"""
CODES = LISTED.split()


def test_the_catalogue_has_the_codes_of_the_issue():
    assert sorted(CATALOGUE) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_slip_says_what_it_is_how_to_mend_it_and_gives_an_example(code):
    entry = CATALOGUE[code]
    assert entry.sentence.endswith((".", "{factor}."))
    assert entry.fix.endswith((".", "}.")) or entry.fix.rstrip(".") != entry.fix
    assert "=" in entry.right
    assert "#" in entry.example


@pytest.mark.parametrize("net", examiner.networks()[::3], ids=examiner.describe)
def test_every_text_can_be_filled_in(net):
    network = Network(trace_call(net.forward, net.params))
    for mutant in mutants(network, Given(net.params, net.backward(), 0.3)):
        assert isinstance(mutant, Mutant)
        found = describe_mutant(network, mutant, 0.0, True, ())
        assert "{" not in found.sentence + found.fix + found.line + found.right + found.where


def test_a_new_slip_is_one_declaration(monkeypatch):
    """Nothing else is touched: it is searched for, alone, in every layer, in each scope and in pairs, and explained."""
    monkeypatch.setitem(CATALOGUE, "absolute_delta", None)  # monkeypatch removes it afterwards

    @slip(
        "absolute_delta",
        sentence="The delta {d} has lost its signs.",
        fix="Leave abs() out: {d} = ∂L/∂{z}.",
        right="{d} = ∂L/∂{z}",
        example="d1 = np.abs(d1)                     # should be d1",
    )
    def absolute_delta(net, _):
        for layer in net.layers:
            yield Variant(layer, "{d} = |∂L/∂{z}|", (Change("into", layer.z, np.abs, owner=layer.z),))

    X, T = np.random.default_rng(0).normal(size=(2, 6, 3))
    P = {f"W{k}": np.random.default_rng(k).normal(size=(3, 3)) for k in (1, 2)}

    def grads(deltas, sign=1.0):
        a = np.tanh(X @ P["W1"])
        d2 = a @ P["W2"] - T
        d2 = np.abs(d2) if deltas == "every" else d2
        d1 = d2 @ P["W2"].T * (1 - a * a)
        return {"W1": sign * X.T @ np.abs(d1), "W2": a.T @ d2}

    def named(*args):
        report = check_backprop(lambda p: 0.5 * np.sum((np.tanh(X @ p["W1"]) @ p["W2"] - T) ** 2), P, grads(*args))
        assert report.certain
        return report.explanations[0]

    (alone,) = named("first")
    assert (alone.code, alone.where, alone.line) == ("absolute_delta", "hidden layer 1", "δ1 = |∂L/∂z1|")
    assert alone.sentence == "The delta δ1 has lost its signs."
    assert [(s.code, s.where) for s in named("every")] == [("absolute_delta", "every layer")]
    assert {s.code for s in named("every", -1.0)} == {"absolute_delta", "sign_flipped"}


SCOPES = {
    "at one node": (Injected("derivative_at_activation", 1), "hidden layer 2", ""),
    "at every node of its kind": (Injected("derivative_at_activation", slipped.EVERY), "every layer", ""),
    "only in a parameter's own gradient": (Injected("derivative_at_activation", 1, "own"), "hidden layer 2", "own"),
    "only in what is propagated below": (Injected("derivative_at_activation", 1, "below"), "hidden layer 2", "below"),
}


@pytest.mark.parametrize("name", SCOPES)
def test_each_scope_is_searched(name):
    injected, where, scope = SCOPES[name]
    net = slipped.Learner((3, 4, 5, 2), ("tanh", "sigmoid", "sigmoid"), "mse", 6, "vector", 0.0, 1)
    report = check_backprop(net.forward, net.params, net.backward((injected,)))
    (found,) = report.explanations[0]
    assert report.certain
    assert (found.code, found.where, found.mutant.scope) == ("derivative_at_activation", where, scope)
    assert SCOPE[scope] in found.sentence


@pytest.mark.parametrize("net", examiner.networks(), ids=examiner.describe)
def test_the_two_ways_of_running_back_agree(net):
    """The replayed backward pass of the trace and the one written by hand in bench.clinic.slipped."""
    right = net.backward()
    search = Search(Network(trace_call(net.forward, net.params)), Given(net.params, right), dict.fromkeys(right, 1e-6))
    for name, gradient in search.true.items():
        np.testing.assert_allclose(gradient, right[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_forms_of_a_derivative_agree_with_its_slope(name):
    form = ACTIVATIONS[name]
    z = np.concatenate([np.linspace(*piece, 5)[1:-1] for piece in form.pieces])
    difference = (form.function(z + 1e-6) - form.function(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(form.slope_at_input(z), difference, rtol=1e-6, atol=1e-9)
    if form.slope_from_output is not None:
        np.testing.assert_allclose(form.slope_from_output(form.function(z)), difference, rtol=1e-6, atol=1e-9)


SPELLINGS = [(name, k) for name, forms in slipped.SPELLED.items() if name != "identity" for k in range(len(forms))]


@pytest.mark.parametrize(("name", "k"), SPELLINGS)
def test_an_activation_is_found_however_it_is_spelled(name, k):
    X = np.random.default_rng(k).normal(size=(5, 3))
    W = np.random.default_rng(9).normal(size=(3, 3))
    program = trace_call(lambda p: np.sum((slipped.SPELLED[name][k](X @ p["W"]) - 0.3) ** 2), {"W": W})
    network = Network(program)
    assert [program.steps[layer.activation].activation for layer in network.layers] == [name]
    assert network.layers[0].z == program.steps[network.layers[0].activation].source


def test_the_steps_of_a_recurrent_net_are_one_layer():
    net = slipped_elman.Elman()
    network = Network(trace_call(net.forward, net.params))
    assert [(layer.where, layer.time) for layer in network.layers] == [
        *(("hidden layer 1", t) for t in range(4)),
        ("output layer", -1),
    ]
