"""One process of the load on redemptions: a thread for each token it is handed on standard input, all at once.

    python redemption_worker.py '{"url": "sqlite:///...", "keys": "/.../keys.json"}'

Writes what each thread was told: the state of the redemption and whether it is new, or the code of the refusal.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from guardrails.decide.ports import Transactor
from guardrails.errors import CandidateError, DependencyError
from guardrails.offers.redemption_service import Redemptions
from guardrails.offers.redemptions import RedemptionRequest
from guardrails.payments.wallet import WalletPayments
from guardrails.signing import SigningKeys, Tokens
from guardrails.stores import open_stores

NOW = datetime(2026, 12, 1, 10, 5, tzinfo=UTC)
PATIENCE = timedelta(seconds=60)
TRIES = 10


class Client(threading.Thread):
    """Redeems one token, when all others do."""

    def __init__(self, redemptions: Redemptions, token: str, recipient: str, *, id_: str, start: threading.Barrier):
        super().__init__()
        self._redemptions = redemptions
        self._token = token
        self._request = RedemptionRequest(recipient=recipient, id=id_)
        self._start = start
        self.told = "nothing"

    def run(self) -> None:
        self._start.wait()
        for _ in range(TRIES):
            try:
                redeemed = self._redemptions.redeem(self._token, self._request, now=NOW)
            except CandidateError as error:
                self.told = error.code or str(error)
            except DependencyError as error:  # a 503: nothing of it is kept, and it is sent again
                self.told = str(error)
                continue
            else:
                self.told = f"{redeemed.redemption.state}, {'new' if redeemed.is_new else 'again'}"
            return


def redeem_all(transactor: Transactor, keys: SigningKeys, asked: Sequence[tuple[str, str, str]]) -> list[str]:
    """What all are told who redeem, each from a thread of its own: token, recipient and id."""
    tokens = Tokens(keys)
    redemptions = Redemptions(
        transactor, tokens=lambda: tokens, methods={"wallet": WalletPayments()}, new_id=str, clock=lambda: NOW
    )
    start = threading.Barrier(len(asked))
    clients = [Client(redemptions, token, whose, id_=id_, start=start) for token, whose, id_ in asked]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return [client.told for client in clients]


def main() -> None:
    told = json.loads(sys.argv[1])
    keys = SigningKeys.open(Path(told["keys"]), now=NOW)
    with closing(open_stores(told["url"], deadline=PATIENCE)) as transactor:
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        asked = json.loads(sys.stdin.readline())
        print(json.dumps(redeem_all(transactor, keys, asked)), flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
