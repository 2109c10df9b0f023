"""A packed program as a graph of operators on maps N×C×H×W, for ONNX, QONNX and OpenVINO."""
