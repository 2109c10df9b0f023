"""From a trained network to a packed program: trace, plan, fold, pack.

The only part of ``packed`` that needs torch.
"""
