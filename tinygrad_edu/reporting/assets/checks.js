"use strict";
/* What is certain of a network as it stands, by the codes of the clinic's causes: no training is needed to see it. */
const certainOf = (plan, net, X, targets, known) => {
  const found = [], say = (code, text) => found.push({ code, text }), hidden = plan.layers.slice(0, -1), output = plan.layers.at(-1);
  const loss = known.losses[plan.loss], linear = name => name === "identity" || name === "pos" || name === "neg";
  if (hidden.length && hidden.every(layer => linear(layer.activation))) {
    say("no_activation", "The hidden layers have no activation: together they are one weighted sum, whatever the weights.");
  }
  if (output.activation === "softmax" && output.units === 1) {
    say("wrong_output_activation", "A softmax over one unit is 1 for every input and all weights, and its gradient is 0.");
  }
  if ((loss.link === "sigmoid" || loss.link === "softmax") && (output.activation === "sigmoid" || output.activation === "softmax")) {
    say("wrong_loss", `${plan.loss} applies the ${loss.link} itself, and the output layer has a ${output.activation} before it: it is squashed twice.`);
  }
  const [low, high] = known.activations[output.activation].range;
  let least = Infinity, most = -Infinity;
  for (const t of targets.data) { if (t < least) least = t; if (t > most) most = t; }
  if (loss.link === "identity" && (low !== null && least < low - 1e-9 || high !== null && most > high + 1e-9)) {
    say("targets_out_of_range", `The targets lie between ${plots.brief(least)} and ${plots.brief(most)}, and ${output.activation} gives ${low === null ? "−∞" : plots.brief(low)} to ${high === null ? "∞" : plots.brief(high)}.`);
  }
  for (let j = 0; j < X.shape[1]; j++) {
    let same = true;
    for (let i = 1; i < X.shape[0] && same; i++) same = X.data[i * X.shape[1] + j] === X.data[j];
    if (same) say("constant_or_nonfinite_input", `Feature ${j + 1} is the same for every sample: it says nothing.`);
  }
  hidden.forEach(({ units, activation }, k) => {
    const { data: weight, shape: [, from] } = net.weights[2 * k], next = net.weights[2 * k + 2], bias = net.weights[2 * k + 1].data;
    const same = (u, v) => { for (let j = 0; j < from; j++) if (weight[u * from + j] !== weight[v * from + j]) return false;
      for (let i = 0; i < next.shape[0]; i++) if (next.data[i * units + u] !== next.data[i * units + v]) return false;
      return bias[u] === bias[v]; };
    let alike = units > 1;
    for (let u = 1; u < units && alike; u++) alike = same(0, u);
    if (alike) say("symmetric_init", `All ${units} units of hidden layer ${k + 1} have the same weights, and get the same gradient: they stay alike.`);
  });
  const own = net.layers(X);
  hidden.forEach(({ units, activation }, k) => {
    if (linear(activation) || activation === "softmax") return;
    const shape = own[k].z.shape, up = trainer.array(shape), slope = trainer.array(shape);
    up.data.fill(1);
    trainer.call(`backward_${activation}`, { z: own[k].z, up, d_z: slope });
    let flat = 0;
    for (let u = 0; u < units; u++) {
      let none = true;
      for (let i = u; i < slope.data.length && none; i += units) none = slope.data[i] === 0;
      flat += none;
    }
    const dead = known.activations[activation].range[0] === 0 && activation.startsWith("relu");
    if (flat) say(dead ? "dead_relu" : "saturated_activations", `${flat} of ${units} units of hidden layer ${k + 1} have no slope for any sample: no gradient passes them.`);
  });
  return found;
};
