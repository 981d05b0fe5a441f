"""What storage of a cloud costs by its list prices of one month: a table, and sums over it.

US dollars; GB are 10⁹ bytes and months have 30 days, as providers count. One region each (AWS
us-east-1, Azure eastus, Google us); no discounts, no taxes, and no free tiers but that of Azure's
transfer. Prices change: what matters is how the classes compare, not the last cent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf

from hypersdk.api.names import nearest
from hypersdk.contract.known.cost import (
    CostAsked,
    CostBreakdown,
    CostComparison,
    CostEstimate,
    MonthlyCost,
    SizeAsked,
    SizeEstimate,
    YearlyCost,
)
from hypersdk.model.errors import InvalidInput

#: Month of the list prices below.
VERSION = "2026-01"
CURRENCY = "USD"
_MONTH_DAYS = 30
#: Parts of requests that read, write and list.
_MIX = (0.6, 0.3, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageClass:
    """Dollars."""

    #: For a GB and month.
    storage: float
    #: For a GB that is read.
    retrieval: float = 0.0
    #: Days that are paid for at least.
    least_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider. Dollars."""

    region: str
    #: What is meant when no class is named.
    usual: str
    classes: Mapping[str, StorageClass]
    #: GB up to which a price holds, and the price of one GB out of the cloud.
    transfer: tuple[tuple[float, float], ...]
    #: For a thousand requests that read, write and list.
    requests: tuple[float, float, float]


TABLE: Mapping[str, Provider] = {
    "s3": Provider(
        region="us-east-1",
        usual="s3_standard",
        classes={
            "s3_standard": StorageClass(storage=0.023),
            "s3_ia": StorageClass(storage=0.0125, retrieval=0.01, least_days=30),
            "s3_onezone_ia": StorageClass(storage=0.01, retrieval=0.01, least_days=30),
            "s3_glacier": StorageClass(storage=0.004, retrieval=0.03, least_days=90),
            "s3_deep_archive": StorageClass(storage=0.00099, retrieval=0.02, least_days=180),
        },
        transfer=((10_240, 0.09), (51_200, 0.085), (153_600, 0.07), (inf, 0.05)),
        requests=(0.0004, 0.005, 0.005),
    ),
    "azure_blob": Provider(
        region="eastus",
        usual="azure_hot",
        classes={
            "azure_hot": StorageClass(storage=0.0184),
            "azure_cool": StorageClass(storage=0.01, retrieval=0.01, least_days=30),
            "azure_archive": StorageClass(storage=0.002, retrieval=0.02, least_days=180),
        },
        transfer=((100, 0.0), (10_340, 0.087), (51_300, 0.083), (inf, 0.07)),
        requests=(0.0004, 0.005, 0.005),
    ),
    "gcs": Provider(
        region="us",
        usual="gcs_standard",
        classes={
            "gcs_standard": StorageClass(storage=0.02),
            "gcs_nearline": StorageClass(storage=0.01, retrieval=0.01, least_days=30),
            "gcs_coldline": StorageClass(storage=0.004, retrieval=0.02, least_days=90),
            "gcs_archive": StorageClass(storage=0.0012, retrieval=0.05, least_days=365),
        },
        transfer=((1_024, 0.12), (10_240, 0.11), (inf, 0.08)),
        requests=(0.0004, 0.005, 0.005),
    ),
}
#: Format → part of a disk's size that an export of it takes. Exports hold no zeroes, so the rest
#: depends on how full the disk is; these are of disks half of whose bytes compress well.
_RATIOS: Mapping[str, float] = {
    "ovf": 0.7, "ova": 0.7, "vmdk": 0.7, "qcow2": 0.65,
    "vhdx": 0.8, "vdi": 0.8, "vhd": 0.8, "raw": 1.0,
}  # fmt: skip
#: What snapshots add.
_SNAPSHOTS = 1.2


def estimate(asked: CostAsked, moment: datetime) -> CostEstimate:
    """Raises InvalidInput for a class that its provider does not have."""
    provider = TABLE[asked.provider]
    name = asked.storage_class or provider.usual
    if name not in provider.classes:
        meant = nearest(name, sorted(provider.classes))
        raise InvalidInput(
            f"storage_class: {asked.provider} has no '{name[:80]}'",
            hint=(f"Did you mean {meant}? " if meant else "")
            + f"There are {', '.join(provider.classes)}.",
        )
    parts = _breakdown(asked, provider, provider.classes[name])
    return CostEstimate(
        provider=asked.provider,
        region=asked.region or provider.region,
        storage_class=name,
        breakdown=CostBreakdown(**{part: round(value, 6) for part, value in parts.items()}),
        total_cost=round(sum(parts.values()), 2),
        currency=CURRENCY,
        estimated_at=moment,
        pricing_version=VERSION,
    )


def compare(asked: CostAsked, moment: datetime) -> CostComparison:
    """The usual class of each provider."""
    found = [
        estimate(asked.model_copy(update={"provider": name, "storage_class": ""}), moment)
        for name in TABLE
    ]
    found.sort(key=lambda each: each.total_cost)
    return CostComparison(
        request=asked,
        estimates=found,
        cheapest=found[0].provider,
        recommended=found[0].provider,
        savings_vs_expensive=round(found[-1].total_cost - found[0].total_cost, 2),
    )


def project(asked: CostAsked, moment: datetime) -> YearlyCost:
    """Twelve months of 30 days each; transfer and requests are those of one month. What is kept
    for a year meets the least times of all classes, so no month pays for deleting early."""
    month = estimate(asked.model_copy(update={"duration_days": _MONTH_DAYS}), moment)
    parts = month.breakdown.model_copy(update={"early_delete_cost": 0.0})
    total = sum(parts.model_dump().values())
    return YearlyCost(
        year=moment.year,
        total_cost=round(12 * total, 2),
        monthly_average=round(total, 2),
        monthly_breakdown=[
            MonthlyCost(month=number, total_cost=round(total, 2), breakdown=parts)
            for number in range(1, 13)
        ],
    )


def size(asked: SizeAsked) -> SizeEstimate:
    """A rule of thumb."""
    ratio = _RATIOS[asked.format]
    whole = asked.disk_size_gb * ratio * (_SNAPSHOTS if asked.include_snapshots else 1)
    return SizeEstimate(
        vm_id="",
        vm_name="",
        total_disk_size_gb=asked.disk_size_gb,
        estimated_export_gb=round(whole, 3),
        compression_ratio=ratio,
        format=asked.format,
        include_snapshots=asked.include_snapshots,
    )


def _breakdown(asked: CostAsked, provider: Provider, kind: StorageClass) -> dict[str, float]:
    month = asked.storage_gb * kind.storage
    missing = max(0, kind.least_days - asked.duration_days)
    thousands = asked.requests / 1000
    return {
        "storage_cost": month * asked.duration_days / _MONTH_DAYS,
        "transfer_cost": _transfer(asked.transfer_gb, provider),
        "request_cost": sum(
            thousands * part * price for part, price in zip(_MIX, provider.requests, strict=True)
        ),
        "retrieval_cost": asked.transfer_gb * kind.retrieval,
        "early_delete_cost": month * missing / _MONTH_DAYS,
    }


def _transfer(amount: float, provider: Provider) -> float:
    cost, before = 0.0, 0.0
    for end, price in provider.transfer:
        if amount <= before:
            break
        cost += (min(amount, end) - before) * price
        before = end
    return cost
