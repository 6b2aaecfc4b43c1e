// A network that predicts and does not train.
function create() {
    const constants = program.constants.map(typed), evaluate = evaluator((_, i) => constants[i]);
    return {evaluate, predict: X => evaluate(X)[0].data, activations: X => named(evaluate(X))};
}
