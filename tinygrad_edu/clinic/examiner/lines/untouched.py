"""Numbers that a step leaves as they are: forgotten parameters, or such as are kept fixed on purpose.

That a step leaves a weight alone is not a mistake by itself: a reservoir, a random first layer, sample weights and a
frozen layer are meant to stay. It is one where the program shows that it meant to train it: it makes a gradient for it,
or it trains the other half of the pair (b1 of W1, b_h of W_hh).
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Recording

Array = np.ndarray[Any, Any]
WEIGHTS, BIASES = ("weights", "weight", "kernel", "filters", "filter", "theta", "w", "u", "v"), ("biases", "bias", "b")
NAME = re.compile(rf"({'|'.join((*WEIGHTS, *BIASES))})s?_?([a-z0-9_]*)((?:\[\d+\])*)", re.IGNORECASE)
DATA = re.compile(r"\.(data|value|val)(?=(\[\d+\])*$)")
LIKE_A_WEIGHT = re.compile(  # names that a reader may take for a weight: W_xh, by, layers[0].weight.data
    r"(^|[._])(w|u|v|b|weight|bias|theta|kernel|filter|gamma)(e?s)?(_?[a-z]{1,3})?\d*(\.(data|value|val))?(\[\d+\])*$",
    re.IGNORECASE,
)
PRIVATE = re.compile(r"^_+(?:[A-Za-z0-9]+__(?=[A-Za-z]))?")  # _bias, or __w in a class Net, which Python calls _Net__w
HELD = re.compile(r"(\.(data|value|val))?(\[\d+\])*$")
NUMBER = re.compile(r"\d+")  # layers[0].W and layers[2].W count as the same kind
# words for gradients: dW1, grad_W1, grads['W1']
GRADIENT = ("d", "g", "grad", "grads", "gradient", "gradients", "nabla")


def missed_updates(
    idle: Collection[str], arrays: Mapping[str, Array], trained: Collection[str], recording: Recording
) -> list[str]:
    """The parameters that a step leaves as they are, though it was meant to change them.

    >>> arrays = {"W1": np.ones((3, 4)), "b1": np.ones(4), "wd": np.ones(()), "Win": np.ones((2, 3))}
    >>> missed_updates(["b1", "wd", "Win"], arrays, ["W1"], Recording())
    ['b1']
    """
    made, zeros = {*gradient_names(recording)}, {*gradient_names(recording, zeros=True)}
    return [
        n
        for n in idle
        if is_half_of_pair(n, arrays, trained)
        or has_gradient(n, arrays, trained, made)
        or any(shape == arrays[n].shape and is_gradient(x, letters_and_digits(last_of(n))) for x, shape in zeros)
    ]


def like_weights(idle: Collection[str], arrays: Mapping[str, Array], trained: Collection[str]) -> list[str]:
    """The arrays that a step leaves as they are and that look like weights: worth a remark.

    >>> like_weights(["Win", "wd", "x"], {"Win": np.ones(3), "wd": np.ones(()), "x": np.ones(3)}, ["W1"])
    ['Win']
    """
    kinds, holders = {NUMBER.sub("#", n) for n in trained}, {holder_of(n) for n in trained}
    return [
        n
        for n in idle
        if arrays[n].size > 1 and (NUMBER.sub("#", n) in kinds or (LIKE_A_WEIGHT.search(n) and holder_of(n) in holders))
    ]


def remark_on(names: Collection[str]) -> str:
    """What is said of weights that stay, which is not an accusation.

    >>> remark_on(["Win"])
    'Win is used by the loss and the step leaves it as it is: right if you keep it fixed.'
    """
    if not names:
        return ""
    verb, them, what = ("is", "it", "it is") if len(names) == 1 else ("are", "them", "they are")
    stays = f"{verb} used by the loss and the step leaves {them} as {what}"
    return f"{', '.join(names)} {stays}: right if you keep {them} fixed."


def words_of_missed(names: Collection[str]) -> str:
    """What is said of parameters that a step has forgotten.

    >>> words_of_missed(["W1", "b1"])
    'The step leaves W1, b1 unchanged: are their gradients computed, and used?'
    """
    asked = "is its gradient" if len(names) == 1 else "are their gradients"
    return f"The step leaves {', '.join(names)} unchanged: {asked} computed, and used?"


def words_of_unused(still: Collection[str], wrong: Collection[str]) -> str:
    """How a step uses right gradients if it leaves `still` of the `wrong` parameters unchanged."""
    other = "does not use all of them." if len(still) == len(wrong) else "subtracts other numbers: see the table."
    return f"The right gradients are computed, but the step {other}"


# pairs of weight and bias


def is_half_of_pair(name: str, arrays: Mapping[str, Array], trained: Collection[str]) -> bool:
    """Is the other half trained: the weight of this bias, the bias of this weight, w[0] of this w[1]?"""
    mine, beside = arrays[name], [n for n in trained if holder_of(n) == holder_of(name)]
    if mine.size == 1 and any(arrays[n].size == 1 and of_one_list(n, name) for n in beside):
        return True
    if is_bias(name):
        return any(fits(arrays[n], mine) and belong(n, name) for n in beside)
    others = [n for n in beside if not is_bias(n) and not parts_of_name(n)[1] + parts_of_name(n)[2]]
    if (
        not parts_of_name(name)[1] + parts_of_name(name)[2] and others
    ):  # w beside theta and b: the bias belongs to theta
        return False
    return any(is_bias(n) and fits(mine, arrays[n]) and belong(name, n) for n in beside)


def parts_of_name(name: str) -> tuple[str, str, str]:
    """(weight or bias, what marks its layer, its place in a list) of the last part of a name.

    >>> parts_of_name("net.W_xh"), parts_of_name("net.biases[1]"), parts_of_name("net.rate")
    (('w', 'xh', ''), ('biases', '', '[1]'), ('', '', ''))
    """
    found = NAME.fullmatch(last_of(name))
    return (found[1].lower(), found[2].lower(), found[3]) if found else ("", "", "")


def is_bias(name: str) -> bool:
    return parts_of_name(name)[0] in BIASES


def belong(weight: str, bias: str) -> bool:
    """Do the names say that this bias is that of this weight?

    >>> belong("W1", "b1"), belong("W_xh", "b_h"), belong("weights_in_hidden", "bias_hidden"), belong("W1", "b2")
    (True, True, True, False)
    """
    (kind, layer, place), (_, own, at) = parts_of_name(weight), parts_of_name(bias)
    if kind not in WEIGHTS or place != at:
        return False
    ends = (layer.split("_")[0], layer.split("_")[-1]) if "_" in layer else (layer[:1], layer[1:])
    return layer == own or ((len(layer) == 2 or "_" in layer) and own in ends and layer.isidentifier())


def fits(weight: Array, bias: Array) -> bool:
    """Can the shapes be those of one layer: a bias for each unit?"""
    if bias.size == 1:
        return weight.ndim < 2 or 1 in weight.shape
    return bias.size in weight.shape


def of_one_list(a: str, b: str) -> bool:
    """w[0] and w[1], w1 and w2: of single numbers, the weights of one unit."""
    return parts_of_name(b)[0] in (*WEIGHTS, *BIASES) and NUMBER.sub("#", a) == NUMBER.sub("#", b)


def holder_of(name: str) -> str:
    """What holds a parameter: net.layers[0] holds net.layers[0].W.data.

    >>> holder_of("net.layers[0].W.data"), holder_of("W")
    ('net.layers[0]', '')
    """
    return HELD.sub("", name).rpartition(".")[0]


# whether a gradient of its own exists


def has_gradient(
    name: str, arrays: Mapping[str, Array], trained: Collection[str], made: Collection[tuple[str, tuple[int, ...]]]
) -> bool:
    """Does the program make dW1 of the shape of W1? In layers that all have a W, dW does not tell of which it is."""
    own, shape = letters_and_digits(last_of(name)), arrays[name].shape
    if any(letters_and_digits(last_of(n)) == own for n in trained):
        return False
    return any(s == shape and is_gradient(n, own) for n, s in made)


def is_gradient(variable: str, own: str) -> bool:
    written = letters_and_digits(last_of(variable))
    return any(written in (mark + own, own + mark) for mark in GRADIENT)


def last_of(name: str) -> str:
    """The last part of a name, without what marks it as private.

    >>> last_of("net.W1.data"), last_of("net._Net__w"), last_of("net._bias")
    ('W1', 'w', 'bias')
    """
    return PRIVATE.sub("", DATA.sub("", name).rpartition(".")[2])


def letters_and_digits(text: str) -> str:
    """Letters and digits alone: grads['W_xh'] is gradswxh."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def gradient_names(recording: Recording, *, zeros: bool = False) -> Iterator[tuple[str, tuple[int, ...]]]:
    """(name, shape) of every value that got a name while the step ran; zeros: of those alone that came out as 0.

    A gradient of 0 is that of a parameter which the step leaves as it is, whatever other layers call theirs.
    """
    for made in recording.made.values():
        if zeros and np.any(made.value):
            continue
        for file, line, variable in {(made.file, made.line, made.variable), *(x[:3] for x in made.named)}:
            begun = zeros and "zeros" in linecache.getline(file, line)  # to be filled or added to later
            if variable and line and not begun:
                yield variable, made.value.shape
