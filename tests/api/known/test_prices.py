from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hypersdk.api.known.prices import TABLE, VERSION, compare, estimate, project, size
from hypersdk.contract.known.cost import CostAsked, SizeAsked
from hypersdk.model.errors import InvalidInput
from tests.api.known.daemons import Known

NOW = datetime(2026, 3, 4, tzinfo=UTC)
ESTIMATE = {
    "provider", "region", "storage_class", "breakdown", "total_cost", "currency", "estimated_at",
    "pricing_version",
}  # fmt: skip
BREAKDOWN = {
    "storage_cost", "transfer_cost", "request_cost", "retrieval_cost", "early_delete_cost",
}  # fmt: skip


def _asked(**fields: object) -> CostAsked:
    return CostAsked.model_validate({"storage_gb": 1000, **fields})


def test_storage_for_a_month() -> None:
    found = estimate(_asked(), NOW)
    assert found.storage_class == "s3_standard"
    assert found.breakdown.storage_cost == pytest.approx(23.0)
    assert found.total_cost == 23.0
    assert found.pricing_version == VERSION


@pytest.mark.parametrize(
    ("provider", "amount", "dollars"),
    [
        ("s3", 100, 9.0),
        ("s3", 10_240, 921.6),
        ("s3", 10_241, 921.685),
        ("s3", 200_000, 921.6 + 40_960 * 0.085 + 102_400 * 0.07 + 46_400 * 0.05),
        ("azure_blob", 100, 0.0),
        ("azure_blob", 101, 0.087),
        ("gcs", 2_048, 1_024 * 0.12 + 1_024 * 0.11),
    ],
)
def test_transfer_costs_by_steps(provider: str, amount: float, dollars: float) -> None:
    found = estimate(_asked(provider=provider, transfer_gb=amount), NOW)
    assert found.breakdown.transfer_cost == pytest.approx(dollars)


def test_archives_cost_when_they_are_read_and_deleted_early() -> None:
    found = estimate(
        _asked(storage_class="s3_deep_archive", transfer_gb=10, duration_days=30), NOW
    ).breakdown
    assert found.retrieval_cost == pytest.approx(0.2)
    assert found.early_delete_cost == pytest.approx(1000 * 0.00099 * 150 / 30)
    long = estimate(_asked(storage_class="s3_deep_archive", duration_days=180), NOW).breakdown
    assert long.early_delete_cost == 0


def test_requests_are_mixed() -> None:
    found = estimate(_asked(requests=1_000_000), NOW).breakdown
    assert found.request_cost == pytest.approx(600 * 0.0004 + 400 * 0.005)


def test_a_class_of_another_provider_is_refused() -> None:
    with pytest.raises(InvalidInput, match="gcs has no 'gcs_nearlin'") as caught:
        estimate(_asked(provider="gcs", storage_class="gcs_nearlin"), NOW)
    assert "gcs_nearline" in caught.value.hint


def test_the_cheapest_comes_first() -> None:
    found = compare(_asked(), NOW)
    costs = [each.total_cost for each in found.estimates]
    assert costs == sorted(costs)
    assert {each.provider for each in found.estimates} == set(TABLE)
    assert found.cheapest == found.estimates[0].provider == "azure_blob"
    assert found.savings_vs_expensive == pytest.approx(23.0 - 18.4)


def test_a_year_has_twelve_months() -> None:
    found = project(_asked(duration_days=90), NOW)
    assert found.year == 2026
    assert [each.month for each in found.monthly_breakdown] == list(range(1, 13))
    assert found.total_cost == pytest.approx(12 * 23.0)
    assert found.monthly_average == 23.0


def test_an_export_is_smaller_than_its_disk() -> None:
    found = size(SizeAsked(disk_size_gb=100, format="qcow2", include_snapshots=True))
    assert found.estimated_export_gb == pytest.approx(100 * 0.65 * 1.2)
    assert size(SizeAsked(disk_size_gb=100, format="raw")).estimated_export_gb == 100


def test_the_routes(known: Known) -> None:
    body = {"provider": "s3", "storage_gb": 10, "region": "eu-west-1"}
    found = known.post("/cost/estimate", body)
    assert set(found) == ESTIMATE
    assert set(found["breakdown"]) == BREAKDOWN
    assert found["region"] == "eu-west-1"
    compared = known.post("/cost/compare", body)
    assert set(compared) == {
        "request", "estimates", "cheapest", "recommended", "savings_vs_expensive",
    }  # fmt: skip
    assert all(set(each) == ESTIMATE for each in compared["estimates"])
    year = known.post("/cost/project", body)
    assert set(year) == {"year", "total_cost", "monthly_average", "monthly_breakdown"}
    assert set(year["monthly_breakdown"][0]) == {"month", "total_cost", "breakdown"}
    estimated = known.post("/cost/estimate-size", {"disk_size_gb": 5, "format": "ova"})
    assert set(estimated) == {
        "vm_id", "vm_name", "total_disk_size_gb", "estimated_export_gb", "compression_ratio",
        "format", "include_snapshots",
    }  # fmt: skip
    for path, wrong in (
        ("estimate", {"storage_gb": 0}),
        ("estimate", {"provider": "ftp", "storage_gb": 1}),
        ("compare", {}),
        ("project", {"storage_gb": 1, "duration": 3}),
        ("estimate-size", {"disk_size_gb": -1}),
    ):
        known.refused("POST", f"/cost/{path}", wrong, status=400)
