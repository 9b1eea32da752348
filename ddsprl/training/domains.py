"""The kinds of environments that can be trained in, by name: a new one is a `Domain` and a line here."""

from ddsprl.env.domain import Domain
from ddsprl.training.match import MATCH

DOMAINS: dict[str, Domain] = {"match": MATCH}
