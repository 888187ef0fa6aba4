"""A process that makes decisions and judges them, as a server does, for tests that kill it or its database.

    python -m tests.mixture_training.store_worker PLACE SPOOL KEY COUNT SHARED

It prints the id of every decision once it is appended. With COUNT 0 it goes on until it is killed; else it judges each
of its decisions, sends every judgement twice, judges the decision SHARED with the same events as its siblings do, and
writes everything before it ends.
"""

import os
import sys
import time
from dataclasses import replace

from mixture_training.src.decisions import Attempt, Decision, new_id, now
from mixture_training.src.feedback_store import FeedbackStore, StoreUnavailableError
from mixture_training.src.storing.spool import DecisionWriter

#: USD of one decision.
COST = 0.000_123_457


def decision(**changes):
    """Return a decision with about as much in it as one of a server that keeps texts."""
    made = Decision(
        id=new_id(),
        created=now(),
        instruction="What is 2 + 2?\nSay it in words: é",
        expert="calculator",
        response="4",
        ranking=("calculator", "writer"),
        policy="quality",
        category="math",
        confidence=0.9,
        expected_score=0.8,
        cost=COST,
        latency_s=0.1,
        attempts=(Attempt("calculator", COST, 0.1, None),),
        features=os.urandom(64),
        receipt={"options": [{"expert": "calculator", "low": 0.5}]},
    )
    return replace(made, **changes)


def until_it_is_there(act):
    """Repeat what a client repeats: the database is away (503), or the decision has not arrived yet."""
    until = time.monotonic() + 60
    while True:
        try:
            return act()
        except StoreUnavailableError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def main(place, folder, key, count, shared):
    store = FeedbackStore(place)
    writer = DecisionWriter(store, folder)
    done = 0
    while not int(count) or done < int(count):
        made = decision(key_id=key)
        writer.append(made)
        print(made.id, flush=True)
        done += 1
        if int(count):
            event = f"event-{done}"
            assert writer.flush(60)
            for _ in range(2):
                until_it_is_there(lambda id=made.id, event=event: store.record(id, 1.0, event=event))
            until_it_is_there(lambda event=event: store.record(shared, 0.5, event=event))
    assert writer.close(60)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
