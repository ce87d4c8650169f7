"""Inputs nobody would write, and what becomes of them: tables, Parquet bytes, ONNX bytes."""
