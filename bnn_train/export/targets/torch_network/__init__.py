"""A packed network in plain PyTorch: the files that ``bnn-export --format torch`` joins into one."""
