"""One question each, asked of several systems at once: claims, scale, energy, ownership, savings,
waiting.

The notebooks ask here. A study puts the estimates of the core beside each other, draws its
uncertain inputs and returns tidy frames; the formulas stand in the core.
"""
