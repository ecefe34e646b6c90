"""Anti-Backdoor Data-Free distillation (Hong et al., ICML 2023, arXiv 2306.02368)."""
