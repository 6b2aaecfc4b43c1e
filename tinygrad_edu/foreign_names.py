"""Names that are written by habit, and what to write here: more than the page "Coming from ..." has room for.

Most are from 295 public programs: PyTorch's examples, and courses on PyTorch, Keras and scikit-learn. Each row: what to
write here, and the names under which people look for it, as in "nn.Dropout2d" (without `tinygrad_edu.`). The
errors read this table, for attributes and for imports alike.
"""

from __future__ import annotations

CPU = "nothing: this library computes on the CPU, where arrays lie already"
DTYPE = 'dtype="float32", as in tg.Tensor(x, dtype="float32"): float32 and float64 are the dtypes there are'
WHOLE = "np.array([0, 2, 1]): class numbers and indices stay plain integers"
FUNCTION = "np.mean, np.sum, np.concatenate and the like: NumPy's functions take Tensors"
RANDOM = "rng = np.random.default_rng(0), then rng.normal(size=...), rng.integers(...), rng.permutation(...)"
SEED = "seed=0 where a model is made, tg.nn.MLP([2, 8, 1], seed=0), or rng=0 of a layer, tg.nn.Linear(2, 8, rng=0)"
OWN = "class Net(tg.nn.Module), with the layers in __init__ and the computation in forward"
SIZES = "no input layer: each layer says how many inputs it has, tg.nn.Linear(2, 8)"
BATCH = "tg.data.batches(X, y, batch_size=32), which gives (X, y) of one batch after the other"
DIGITS = "tg.data.glyphs(1000): drawn digits, X (1000, 900) and y (1000,); nothing is downloaded here"
TABLES = "tg.data.iris(), tg.data.body_metrics() or tg.data.moons(200): nothing is downloaded here"
NUMBERS = "tg.data.plane(200), tg.data.sine(100) or tg.data.bumps(200), which are made from a seed"
IMAGES = "tg.data.read_image_folders(path), one folder for each class"
ARRAYS = "plain NumPy, as in X / 255.0 or X[:, ::-1], or tg.data.standardize(X)"
TEXT = "text as numbers: tg.nn.Embedding takes arrays of whole numbers, one for each word or letter"
TRAINED = "tg.from_torch(module) or tg.from_keras(model) of a trained network: none comes with this library"
SEARCH = "scikit-learn's own function, which takes tg.estimators.MLPClassifier and tg.estimators.MLPRegressor"
MEASURE = "tg.train.accuracy(model, X, y) for classes, np.mean((model(X).data - y) ** 2) for numbers"
DROPOUT = "tg.nn.Dropout(0.5), which drops single numbers"
POOLED = "np.max(x, axis=(2, 3)), or axis=2 of a series"
AVERAGED = "tg.nn.AdaptiveAvgPool2d(1), or np.mean(x, axis=2) of a series"
ACTIVATION = "a layer behind the layer, such as tg.nn.ReLU(), or the function tg.ops.relu(x)"
OWN_LOSS = "a function of output and target that returns one number: tg.fit(..., loss=my_loss)"
SCHEDULE = "tg.optim.schedules, such as tg.optim.SGD(p, lr=tg.optim.schedules.exponential(0.1, 0.99))"
PARALLEL = "tg.fit(..., comm=MPI.COMM_WORLD): several processes with mpi4py; nothing else is parallel here"
STOP = "tg.fit(..., patience=5)"
REPORT = "tg.report(run), a page about a run"
DECAY = "weight_decay= of an optimizer, as in tg.optim.AdamW(p, weight_decay=0.01)"
GRADIENT = "tg.grad(f)(x), or loss.backward() and then w.grad"

FOREIGN: tuple[tuple[str, str], ...] = (
    # modules
    (BATCH, "utils DataLoader Dataset TensorDataset nn.data data.Subset data.DataLoader2 data.sampler"),
    ("tg.nn, such as tg.nn.Linear for Dense", "layers"),
    ("tg.nn, such as tg.nn.Sequential, tg.nn.MLP", "models model network net"),
    ("tg.optim, such as tg.optim.Adam", "optimizers optimizer"),
    ("tg.nn.losses, such as tg.nn.losses.mse", "losses loss criterion"),
    ("tg.ops, such as tg.ops.relu(x)", "activations activation"),
    ("init= of a layer, a name or a function of tg.nn.init", "initializers initializer"),
    (DECAY, "regularizers regularizer nn.regularizers constraints"),
    (MEASURE, "metrics nn.metrics"),
    ("tg.data, such as tg.data.moons(200)", "datasets dataset"),
    ("tg.data, such as tg.data.standardize(X), tg.data.one_hot(y)", "preprocessing"),
    ("tg.data.train_test_split(X, y)", "model_selection"),
    ("tg.estimators, such as tg.estimators.MLPClassifier", "neural_network sklearn"),
    ("tg.train.Checkpoint(path), patience= of tg.fit, or a function in callbacks= of tg.fit", "callbacks"),
    (TRAINED, "applications hub torchvision pretrained transformers"),
    (ARRAYS, "transforms image io strings ragged nn.transforms"),
    (PARALLEL, "distributed nn.parallel nn.DataParallel DataParallel multiprocessing futures pmap"),
    (CPU, "device cuda accelerator backends mps xpu set_default_device get_device device_put devices cpu"),
    (DTYPE, "float32 float64 float double half float16 bfloat16 amp mixed_precision autocast GradScaler "
            "set_default_dtype set_default_tensor_type get_default_dtype FloatTensor DoubleTensor HalfTensor"),
    (WHOLE, "long int int32 int64 int8 uint8 bool LongTensor IntTensor BoolTensor ByteTensor"),
    # arrays and their derivatives
    ("tg.Tensor(x, requires_grad=True)", "Variable parameter"),
    ("tg.Tensor(x)", "constant convert_to_tensor asarray ndarray DeviceArray"),
    ("x @ y", "mm bmm dot_product addmm mv"),
    (FUNCTION, "reduce_mean reduce_sum reduce_max reduce_min reduce_prod concat math flatten squeeze unsqueeze"),
    ("np.expand_dims(x, axis)", "newaxis"),
    ("x.astype(dtype), or tg.Tensor(x, dtype=dtype)", "cast"),
    ("x.shape", "shape"),
    ("x.size", "size numel"),
    ("x[indices]", "gather gather_nd index_select embedding_lookup"),
    (RANDOM, "randint randperm multinomial bernoulli normal rand_like randn_like Generator Categorical distributions "
             "uniform truncated_normal default_rng get_rng_state"),
    (SEED, "seed random_seed seed_everything set_random_seed fix_seed use_deterministic_algorithms"),
    (GRADIENT, "GradientTape gradient gradients backward backprop autodiff"),
    ("tg.jit(f)", "function script fx"),
    ("tg.scan(f, state, xs)", "while_loop fori_loop TensorArray"),
    ("plain Python: what is computed is differentiated at once, without a session or placeholders",
     "Session placeholder global_variables_initializer InteractiveSession autograph"),
    ("tg.export(model, \"net.onnx\")", "onnx"),
    ("tg.__version__", "version"),
    ("np.arange(n)", "range"),
    ("np.full(shape, value)", "fill"),
    ("1.0 / np.sqrt(x)", "rsqrt"),
    ("sum(xs)", "add_n"),
    ("np.sort(x)[::-1][:k], and np.argsort(-x)[:k] for the indices", "topk"),
    ("dense arrays: there are no sparse ones here", "sparse sparse_coo_tensor SparseTensor spmm"),
    ("real numbers: there are no complex ones here", "view_as_complex view_as_real polar complex64 fft"),
    ("np.set_printoptions(precision=4)", "set_printoptions"),
    ("tg.detect_anomaly()", "set_detect_anomaly debug_nans"),
    ("tg.draw(y)", "make_dot viz visualize plot_model torchviz render graph"),
    (REPORT, "plot plot_history tensorboard SummaryWriter summary wandb"),
    # models and layers
    (OWN, "Model Layer nn.Model Module nn.Net subclassing"),
    (SIZES, "Input InputLayer nn.Input nn.InputLayer nn.InputSpec"),
    ("model.load(path) of a model that is made first, and model.save(path)", "load_model save_model "
     ""
     "load_weights save_weights load_state_dict"),
    (ACTIVATION, "nn.Activation nn.relu nn.ThresholdedReLU nn.Threshold nn.Hardshrink nn.GLU"),
    (OWN, "nn.Lambda nn.Add nn.add nn.Concatenate nn.concatenate nn.Multiply nn.Dot nn.Permute nn.Reshape "
          "nn.RepeatVector nn.TimeDistributed nn.Bilinear nn.Wrapper"),
    (ARRAYS, "nn.Rescaling nn.Normalization nn.RandomFlip nn.RandomRotation nn.RandomZoom nn.Resizing "
             "nn.RandomContrast nn.GaussianNoise"),
    (TEXT, "nn.TextVectorization nn.StringLookup nn.EmbeddingBag data.imdb data.reuters data.fetch_20newsgroups "
           "data.pad_sequences data.Tokenizer data.text_dataset_from_directory"),
    ("tg.nn.BatchNorm1d(features) or tg.nn.BatchNorm2d(channels)", "nn.BatchNormalization nn.BatchNorm3d"),
    ("tg.nn.LayerNorm(features)", "nn.LayerNormalization"),
    ("tg.nn.GroupNorm(groups, channels)", "nn.GroupNormalization"),
    (DROPOUT, "nn.Dropout1d nn.Dropout2d nn.Dropout3d nn.SpatialDropout2D nn.AlphaDropout nn.GaussianDropout"),
    ("tg.nn.Conv1d(1, 6, 5)", "nn.Conv1D nn.Convolution1D"),
    ("tg.nn.ConvTranspose2d(6, 1, 5)", "nn.Conv2DTranspose nn.Deconvolution2D"),
    ("tg.nn.Conv2d(6, 6, 3, groups=6), then tg.nn.Conv2d(6, 12, 1)", "nn.SeparableConv2D nn.DepthwiseConv2D"),
    ("tg.nn.MaxPool1d(2)", "nn.MaxPooling1D nn.MaxPool1D"),
    ("tg.nn.AvgPool2d(2)", "nn.AveragePooling2D"),
    (AVERAGED, "nn.GlobalAveragePooling2D nn.GlobalAvgPool2D nn.GlobalAveragePooling1D nn.AdaptiveAvgPool1d"),
    (POOLED, "nn.GlobalMaxPooling2D nn.GlobalMaxPool2D nn.GlobalMaxPooling1D "
     "nn.AdaptiveMaxPool2d nn.AdaptiveMaxPool1d"),
    ("x.repeat(2, axis=-2).repeat(2, axis=-1)", "nn.UpSampling2D"),
    ("tg.nn.Conv2d(1, 6, 5): there is no layer for three dimensions", "nn.Conv3d nn.Conv3D nn.MaxPool3d"),
    ("np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))", "nn.ZeroPadding2D nn.ReflectionPad2d nn.ReplicationPad2d"),
    ("tg.nn.RNN(3, 8), or tg.nn.Elman", "nn.SimpleRNN nn.VanillaRNN"),
    ("tg.nn.LSTM(3, 8, bidirectional=True)", "nn.Bidirectional"),
    ("tg.nn.TransformerEncoderLayer, several of them in tg.nn.Sequential",
     "nn.Transformer nn.TransformerEncoder nn.TransformerDecoder nn.TransformerDecoderLayer"),
    ("tg.nn.MultiHeadAttention(8, 2)", "nn.Attention nn.AdditiveAttention"),
    ("tg.nn, such as tg.nn.Linear", "nn.modules nn.core"),
    ("np.sum(a * b, axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))", "nn.CosineSimilarity"),
    (OWN_LOSS, "nn.TripletMarginLoss nn.CosineEmbeddingLoss nn.MarginRankingLoss nn.CTCLoss nn.GaussianNLLLoss "
               "nn.Loss nn.losses.CosineSimilarity nn.HingeEmbeddingLoss nn.SoftMarginLoss "
               "nn.losses.binary_focal_crossentropy"),
    ("tg.nn.losses.poisson(p, t)", "nn.PoissonNLLLoss nn.losses.Poisson"),
    ("tg.nn.losses.multi_margin(z, c)", "nn.MultiMarginLoss nn.losses.CategoricalHinge"),
    ("tg.nn.losses.mse(p, t)", "nn.losses.MeanSquaredError nn.losses.mean_squared_error nn.losses.MSE nn.losses.l2 "
     "nn.losses.squared_error nn.losses.mse_loss"),
    ("tg.nn.losses.mae(p, t)", "nn.losses.MeanAbsoluteError nn.losses.mean_absolute_error nn.losses.l1 "
     "nn.losses.l1_loss"),
    ("tg.nn.losses.bce(p, t) of probabilities, or tg.nn.losses.bce_with_logits(z, t)",
     "nn.losses.BinaryCrossentropy nn.losses.binary_crossentropy nn.losses.binary_cross_entropy nn.losses.log_loss "
     "nn.losses.sigmoid_cross_entropy nn.losses.sigmoid_binary_cross_entropy"),
    ("tg.nn.losses.cross_entropy(z, c), of outputs before the softmax and of class numbers",
     "nn.losses.SparseCategoricalCrossentropy nn.losses.CategoricalCrossentropy "
     "nn.losses.sparse_categorical_crossentropy nn.losses.categorical_crossentropy nn.losses.softmax_cross_entropy "
     "nn.losses.softmax_cross_entropy_with_integer_labels nn.losses.crossentropy"),
    ("tg.nn.losses.kl_div(logp, q)", "nn.losses.KLDivergence nn.losses.kullback_leibler_divergence"),
    ("init=, a name: tg.nn.Linear(3, 4, init=\"orthogonal\")", "nn.init.orthogonal_ nn.init.eye_ "
     "nn.init.trunc_normal_ "
     "nn.init.sparse_ nn.init.dirac_ nn.init.calculate_gain nn.init.he_init nn.init.xavier"),
    ("tg.optim.clip_by_norm(p, 1.0)", "nn.clip_grad_norm_ optim.clip_grad_norm_ clip_grad_norm_ "
     "optim.clip_by_global_norm"),
    ("tg.optim.clip_by_value(p, 1.0)", "nn.clip_grad_value_ optim.clip_grad_value_"),
    # optimizers and training
    ("optimizer.zero_grad() and optimizer.step(), of an optimizer such as tg.optim.SGD", "optim.zero_grad "
     "optim.step"),
    ("tg.optim.Adam, tg.optim.NAdam, tg.optim.Lion or another: dir(tg.optim)",
     "optim.Ftrl optim.Adafactor optim.SparseAdam optim.LAMB optim.LARS optim.Lookahead optim.AdaBelief"),
    ("tg.optim.SGD(p, lr=0.1, momentum=0.9), with nesterov=True", "optim.Momentum optim.Nesterov "
     "optim.MomentumOptimizer"),
    (SCHEDULE, "optim.LearningRateScheduler optim.schedules.ExponentialDecay optim.schedules.LearningRateSchedule "
               "optim.exponential_decay train.LearningRateScheduler"),
    ("tg.optim.schedules.inverse_time(0.1, 1.0)", "optim.schedules.InverseTimeDecay"),
    ("tg.optim.schedules.cosine(0.1, 1000)", "optim.schedules.CosineDecay optim.cosine_decay_schedule"),
    ("tg.optim.schedules.piecewise", "optim.schedules.PiecewiseConstantDecay"),
    ("tg.optim.schedules.one_cycle", "optim.schedules.OneCycle"),
    ("tg.optim.schedules.reduce_on_plateau", "train.ReduceLROnPlateau optim.schedules.ReduceLROnPlateau"),
    (STOP, "train.EarlyStopping EarlyStopping"),
    ("tg.train.Checkpoint(path)", "train.ModelCheckpoint ModelCheckpoint"),
    (REPORT, "train.TensorBoard train.CSVLogger train.History train.WandbLogger"),
    ("a function of the job: tg.fit(..., callbacks=[f])", "train.Callback train.LambdaCallback Callback"),
    ("progress=True of tg.fit", "train.ProgbarLogger train.tqdm tqdm"),
    (MEASURE, "train.accuracy_score train.mean_squared_error train.root_mean_squared_error train.r2_score "
              "train.evaluate train.confusion_matrix train.f1_score "
     "train.classification_report score evaluate accuracy_score"),
    ("tg.fit(model, X, y, loss=\"mse\", optimizer=\"adam\", epochs=9)", "Trainer train.Trainer train.train_loop learn "
     "Learner "
     "train_step training_loop"),
    # data
    (DIGITS, "data.mnist data.MNIST data.fashion_mnist data.FashionMNIST data.load_digits data.digits data.cifar10 "
             "data.CIFAR10 data.cifar100 data.CIFAR100 data.EMNIST data.KMNIST "
     "data.SVHN data.fetch_openml data.load_mnist "
             "data.load_data mnist MNIST data.fetch_mldata data.FakeData"),
    ("tg.data.iris()", "data.load_iris load_iris"),
    (TABLES, "data.load_wine data.load_breast_cancer data.wine data.titanic data.load_dataset data.fetch_covtype"),
    (NUMBERS, "data.boston_housing data.load_boston data.load_diabetes data.fetch_california_housing "
              "data.california_housing data.make_regression data.make_friedman1 data.regression data.linear"),
    ("tg.data.blobs(300)", "data.make_blobs data.make_classification data.make_gaussian_quantiles data.gaussians"),
    ("tg.data.spirals(200)", "data.make_swiss_roll data.spiral data.make_spirals data.spiral_data data.two_spirals"),
    ("tg.data.xor_gate()", "data.xor data.make_xor"),
    ("tg.data.min_max(X)", "data.MinMaxScaler data.normalize data.Normalizer data.MaxAbsScaler data.minmax_scale"),
    ("tg.data.standardize(X)", "data.scale data.RobustScaler data.zscore data.Normalize data.whiten"),
    ("tg.data.one_hot(labels)", "data.to_categorical data.OneHotEncoder data.LabelBinarizer data.LabelEncoder "
     "data.get_dummies one_hot to_categorical"),
    ("tg.data.train_test_split(X, y)", "data.random_split data.split data.KFold data.train_validation_split"),
    (IMAGES, "data.ImageFolder data.ImageDataGenerator data.image_dataset_from_directory data.flow_from_directory "
             "data.load_img data.imread data.folder"),
    (ARRAYS, "data.Compose data.ToTensor data.Resize data.Lambda data.RandomCrop "
     "data.RandomHorizontalFlip data.transforms "
             "data.CenterCrop data.RandomRotation data.img_to_array data.from_tensor_slices data.PolynomialFeatures"),
    (BATCH, "data.dataloader data.loader data.get_batch data.minibatches data.random_batch data.iterate_minibatches"),
    (SEARCH, "data.GridSearchCV data.cross_val_score data.RandomizedSearchCV estimators.GridSearchCV "
             "estimators.Pipeline estimators.cross_val_score estimators.make_pipeline"),
    ("tg.estimators.MLPClassifier or tg.estimators.MLPRegressor",
     "estimators.Perceptron estimators.SGDClassifier estimators.LogisticRegression estimators.NeuralNetClassifier "
     "estimators.KerasClassifier estimators.Classifier estimators.Regressor"),
    # what a run, a diagnosis or a model is asked for
    ("tg.report(run, path=\"run.html\"), which holds the diagnosis, or print(diagnosis)",
     "clinic.Diagnosis.save clinic.Diagnosis.report clinic.Diagnosis.show clinic.Diagnosis.plot"),
    ("test.plot().figure.savefig(\"rates.svg\")", "train.RangeTest.save train.RangeTest.savefig"),
    ("tg.report(run, path=\"run.html\")", "train.Run.report train.Run.html train.Run.summary"),
    ("tg.animate(run, path=\"run.html\")", "train.Run.animate"),
    ("tg.export(run, \"net.c\"), .js or .onnx", "train.Run.export train.Run.to_onnx"),
    ("tg.clinic.diagnose(run)", "train.Run.diagnose"),
    ("tg.compare([run, other])", "train.Run.compare"),
    ("tg.draw(run.model(X)), or run.plot() for the curves", "train.Run.draw"),
    ("tg.train.accuracy(run.model, X, y), or run.loss_curve[-1]", "train.Run.score train.Run.evaluate "
     "train.Run.accuracy"),
    ("run.model, which has the weights", "train.Run.weights train.Run.parameters "
     "train.Run.state_dict train.Run.params"),
    ("tg.export(model, \"net.c\"), .js or .onnx", "nn.Module.export nn.Module.to_onnx nn.Module.to_json"),
    ("tg.draw(model(X))", "nn.Module.draw nn.Module.plot nn.Module.visualize nn.Module.show"),
    ("tg.train.accuracy(model, X, y), or a loss of tg.nn.losses", "nn.Module.score nn.Module.evaluate "
     "nn.Module.accuracy"),
    ("tg.fit(model, X, y, loss=\"mse\", optimizer=\"adam\", epochs=9)",
     "nn.Module.train_on_batch nn.Module.fit_generator nn.Module.partial_fit nn.Module.learn nn.Module.optimize"),
    ("model.state_dict()", "nn.Module.get_weights nn.Module.get_params"),
    ("model.load_state_dict(state)", "nn.Module.set_weights"),
    ("model.save(path)", "nn.Module.save_weights nn.Module.dump nn.Module.to_file"),
    ("model.load(path)", "nn.Module.load_weights"),
    ("sum(p.size for p in model.parameters())", "nn.Module.count_params nn.Module.num_parameters"),
    ("np.argmax(model(X).data, axis=1)", "nn.Module.predict_classes nn.Module.predict_proba nn.Module.classify"),
    ("tg.nn.Sequential(tg.nn.Linear(2, 8), tg.nn.Tanh()), with all layers at once, or append", "nn.Module.add"),
)  # fmt: skip

# What a setting takes as a text: (kind, our names for it, those of others, in small letters and without lines between).
TEXTS = (
    ("operation", "maximum relu", "max"),
    ("operation", "minimum", "min"),
    ("loss", "mse", "mean_squared_error squared_error squared_loss mse_loss l2 quadratic meansquarederror"),
    ("loss", "mae", "mean_absolute_error absolute_error l1 l1_loss meanabsoluteerror"),
    ("loss", "bce bce_with_logits", "binary_crossentropy binary_cross_entropy bceloss binary logistic sigmoid"),
    ("loss", "bce_with_logits", "bcewithlogitsloss binary_cross_entropy_with_logits sigmoid_cross_entropy"),
    ("loss", "cross_entropy", "categorical_crossentropy sparse_categorical_crossentropy softmax crossentropyloss "
     "log_loss crossentropy ce categorical softmax_cross_entropy"),
    ("loss", "nll", "nll_loss nllloss negative_log_likelihood"),
    ("loss", "huber", "smooth_l1 smooth_l1_loss smoothl1loss huber_loss"),
    ("loss", "hinge", "squared_hinge hinge_loss svm max_margin"),
    ("loss", "multi_margin", "categorical_hinge multiclass_hinge"),
    ("loss", "kl_div", "kullback_leibler_divergence kl_divergence kld kl"),
    ("loss", "poisson", "poisson_nll poisson_nll_loss"),
    ("activation", "identity", "linear none no id"),
    ("activation", "leaky_relu", "lrelu leakyrelu"),
    ("init", "glorot_uniform", "xavier xavier_uniform glorot xavieruniform"),
    ("init", "glorot_normal", "xavier_normal"),
    ("init", "he_normal", "kaiming kaiming_normal he kaimingnormal"),
    ("init", "he_uniform", "kaiming_uniform"),
    ("init", "normal", "random_normal randomnormal gaussian truncated_normal randn"),
    ("init", "uniform", "random_uniform randomuniform random rand"),
    ("init", "zeros", "zero"),
    ("optimizer", "SGD", "gd gradient_descent momentum nesterov sgd_momentum"),
    ("optimizer", "LBFGS", "l_bfgs bfgs"),
    ("norm", "batch", "batchnorm batch_norm bn"),
    ("norm", "layer", "layernorm layer_norm ln"),
    ("order", "shuffled", "random shuffle"),
    ("order", "given", "sequential in_order none"),
)  # fmt: skip


def names_for(kind: str, name: str) -> list[str]:
    """What a setting of this kind calls a name of other libraries.

    >>> names_for("loss", "binary_crossentropy"), names_for("init", "xavier")
    (['bce', 'bce_with_logits'], ['glorot_uniform'])
    """
    return next((ours.split() for of, ours, theirs in TEXTS if of == kind and name in theirs.split()), [])


def replacements() -> dict[str, str]:
    """Each name, and what to write."""
    return {name: ours for ours, names in FOREIGN for name in names.split()}
