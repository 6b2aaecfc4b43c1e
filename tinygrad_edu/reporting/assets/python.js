"use strict";
/* The plan of the page as Python that gives the same losses. Names come from the library's tables, texts are quoted. */
const pythonOf = (plan, { dataset, scaled, known, batch, epochs, tol, patience, form, last }) => {
  const lines = ["import numpy as np", "", "import tinygrad_edu as tg", "", ...dataset.program];
  const whole = new Set(["steps", "every", "samples", "batch_size", "mult"]);
  const number = (name, x) => whole.has(name) ? String(Math.round(x)) : float(x);
  if (scaled) lines.push("X, _ = tg.data.standardize(X)");
  lines.push(...targetLines());
  lines.push("", ...modelLines());
  const settings = Object.entries(plan.settings).map(([name, x]) => `, ${name}=${float(x)}`).join("");
  lines.push(`optimizer = tg.optim.${plan.optimizer}(model.parameters(), lr=${rate()}${settings})`);
  const more = [batch ? `batch_size=${batch}` : "", `seed=${plan.seed}`, plan.share ? `validation=${float(plan.share)}` : "", tol === null ? "" : `tol=${float(tol)}`, patience ? `patience=${patience}` : ""].filter(Boolean).join(", ");
  lines.push(`run = tg.fit(model, X, y, loss="${plan.loss}", optimizer=optimizer, epochs=${epochs}, ${more}, compiled=True)`); // the loops of the page
  lines.push("print(run)", last === null ? "" : `print(run.loss_curve[-1])  # in the page: ${float(last)}`);
  return `${lines.join("\n").trimEnd()}\n`;

  function float(x) {
    const text = String(x);
    return /^-?\d+$/.test(text) ? `${text}.0` : text.replace("e+", "e");
  }
  function targetLines() {
    if (!dataset.classes.length) return ["y = np.reshape(y, (-1, 1))"];
    const numbers = "np.unique(y, return_inverse=True)[1].reshape(-1)";
    if (form === "numbers") return [`y = ${numbers}`];
    const rows = dataset.classes.length > 2 ? `tg.data.one_hot(${numbers})` : `${numbers}[:, None].astype(float)`;
    return [form === "signs" ? `y = 2.0 * ${rows} - 1.0` : `y = ${rows}`];
  }
  function modelLines() {
    const hidden = plan.layers.slice(0, -1), { activation: output } = plan.layers.at(-1), widths = [plan.features, ...plan.layers.map(l => l.units)];
    const init = plan.init === "glorot_uniform" ? "" : `, init="${plan.init}"`;
    const kinds = new Set(hidden.map(layer => layer.activation));
    if (kinds.size <= 1 && known.mlp.includes(output) && [...kinds].every(kind => known.mlp.includes(kind))) {
      const kind = hidden.length ? `, activation="${hidden[0].activation}"` : "";
      const end = output === "identity" ? "" : `, out_activation="${output}"`;
      return [`model = tg.nn.MLP([${widths.join(", ")}]${kind}${end}${init}, seed=${plan.seed})`];
    }
    const parts = plan.layers.flatMap(({ units, activation }, k) => [`    tg.nn.Linear(${widths[k]}, ${units}${init}, rng=rng),`,
      ...(activation === "identity" ? [] : [`    tg.ops.${activation},`])]);
    return [`rng = np.random.default_rng(${plan.seed})`, "model = tg.nn.Sequential(", ...parts, ")"];
  }
  function rate() {
    const { name, parameters } = plan.schedule;
    if (name === "constant") return float(plan.lr);
    return `tg.optim.schedules.${name}(${[float(plan.lr), ...Object.entries(parameters).map(([key, x]) => `${key}=${number(key, x)}`)].join(", ")})`;
  }
};
