"""Payments: what moves money for whoever asks for it. They know nothing of what is paid with them.

`port` is what is asked and answered; behind it stand the `wallet` and a payment service (`provider`), whose signed
requests and events both sides prove by `standard_webhooks`.
"""
