"""Engines: a compiled policy set and facts in, one verdict for each policy out.

native.py     generated Python                 durable.py    the rules engine, and the only door to it
paired.py     both, and they must agree        lines, decision_tree, ways, durable_lowering    on the way to it
"""
