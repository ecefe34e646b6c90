"""Taking rights away from this process before it reads a stranger's bytes. Standard library only.

``profiles`` holds what callers use; ``level`` says what this machine supports. Linux on x86_64 and aarch64.
"""
