from bnn_train.api import Run as Run
from bnn_train.api import Trained as Trained
from bnn_train.api import build_model as build_model
from bnn_train.api import evaluate as evaluate
from bnn_train.api import experiment as experiment
from bnn_train.api import export as export
from bnn_train.api import load as load
from bnn_train.api import train as train
from bnn_train.binary.convert import binarize as binarize
from bnn_train.binary.input_quantizer import InputQuantizer as InputQuantizer
from bnn_train.binary.latent import enforce as enforce
from bnn_train.binary.layers import BinaryConv2d as BinaryConv2d
from bnn_train.binary.layers import BinaryLinear as BinaryLinear
from bnn_train.binary.layers import binary_layers as binary_layers
from bnn_train.binary.placed import place as place
from bnn_train.binary.weight_quantizer import WeightQuantizer as WeightQuantizer
from bnn_train.config.plugins import register_dataset as register_dataset
from bnn_train.config.plugins import register_method as register_method
from bnn_train.config.plugins import register_network as register_network
from bnn_train.config.plugins import register_quantizer as register_quantizer
from bnn_train.config.schema import Experiment as Experiment
from bnn_train.errors import BnnError as BnnError
from bnn_train.inspect.evaluation import Evaluation as Evaluation
from bnn_train.packed import PackedModel as PackedModel
from bnn_train.prediction import classifier as classifier
from bnn_train.prediction import predict as predict
from bnn_train.spec.annealed import Position as Position
from bnn_train.spec.method import Method as Method
from bnn_train.spec.methods import METHODS as METHODS

__version__: str
__all__: list[str]
