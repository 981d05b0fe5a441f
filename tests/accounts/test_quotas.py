from __future__ import annotations

import pytest

from hypersdk.accounts.quotas import Quotas, Usage, check
from hypersdk.accounts.tenants import TenantStore
from hypersdk.database.engine import Database
from hypersdk.jobs.store import JobStore
from hypersdk.model.accounts import Quota
from hypersdk.model.errors import NotFound, QuotaExceeded
from hypersdk.model.jobs import NewJob


def test_what_fits_and_what_does_not() -> None:
    quota = Quota(instances=3, bytes=100)
    check("acme", quota, Usage(instances=2, bytes=100), Usage(instances=1))
    check("acme", quota, Usage(instances=9, jobs=9), Usage(jobs=9))
    for more in (Usage(instances=2), Usage(bytes=1)):
        with pytest.raises(QuotaExceeded) as caught:
            check("acme", quota, Usage(instances=2, bytes=100), more)
        assert caught.value.hint


def test_a_tenant_over_its_quota_may_do_what_adds_nothing() -> None:
    check("acme", Quota(instances=1), Usage(instances=5), Usage())


def test_usage_is_what_was_measured_and_what_came_since(
    database: Database, tenants: TenantStore
) -> None:
    tenants.create("acme", quota=Quota(instances=3, bytes=1000))
    quotas = Quotas(database)
    assert quotas.used("acme") == Usage()
    quotas.grew("acme", instances=2, bytes=10)
    quotas.measured("acme", bytes=500)
    quotas.grew("acme", instances=-1, bytes=5)
    assert quotas.used("acme") == Usage(instances=1, bytes=505)
    assert quotas.used("other") == Usage()
    quotas.check("acme", instances=2)
    with pytest.raises(QuotaExceeded):
        quotas.check("acme", instances=3)
    with pytest.raises(QuotaExceeded):
        quotas.check("acme", bytes=496)
    with pytest.raises(NotFound):
        quotas.check("other", instances=1)


def test_it_is_never_less_than_nothing(database: Database, tenants: TenantStore) -> None:
    tenants.create("acme")
    quotas = Quotas(database)
    quotas.grew("acme", instances=-3)
    quotas.grew("acme", instances=1)
    quotas.grew("acme", instances=-3)
    quotas.grew("acme", instances=2)
    assert quotas.used("acme").instances == 2


def test_nobody_has_no_quota(database: Database) -> None:
    quotas = Quotas(database)
    quotas.check("", instances=1 << 40)
    quotas.grew("", instances=5)
    assert quotas.used("").instances == 0


def test_jobs_that_wait_do_not_count(database: Database, tenants: TenantStore) -> None:
    tenants.create("acme", quota=Quota(jobs=1))
    JobStore(database).submit(
        [NewJob(kind="gc", request={}, tenant="acme", resources=("tenant:acme",))] * 2
    )
    assert Quotas(database).used("acme").jobs == 0
