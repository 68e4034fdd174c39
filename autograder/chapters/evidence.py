"""Why it works: what the exercises on the evidence ask, and the mistakes that people make in them.

Four of the exercises compute quantities that the debate is about, on networks small enough to be
handed over as arrays; the last asks to read six tables. ``weights`` is a list of matrices, each of
shape (fan_in, fan_out), and no layer has a bias. References agree with PyTorch's autograd.

Sources: Santurkar et al. (2018), Definition 2.1 and Section 3 (shift of gradients; ranges along a
step); van Laarhoven (2017) (effective learning rate); Wan et al. (2021) (equilibrium under weight
decay); Yang et al. (2019) (growth of gradients).

The code of mistakes and alternatives is written as students write it, and stands alone: it uses
nothing but NumPy and its arguments.
"""

import itertools

import numpy as np

from autograder.exercise import Argument, Chapter, Exercise, Tolerance, mistake, probe

TOLERANCE = Tolerance(relative=1e-6, absolute=1e-9)
# In float64 right answers agree to about 1e-13. float32 anywhere in between leaves 1e-8: too much.
EXACT = Tolerance(relative=1e-10, absolute=1e-11)
# float32 somewhere in between leaves about 1e-7, too little to matter here.
ROUGH = Tolerance(relative=1e-5, absolute=1e-6)

AS_MANY_ROWS = "inputs and targets have one entry per sample, so one is as long as the other"
NO_TIES = "no normalized value is exactly 0"
MAXIMUM_COMMUTES = "max(u, 0) and max(0, u) are the same number"
SYMMETRIC = "distance and cosine are the same in either order"
COMMUTES = "the function has the same value with its arguments exchanged"


def network(rng, sizes, gain=1.4):
    """Weight matrices between layers of these sizes, with standard deviation gain/√fan_in."""
    return [
        gain * rng.normal(size=(before, after)) / np.sqrt(before)
        for before, after in itertools.pairwise(sizes)
    ]


SQUARE = (6, 6, 6, 6, 6)
"""Equal widths: a transposed or misplaced matrix multiplies without an error, and shows."""

# --- covariate_shift -------------------------------------------------------------------------


def covariate_shift(X, Y, weights, layer, lr):
    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


def regression(rng, sizes=SQUARE, samples=15):
    """Inputs, targets and the weights of a ReLU network that has much to learn.

    What a mistake changes goes through the hidden units, so none of them is 0 for all samples.
    Outputs of both signs show a ReLU after the last layer, and leave it something to pass.
    """
    while True:  # one in four is like this
        X, Y = rng.normal(size=(samples, sizes[0])), 2 * rng.normal(size=(samples, sizes[-1]))
        weights = network(rng, sizes)
        layers = [X]
        for W in weights[:-1]:
            layers.append(np.maximum(layers[-1] @ W, 0))
        outputs = layers[-1] @ weights[-1]
        in_use = all((h > 0).any(axis=0).all() for h in layers)
        if in_use and outputs.min() < -0.5 and outputs.max() > 0.5:
            return X, Y, weights


SHORT = 0.02
"""A learning rate whose steps leave the units in use: where none is, nothing shows any more."""


@probe(2)
def distance_between_the_gradients(f, rng):
    """The first result is the distance ‖G - G′‖ of the two gradients."""
    return {  # by chance, a mistake may leave one distance as it is
        "the distance at layer 2 of 4": f(*regression(rng), 2, SHORT)[0],
        "the distance at layer 2 of 4, for other weights": f(*regression(rng), 2, SHORT)[0],
    }


def turning_around(rng):
    """A problem like `regression`, whose gradient at layer 2 turns by more than a right angle."""
    while True:  # one in three does
        X, Y, weights = regression(rng)
        if covariate_shift(X, Y, weights, 2, 0.2)[1] < -0.01:
            return X, Y, weights


@probe(2)
def cosine_between_the_gradients(f, rng):
    """The second result is the cosine of the angle between the two gradients."""
    return {
        "the cosine at layer 2 of 4": f(*regression(rng), 2, 0.2)[1],
        "the cosine at layer 2 of 4, for an obtuse angle": f(*turning_around(rng), 2, 0.2)[1],
    }


@probe(1)
def first_layer_has_no_shift(f, rng):
    """Nothing lies before layer 0, so its gradient does not change: distance 0, cosine 1."""
    X, Y, weights = regression(rng)
    distance, cosine = f(X, Y, weights, 0, SHORT)
    return {"the distance at layer 0": distance, "the cosine at layer 0": cosine}


@probe(1)
def shift_in_layers_of_any_width(f, rng):
    """Layers may become wider and narrower; at the last layer all others have moved."""
    X, Y, weights = regression(rng, (5, 9, 4, 7, 3))
    distance, cosine = f(X, Y, weights, 3, SHORT)
    return {"the distance at the last layer": distance, "the cosine at the last layer": cosine}


@probe(1)
def shift_leaves_the_weights_alone(f, rng):
    """The weights that you are given are left as they were, and the results are right."""
    X, Y, weights = regression(rng)
    found = f(X, Y, [*weights], 1, SHORT)
    return {
        "weights[0]": Argument(weights[0]),
        "weights[1]": Argument(weights[1]),
        "the distance at layer 1": found[0],
    }


@probe(1, hidden=True)
def shift_without_a_hidden_layer(f, rng):
    """A linear model is a network, too: one weight matrix, and no shift."""
    X, Y, weights = regression(rng, (4, 3))
    distance, cosine = f(X, Y, weights, 0, 0.5)
    return {"the distance": distance, "the cosine": cosine}


@mistake(
    earns=3,
    hint="All the layers before this one make their step, not only its neighbour: those with an index "
    "below `layer`.",
)
def moves_the_layer_before_only(X, Y, weights, layer, lr):
    """Only the layer just before this one is moved; those further down stay where they are."""

    def gradients(weights):
        h = [X]
        for W in weights[:-1]:
            h.append(np.maximum(h[-1] @ W, 0))
        d = (h[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, below in zip(weights[::-1], h[::-1]):
            found.append(below.T @ d)
            d = d @ W.T * (below > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if k == layer - 1 else W for k, (W, g) in enumerate(zip(weights, before))]
    G, shifted = before[layer], gradients(moved)[layer]
    cosine = np.sum(G * shifted) / (np.linalg.norm(G) * np.linalg.norm(shifted))
    return float(np.linalg.norm(G - shifted)), float(cosine)


@mistake(
    earns=0,
    hint=(
        "The definition asks how much the layer's problem was changed *by the others*: its own "
        "weights stay where they are. Indices below `layer`, not up to it."
    ),
)
def moves_the_layer_itself(X, Y, weights, layer, lr):
    """The layer that is measured is moved, too, not only those before it."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i <= layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=0,
    hint=(
        "The gradient of the next step differs for many reasons. G′ isolates one: only the layers "
        "before this one have moved."
    ),
)
def moves_every_layer(X, Y, weights, layer, lr):
    """Every layer is moved: the second gradient is that of the next training step."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g for W, g in zip(weights, before)]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "The layers after this one keep their old weights in G′: the definition is about the inputs "
        "that a layer receives, which only earlier layers change."
    ),
)
def moves_the_later_layers_too(X, Y, weights, layer, lr):
    """All layers but this one are moved, those after it as well."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i != layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=1,
    hint=(
        "G′ belongs to the layer's own weights and to new ones *before* it: those decide which "
        "inputs the layer receives. Indices below `layer`, not above it."
    ),
)
def moves_the_later_layers_instead(X, Y, weights, layer, lr):
    """The layers after this one are moved, and those before it stay where they are."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i > layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "The layer just before this one moves, too: its index is `layer - 1`, which is below `layer`. "
        "Move all layers with an index below `layer`: the first `layer` of them."
    ),
)
def leaves_out_the_layer_just_before(X, Y, weights, layer, lr):
    """The layer just before the one that is measured is not moved."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer - 1 else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint="Layers are counted from 0: `range(layer)` begins with the first, `range(1, layer)` leaves it out.",
)
def leaves_out_the_first_layer(X, Y, weights, layer, lr):
    """The first layer is not moved."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if 0 < i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "G′ is the gradient after the step of the earlier layers. Make a list of new weights, in which "
        "those before `layer` have moved, and compute the gradient with it."
    ),
)
def moves_no_layer(X, Y, weights, layer, lr):
    """No layer is moved: G′ is computed with the old weights, and is G again."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    G, G_moved = before[layer], gradients(weights)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=3,
    hint=(
        "Gradient descent moves all layers at once, along gradients taken at the same, old weights. "
        "Compute them first, then move."
    ),
)
def moves_one_layer_after_the_other(X, Y, weights, layer, lr):
    """Each earlier layer is moved along a gradient that was computed after the one before it
    had moved.
    """

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    G = gradients(weights)[layer]
    moved = list(weights)
    for i in range(layer):
        moved[i] = moved[i] - lr * gradients(moved)[i]
    G_moved = gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint="The derivative of a square brings a 2, which the ½ of the loss cancels: (o - y)/N.",
)
def keeps_the_two_of_the_square(X, Y, weights, layer, lr):
    """The gradient is twice as large: it is that of the squared error without the ½."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = 2 * (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "A training step goes down: W - lr · gradient. If that is what you have, look at the sign of "
        "the gradient: it begins with o - y, the output minus the target."
    ),
)
def moves_uphill(X, Y, weights, layer, lr):
    """The earlier layers are moved uphill: along the gradient, or against one with the wrong sign."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W + lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint="A training step is as long as the learning rate says: W - lr · gradient.",
)
def moves_without_the_learning_rate(X, Y, weights, layer, lr):
    """The earlier layers are moved by the whole gradient, without the learning rate."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=4,
    hint="A relative change is a useful number, too, but the definition asks for ‖G - G′‖ itself.",
)
def divides_the_distance_by_the_gradient(X, Y, weights, layer, lr):
    """The distance is divided by the norm of G."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved) / np.linalg.norm(G)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=4,
    hint=(
        "For a matrix, `np.linalg.norm(A, 2)` is the spectral norm. The gradient is a long list of "
        "numbers here; its length is `np.linalg.norm(A)`, without the 2."
    ),
)
def takes_the_spectral_norm(X, Y, weights, layer, lr):
    """The distance is the largest singular value of G - G′ (`np.linalg.norm(…, 2)`), not the
    root of the sum of squares.
    """

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved, 2)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=3,
    hint="A cosine lies between -1 and 1: divide the inner product by ‖G‖ and by ‖G′‖.",
)
def returns_the_inner_product(X, Y, weights, layer, lr):
    """The inner product of G and G′ is returned without dividing by the two norms."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved)
    return float(distance), float(cosine)


@mistake(
    earns=3,
    hint="Leave out the arc cosine.",
)
def returns_the_angle(X, Y, weights, layer, lr):
    """The angle between the gradients is returned where its cosine is asked."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(np.arccos(min(cosine, 1.0)))


@mistake(
    earns=3,
    hint="Do not subtract it from 1: two gradients of the same direction have the cosine 1.",
)
def returns_one_minus_the_cosine(X, Y, weights, layer, lr):
    """1 minus the cosine is returned where the cosine is asked."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(1 - cosine)


@mistake(
    earns=0,
    hint="The distance first, the cosine second.",
)
def returns_the_cosine_first(X, Y, weights, layer, lr):
    """The results are returned in the other order: the cosine comes first."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(cosine), float(distance)


@mistake(
    earns=2,
    hint=(
        'That is the popular meaning of "covariate shift", a change of distributions. Santurkar et '
        "al. measure its consequence: the change of the layer's gradient."
    ),
)
def measures_the_inputs_of_the_layer(X, Y, weights, layer, lr):
    """The inputs of the layer are compared, before and after, not its gradients."""
    inputs = [X]
    for W in weights[:-1]:
        inputs.append(np.maximum(inputs[-1] @ W, 0))
    gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
    moved = list(weights)
    for i in reversed(range(len(weights))):
        if i < layer:
            moved[i] = weights[i] - lr * inputs[i].T @ gradient
        gradient = (gradient @ weights[i].T) * (inputs[i] > 0)
    h = X
    for W in moved[:layer]:
        h = np.maximum(h @ W, 0)
    before = inputs[layer]
    cosine = np.sum(before * h) / (np.linalg.norm(before) * np.linalg.norm(h))
    return float(np.linalg.norm(before - h)), float(cosine)


@mistake(
    earns=2,
    hint=(
        "The loss has a factor 1/N, and so has its gradient; without it, every step is N times as "
        "long."
    ),
)
def sums_the_loss_over_samples(X, Y, weights, layer, lr):
    """The loss is summed over the samples, not averaged."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = inputs[-1] @ weights[-1] - Y
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint="The loss averages over the N samples and *sums* over the outputs of each.",
)
def averages_over_the_outputs_too(X, Y, weights, layer, lr):
    """The loss is averaged over the outputs, too, as `np.mean` does over the whole array."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / Y.size
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "The ReLU stands between the layers. The output is h W without one, or no prediction could "
        "be negative."
    ),
)
def applies_relu_to_the_output(X, Y, weights, layer, lr):
    """The last layer has a ReLU, too, where it should be linear."""

    def gradients(weights):
        inputs = [X]
        for W in weights:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] - Y) / len(X)
        found = []
        for W, h, above in zip(weights[::-1], inputs[-2::-1], inputs[::-1]):
            gradient = gradient * (above > 0)
            found.append(h.T @ gradient)
            gradient = gradient @ W.T
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint=(
        "The slope of a ReLU is 1 where its output is positive and 0 elsewhere. Multiply by it on "
        "the way back."
    ),
)
def forgets_the_slope_of_relu(X, Y, weights, layer, lr):
    """The gradient passes through every ReLU, also where its input was negative."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = gradient @ W.T
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer], gradients(moved)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=2,
    hint="`layer` is an index into the list `weights`: 0 is the first.",
)
def counts_layers_from_one(X, Y, weights, layer, lr):
    """Layers are counted from 1, so that the layer before the right one is measured."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    moved = [W - lr * g if i < layer - 1 else W for i, (W, g) in enumerate(zip(weights, before))]
    G, G_moved = before[layer - 1], gradients(moved)[layer - 1]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


@mistake(
    earns=7,
    hint="`W -= lr * g` writes into the caller's array. `W - lr * g` makes a new one.",
)
def moves_the_weights_in_place(X, Y, weights, layer, lr):
    """The step is made in place, so that the caller's weights are changed."""

    def gradients(weights):
        inputs = [X]
        for W in weights[:-1]:
            inputs.append(np.maximum(inputs[-1] @ W, 0))
        gradient = (inputs[-1] @ weights[-1] - Y) / len(X)
        found = []
        for W, h in zip(weights[::-1], inputs[::-1]):
            found.append(h.T @ gradient)
            gradient = (gradient @ W.T) * (h > 0)
        return found[::-1]

    before = gradients(weights)
    for W, g in zip(weights[:layer], before):
        W -= lr * g
    G, G_moved = before[layer], gradients(weights)[layer]
    distance = np.linalg.norm(G - G_moved)
    cosine = np.sum(G * G_moved) / (np.linalg.norm(G) * np.linalg.norm(G_moved))
    return float(distance), float(cosine)


def covariate_shift_by_a_loop(X, Y, weights, layer, lr):
    def layer_gradient(weights, which):
        hidden, h = [X], X
        for W in weights[:-1]:
            h = h.dot(W)
            h = h * (h > 0)
            hidden.append(h)
        delta = (h.dot(weights[-1]) - Y) / X.shape[0]
        for i in range(len(weights) - 1, which, -1):
            delta = np.where(hidden[i] > 0, delta.dot(weights[i].T), 0.0)
        return hidden[which].T.dot(delta)

    moved = [W.copy() for W in weights]
    for i in range(layer):
        moved[i] -= lr * layer_gradient(weights, i)
    a = layer_gradient(weights, layer).ravel()
    b = layer_gradient(moved, layer).ravel()
    return np.sqrt(np.sum((a - b) ** 2)), a.dot(b) / np.sqrt(a.dot(a) * b.dot(b))


def covariate_shift_of_the_upper_part(X, Y, weights, layer, lr):
    # What lies before the layer matters only through the input that it hands over.
    hidden = [X]
    for W in weights[:-1]:
        hidden.append(np.maximum(0, hidden[-1] @ W))
    down = [(hidden[-1] @ weights[-1] - Y) / len(Y)]
    for W, h in zip(weights[:0:-1], hidden[:0:-1]):
        down.insert(0, (down[0] @ W.T) * np.sign(h))
    h = X
    for i in range(layer):
        h = np.maximum(0, h @ (weights[i] - lr * (hidden[i].T @ down[i])))
    upper, o = [h], h
    for W in weights[layer:-1]:
        upper.append(np.maximum(0, upper[-1] @ W))
    o = upper[-1] @ weights[-1]
    d = (o - Y) / len(Y)
    for W, u in zip(weights[:layer:-1], upper[:0:-1]):
        d = (d @ W.T) * np.sign(u)
    G, G_moved = hidden[layer].T @ down[layer], h.T @ d
    lengths = np.linalg.norm(G) * np.linalg.norm(G_moved)
    return [np.linalg.norm(G_moved - G), np.vdot(G, G_moved) / lengths]


# --- gradient_predictiveness -----------------------------------------------------------------


def gradient_predictiveness(X, y, w, step_sizes):
    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


def classification(rng, samples=20, features=4):
    """Rows, labels 0 and 1, and weights that are far from the best ones."""
    X = rng.normal(size=(samples, features)) * np.array([0.5, 1.0, 1.5, 2.0]) + 0.4
    y = (X @ rng.normal(size=features) + rng.normal(size=samples) > 0).astype(float)
    return X, y, rng.normal(size=features)


def pair(value):
    """A range as an array: a tuple, a list or an array of two is the same answer."""
    return np.asarray(value, dtype=float)


STEPS = (0.2, 0.195, 1.5, 0.8, 0.205)
"""Not in order, and the first between two neighbours: what is extreme lies elsewhere."""


@probe(2)
def range_of_the_loss(f, rng):
    """`loss_range` holds the lowest and the highest loss at the end points of the steps."""
    return {"loss_range": pair(f(*classification(rng), list(STEPS))["loss_range"])}


@probe(2)
def range_of_the_gradients_change(f, rng):
    """`gradient_range` holds the smallest and the largest ‖g - g(η)‖ over the steps."""
    return {"gradient_range": pair(f(*classification(rng), list(STEPS))["gradient_range"])}


@probe(2)
def effective_smoothness(f, rng):
    """`smoothness` is the largest ‖g - g(η)‖ per distance moved, ‖ηg‖."""
    # Where nearly all is wrong the longest step has the largest ratio, at w = 0 the shortest.
    X, y, _ = classification(rng)
    wrong = X.T @ (0.5 - y)
    wrong *= 3 / np.linalg.norm(wrong)
    return {
        "smoothness": f(X, y, wrong, list(STEPS))["smoothness"],
        "smoothness from w = 0": f(X, y, np.zeros_like(wrong), list(STEPS))["smoothness"],
    }


@probe(1)
def a_single_step_has_one_value(f, rng):
    """For one step size, lowest and highest are the same, and the start is not counted."""
    found = f(*classification(rng), [0.5])
    return {
        "loss_range for one step": pair(found["loss_range"]),
        "gradient_range for one step": pair(found["gradient_range"]),
        "smoothness for one step": found["smoothness"],
    }


@probe(1)
def predictiveness_leaves_its_arguments_alone(f, rng):
    """`w` and `X` are left as they were, and the smoothness is right."""
    X, y, w = classification(rng)
    found = f(X, y, w, [0.8])
    return {"w": Argument(w), "X": Argument(X), "smoothness": found["smoothness"]}


@probe(1, hidden=True)
def large_logits_stay_finite(f, rng):
    """With logits of ±1000 and more, the loss after a step is finite and right."""
    X, y, _ = classification(rng)
    logits = 1000 * X.sum(axis=1)
    worst = np.argmax(np.abs(logits))
    y[worst] = logits[worst] < 0  # where all are right, there is no gradient, and so no step
    found = f(X, y, np.full(4, 1000.0), [2.0])
    return {"loss_range": pair(found["loss_range"])}


@mistake(
    earns=0,
    hint="A training step subtracts: w - ηg, with ∇L = Xᵀ(p - y)/N; y - p has the opposite sign.",
)
def steps_uphill(X, y, w, step_sizes):
    """The steps go uphill: along the gradient, or against one with the wrong sign."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w + eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w + eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint=(
        "That is training. Here all steps start at the same w and go along the same g, to look how "
        "far that one direction can be trusted."
    ),
)
def steps_one_after_the_other(X, y, w, step_sizes):
    """Each step starts where the one before ended, with a new gradient."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    losses, changes, slopes = [], [], []
    for eta in step_sizes:
        g = gradient(w)
        w = w - eta * g
        losses.append(loss(w))
        changes.append(np.linalg.norm(gradient(w) - g))
        slopes.append(changes[-1] / np.linalg.norm(eta * g))
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(slopes)),
    }


@mistake(
    earns=7,
    hint="That is training. For the losses, too, all steps start at the same w and go along the same g: "
    "`loss(w - eta * g)`.",
)
def takes_the_losses_of_a_training(X, y, w, step_sizes):
    """The losses are those of steps one after the other; the gradients' changes are measured from w, as asked."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses, v = [], w
    for eta in step_sizes:
        v = v - eta * gradient(v)
        losses.append(loss(v))
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=0,
    hint="The steps are those of gradient descent, ηg, however long g is.",
)
def steps_of_unit_length(X, y, w, step_sizes):
    """The gradient is divided by its norm before the steps, so that η is their length."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    u = g / np.linalg.norm(g)
    losses = [loss(w - eta * u) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * u) - g) for eta in step_sizes]
    distances = list(step_sizes)
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint=(
        "The ranges are over the end points of the steps that are given. At the start the change of "
        "the gradient is always 0, which says nothing."
    ),
)
def includes_the_starting_point(X, y, w, step_sizes):
    """The start w itself (η = 0) is counted among the points."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in [0, *step_sizes]]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in [0, *step_sizes]]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes[1:], distances))),
    }


@mistake(
    earns=5,
    hint=(
        "A loss may fall and rise again along a step, and step sizes come in any order. Take the "
        "minimum and the maximum."
    ),
)
def takes_the_first_and_the_last(X, y, w, step_sizes):
    """The values at the first and the last step are returned, not the lowest and the highest."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(losses[0]), float(losses[-1])),
        "gradient_range": (float(changes[0]), float(changes[-1])),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=5,
    hint="The lowest value first, the highest second.",
)
def returns_the_highest_first(X, y, w, step_sizes):
    """The ranges are returned the wrong way round: the highest value first."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(max(losses)), float(min(losses))),
        "gradient_range": (float(max(changes)), float(min(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=7,
    hint="The lowest value first, the highest second, in both ranges.",
)
def returns_the_highest_loss_first(X, y, w, step_sizes):
    """`loss_range` is the wrong way round: the highest loss first."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(max(losses)), float(min(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint="A pair is asked for: the lowest and the highest value.",
)
def returns_the_width_of_the_ranges(X, y, w, step_sizes):
    """The widths, highest minus lowest, are returned, not the pairs."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": float(max(losses) - min(losses)),
        "gradient_range": float(max(changes) - min(changes)),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=0,
    hint="The gradient of a mean has the factor 1/N as well.",
)
def forgets_to_average_the_gradient(X, y, w, step_sizes):
    """The loss is averaged over the samples, and its gradient is not."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=0,
    hint=(
        "p = 1/(1 + exp(-z)) is the probability of y = 1, so the loss is log(1 + exp(z)) - y z and "
        "its gradient is that of p - y."
    ),
)
def has_the_labels_the_wrong_way_round(X, y, w, step_sizes):
    """The labels enter with the wrong sign: the model is rewarded for predicting the other
    class.
    """

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - (1 - y) * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - (1 - y)) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint=(
        "A gradient that has turned around has the same length, and predicts nothing. Subtract the "
        "vectors, then take the norm."
    ),
)
def subtracts_the_lengths_of_the_gradients(X, y, w, step_sizes):
    """The lengths of the two gradients are subtracted, not the gradients."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [abs(np.linalg.norm(gradient(w - eta * g)) - np.linalg.norm(g)) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint=(
        "Two long gradients that are equal have not changed at all. Subtract the vectors, then take "
        "the norm: ‖g - g(η)‖."
    ),
)
def adds_the_lengths_of_the_gradients(X, y, w, step_sizes):
    """The lengths of the two gradients are added, ‖g‖ + ‖g(η)‖."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g)) + np.linalg.norm(g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=3,
    hint=(
        "A relative change is a fair measure for comparing two networks, but the definition asks for "
        "‖g - g(η)‖ itself."
    ),
)
def divides_the_change_by_the_gradient(X, y, w, step_sizes):
    """The change is divided by ‖g‖: it is relative."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) / np.linalg.norm(g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=5,
    hint=(
        "Along a step with learning rate η the weights move by η‖g‖. A steep place would look rough "
        "if you divided by η alone."
    ),
)
def divides_by_the_step_size(X, y, w, step_sizes):
    """For the smoothness, the change is divided by η, not by the distance moved, η‖g‖."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = list(step_sizes)
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=7,
    hint="The ratio need not be largest where the gradient has changed most: that is often the longest "
    "step. Divide step by step, and take the largest ratio.",
)
def divides_the_largest_change_by_the_longest_step(X, y, w, step_sizes):
    """The largest change is divided by the longest distance; the largest of the ratios is asked."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(changes) / max(distances)),
    }


@mistake(
    earns=7,
    hint="β-smoothness is a bound that must hold everywhere, so the worst step decides.",
)
def averages_the_smoothness(X, y, w, step_sizes):
    """The smoothness is averaged over the steps; the largest is asked."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(np.mean([c / d for c, d in zip(changes, distances)])),
    }


@mistake(
    earns=7,
    hint="β-smoothness is a bound that must hold everywhere, so the largest ratio is asked: the worst "
    "step, not the best.",
)
def takes_the_smallest_ratio(X, y, w, step_sizes):
    """The smoothness is the smallest of the ratios, not the largest."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(min(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=5,
    hint=(
        "Change of the loss per distance is the Lipschitz property. Smoothness is about the "
        "gradient: ‖g - g(η)‖ per distance."
    ),
)
def takes_the_smoothness_of_the_loss(X, y, w, step_sizes):
    """The smoothness is the change of the *loss* per distance: a slope."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(abs(a - loss(w)) / d for a, d in zip(losses, distances))),
    }


@mistake(
    earns=8,
    hint=(
        "exp(1000) is infinite in float64. `np.logaddexp(0, z)` is the same function and does not "
        "overflow."
    ),
)
def lets_the_exponential_overflow(X, y, w, step_sizes):
    """log(1 + exp(z)) is computed as it stands, and exp overflows for large logits."""

    def loss(w):
        z = X @ w
        with np.errstate(over="ignore"):
            return np.mean(np.log(1 + np.exp(z)) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=8,
    hint=(
        "Clipping keeps NaN away and gives a wrong loss instead: a sample with the logit 1000 on the "
        "wrong side costs 1000, not 34. Use `np.logaddexp(0, z)`."
    ),
)
def clips_the_probabilities(X, y, w, step_sizes):
    """The probabilities are clipped before the logarithm, so that no loss of a sample exceeds a
    bound.
    """

    def loss(w):
        p = np.clip((1 + np.tanh(X @ w / 2)) / 2, 1e-15, 1 - 1e-15)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses = [loss(w - eta * g) for eta in step_sizes]
    changes = [np.linalg.norm(gradient(w - eta * g) - g) for eta in step_sizes]
    distances = [np.linalg.norm(eta * g) for eta in step_sizes]
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(c / d for c, d in zip(changes, distances))),
    }


@mistake(
    earns=2,
    hint="`w - eta * g` makes a new array. Give it a name of its own, so that w stays where it is and "
    "all steps start there.",
)
def walks_in_place(X, y, w, step_sizes):
    """The steps move w itself, so that each starts where the one before ended; with `w -= ηg`
    the caller's weights move, too.
    """

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses, changes, slopes = [], [], []
    for eta in step_sizes:
        w -= eta * g
        losses.append(loss(w))
        changes.append(np.linalg.norm(gradient(w) - g))
        slopes.append(changes[-1] / np.linalg.norm(eta * g))
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(slopes)),
    }


@mistake(
    earns=3,
    hint="After `w = w - eta * g` the next step begins at the new w. Give the end of a step a name of "
    "its own, so that w stays where it is and all steps start there.",
)
def adds_up_the_steps(X, y, w, step_sizes):
    """Each step starts where the one before ended, along the gradient of the first."""

    def loss(w):
        z = X @ w
        return np.mean(np.logaddexp(0, z) - y * z)

    def gradient(w):
        p = (1 + np.tanh(X @ w / 2)) / 2
        return X.T @ (p - y) / len(y)

    g = gradient(w)
    losses, changes, slopes = [], [], []
    for eta in step_sizes:
        w = w - eta * g
        losses.append(loss(w))
        changes.append(np.linalg.norm(gradient(w) - g))
        slopes.append(changes[-1] / np.linalg.norm(eta * g))
    return {
        "loss_range": (float(min(losses)), float(max(losses))),
        "gradient_range": (float(min(changes)), float(max(changes))),
        "smoothness": float(max(slopes)),
    }


def gradient_predictiveness_all_at_once(X, y, w, step_sizes):
    eta = np.asarray(step_sizes, dtype=float)

    def logistic(z):
        return np.exp(-np.logaddexp(0, -z))

    g = X.T @ (logistic(X @ w) - y) / len(X)
    points = w[:, None] - g[:, None] * eta
    z = X @ points
    losses = np.mean(np.logaddexp(0, np.where(y[:, None] == 1, -z, z)), axis=0)
    change = np.linalg.norm(X.T @ (logistic(z) - y[:, None]) / len(X) - g[:, None], axis=0)
    return {
        "smoothness": np.max(change / eta) / np.linalg.norm(g),
        "loss_range": [losses.min(), losses.max()],
        "gradient_range": [change.min(), change.max()],
    }


def gradient_predictiveness_by_a_loop(X, y, w, step_sizes):
    def both(w):
        z = X.dot(w)
        softplus = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
        p = np.where(z >= 0, 1.0, np.exp(-np.abs(z))) / (1 + np.exp(-np.abs(z)))
        return (softplus - y * z).mean(), (X * (p - y)[:, None]).mean(axis=0)

    _, g = both(w)
    low, high = np.inf, -np.inf
    least, most, beta = np.inf, 0.0, 0.0
    for eta in step_sizes:
        step = eta * g
        value, new = both(w - step)
        change = np.sqrt(((new - g) ** 2).sum())
        low, high = min(low, value), max(high, value)
        least, most = min(least, change), max(most, change)
        beta = max(beta, change / np.sqrt((step**2).sum()))
    return {"loss_range": (low, high), "gradient_range": (least, most), "smoothness": beta}


# --- effective_learning_rate -----------------------------------------------------------------


def effective_learning_rate(W, lr):
    return lr / np.sum(W**2, axis=0)


def units(rng, fan_in, norms):
    """Weights whose columns have nearly these norms: 10⁻⁵ beside their squares does not show."""
    W = rng.normal(size=(fan_in, len(norms)))
    norms = norms * rng.uniform(0.9, 1.1, size=len(norms))  # that nobody knows before
    return W * (norms / np.linalg.norm(W, axis=0))


@probe(2)
def one_rate_per_unit(f, rng):
    """Each unit (column of W) has the rate η/‖w‖²; the result has the shape (fan_out,)."""
    W = units(rng, 5, (5.0, 10.0, 40.0))
    return {"the effective learning rates": f(W, 0.3)}


@probe(1)
def rates_of_a_square_layer(f, rng):
    """In a layer with as many inputs as outputs, the rates are still those of the columns."""
    return {"the effective learning rates": f(units(rng, 4, (20.0, 5.0, 15.0, 10.0)), 0.05)}


@probe(1)
def ten_times_the_weights(f, rng):
    """Weights that are 10 times as large have a rate that is 100 times as small, tiny weights, too."""
    W = rng.normal(size=(5, 3))
    tiny, larger = 1e-30 * W, 1e-29 * W
    return {
        "100 times the rates of 10 W": 100 * f(10 * W, 0.3),
        "the rates of W": f(W, 0.3),
        "the rates of tiny weights by those of 10 times as large ones": np.divide(
            f(tiny, 0.3), f(larger, 0.3)
        ),
    }


@probe(1, hidden=True)
def rates_leave_the_weights_alone(f, rng):
    """W is left as it was, and the rates are right also when the weights have a mean."""
    W = 5 * rng.uniform(1, 3, size=(4, 3))
    rates = f(W, 0.1)
    return {"W": Argument(W), "the effective learning rates": rates}


@mistake(
    earns=0,
    hint=(
        "One factor 1/‖w‖ makes the gradient smaller, and a second one turns a change of w into a "
        "change of its direction: together 1/‖w‖²."
    ),
)
def divides_by_the_norm_once(W, lr):
    """The rate is divided by ‖w‖, not by its square."""
    return lr / np.linalg.norm(W, axis=0)


@mistake(
    earns=0,
    hint=(
        "Large weights turn slowly: both the gradient and the angle per step shrink as the norm "
        "grows."
    ),
)
def multiplies_by_the_squared_norm(W, lr):
    """The rate is multiplied by ‖w‖² instead of divided."""
    return lr * np.sum(W**2, axis=0)


@mistake(
    earns=0,
    hint="W has the shape (fan_in, fan_out): the weights of a unit are a column, so sum over axis 0.",
)
def takes_the_rows(W, lr):
    """One rate per row of W is returned, where each column is a unit."""
    return lr / np.sum(W**2, axis=1)


@mistake(
    earns=0,
    hint=(
        "Batch normalization makes the loss invariant to the scale of each unit on its own, so each "
        "has a rate of its own: one per column."
    ),
)
def takes_the_whole_matrix(W, lr):
    """One rate for the whole matrix is returned."""
    return lr / np.sum(W**2)


@mistake(
    earns=0,
    hint="One entry per unit, shape (fan_out,): leave `keepdims` out.",
)
def keeps_an_axis(W, lr):
    """The result has the shape (1, fan_out): an axis of length 1 was kept."""
    return lr / np.sum(W**2, axis=0, keepdims=True)


@mistake(
    earns=0,
    hint="‖w‖² is the sum of the squared weights; the number of inputs does not enter.",
)
def averages_the_squares(W, lr):
    """The mean of the squares is used, not their sum."""
    return lr / np.mean(W**2, axis=0)


@mistake(
    earns=0,
    hint="It is the length of w that counts, not its spread around a mean: nothing is subtracted.",
)
def divides_by_the_variance_of_the_weights(W, lr):
    """The rate is divided by the variance of the weights."""
    return lr / np.var(W, axis=0)


@mistake(
    earns=0,
    hint="Square first, then add: `np.sum(W**2, axis=0)`. In a sum of weights, both signs cancel.",
)
def squares_the_sum(W, lr):
    """The square of the sum is used, where the norm is made of the sum of the squares."""
    return lr / np.sum(W, axis=0) ** 2


@mistake(
    earns=0,
    hint="The length of a vector is the root of the sum of its squares.",
)
def divides_by_the_sum_of_absolute_values(W, lr):
    """The sum of absolute values is used for the norm."""
    return lr / np.sum(np.abs(W), axis=0) ** 2


@mistake(
    earns=0,
    hint="How fast the *direction* of w turns depends on its length. Divide by ‖w‖².",
)
def returns_the_rate_unchanged(W, lr):
    """The learning rate is returned as it is, once per unit."""
    return np.full(W.shape[1], float(lr))


@mistake(
    earns=4,
    hint=(
        "η/‖w‖² is asked as it stands. With an ε beside it, the rate of small weights no longer "
        "follows their length."
    ),
)
def adds_an_eps_to_the_squared_norm(W, lr):
    """A small constant is added to ‖w‖², which the formula does not have."""
    return lr / (np.sum(W**2, axis=0) + 1e-8)


@mistake(
    earns=4,
    hint="`W *= W` writes into the caller's array; `W**2` makes a new one.",
)
def normalizes_the_weights_in_place(W, lr):
    """The weights are squared in place, so that the caller's are gone."""
    W *= W
    return lr / W.sum(axis=0)


def effective_learning_rate_by_norms(W, lr):
    return lr / np.linalg.norm(W, axis=0) ** 2


def effective_learning_rate_by_einsum(W, lr):
    return np.divide(lr, np.einsum("ij,ij->j", W, W))


# --- norm_equilibrium ------------------------------------------------------------------------


def norm_equilibrium(norm, c, lr, decay, steps):
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


def decaying(rng):
    """A norm, a gradient constant, a learning rate and a decay, the product of the two near 0.2."""
    lr = rng.uniform(0.6, 0.9)
    return rng.uniform(2.0, 3.0), rng.uniform(0.7, 1.3), lr, rng.uniform(0.25, 0.35)


@probe(3)
def norms_along_the_steps(f, rng):
    """`norms` follows the norm from step to step: it decays, and grows by Pythagoras."""
    return {"norms": f(*decaying(rng), 6)["norms"]}


@probe(1)
def norms_begin_with_the_given_one(f, rng):
    """`norms` has steps + 1 entries and begins with the given norm; 0 steps leave just that."""
    given = decaying(rng)
    three = f(*given, 3)["norms"]
    return {
        "the shape of norms for 3 steps": list(np.shape(three)),
        "the first of the norms for 3 steps": three[:1],
        "norms for no step": f(*given, 0)["norms"],
    }


@probe(2)
def norm_of_the_equilibrium(f, rng):
    """`equilibrium` is the norm that a step leaves as it is, exactly, wherever one starts."""
    norm, c, lr, decay = decaying(rng)
    return {
        "equilibrium": f(norm, c, lr, decay, 2)["equilibrium"],
        "equilibrium from another start": f(3 * norm, c, lr, decay, 1)["equilibrium"],
    }


@probe(2)
def rotation_in_the_equilibrium(f, rng):
    """`rotation` is the angle, in radians, by which a step in the equilibrium turns w."""
    norm, c, lr, decay = decaying(rng)
    return {
        "rotation": f(norm, c, lr, decay, 2)["rotation"],
        "rotation for a quarter of the learning rate": f(norm, c, lr / 4, decay, 1)["rotation"],
    }


@probe(1, hidden=True)
def norms_arrive_at_the_equilibrium(f, rng):
    """After 300 steps the norm has arrived where `equilibrium` says."""
    found = f(*decaying(rng), 300)
    return {
        # Two of them: one that was never written is 0, as one that has shrunk to nothing.
        "the last two norms": found["norms"][-2:],
        "the last norm over the equilibrium": found["norms"][-1] / found["equilibrium"],
    }


@mistake(
    earns=5,
    hint=(
        "The gradient of a scale-invariant loss is orthogonal to w, so the squares add up: "
        "Pythagoras."
    ),
)
def adds_the_lengths(norm, c, lr, decay, steps):
    """The length of the step is added to the norm, as if it pointed the same way."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(shrunk + lr * c / norms[-1])
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint=(
        "In the formula vectors are subtracted, not lengths. The gradient of a scale-invariant loss is "
        "orthogonal to w, so the squares of the lengths add up: Pythagoras."
    ),
)
def subtracts_the_lengths(norm, c, lr, decay, steps):
    """The length of the step is subtracted from the norm, as if it pointed back along w."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(shrunk - lr * c / norms[-1])
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint=(
        "Downhill is not inwards: the step is orthogonal to w, and the hypotenuse is longer than "
        "either side."
    ),
)
def subtracts_the_step(norm, c, lr, decay, steps):
    """The squared step is subtracted, so that the norm shrinks with every step."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.sqrt(max(shrunk**2 - (lr * c / norms[-1]) ** 2, 0)))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="The gradient of a scale-invariant loss shrinks as w grows: its norm is c/‖w‖.",
)
def forgets_that_gradients_shrink(norm, c, lr, decay, steps):
    """The gradient is taken to have the norm c, however long w is."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint=(
        "If f(aw) = f(w), then a step of the same length matters less for a longer w: the gradient "
        "at aw is 1/a of that at w."
    ),
)
def lets_gradients_grow_with_the_norm(norm, c, lr, decay, steps):
    """The gradient is taken to grow with w: c‖w‖ in place of c/‖w‖."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c * norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="Weight decay multiplies w by 1 - ηλ in every step, before the gradient's part is added.",
)
def forgets_the_decay(norm, c, lr, decay, steps):
    """The norm does not decay: it only grows."""
    norms = [norm]
    for _ in range(steps):
        shrunk = norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint=(
        "In gradient descent on L + (λ/2)‖w‖² the decay is multiplied by the learning rate as well: "
        "1 - ηλ."
    ),
)
def decays_without_the_learning_rate(norm, c, lr, decay, steps):
    """The norm is multiplied by 1 - λ, without the learning rate."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="What the squares of the two sides add up to is the square of ‖w′‖. Take the root before the "
    "next step.",
)
def forgets_the_root_of_pythagoras(norm, c, lr, decay, steps):
    """The squares of the two sides are added, and their root is not taken."""
    norms = [norm]
    for _ in range(steps):
        norms.append(((1 - lr * decay) * norms[-1]) ** 2 + (lr * c / norms[-1]) ** 2)
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=4,
    hint="‖w‖² is what adds up; the norm is its root. Return the roots.",
)
def returns_squared_norms(norm, c, lr, decay, steps):
    """The squared norms are returned."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms) ** 2,
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="n steps have n + 1 norms, the first being the one you are given.",
)
def leaves_out_the_start(norm, c, lr, decay, steps):
    """The given norm is left out: `norms` has one entry less than asked."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms[1:]),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="The list begins with the norm that you are given, before any step: note down each norm "
    "*before* the step that changes it.",
)
def begins_after_the_first_step(norm, c, lr, decay, steps):
    """`norms` begins with the norm after the first step, and goes one step too far."""
    norms, now = [], norm
    for _ in range(steps + 1):
        now = np.hypot((1 - lr * decay) * now, lr * c / now)
        norms.append(now)
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=5,
    hint="The given norm is the one before the first step: n more follow it, one for each step.",
)
def takes_one_step_too_few(norm, c, lr, decay, steps):
    """`norms` has as many entries as there are steps: the norm after the last step is missing."""
    norms = [norm]
    for _ in range(steps - 1):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=6,
    hint="Set ‖w′‖ = ‖w‖ and keep all terms: 1 - (1 - ηλ)² is 2ηλ - (ηλ)², not 2ηλ.",
)
def approximates_the_equilibrium(norm, c, lr, decay, steps):
    """The equilibrium is the approximation (ηc²/2λ)^¼, which neglects ηλ beside 2."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (2 * decay)) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=6,
    hint=(
        "c/‖w‖ is in the equation as a square, so multiplying by ‖w‖² leaves ‖w‖⁴ = …: the fourth "
        "root."
    ),
)
def takes_the_square_root_only(norm, c, lr, decay, steps):
    """The square root is taken, where the equation holds for ‖w‖⁴."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.5
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=7,
    hint=(
        "After few steps the norm is still on its way, and it only approaches the equilibrium. Solve "
        "‖w′‖ = ‖w‖ for ‖w‖."
    ),
)
def returns_the_last_norm_as_the_equilibrium(norm, c, lr, decay, steps):
    """The norm after the last step is returned as the equilibrium."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    return {
        "norms": np.array(norms),
        "equilibrium": float(norms[-1]),
        "rotation": float(np.arccos(1 - lr * decay)),
    }


@mistake(
    earns=7,
    hint=(
        "√(2ηλ) holds for small ηλ. Draw the triangle of (1 - ηλ)w, -ηg and w′, in which ‖w′‖ = ‖w‖, "
        "and read off the angle."
    ),
)
def approximates_the_rotation(norm, c, lr, decay, steps):
    """The rotation is the approximation √(2ηλ)."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.sqrt(2 * lr * decay)),
    }


@mistake(
    earns=7,
    hint="Radians are asked, which is what NumPy's functions return.",
)
def gives_the_rotation_in_degrees(norm, c, lr, decay, steps):
    """The rotation is given in degrees."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.degrees(np.arccos(1 - lr * decay))),
    }


@mistake(
    earns=7,
    hint=(
        "The step is added to (1 - ηλ)w, which is the side next to the angle: tan = η‖g‖/((1 - "
        "ηλ)‖w‖)."
    ),
)
def compares_the_step_with_the_old_norm(norm, c, lr, decay, steps):
    """The angle is that of the step against w before it shrank."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arctan(lr * c / equilibrium**2)),
    }


@mistake(
    earns=7,
    hint=(
        "In the equilibrium all steps turn w by the same angle, which does not depend on where you "
        "started."
    ),
)
def takes_the_rotation_of_the_last_step(norm, c, lr, decay, steps):
    """The rotation is that of the last step that was followed, not that of the equilibrium."""
    norms = [norm]
    for _ in range(steps):
        shrunk = (1 - lr * decay) * norms[-1]
        norms.append(np.hypot(shrunk, lr * c / norms[-1]))
    equilibrium = (lr * c**2 / (decay * (2 - lr * decay))) ** 0.25
    return {
        "norms": np.array(norms),
        "equilibrium": float(equilibrium),
        "rotation": float(np.arctan(lr * c / ((1 - lr * decay) * norms[-1] ** 2))),
    }


def norm_equilibrium_by_squares(norm, c, lr, decay, steps):
    squares = np.empty(steps + 1)
    squares[0] = norm**2
    for t in range(steps):
        squares[t + 1] = (1 - lr * decay) ** 2 * squares[t] + (lr * c) ** 2 / squares[t]
    square = lr * c / np.sqrt(1 - (1 - lr * decay) ** 2)
    angle = np.arctan2(lr * c / square, 1 - lr * decay)
    return {"norms": np.sqrt(squares), "equilibrium": np.sqrt(square), "rotation": angle}


def norm_equilibrium_with_vectors(norm, c, lr, decay, steps):
    def step(w):
        # A gradient of the norm c/‖w‖, a quarter turn to the left of w.
        length = np.sqrt(w @ w)
        g = np.array([-w[1], w[0]]) * c / length**2
        return (1 - lr * decay) * w - lr * g

    w = np.array([norm, 0.0])
    path = [w]
    for _ in range(steps):
        path.append(step(path[-1]))
    keep = 1 - lr * decay
    still = np.sqrt(lr * c / np.sqrt((1 - keep) * (1 + keep)))
    after = step(np.array([still, 0.0]))
    return {
        "norms": np.linalg.norm(np.array(path), axis=1),
        "equilibrium": still,
        "rotation": abs(np.arctan2(after[1], after[0])),
    }


# --- scale_invariance_residual ---------------------------------------------------------------


def scale_invariance_residual(X, W, C, a, eps):
    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


def normalized_layer(rng, samples=12, inputs=6, units=4):
    """Inputs with a mean, weights of different sizes per unit, and what weighs the outputs."""
    X = rng.normal(size=(samples, inputs)) + 0.5
    W = rng.normal(size=(inputs, units)) * np.linspace(0.3, 0.9, units)
    C, u = rng.normal(size=(samples, units)), X @ W
    # ⟨w, g⟩ has the sign of this sum. It alternates, so that a sum over units is not one of sizes.
    lean = (C * (u - u.mean(axis=0))).sum(axis=0)
    return X, W, C * np.sign(lean) * np.resize([1, -1], units)


def residuals(found):
    """The three that are asked for: a dictionary may hold more."""
    return {name: found[name] for name in ("output", "radial", "gradient")}


def of_either_sign(f, X, W, C, a, eps, of=None):
    """What f finds for X, and for -X, where f(W), ⟨w, g⟩ and g have all signs the other way."""
    found = {"X": f(X, W.copy(), C, a, eps), "-X": f(-X, W.copy(), C, a, eps)}
    if of is None:
        return {f"the residuals for {inputs}": residuals(seen) for inputs, seen in found.items()}
    return {f"{of} for {inputs}": all_three[of] for inputs, all_three in found.items()}


@probe(2)
def residual_of_the_output(f, rng):
    """`output` is the largest |f(aW) - f(W)|."""
    return of_either_sign(f, *normalized_layer(rng), 3.0, 0.1, of="output")


@probe(2)
def residual_of_the_radial_part(f, rng):
    """`radial` is the largest |⟨w, g⟩| of a unit, with w and g at the given W."""
    return of_either_sign(f, *normalized_layer(rng), 3.0, 0.1, of="radial")


@probe(2)
def residual_of_the_gradient(f, rng):
    """`gradient` is the largest |a g(aW) - g(W)|."""
    return of_either_sign(f, *normalized_layer(rng), 3.0, 0.1, of="gradient")


@probe(1)
def exactly_invariant_without_eps(f, rng):
    """With eps = 0 all three vanish, up to rounding, whatever the scale."""
    layer = normalized_layer(rng)
    found = residuals(f(*layer, 0.3, 0.1))
    return {
        "for a = 1/8": residuals(f(*layer, 0.125, 0.0)),
        "for a = 40": residuals(f(*layer, 40.0, 0.0)),
        # Of what was computed, rounding leaves something, and never the same.
        "something is computed": found != residuals(f(*normalized_layer(rng), 0.3, 0.1)),
    }


@probe(1)
def residuals_of_a_square_layer(f, rng):
    """A layer with as many inputs as units is measured like any other."""
    return of_either_sign(f, *normalized_layer(rng, 9, 5, 5), 0.5, 0.05)


@probe(1)
def residuals_leave_the_arrays_alone(f, rng):
    """`W`, `X` and `C` are left as they were, and the output's residual is right."""
    X, W, C = normalized_layer(rng)
    right = of_either_sign(f, X.copy(), W, C.copy(), 0.5, 0.1, of="output")
    f(X, W, C, 0.5, 0.1)
    return {"W": Argument(W), "X": Argument(X), "C": Argument(C), **right}


@probe(1, hidden=True)
def small_weights_feel_a_small_eps(f, rng):
    """With eps = 1e-5 as in practice, weights of a hundredth of their size show it."""
    return of_either_sign(f, *normalized_layer(rng), 0.01, 1e-5)


@mistake(
    earns=4,
    hint="Scaling the weights is supposed to leave the output as it is: compare with f(W).",
)
def compares_with_a_times_the_output(X, W, C, a, eps):
    """The output for aW is compared with a·f(W), as if the layer were linear."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - a * y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=5,
    hint=(
        "X·(aW) and (aX)·W are the same pre-activations, but the gradient with respect to W contains "
        "X. g(aW) is the formula of the text at the weights aW, with X as it is, and a stands before "
        "it once."
    ),
)
def scales_the_inputs_instead(X, W, C, a, eps):
    """The inputs are multiplied by a, not the weights, or the gradient by a once more: the output
    is the same, the gradient is not.
    """

    def layer(X):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(X)
    y_scaled, g_scaled = layer(a * X)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=5,
    hint="Larger weights have *smaller* gradients, g(aW) = g(W)/a. Multiply the gradient at aW by a.",
)
def multiplies_the_other_gradient(X, W, C, a, eps):
    """a·g(W) is compared with g(aW): the factor is on the wrong side."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(g_scaled - a * g).max()),
    }


@mistake(
    earns=5,
    hint="The output does not change when W is scaled, but the gradient does: g(aW) = g(W)/a. Multiply "
    "the gradient at aW by a.",
)
def forgets_the_factor_of_the_gradient(X, W, C, a, eps):
    """g(aW) is compared with g(W), without the factor a."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(g_scaled - g).max()),
    }


@mistake(
    earns=1,
    hint="The exercise is about what ε does: std = √(σ² + ε).",
)
def ignores_eps_in_the_layer(X, W, C, a, eps):
    """ε is left out, so that everything vanishes."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0))
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=0,
    hint=(
        "The layer divides the squares by N, not by N - 1: `u.var(axis=0)`, without `ddof=1`. The "
        "formula for ∂L/∂u holds for that variance only."
    ),
)
def normalizes_by_the_unbiased_variance(X, W, C, a, eps):
    """The variance divides by N - 1 where N is asked (ddof=1)."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0, ddof=1) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=1,
    hint="The layer divides by √(σ² + ε).",
)
def puts_eps_outside_the_root(X, W, C, a, eps):
    """ε is added to the standard deviation, outside the root."""

    def layer(W):
        u = X @ W
        std = u.std(axis=0) + eps
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=3,
    hint=(
        "ε is a constant of the layer. That it does *not* scale with W is why the invariance is not "
        "exact."
    ),
)
def scales_eps_with_the_weights(X, W, C, a, eps):
    """ε is scaled along with the weights, so that nothing changes."""

    def layer(W, eps):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W, eps)
    y_scaled, g_scaled = layer(a * W, a**2 * eps)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=3,
    hint=(
        "Mean and variance depend on W. Without their paths the gradient is not orthogonal to w: "
        "subtract the mean of C and y times the mean of C y."
    ),
)
def treats_the_statistics_as_constants(X, W, C, a, eps):
    """The gradient does not go through mean and variance: they are taken for constants."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = C / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=3,
    hint="The last term, y times the mean of C y, is what makes the gradient orthogonal to w.",
)
def forgets_the_path_through_the_variance(X, W, C, a, eps):
    """The gradient goes through the mean, but not through the variance."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=3,
    hint=(
        "The mean of C has to be subtracted as well: a constant added to all samples changes nothing "
        "in the output."
    ),
)
def forgets_the_path_through_the_mean(X, W, C, a, eps):
    """The gradient goes through the variance, but not through the mean."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=6,
    hint=(
        "Each unit is invariant on its own, so each ⟨w, g⟩ counts: sum over axis 0, then take the "
        "largest absolute value."
    ),
)
def adds_the_products_of_all_units(X, W, C, a, eps):
    """One inner product of the whole matrices is returned, in which the units' parts may
    cancel.
    """

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum())),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=5,
    hint="W has the shape (fan_in, fan_out): a unit's weights are a column, so sum over axis 0.",
)
def takes_rows_for_units(X, W, C, a, eps):
    """The inner products are those of rows of W, where each column is a unit."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=1)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=5,
    hint="⟨w, g⟩ adds the products of a unit's weights; each of them alone need not be small.",
)
def does_not_sum_the_products(X, W, C, a, eps):
    """The largest single product w·g is returned: the sum of the inner product is missing."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs(W * g).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=6,
    hint="`radial` belongs to the weights that are given: w and g(W).",
)
def measures_the_radial_part_at_aw(X, W, C, a, eps):
    """The inner product is taken at aW, not at W."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((a * W * g_scaled).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=0,
    hint="Batch normalization takes mean and variance over the samples: axis 0.",
)
def normalizes_each_sample_instead(X, W, C, a, eps):
    """Each sample is normalized over its units (layer normalization), not each unit over the
    batch.
    """

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=1, keepdims=True) + eps)
        y = (u - u.mean(axis=1, keepdims=True)) / std
        du = (C - C.mean(axis=1, keepdims=True) - y * (C * y).mean(axis=1, keepdims=True)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=9,
    hint="`a * W` makes a new array.",
)
def scales_the_weights_in_place(X, W, C, a, eps):
    """`W *= a` changes the caller's weights."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    radial = np.abs((W * g).sum(axis=0)).max()
    W *= a
    y_scaled, g_scaled = layer(W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float(radial),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=1,
    hint="The largest absolute value of all entries is asked: `np.abs(…).max()`, not `np.linalg.norm`.",
)
def takes_norms_for_maxima(X, W, C, a, eps):
    """The norms of the differences are returned where the largest entries are asked."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.linalg.norm(y_scaled - y)),
        "radial": float(np.linalg.norm((W * g).sum(axis=0))),
        "gradient": float(np.linalg.norm(a * g_scaled - g)),
    }


@mistake(
    earns=1,
    hint="A mean hides the units that are worst. Take the largest: `max`, not `mean`.",
)
def takes_means_for_maxima(X, W, C, a, eps):
    """The absolute values are averaged where the largest is asked."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).mean()),
        "radial": float(np.abs((W * g).sum(axis=0)).mean()),
        "gradient": float(np.abs(a * g_scaled - g).mean()),
    }


@mistake(
    earns=1,
    hint="A difference of -1 is as large as one of 1: take absolute values before the maximum.",
)
def forgets_the_absolute_value(X, W, C, a, eps):
    """The largest value is taken with its sign, so that large negative ones do not count."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float((y_scaled - y).max()),
        "radial": float((W * g).sum(axis=0).max()),
        "gradient": float((a * g_scaled - g).max()),
    }


@mistake(
    earns=5,
    hint="A difference of -1 is as large as one of 1: take absolute values before the maximum.",
)
def forgets_the_absolute_value_of_the_output(X, W, C, a, eps):
    """`output` is the largest difference with its sign, so that large negative ones do not count."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float((y_scaled - y).max()),
        "radial": float(np.abs((W * g).sum(axis=0)).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


@mistake(
    earns=6,
    hint="An inner product of -1 is as far from 0 as one of 1: take absolute values after the sum and "
    "before the maximum.",
)
def forgets_the_absolute_value_of_the_products(X, W, C, a, eps):
    """`radial` is the largest ⟨w, g⟩ with its sign, so that large negative ones do not count."""

    def layer(W):
        u = X @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        du = (C - C.mean(axis=0) - y * (C * y).mean(axis=0)) / std
        return y, X.T @ du

    y, g = layer(W)
    y_scaled, g_scaled = layer(a * W)
    return {
        "output": float(np.abs(y_scaled - y).max()),
        "radial": float((W * g).sum(axis=0).max()),
        "gradient": float(np.abs(a * g_scaled - g).max()),
    }


def scale_invariance_by_the_jacobian(X, W, C, a, eps):
    # Each unit on its own, its Jacobian dy/du written out as an N×N matrix.
    n = len(X)
    worst = dict.fromkeys(("output", "radial", "gradient"), 0.0)
    for j in range(W.shape[1]):
        ys, gs = [], []
        for w in (W[:, j], a * W[:, j]):
            u = X @ w
            std = np.sqrt(np.mean((u - np.mean(u)) ** 2) + eps)
            y = (u - np.mean(u)) / std
            jacobian = (np.eye(n) - 1 / n - np.outer(y, y) / n) / std
            ys.append(y)
            gs.append(X.T @ (jacobian @ C[:, j]))
        worst["output"] = max(worst["output"], np.max(np.abs(ys[1] - ys[0])))
        worst["radial"] = max(worst["radial"], abs(W[:, j] @ gs[0]))
        worst["gradient"] = max(worst["gradient"], np.max(np.abs(a * gs[1] - gs[0])))
    return worst


def scale_invariance_in_stages(X, W, C, a, eps):
    def forward(weights):
        u = X.dot(weights)
        centered = u - u.mean(axis=0, keepdims=True)
        var = np.mean(centered**2, axis=0, keepdims=True)
        return centered, var

    def backward(weights):
        centered, var = forward(weights)
        root = np.sqrt(var + eps)
        d_root = -(C * centered).sum(axis=0) / root**2
        d_centered = C / root + 2 * centered * (d_root / (2 * root)) / len(X)
        d_u = d_centered - d_centered.mean(axis=0)
        return X.T.dot(d_u)

    outputs = [c / np.sqrt(v + eps) for c, v in map(forward, (W, W * a))]
    first, second = backward(W), backward(W * a)
    return {
        "output": np.max(np.abs(outputs[0] - outputs[1])),
        "radial": max(abs(np.dot(W[:, j], first[:, j])) for j in range(W.shape[1])),
        "gradient": np.max(np.abs(first - a * second)),
    }


# --- residual_block_gradient -----------------------------------------------------------------


def residual_block_gradient(X, weights, upstream, residual, eps=1e-5):
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


TINY = 1e-12
"""An ε that leaves no trace, for the probes that ask for something else."""


LARGE = 1e4
"""A scale of the weights beside which any small ε leaves no trace, also one that is built in."""


def stack(rng, depth=3, width=6, samples=16, scale=LARGE):
    """Inputs, square weight matrices and the gradient that arrives at the top."""
    weights = [scale * W for W in network(rng, (width,) * (depth + 1))]
    return rng.normal(size=(samples, width)), weights, rng.normal(size=(samples, width))


@probe(2)
def factor_of_plain_layers(f, rng):
    """The factor per layer of plain BN-ReLU layers is right."""
    return {"the factor of three plain layers": f(*stack(rng), False, eps=TINY)}


@probe(2)
def factor_of_residual_blocks(f, rng):
    """The factor per layer of residual blocks is right."""
    return {"the factor of three residual blocks": f(*stack(rng), True, eps=TINY)}


@probe(1)
def factor_of_a_single_layer(f, rng):
    """One layer is a network, too: its factor is the ratio of the two norms."""
    return {
        "the plain factor": f(*stack(rng, depth=1), False, eps=TINY),
        "the residual factor": f(*stack(rng, depth=1), True, eps=TINY),
    }


@probe(1)
def factor_of_layers_of_any_width(f, rng):
    """Plain layers may become wider and narrower."""
    X, upstream = rng.normal(size=(16, 5)), rng.normal(size=(16, 3))
    weights = [LARGE * W for W in network(rng, (5, 8, 4, 3))]
    return {"the plain factor": f(X, weights, upstream, False, eps=TINY)}


@probe(1)
def eps_in_the_blocks(f, rng):
    """`eps` is added to the variance, under the root; it matters for pre-activations near 0.01."""
    X, weights, upstream = stack(rng, scale=1)
    weights[0] = weights[0] / 100
    return {
        "the plain factor for eps=1e-3": f(X, [*weights], upstream.copy(), False, eps=1e-3),
        "the residual factor for the default eps": f(X, [*weights], upstream, True),
    }


@probe(1)
def the_size_of_the_upstream_gradient_cancels(f, rng):
    """An upstream gradient 100 times as large changes nothing, and it is left as it was."""
    X, weights, upstream = stack(rng)
    upstream *= 100
    other = upstream.copy()
    factor = f(X, [*weights], upstream, False, eps=TINY)
    f(X, [*weights], other, True, eps=TINY)
    return {
        "upstream": Argument(upstream),
        "upstream of residual blocks": Argument(other),
        "the plain factor": factor,
    }


@probe(1, hidden=True)
def factors_of_a_deep_stack(f, rng):
    """In eight layers both factors are right, and X is left as it was."""
    X, weights, upstream = stack(rng, depth=8)
    plain = f(X, [*weights], upstream.copy(), False, eps=TINY)
    skipped = f(X, [*weights], upstream, True, eps=TINY)
    return {"the plain factor": plain, "the residual factor": skipped, "X": Argument(X)}


@mistake(
    earns=4,
    hint=(
        "In a residual block h + F(h) has two paths to h, so its gradient has two parts: g itself, and "
        "g sent through F. Add them there."
    ),
)
def forgets_the_skip_on_the_way_back(X, weights, upstream, residual, eps=1e-5):
    """The skip connection is there on the way up, but the gradient does not use it on the way
    down.
    """
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=5,
    hint="A residual block computes h + max(y, 0). Without the h, the layers above see other inputs.",
)
def forgets_the_skip_on_the_way_up(X, weights, upstream, residual, eps=1e-5):
    """The gradient takes the skip connection, but the forward pass has none."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=4,
    hint="With `residual=True` each layer computes h + max(y, 0).",
)
def ignores_the_flag(X, weights, upstream, residual, eps=1e-5):
    """The layers are plain, whatever `residual` says."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=2,
    hint="With `residual=False` each layer computes max(y, 0) alone, and on the way down the gradient "
    "has no second path either.",
)
def always_adds_the_skip(X, weights, upstream, residual, eps=1e-5):
    """The layers have a skip connection, whatever `residual` says."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=4,
    hint=(
        "That is the block of the first residual networks, in which a ReLU sits on the skip path. "
        "Here nothing does: h + max(y, 0). On the way down, too, the slope of the ReLU belongs to the "
        "branch alone, and depends on y alone."
    ),
)
def applies_relu_after_the_sum(X, weights, upstream, residual, eps=1e-5):
    """The ReLU comes after the sum, max(h + y, 0), not before it."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std, h + y if residual else y))
        branch = np.maximum(y, 0)
        h = np.maximum(h + y, 0) if residual else branch
    g = upstream
    for W, (y, std, v) in zip(weights[::-1], kept[::-1]):
        dy = g * (v > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = dy + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=4,
    hint="On the skip path there is no ReLU: g passes unchanged, also where y is negative.",
)
def masks_the_skip_path(X, weights, upstream, residual, eps=1e-5):
    """The gradient of the skip path is multiplied by the ReLU's slope."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = dy + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=1,
    hint="Factors multiply: over K layers they make ρᴷ. Take the K-th root.",
)
def returns_the_growth_of_all_layers(X, weights, upstream, residual, eps=1e-5):
    """The growth over all layers is returned, not the factor per layer."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth)


@mistake(
    earns=1,
    hint="Over K layers a factor ρ makes ρᴷ. Take the K-th root, not a K-th part.",
)
def divides_the_growth_by_the_depth(X, weights, upstream, residual, eps=1e-5):
    """The growth is divided by the number of layers; factors multiply."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth / len(weights))


@mistake(
    earns=0,
    hint=(
        "The factor says what happens to the gradient on its way *down*: bottom over top, larger "
        "than 1 when gradients grow towards the input."
    ),
)
def divides_the_wrong_way_round(X, weights, upstream, residual, eps=1e-5):
    """The gradient at the top is divided by that at the bottom."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(upstream) / np.linalg.norm(g)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint=(
        "Papers state the growth of squared norms, too (π/(π-1) ≈ 1.467). Here the norm itself is "
        "asked, ≈ 1.211."
    ),
)
def returns_the_factor_of_the_squares(X, weights, upstream, residual, eps=1e-5):
    """The factor is that of the squared norms."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.sum(g**2) / np.sum(upstream**2)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint="Multiply by the slope: 1 where y is positive, 0 elsewhere.",
)
def forgets_relu_on_the_way_back(X, weights, upstream, residual, eps=1e-5):
    """The gradient passes through every ReLU, also where it was closed."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint="The layer is max(BN(h W), 0): normalize first. On the way down it is the other way round: "
    "first the slope of the ReLU, which depends on y, then back through the normalization.",
)
def normalizes_after_relu(X, weights, upstream, residual, eps=1e-5):
    """The ReLU comes before the normalization."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        r = np.maximum(u, 0)
        std = np.sqrt(r.var(axis=0) + eps)
        y = (r - r.mean(axis=0)) / std
        kept.append((u, y, std))
        h = h + y if residual else y
    g = upstream
    for W, (u, y, std) in zip(weights[::-1], kept[::-1]):
        dr = (g - g.mean(axis=0) - y * (g * y).mean(axis=0)) / std
        through = (dr * (u > 0)) @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint=(
        "Mean and variance depend on every sample: subtract the mean of dy, and y times the mean of "
        "dy·y."
    ),
)
def takes_mean_and_variance_for_constants(X, weights, upstream, residual, eps=1e-5):
    """The gradient does not go through the batch's mean and variance."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = dy / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint="The third term is missing: y times the mean of dy·y.",
)
def leaves_the_variance_out_of_the_gradient(X, weights, upstream, residual, eps=1e-5):
    """The gradient goes through the batch's mean, but not through its variance."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint="u = h W, so the gradient of h is du Wᵀ.",
)
def does_not_transpose_the_weights(X, weights, upstream, residual, eps=1e-5):
    """The gradient is sent back through W, not through its transpose."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint=(
        "Batch normalization divides the squares by N, not by N - 1: `u.var(axis=0)`, without "
        "`ddof=1`. The formula for ∂L/∂u holds for that variance only."
    ),
)
def takes_the_unbiased_variance(X, weights, upstream, residual, eps=1e-5):
    """The variance divides by N - 1 where N is asked (ddof=1)."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0, ddof=1) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=8,
    hint="ε belongs under the root, with the variance: √(σ² + ε).",
)
def adds_eps_to_the_deviation(X, weights, upstream, residual, eps=1e-5):
    """ε is added to the standard deviation, outside the root."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = u.std(axis=0) + eps
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=8,
    hint="Add `eps` to the variance, under the root. With a variance of 10⁻⁴ it matters.",
)
def leaves_eps_out(X, weights, upstream, residual, eps=1e-5):
    """ε is left out."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = u.std(axis=0)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=8,
    hint="`g *= …` writes into the caller's array, because g is `upstream` at first. Make a new one.",
)
def divides_the_upstream_gradient_in_place(X, weights, upstream, residual, eps=1e-5):
    """The upstream gradient is changed in place."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    top = np.linalg.norm(upstream)
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        skip = g.copy()
        g *= y > 0
        dy = g
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = skip + through if residual else through
    growth = np.linalg.norm(g) / top
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=8,
    hint="The caller chooses ε. Use the argument `eps`, not a number of your own.",
)
def uses_an_eps_of_its_own(X, weights, upstream, residual, eps=1e-5):
    """ε is always 10⁻⁵, whatever the argument says."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + 1e-5)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=4,
    hint="In a residual block the ReLU sees y alone: its slope is 1 where *y* is positive, whatever the sum is.",
)
def masks_with_the_sum(X, weights, upstream, residual, eps=1e-5):
    """The mask of the ReLU is taken from h, the sum of branch and skip, not from y."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
        kept.append((y, std, h))
    g = upstream
    for W, (y, std, above) in zip(weights[::-1], kept[::-1]):
        dy = g * (above > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=0,
    hint="y is what the normalization returns, before the ReLU. Keep that for the way back.",
)
def takes_y_after_relu(X, weights, upstream, residual, eps=1e-5):
    """The y in the formula of the gradient is that after the ReLU, where negative entries are 0."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        branch = np.maximum(y, 0)
        kept.append((branch, std))
        h = h + branch if residual else branch
    g = upstream
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        g = g + through if residual else through
    growth = np.linalg.norm(g) / np.linalg.norm(upstream)
    return float(growth ** (1 / len(weights)))


@mistake(
    earns=8,
    hint="`g += …` writes into the caller's array, because g is `upstream` at first. `g + …` makes a new one.",
)
def adds_to_the_upstream_gradient_in_place(X, weights, upstream, residual, eps=1e-5):
    """What comes through a block is added to the upstream gradient in place."""
    h = X
    kept = []
    for W in weights:
        u = h @ W
        std = np.sqrt(u.var(axis=0) + eps)
        y = (u - u.mean(axis=0)) / std
        kept.append((y, std))
        branch = np.maximum(y, 0)
        h = h + branch if residual else branch
    g = upstream
    top = np.linalg.norm(upstream)
    for W, (y, std) in zip(weights[::-1], kept[::-1]):
        dy = g * (y > 0)
        du = (dy - dy.mean(axis=0) - y * (dy * y).mean(axis=0)) / std
        through = du @ W.T
        if residual:
            g += through
        else:
            g = through
    growth = np.linalg.norm(g) / top
    return float(growth ** (1 / len(weights)))


def residual_block_gradient_by_logarithms(X, weights, upstream, residual, eps=1e-5):
    layers = []
    h = X
    for W in weights:
        u = h.dot(W)
        u = u - u.mean(axis=0)
        root = np.sqrt(np.mean(u**2, axis=0) + eps)
        layers.append((W, u / root, root))
        h = np.where(u > 0, u / root, 0.0) + (h if residual else 0.0)
    logs = []
    g = upstream
    for W, y, root in reversed(layers):
        d = np.where(y > 0, g, 0.0)
        d = d - y * np.mean(d * y, axis=0)
        d = (d - np.mean(d, axis=0)) / root
        below = d.dot(W.T) + (g if residual else 0.0)
        logs.append(np.log(np.linalg.norm(below)) - np.log(np.linalg.norm(g)))
        g = below
    return np.exp(np.mean(logs))


def residual_block_gradient_by_recursion(X, weights, upstream, residual, eps=1e-5):
    n = len(X)

    def down(h, rest):
        if not rest:
            return upstream
        u = h @ rest[0]
        std = np.sqrt(((u - u.mean(0)) ** 2).mean(0) + eps)
        y = (u - u.mean(0)) / std
        on = (y > 0) * 1.0
        g = down(y * on + residual * h if residual else y * on, rest[1:])
        d = g * on
        du = (n * d - d.sum(0) - y * (d * y).sum(0)) / (n * std)
        return du @ rest[0].T + g if residual else du @ rest[0].T

    growth = np.sqrt(np.sum(down(X, weights) ** 2) / np.sum(upstream**2))
    return growth ** (1.0 / len(weights))


# --- read_tables -----------------------------------------------------------------------------


def read_tables():
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "d", "F": "b"}


def choice(f, table):
    """What was chosen for one table; a difference in the last of these is never the first."""
    chosen = f()[table]
    chosen = chosen.strip().lower() if isinstance(chosen, str) else chosen
    offered = isinstance(chosen, str) and chosen in ("a", "b", "c", "d")
    supported = offered and chosen == read_tables()[table]
    return {
        f"your answer for table {table}": "one of a, b, c, d" if offered else "none of a, b, c, d",
        f"the claim that you chose for table {table}": (
            "supported by the table" if supported else "not supported by the table"
        ),
        "the claim": chosen,  # tells the misreadings apart; the sentence is that of a line above
    }


@probe(2)
def reads_table_a(f, rng):
    """Table A, best accuracies: the claim fits the numbers and their spread."""
    return choice(f, "A")


@probe(2)
def reads_table_b(f, rng):
    """Table B, before or after: the claim fits the differences per seed, at each learning rate."""
    return choice(f, "B")


@probe(2)
def reads_table_c(f, rng):
    """Table C, three networks and three learning rates: the claim names what makes the gap."""
    return choice(f, "C")


@probe(2)
def reads_table_d(f, rng):
    """Table D, along a step: the claim says what was measured, and no more."""
    return choice(f, "D")


@probe(2, hidden=True)
def reads_table_e(f, rng):
    """Table E, three activations: the claim fits each of the three rows."""
    return choice(f, "E")


@probe(2, hidden=True)
def reads_table_f(f, rng):
    """Table F, noise after the normalization: the claim fits both networks."""
    return choice(f, "F")


@mistake(
    earns=10,
    hint=(
        "In the ReLU network the means differ by 0.003 and each seed scatters by more than 0.01. "
        "For two independent sets of five seeds, the standard error of that difference is near 0.009; "
        "how well the shared seeds pair, the table does not say."
    ),
)
def ignores_the_error_bars():
    """Table A: a difference far smaller than its error bars is taken for an effect."""
    return {"A": "a", "B": "d", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "Not having found a difference is not having found equality. Five seeds with this spread "
        "would not show a real gain of half a point either."
    ),
)
def takes_noise_for_equality():
    """Table A: a difference that cannot be seen is taken for one that is not there."""
    return {"A": "c", "B": "d", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "A standard deviation estimated from five runs is itself uncertain, by about a third. And a "
        "spread is no reason to leave aside the second row."
    ),
)
def takes_the_spread_for_reliability():
    """Table A: the spreads of two times five runs are compared as if they were exact."""
    return {"A": "d", "B": "d", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "The ± of a column is the scatter of single seeds, part of which both networks share. What "
        "counts is the difference per seed, -1.1 ± 0.7, and the error of its mean over ten seeds, "
        "0.23."
    ),
)
def reads_paired_runs_as_unpaired():
    """Table B: overlapping bars are read as "no difference", although the runs are paired."""
    return {"A": "b", "B": "a", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        'Look at the last row before writing "whatever": the difference is -0.08 with a standard '
        "error of 0.16."
    ),
)
def generalizes_from_small_learning_rates():
    """Table B: what holds at two learning rates is claimed for every learning rate."""
    return {"A": "b", "B": "b", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "The column is *before minus after*. Where it is negative, normalizing after the activation "
        "is ahead."
    ),
)
def reads_the_difference_the_wrong_way_round():
    """Table B: the sign of the difference is read the wrong way round."""
    return {"A": "b", "B": "c", "C": "c", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "Compare each network at the learning rate that suits it best. How much of the gap of the "
        "first column is left?"
    ),
)
def is_fooled_by_a_confounded_learning_rate():
    """Table C: a gap that a badly chosen learning rate makes is put down to the method."""
    return {"A": "b", "B": "d", "C": "a", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "At the two smaller rates the network with batch normalization is far ahead of the one with "
        "standardized inputs. Read all columns."
    ),
)
def takes_a_scaled_input_for_the_whole_effect():
    """Table C: the method is called useless because another remedy does as well at one learning
    rate.
    """
    return {"A": "b", "B": "d", "C": "b", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "At 0.1, the largest rate of the table, all three networks train. It may well be that larger "
        "rates separate them, but this table cannot say so."
    ),
)
def reads_into_the_table_what_it_does_not_show():
    """Table C: the claim is about rates at which the plain network fails, and no such rate is
    in the table.
    """
    return {"A": "b", "B": "d", "C": "d", "D": "a", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "Look at the last row: after 150 steps the smoother network is not ahead. Smoothness along a "
        "step *allows* longer steps; it is not speed."
    ),
)
def takes_smoothness_for_speed():
    """Table D: a smoother loss is taken for faster training."""
    return {"A": "b", "B": "d", "C": "c", "D": "b", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "The first two rows measure it, and the bars are far apart. That the network is not faster "
        "does not undo them."
    ),
)
def takes_speed_for_smoothness():
    """Table D: from the slower training it is concluded that the loss cannot be smoother."""
    return {"A": "b", "B": "d", "C": "c", "D": "c", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "The spread of the plain network's β is as large as the difference. In two of the three "
        "measures the networks differ, and in this one the table does not decide."
    ),
)
def calls_a_tie_a_win():
    """Table D: 53 ± 8 against 45 ± 1 is counted as a difference."""
    return {"A": "b", "B": "d", "C": "c", "D": "d", "E": "d", "F": "b"}


@mistake(
    earns=10,
    hint="The second and the third row contradict it: no decrease for tanh, an increase for sigmoid.",
)
def generalizes_from_relu():
    """Table E: what holds for the ReLU network is claimed for all networks."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "a", "F": "b"}


@mistake(
    earns=10,
    hint="The first row contradicts it: in the ReLU network β falls by more than half.",
)
def generalizes_from_sigmoid():
    """Table E: what holds for the sigmoid network is claimed for all networks."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "b", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "The networks differ in the size of β, so the row with the largest values decides the mean. "
        "The rows disagree, and that is the finding."
    ),
)
def averages_over_unlike_networks():
    """Table E: an average over three different networks stands in for each of them."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "c", "F": "b"}


@mistake(
    earns=10,
    hint=(
        "In the sigmoid network, the inputs shift 100 times as much, and training does not suffer. A "
        "cause that can be undone without losing the effect is not the cause there."
    ),
)
def reads_the_row_that_fits():
    """Table F: the row that fits the story is read, and the other is left out."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "d", "F": "a"}


@mistake(
    earns=10,
    hint=(
        "The second row shows a loss of 7 to 8 points. Noise does harm there, whether through the "
        "shift or in another way."
    ),
)
def takes_one_network_for_all():
    """Table F: what holds for the sigmoid network is claimed for all networks."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "d", "F": "c"}


@mistake(
    earns=10,
    hint=(
        "The two rows are different networks at different depths and learning rates. Compare within "
        "a row."
    ),
)
def compares_across_the_rows():
    """Table F: a number of one network is compared with a number of the other."""
    return {"A": "b", "B": "d", "C": "c", "D": "a", "E": "d", "F": "d"}


def read_tables_in_capitals():
    return dict(zip("ABCDEF", "BDCADB"))


def read_tables_in_another_order():
    answers = {}
    answers["F"] = answers["A"] = "b"
    answers["B"] = answers["E"] = "d"
    answers["D"] = "a"
    answers["C"] = "c"
    return answers


# --- the chapter -----------------------------------------------------------------------------


CHAPTER = Chapter(
    slug="evidence",
    title="Why does it work?",
    exercises=(
        Exercise(
            name="covariate_shift",
            reference=covariate_shift,
            probes=(
                distance_between_the_gradients,
                cosine_between_the_gradients,
                first_layer_has_no_shift,
                shift_in_layers_of_any_width,
                shift_leaves_the_weights_alone,
                shift_without_a_hidden_layer,
            ),
            mistakes=(
                moves_the_layer_before_only,
                moves_the_layer_itself,
                moves_every_layer,
                moves_the_later_layers_too,
                moves_the_later_layers_instead,
                leaves_out_the_layer_just_before,
                leaves_out_the_first_layer,
                moves_no_layer,
                moves_one_layer_after_the_other,
                moves_uphill,
                moves_without_the_learning_rate,
                divides_the_distance_by_the_gradient,
                takes_the_spectral_norm,
                returns_the_inner_product,
                returns_the_angle,
                returns_one_minus_the_cosine,
                returns_the_cosine_first,
                measures_the_inputs_of_the_layer,
                sums_the_loss_over_samples,
                keeps_the_two_of_the_square,
                averages_over_the_outputs_too,
                applies_relu_to_the_output,
                forgets_the_slope_of_relu,
                counts_layers_from_one,
                moves_the_weights_in_place,
            ),
            alternatives=(
                covariate_shift_by_a_loop,
                covariate_shift_of_the_upper_part,
            ),
            equivalents={
                "gradient = (inputs[-1] @ weights[-1] - Y) / len(Y)": AS_MANY_ROWS,
                "G, G_moved = (gradients(moved)[layer], before[layer])": SYMMETRIC,
                "inputs.append(np.maximum(0, inputs[-1] @ W))": MAXIMUM_COMMUTES,
            },
            tolerance=ROUGH,
        ),
        Exercise(
            name="gradient_predictiveness",
            reference=gradient_predictiveness,
            probes=(
                range_of_the_loss,
                range_of_the_gradients_change,
                effective_smoothness,
                a_single_step_has_one_value,
                predictiveness_leaves_its_arguments_alone,
                large_logits_stay_finite,
            ),
            mistakes=(
                steps_uphill,
                steps_one_after_the_other,
                takes_the_losses_of_a_training,
                steps_of_unit_length,
                includes_the_starting_point,
                takes_the_first_and_the_last,
                returns_the_highest_first,
                returns_the_highest_loss_first,
                returns_the_width_of_the_ranges,
                forgets_to_average_the_gradient,
                has_the_labels_the_wrong_way_round,
                subtracts_the_lengths_of_the_gradients,
                adds_the_lengths_of_the_gradients,
                divides_the_change_by_the_gradient,
                divides_by_the_step_size,
                divides_the_largest_change_by_the_longest_step,
                averages_the_smoothness,
                takes_the_smallest_ratio,
                takes_the_smoothness_of_the_loss,
                lets_the_exponential_overflow,
                clips_the_probabilities,
                walks_in_place,
                adds_up_the_steps,
            ),
            alternatives=(
                gradient_predictiveness_all_at_once,
                gradient_predictiveness_by_a_loop,
            ),
            equivalents={
                "return np.mean(np.logaddexp(z, 0) - y * z)": COMMUTES,
                "return X.T @ (p - y) / len(X)": AS_MANY_ROWS,
            },
            tolerance=ROUGH,
        ),
        Exercise(
            name="effective_learning_rate",
            reference=effective_learning_rate,
            probes=(
                one_rate_per_unit,
                rates_of_a_square_layer,
                ten_times_the_weights,
                rates_leave_the_weights_alone,
            ),
            mistakes=(
                divides_by_the_norm_once,
                multiplies_by_the_squared_norm,
                takes_the_rows,
                takes_the_whole_matrix,
                keeps_an_axis,
                averages_the_squares,
                divides_by_the_variance_of_the_weights,
                squares_the_sum,
                divides_by_the_sum_of_absolute_values,
                returns_the_rate_unchanged,
                adds_an_eps_to_the_squared_norm,
                normalizes_the_weights_in_place,
            ),
            alternatives=(
                effective_learning_rate_by_norms,
                effective_learning_rate_by_einsum,
            ),
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="norm_equilibrium",
            reference=norm_equilibrium,
            probes=(
                norms_along_the_steps,
                norms_begin_with_the_given_one,
                norm_of_the_equilibrium,
                rotation_in_the_equilibrium,
                norms_arrive_at_the_equilibrium,
            ),
            mistakes=(
                adds_the_lengths,
                subtracts_the_lengths,
                subtracts_the_step,
                forgets_that_gradients_shrink,
                lets_gradients_grow_with_the_norm,
                forgets_the_decay,
                decays_without_the_learning_rate,
                forgets_the_root_of_pythagoras,
                returns_squared_norms,
                leaves_out_the_start,
                begins_after_the_first_step,
                takes_one_step_too_few,
                approximates_the_equilibrium,
                takes_the_square_root_only,
                returns_the_last_norm_as_the_equilibrium,
                approximates_the_rotation,
                gives_the_rotation_in_degrees,
                compares_the_step_with_the_old_norm,
                takes_the_rotation_of_the_last_step,
            ),
            alternatives=(
                norm_equilibrium_by_squares,
                norm_equilibrium_with_vectors,
            ),
            equivalents={
                "norms.append(np.hypot(lr * c / norms[-1], shrunk))": COMMUTES,
            },
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="scale_invariance_residual",
            reference=scale_invariance_residual,
            probes=(
                residual_of_the_output,
                residual_of_the_radial_part,
                residual_of_the_gradient,
                exactly_invariant_without_eps,
                residuals_of_a_square_layer,
                residuals_leave_the_arrays_alone,
                small_weights_feel_a_small_eps,
            ),
            mistakes=(
                compares_with_a_times_the_output,
                scales_the_inputs_instead,
                multiplies_the_other_gradient,
                forgets_the_factor_of_the_gradient,
                ignores_eps_in_the_layer,
                normalizes_by_the_unbiased_variance,
                puts_eps_outside_the_root,
                scales_eps_with_the_weights,
                treats_the_statistics_as_constants,
                forgets_the_path_through_the_variance,
                forgets_the_path_through_the_mean,
                adds_the_products_of_all_units,
                takes_rows_for_units,
                does_not_sum_the_products,
                measures_the_radial_part_at_aw,
                normalizes_each_sample_instead,
                scales_the_weights_in_place,
                takes_norms_for_maxima,
                takes_means_for_maxima,
                forgets_the_absolute_value,
                forgets_the_absolute_value_of_the_output,
                forgets_the_absolute_value_of_the_products,
            ),
            alternatives=(
                scale_invariance_by_the_jacobian,
                scale_invariance_in_stages,
            ),
            tolerance=EXACT,
        ),
        Exercise(
            name="residual_block_gradient",
            reference=residual_block_gradient,
            probes=(
                factor_of_plain_layers,
                factor_of_residual_blocks,
                factor_of_a_single_layer,
                factor_of_layers_of_any_width,
                eps_in_the_blocks,
                the_size_of_the_upstream_gradient_cancels,
                factors_of_a_deep_stack,
            ),
            mistakes=(
                forgets_the_skip_on_the_way_back,
                forgets_the_skip_on_the_way_up,
                ignores_the_flag,
                always_adds_the_skip,
                applies_relu_after_the_sum,
                masks_the_skip_path,
                returns_the_growth_of_all_layers,
                divides_the_growth_by_the_depth,
                divides_the_wrong_way_round,
                returns_the_factor_of_the_squares,
                forgets_relu_on_the_way_back,
                normalizes_after_relu,
                takes_mean_and_variance_for_constants,
                leaves_the_variance_out_of_the_gradient,
                does_not_transpose_the_weights,
                takes_the_unbiased_variance,
                adds_eps_to_the_deviation,
                leaves_eps_out,
                divides_the_upstream_gradient_in_place,
                uses_an_eps_of_its_own,
                masks_with_the_sum,
                takes_y_after_relu,
                adds_to_the_upstream_gradient_in_place,
            ),
            alternatives=(
                residual_block_gradient_by_logarithms,
                residual_block_gradient_by_recursion,
            ),
            equivalents={
                "branch = np.maximum(0, y)": MAXIMUM_COMMUTES,
                "dy = g * (y >= 0)": NO_TIES,
            },
            tolerance=TOLERANCE,
        ),
        Exercise(
            name="read_tables",
            reference=read_tables,
            probes=(
                reads_table_a,
                reads_table_b,
                reads_table_c,
                reads_table_d,
                reads_table_e,
                reads_table_f,
            ),
            mistakes=(
                ignores_the_error_bars,
                takes_noise_for_equality,
                takes_the_spread_for_reliability,
                reads_paired_runs_as_unpaired,
                generalizes_from_small_learning_rates,
                reads_the_difference_the_wrong_way_round,
                is_fooled_by_a_confounded_learning_rate,
                takes_a_scaled_input_for_the_whole_effect,
                reads_into_the_table_what_it_does_not_show,
                takes_smoothness_for_speed,
                takes_speed_for_smoothness,
                calls_a_tie_a_win,
                generalizes_from_relu,
                generalizes_from_sigmoid,
                averages_over_unlike_networks,
                reads_the_row_that_fits,
                takes_one_network_for_all,
                compares_across_the_rows,
            ),
            alternatives=(
                read_tables_in_capitals,
                read_tables_in_another_order,
            ),
            tolerance=TOLERANCE,
        ),
    ),
)
