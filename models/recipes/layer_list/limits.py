"""How much a layer list may ask for. Every limit fails closed.

A description is text, so no upload's size bounds the network it describes: a few hundred bytes could ask for
terabytes or days. The bounds hold at the described input size. Those on computing are above every network of
the registry: at 256 pixels VGG-19 takes 26 billion multiply-accumulates, and its largest map has 4.2 million
values. The one on parameters follows from the largest checkpoint that is read.
"""

from __future__ import annotations

from typing import Final

#: Of the JSON text, which travels in a query; twice as long there, it still fits into the 64 KiB that HTTP
#: servers read of a request's head. Without blanks a ResNet-152 has 23,331 bytes, a DenseNet-121 25,152.
MAX_TEXT_BYTES: Final = 28 * 1024
#: Layers, those inside blocks and the blocks themselves included.
MAX_LAYERS: Final = 1_024
#: Blocks inside blocks.
MAX_NESTING: Final = 8
#: Learned values; as float32 they fill the 512 MiB that a checkpoint may unfold to.
MAX_PARAMETERS: Final = 2**27
#: Values that one layer gives for one image.
MAX_ACTIVATION: Final = 2**22
#: Values that all layers give for one image; a search through the network keeps them all.
MAX_ACTIVATIONS: Final = 2**27
#: Multiply-accumulates for one image; a pooling counts as one for each value it looks at.
MAX_OPERATIONS: Final = 32 * 10**9
