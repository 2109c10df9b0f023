"""Parts of ``bench_packed.py``: the networks and layers it measures, and the peers."""
