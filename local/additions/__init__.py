"""What the local cloud adds to MiniStack, a module for each matter. A module takes effect when it is imported.

MiniStack's functions are looked up by their names when they are called, so one can take the place of another.
"""

import functools


def instead_of(module, name):
    """Puts the decorated function in the place of MiniStack's, which it is given as its first argument."""

    def put(function):
        setattr(module, name, functools.partial(function, getattr(module, name)))
        return function

    return put
