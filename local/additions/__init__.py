"""What the local cloud adds to MiniStack, a module for each matter. A module takes effect when it is imported.

MiniStack's functions are looked up by their names when they are called, so one can take the place of another. Each patch was
written for the function as it was: signatures.txt holds the parameters of each. Where another version of MiniStack has others,
the emulator does not start, and names the patch. After a look at it: `local/emulator.py --update-signatures`.
"""

import functools
import inspect
import pathlib
import sys

SIGNATURES = pathlib.Path(__file__).with_name("signatures.txt")

# The parameters of MiniStack's own functions that have been replaced, by their names.
found = {}


def instead_of(module, name):
    """Puts the decorated function in the place of MiniStack's, which it is given as its first argument."""

    def put(function):
        original = getattr(module, name)
        if module.__name__.startswith("ministack") and not isinstance(original, functools.partial):
            found[f"{module.__name__}.{name}"] = parameters(original)
        setattr(module, name, functools.partial(function, original))
        return function

    return put


def parameters(function):
    """Names and kinds, without types and default values: `(data, *, region)`."""
    taken = inspect.signature(function).parameters.values()
    bare = [p.replace(annotation=p.empty, default=p.empty if p.default is p.empty else None) for p in taken]
    return str(inspect.Signature(bare)).replace("=None", "=…")


def check_signatures():
    """Ends the program where MiniStack's functions are not those that the patches were written for."""
    lines = [f"{name}{signature}\n" for name, signature in sorted(found.items())]
    if "--update-signatures" in sys.argv:
        SIGNATURES.write_text("".join(lines))
        sys.exit()
    written_for = SIGNATURES.read_text().splitlines(keepends=True)
    for line in lines:
        if line not in written_for:
            sys.exit(
                f"error: MiniStack has changed {line.strip()}: look at its patch in local/additions, which was written for "
                "what signatures.txt says"
            )
