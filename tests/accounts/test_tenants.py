from __future__ import annotations

import pytest

from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.users import UserStore
from hypersdk.model.accounts import Quota, Role
from hypersdk.model.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from tests.accounts.conftest import PASSWORD


def test_a_tenant_is_as_it_was_made(tenants: TenantStore) -> None:
    made = tenants.create("acme", description="them", quota=Quota(instances=3, bytes=10, jobs=1))
    assert tenants.get("acme") == made
    assert [tenant.name for tenant in tenants.list()] == ["acme"]
    with pytest.raises(AlreadyExists):
        tenants.create("acme")
    for name in ("a b", "a@b", ""):
        with pytest.raises(InvalidInput):
            tenants.create(name)
    with pytest.raises(InvalidInput):
        tenants.create("other", quota=Quota(jobs=-1))


def test_it_is_changed(tenants: TenantStore) -> None:
    seen = tenants.create("acme", quota=Quota(jobs=1))
    changed = tenants.change("acme", description="them", revision=seen.revision)
    assert (changed.description, changed.quota) == ("them", Quota(jobs=1))
    assert tenants.change("acme", quota=Quota(bytes=1 << 60)).quota == Quota(bytes=1 << 60)
    with pytest.raises(PreconditionFailed):
        tenants.change("acme", description="", revision=seen.revision)
    with pytest.raises(NotFound) as caught:
        tenants.change("acne")
    assert "acme" in caught.value.hint


def test_one_to_which_something_belongs_stays(tenants: TenantStore, users: UserStore) -> None:
    tenants.create("acme")
    users.create("root", PASSWORD, Role.ADMIN)
    users.create("eve", PASSWORD, Role.VIEWER, "acme")
    with pytest.raises(Conflict) as caught:
        tenants.delete("acme")
    assert "1 users" in caught.value.message
    users.delete("eve")
    tenants.delete("acme")
    with pytest.raises(NotFound):
        tenants.get("acme")
