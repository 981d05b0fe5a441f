"""The mock keeps all that the ports promise."""

from __future__ import annotations

from hypersdk.conformance.target import Site
from hypersdk.conformance.targets.mock import target
from hypersdk.conformance.testing import conformance_tests

test_conformance = conformance_tests(lambda: target("mock://", Site()))
