"""The numbers behind a registry name: depths, widths, strides. No torch.

A network in ``models.architectures`` and its table in ``models.checkpoints.layouts`` are both built from
the same blueprint, so that a name means one thing; that the two agree is tested tensor by tensor.
"""
