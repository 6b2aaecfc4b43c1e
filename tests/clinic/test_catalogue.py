"""The catalogue: every code has what a learner reads, and every text can be filled in wherever the slip applies."""

import numpy as np
import pytest

from bench import examiner, slipped, slipped_elman
from tinygrad_edu.clinic.activations import ACTIVATIONS
from tinygrad_edu.clinic.catalogue import CATALOGUE, Mutant, mutants
from tinygrad_edu.clinic.catalogue import Learner as Given
from tinygrad_edu.clinic.network import Network
from tinygrad_edu.clinic.report import found_slip
from tinygrad_edu.clinic.search import Search
from tinygrad_edu.clinic.tracing import record

LISTED = """sign_flipped constant_factor missing_activation_derivative derivative_at_activation derivative_at_error
wrong_activation_derivative not_transposed updated_weights_used weight_instead_of_input gradient_times_weight
wrong_layer_input missing_bias_gradient bias_not_summed delta_not_propagated missing_softmax_ce_simplification
loss_derivative_missing relu_mask_wrong time_step_dropped only_last_sample regularisation_missing
regularisation_on_bias regularisation_wrong upstream_gradient_dropped bias_wrong_axis wrong_matrix_in_propagation
gradient_transposed derivative_at_preactivation"""
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
    network = Network(record(net.forward, net.params))
    for mutant in mutants(network, Given(net.params, net.backward(), 0.3)):
        assert isinstance(mutant, Mutant)
        slip = found_slip(network, mutant, 0.0, True, ())
        assert "{" not in slip.sentence + slip.fix + slip.line + slip.right + slip.where


@pytest.mark.parametrize("net", examiner.networks(), ids=examiner.describe)
def test_the_two_ways_of_running_back_agree(net):
    """The replayed backward pass of the trace and the one written by hand in bench.slipped."""
    right = net.backward()
    search = Search(Network(record(net.forward, net.params)), Given(net.params, right), dict.fromkeys(right, 1e-6))
    for name, gradient in search.true.items():
        np.testing.assert_allclose(gradient, right[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_forms_of_a_derivative_agree_with_its_slope(name):
    z = np.array([-2.0, -0.3, 0.4, 1.7])
    form = ACTIVATIONS[name]
    difference = (form.function(z + 1e-6) - form.function(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(form.slope_at_input(z), difference, rtol=1e-7)
    np.testing.assert_allclose(form.slope_from_output(form.function(z)), difference, rtol=1e-7)


SPELLINGS = [(name, k) for name, forms in slipped.SPELLED.items() if name != "identity" for k in range(len(forms))]


@pytest.mark.parametrize(("name", "k"), SPELLINGS)
def test_an_activation_is_found_however_it_is_spelled(name, k):
    X = np.random.default_rng(k).normal(size=(5, 3))
    W = np.random.default_rng(9).normal(size=(3, 3))
    program = record(lambda p: np.sum((slipped.SPELLED[name][k](X @ p["W"]) - 0.3) ** 2), {"W": W})
    network = Network(program)
    assert [program.steps[layer.activation].activation for layer in network.layers] == [name]
    assert network.layers[0].z == program.steps[network.layers[0].activation].source


def test_the_steps_of_a_recurrent_net_are_one_layer():
    net = slipped_elman.Elman()
    network = Network(record(net.forward, net.params))
    assert [(layer.where, layer.time) for layer in network.layers] == [
        *(("hidden layer 1", t) for t in range(4)),
        ("output layer", -1),
    ]
