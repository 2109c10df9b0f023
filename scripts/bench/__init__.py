"""What ``bench_packed.py`` measures and against whom."""
