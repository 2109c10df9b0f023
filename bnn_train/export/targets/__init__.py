"""Formats that an export writes, one module each, made from a packed program and never from torch."""
