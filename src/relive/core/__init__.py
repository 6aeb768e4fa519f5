"""What the words mean: frozen structs and pure functions.

No I/O, no clock, no third-party import but msgspec: everything above may import it.
"""
