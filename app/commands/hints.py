"""What to do about an error, for users of the command line; the service says it for users of HTTP."""

from __future__ import annotations

from types import MappingProxyType

#: The service's hint -> the same in the words of options, for the commonest that speak of headers, roles and
#: parameters. By text and not by code: a code can have hints of its own, which say more.
_PAIRS = (
    (
        "Each entry of errors names a field.",
        "The fields named above are wrong; docs/recipe.md says what those of a recipe take, docs/http.md the "
        "others.",
    ),
    (
        "Send 'Authorization: Bearer prk_...'; `proctor serve` prints the key when it starts.",
        "Give the key with --key or PROCTOR_API_KEY; `proctor serve` prints one when it starts.",
    ),
    (
        "Use a key with the scope that the detail names.",
        "Give a key with that scope with --key; `proctor keys create NAME --scope SCOPE` makes one.",
    ),
    (
        "Set state_dict_key to one of the names.",
        "Name one of them with --state-dict-key.",
    ),
    (
        "Set state_dict_key to one of the names in the detail; leave it out only if there is a single one.",
        "Give --state-dict-key one of the names above; leave it out only if there is a single one.",
    ),
    (
        "See the list of architectures, or describe a network of your own by a layer list (docs/formats.md).",
        "Name it with --architecture, or describe a network of your own by a layer list with --layers "
        "(docs/formats.md).",
    ),
    (
        "Declare the architecture by its name.",
        "Name one of them with --architecture.",
    ),
    (
        "Give three means in [-10, 10] and three deviations in [0.001, 10], in units of pixels in [0, 1].",
        "Give three means in [-10, 10] with --mean and three deviations in [0.001, 10] with --std, in units "
        "of pixels in [0, 1].",
    ),
    (
        "Compare it with GET /v1/schemas/layer-list and docs/formats.md.",
        "Compare it with docs/formats.md; docs/layer-list.schema.json is its schema.",
    ),
    (
        "Upload it with the role surrogate, or upload a zip of images.",
        "Give it with --surrogate, or give a zip of images.",
    ),
    (
        "Upload a dataset with role clean_labelled, or choose method ood, zskt, cmi or fast.",
        "Give clean images in class folders with --labelled, or choose --method ood, zskt, cmi or fast.",
    ),
    (
        "Upload a dataset with role clean_labelled or clean_unlabelled, or take ood, zskt, cmi or fast.",
        "Give clean images with --labelled or --unlabelled, or take --method ood, zskt, cmi or fast.",
    ),
    (
        "Give the images that the network was trained for, with labels: role clean_labelled.",
        "Give the images that the network was trained for, in class folders, with --labelled.",
    ),
)
IN_WORDS_OF_OPTIONS = MappingProxyType(dict(_PAIRS))
#: The same for sentences at the end of hints that name something of the file, too.
ENDINGS = MappingProxyType(
    {
        "A network of your own needs a layer list.": (
            "A network of your own needs a list of its layers, --layers net.json (docs/formats.md)."
        )
    }
)

_SAVED = "save model.state_dict() with safetensors or torch.save"
#: The same for ``proctor inspect``, which has a role and no options for images.
_OF_INSPECT = MappingProxyType(
    {
        "Upload it with the role surrogate, or upload a zip of images.": (
            "Inspect it with --role surrogate, or give a zip of images."
        ),
        f"Unpack it and upload the checkpoint inside; if there is none, {_SAVED}.": (
            "If images are in it, inspect it with --role clean_labelled, clean_unlabelled or surrogate; if a "
            "checkpoint is, unpack it and inspect that."
        ),
        f"This is not a checkpoint: upload the file that torch.save wrote, or {_SAVED}.": (
            f"If it is an image, inspect it with --role surrogate; if it should be a checkpoint, {_SAVED}."
        ),
    }
)


def in_words_of_options(hint: str) -> str:
    """Return a hint in the words of the command line, if there are such, else as it came."""
    for ending, words in ENDINGS.items():
        if hint.endswith(ending):
            return hint.removesuffix(ending) + words
    return IN_WORDS_OF_OPTIONS.get(hint, hint)


def in_words_of_inspect(hint: str) -> str:
    """Return a hint in the words of ``proctor inspect``, if there are such, else in those of options."""
    return _OF_INSPECT.get(hint) or in_words_of_options(hint)
