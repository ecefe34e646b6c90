"""Reading untrusted checkpoints: bytes in, canonical safetensors out; nothing is executed or imported.

Only ``load`` and ``save`` know torch. Import the modules directly: importing this package loads nothing.
"""
