"""Offers: what can be bought or redeemed, and everything that becomes of it."""
