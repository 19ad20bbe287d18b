"""How the committed constants were found and how far they miss.

Read this room to refit from the committed rows, to score rows of your own, or to doubt a range.
Nobody who only asks how long a run takes or what a token costs needs it: the core reads the
committed constants from `trn3.committed`.
"""
