"""Stages: each loads its inputs, calls one function of the library, and writes files."""
