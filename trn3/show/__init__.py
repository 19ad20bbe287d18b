"""How answers look: numbers and verdicts in words, the theme, the charts, the blocks of a page.

Who adds a chart or a sentence reads this room. It knows frames and their columns, never a formula.
"""
