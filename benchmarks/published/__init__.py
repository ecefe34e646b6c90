"""The loops as the published code runs them, waste included: references for results and for speed.

Written from the description in algorithms.md, not from the code; plain float32 in NCHW layout. They exist to
be compared with: ``tests/benchmarks`` shows that our zero-shot loop ends in the same student, and
``benchmarks.lean_loops`` times both side by side.
"""
