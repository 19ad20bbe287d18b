"""Running notebooks as reports: parameters, engine, batch, pages and the command line.

Who only computes, in Python or in a notebook, never needs it.
"""
