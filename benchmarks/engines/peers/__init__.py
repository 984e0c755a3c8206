"""The peers: one module an engine, each with a translation of the eight condition nodes and one way to ask.

Each is asked in the quickest way found that still names every violated policy, which is what a reason needs. Facts
reach it under flat names (`content_class`) and, where it takes JSON, encoding is part of the time, as it would be in
a service.
"""
