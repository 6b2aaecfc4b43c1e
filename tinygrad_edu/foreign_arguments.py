"""Arguments that are given by habit, and what to write here: the errors of unknown arguments read these tables.

Most are from the same public programs as foreign_names.py. `ALIKE` holds words for one thing; where only the name
differs, that is enough. `INSTEAD` holds what is written in another way, by function or class; "" stands for all.
"""

from __future__ import annotations

import os

# Words for one thing. Of a function or an object that has one of them, another one is answered with it.
ALIKE = (
    ("lr", "learning_rate", "learning_rate_init", "rate", "step_size", "eta", "alpha"),
    ("seed", "rng", "random_state", "random_seed", "key", "generator"),
    ("seeds", "seed", "n_seeds"),
    ("epochs", "n_epochs", "num_epochs", "max_iter", "iterations", "steps", "nb_epoch", "n_iter", "max_epochs"),
    ("activation", "act", "nonlinearity", "nonlin", "act_layer"),
    ("sizes", "layers", "hidden", "hidden_layers", "units", "nin"),
    ("hidden_layer_sizes", "hidden_layers", "layers", "sizes", "hidden"),
    ("label", "name", "_label"),
    ("label", "labels", "title"),
    ("samples", "n_samples", "n", "size", "num_samples"),
    ("path", "file", "filename", "out", "output", "filepath", "fname", "root", "save_path", "output_file"),
    ("optimizer", "opt", "optim", "solver"),
    ("loss", "criterion", "loss_fn", "objective", "loss_func"),
    ("validation", "validation_split", "validation_data", "val", "val_data", "eval_set", "validation_fraction"),
    ("model", "net", "network"),
    ("slope", "negative_slope", "alpha"),
    ("bias", "use_bias", "fit_intercept"),
    ("weight_decay", "l2", "lambda_"),
    ("backend", "device", "back_end"),
    ("init", "initializer", "kernel_initializer", "weight_init", "embeddings_initializer"),
    ("recurrent_init", "recurrent_initializer"),
    ("kernel_size", "pool_size", "filter_size", "ksize"),
    ("in_features", "input_dim", "input_size", "in_dim", "n_in", "in_units"),
    ("out_features", "units", "output_dim", "output_size", "out_dim", "n_out"),
    ("hidden_features", "units", "hidden_size", "hidden_dim", "n_hidden"),
    ("out_channels", "filters"),
    ("entries", "input_dim", "vocab_size", "num_embeddings"),
    ("features", "output_dim", "embedding_dim", "normalized_shape"),
    ("num_heads", "n_head", "n_heads", "heads", "nhead"),
    ("embed_dim", "key_dim", "d_model", "n_embd"),
    ("num_layers", "n_layers", "layers"),
    ("p", "rate", "dropout", "prob", "drop_prob"),
    ("eps", "epsilon"),
    ("batch_size", "bs", "batch", "minibatch_size"),
    ("classes", "num_classes", "n_classes", "depth"),
    ("spread", "cluster_std", "std"),
    ("inner", "factor"),
    ("test", "test_size", "test_fraction"),
    ("alpha", "rho"),
    ("betas", "beta", "beta_1", "beta_2", "beta1", "beta2", "b1", "b2"),
    ("callbacks", "callback"),
    ("sample_weight", "weights", "sample_weights"),
    ("patience", "early_stopping", "n_iter_no_change"),
    ("X", "x", "inputs", "x_train", "X_train"),
    ("y", "targets", "y_train", "labels", "target"),
    ("clip_norm", "clipnorm", "max_norm", "max_grad_norm", "grad_clip"),
    ("clip_value", "clipvalue"),
    ("partials", "derivative", "derivatives", "grad", "gradient", "deriv"),
    ("compiled", "compile", "jit", "run_eagerly"),
    ("direction", "rankdir"),
)
ALONE = "Write tg.nn.Sequential(tg.nn.Linear(2, 8), tg.nn.ReLU()): an activation is a layer of its own"
FIRST = "Leave it out: the layer is given the size of its input first, as in tg.nn.Linear(2, 8)"
RATE = "It belongs to the optimizer. Write optimizer=tg.optim.Adam(model.parameters(), {setting})"
MOMENTUM = "It belongs to the optimizer. Write optimizer=tg.optim.SGD(model.parameters(), lr=0.1, {setting})"
DECAY = "Write weight_decay= of an optimizer, as in tg.optim.AdamW(p, weight_decay=0.01)"
CLIP = "Write clip_norm= or clip_value= of tg.fit, or call tg.optim.clip_by_norm(p, 1.0) before optimizer.step()"
CPU = "Leave it out: this library computes on the CPU"
PLAIN = "Leave it out: batches are parts of arrays, which need no other processes"
MEASURE = "Leave it out: tg.train.accuracy(model, X, y) measures the trained model, a function in callbacks= each epoch"
BEST = "Leave it out: the file holds the whole run; with validation= and patience=, fit ends at the best weights"
PAIR = "Leave it out: the result is X and y, two arrays"
STATES = "Leave it out: a recurrent layer returns (all steps, state); tg.nn.last_output of that is the last step"
GATES = "Leave it out: its activations are tanh and sigmoid; tg.nn.RNN takes activation="
FREEZE = "Leave it out, then write: for p in layer.parameters(): p.requires_grad = False"
RECURRENT = "LSTM GRU RNN Elman"
LAYERS = "Linear Conv1d Conv2d ConvTranspose1d ConvTranspose2d Embedding Dropout BatchNorm1d LayerNorm"

# (functions or classes, arguments, what to write)
ROWS = (
    ("fit fit_many", "verbose verbosity show_progress tqdm disp", "Write progress=True, or progress=False"),
    ("fit fit_many", "lr learning_rate learning_rate_init betas eps", RATE),
    ("fit fit_many", "momentum weight_decay nesterov", MOMENTUM),
    ("fit fit_many", "metrics weighted_metrics scoring eval_metric", MEASURE),
    ("fit fit_many", "steps_per_epoch validation_steps", "Write batch_size=: an epoch is one pass over all samples"),
    ("fit", "class_weight", "Write sample_weight=, a number for each sample: np.where(y == 1, 5.0, 1.0)"),
    ("fit", "scheduler lr_scheduler", "Write optimizer=tg.optim.SGD(p, lr=tg.optim.schedules.cosine(0.1, 1000))"),
    ("fit", "dtype", 'Make the model in it: tg.nn.MLP([2, 8, 1], dtype="float32")'),
    ("fit", "early_stopping", "Write patience=5, the epochs without a better loss after which it stops"),
    ("fit", "run_eagerly", "Write compiled=False"),
    ("fit", "restore_best_weights save_best_only", BEST),
    ("fit", "train_loader dataloader loader dataset", "Write X and y, the whole arrays, and batch_size="),
    (LAYERS, "activation", ALONE),
    ("", "input_shape batch_input_shape input_length batch_shape", FIRST),
    ("", "kernel_regularizer bias_regularizer activity_regularizer kernel_constraint regularizer l1", DECAY),
    ("LSTM GRU LSTMCell GRUCell", "activation recurrent_activation", GATES),
    (f"{LAYERS} {RECURRENT}", "trainable", FREEZE),
    (f"{LAYERS} {RECURRENT}", "name", "Leave it out: the attribute of the model that holds the layer is its name"),
    ("", "return_sequences return_state stateful unroll time_major", STATES),
    ("", "recurrent_dropout", "Write dropout=, which drops what one recurrent layer hands to the next"),
    ("Embedding", "mask_zero", "Write padding_idx=0"),
    ("BatchNorm BatchNorm1d BatchNorm2d LayerNorm", "scale center", "Write affine=, for both γ and β"),
    ("MLP", "bn batchnorm batch_norm use_bn", 'Write norm="batch"'),
    ("", "clipnorm clipvalue global_clipnorm max_grad_norm", CLIP),
    ("SGD Adam AdamW RMSprop", "decay lr_decay",
     "Write lr=, a schedule: tg.optim.schedules.exponential(0.1, 0.99)"),
    ("Adam AdamW NAdam RAdam Adamax Lion", "beta_1 beta_2 beta1 beta2 b1 b2", "Write betas=(0.9, 0.999)"),
    ("batches", "shuffle", 'Write order="shuffled" or order="given"'),
    ("batches", "sampler", 'Write order=, such as "stratified", or weights=, a number for each sample'),
    ("batches", "num_workers n_workers pin_memory collate_fn persistent_workers", PLAIN),
    ("batches", "dataset data", "Write X and y, the arrays"),
    ("Checkpoint", "save_best_only save_weights_only monitor mode", BEST),
    ("Checkpoint", "verbose", "Leave it out: nothing is printed"),
    ("iris lynx body_metrics glyphs", "as_frame return_X_y train download root transform flatten", PAIR),
    ("read_image_folders", "transform target_size image_size", "Leave it out: images keep the size of their files"),
    ("train_test_split", "shuffle", "Leave it out: the share is drawn at random; X[:150], X[150:] keeps the order"),
    ("draw", "format", 'Write draw(y).save("picture.svg"), or .png, .pdf, .html: the ending says the format'),
    ("export", "format", 'Write export(model, "net.c"), or .js, .onnx, .safetensors: the ending says the format'),
    ("exponential", "decay_steps decay_rate initial_learning_rate staircase",
     "Write exponential(0.1, 0.99): after t steps the rate is 0.1 times 0.99 to the power of t"),
    ("", "device", CPU),
)  # fmt: skip
INSTEAD = {
    (owner, name): fix for owners, names, fix in ROWS for owner in owners.split() or [""] for name in names.split()
}

# Functions that need more than their first arguments: a whole call.
CALLS = {
    "fit": 'tg.fit(model, X, y, loss="mse", optimizer="adam", epochs=100)',
    "fit_many": 'tg.fit_many(make_model, X, y, loss="mse", optimizer="adam", epochs=100, seeds=range(5))',
    "fit_online": 'tg.train.fit_online(model, X, y, loss="mse", optimizer="sgd", epochs=100)',
    "lr_range_test": 'tg.lr_range_test(model, X, y, loss="mse")',
    "batches": "tg.data.batches(X, y, 32)",
    "train_test_split": "tg.data.train_test_split(X, y)",
    "export": 'tg.export(model, "net.c")',
    "report": "tg.report(run)",
    "animate": "tg.animate(run)",
    "compare": "tg.compare([run, other])",
    "draw": "tg.draw(y)",
    "diagnose": "tg.clinic.diagnose(run)",
    "check_backprop": "tg.clinic.check_backprop(forward, params, backward)",
    "check_program": "tg.clinic.check_program(net, step=net.train, loss=loss, lr=0.1)",
    "Checkpoint": 'tg.train.Checkpoint("run.safetensors")',
    "accuracy": "tg.train.accuracy(model, X, y)",
    "standardize": "tg.data.standardize(X)",
    "one_hot": "tg.data.one_hot(labels)",
}

# Functions that make a page or a picture: how it gets into a file.
FILES = {
    "report": "tg.report(run, path={file})",
    "animate": "tg.animate(run, path={file})",
    "playground": "tg.playground(path={file})",
    "compare": "tg.compare([run, other]).save({file})",
    "draw": "tg.draw(y).save({file})",
    "Run.plot": "run.plot().save({file})",
    "RangeTest.plot": "test.plot().figure.savefig({file})",
    "lr_range_test": "tg.lr_range_test(...).plot().figure.savefig({file})",
    "diagnose": "tg.report(run, path={file}), which holds the diagnosis",
    "BackpropReport.draw": "report.draw().save({file})",
}
# What writes numbers, to be loaded again: what writes a page or a picture of them.
OF_NUMBERS = {
    "Run.save": "tg.report(run, path={file}) writes a page, run.plot().save({file}) a picture",
    "Checkpoint": "tg.report(run, path={file}) writes a page when the run is over",
    "Histograms.save": "tg.report(run, path={file}, histograms=histograms) writes a page",
    "Module.save": "tg.draw(model(X)).save({file}) writes a page or a picture",
}
FILE_WORDS = (
    *("path", "file", "filename", "filepath", "fname", "out", "output", "save", "save_path", "save_to", "to", "html"),
    *("output_file", "png", "svg", "pdf"),
)
PAGES, PICTURES = (".html", ".htm"), (".svg", ".png", ".pdf", ".jpg", ".jpeg", ".gif", ".dot", ".mp4")


def is_page_or_picture(x: object) -> bool:
    """Is it the name of a file in which people look at something?

    >>> is_page_or_picture("run.html"), is_page_or_picture("relu"), is_page_or_picture(3)
    (True, False, False)
    """
    name = os.fspath(x) if isinstance(x, os.PathLike) else x
    return isinstance(name, str) and name.lower().endswith((*PAGES, *PICTURES)) and "\n" not in name


def fix_of_argument(owner: str, name: str, value: object) -> str:
    """What to write for an argument that is written in another way here; "" if that is not known.

    owner: the function or class; "" for what holds for all of them.

    >>> fix_of_argument("fit", "verbose", 1), fix_of_argument("draw", "file", "y.svg")
    ('Write progress=True, or progress=False', "Write tg.draw(y).save('y.svg')")
    """
    if owner in FILES and name in FILE_WORDS:
        return f"Write {FILES[owner].format(file=repr(str(value)))}"
    setting = f"{name.removesuffix('_init').replace('learning_rate', 'lr')}={value!r:.20}"
    return INSTEAD.get((owner, name), "").replace("{setting}", setting)
