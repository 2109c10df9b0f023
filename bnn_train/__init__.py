"""bnn_train: train, evaluate, export and run binarized image classifiers."""

__version__ = "0.1.0"
