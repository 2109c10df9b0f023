"""Class names of published data sets, in label order."""

from __future__ import annotations

import string


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CIFAR10 = _words("airplane automobile bird cat deer dog frog horse ship truck")
CIFAR100 = _words(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
    can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
    lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter
    palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road
    rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower
    sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
    willow_tree wolf woman worm
    """
)
STL10 = _words("airplane bird car cat deer dog horse monkey ship truck")
FASHION = (
    "T-shirt/top",
    *_words("Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag"),
    "Ankle boot",
)
HIRAGANA = _words("o ki su tsu na ha ma ya re wo")
"""KMNIST's, one of each column of the table of sounds."""
DIGITS = tuple(string.digits)
LETTERS = tuple(string.ascii_lowercase)
BY_CLASS = (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase)
BY_MERGE = tuple(letter for letter in BY_CLASS if letter not in "cijklmopsuvwxyz")
"""EMNIST's lower case letters that look like their capitals are one class with them."""
