"""Measurements that `make bench` and `make soak` run; nothing here is part of the package."""
