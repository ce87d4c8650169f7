"""The torture program's parts: see ``benchmarks/torture.py``."""
