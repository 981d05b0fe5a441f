"""What storage of a cloud would cost by its list prices."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment

Provider = Literal["s3", "azure_blob", "gcs"]


class CostAsked(Asked):
    """GB are 10⁹ bytes, as providers count."""

    provider: Provider = "s3"
    #: Only told again: the table has one region for each provider.
    region: str = ""
    #: ``s3_standard``, ``azure_hot``, ``gcs_nearline`` …; empty: the provider's usual one.
    storage_class: str = ""
    storage_gb: float = Field(gt=0, le=1e9, allow_inf_nan=False)
    #: Out of the cloud, in the whole time.
    transfer_gb: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False)
    #: In the whole time: six of ten read, three write, one lists.
    requests: int = Field(default=0, ge=0, le=10**15)
    duration_days: int = Field(default=30, ge=1, le=36_500)


class CostBreakdown(Answer):
    storage_cost: float
    transfer_cost: float
    request_cost: float
    #: Of reading from an archive.
    retrieval_cost: float
    #: For objects deleted before their class allows.
    early_delete_cost: float


class CostEstimate(Answer):
    provider: str
    region: str
    storage_class: str
    breakdown: CostBreakdown
    total_cost: float
    currency: str
    estimated_at: Moment
    #: Month of the price table.
    pricing_version: str


class CostComparison(Answer):
    request: CostAsked
    estimates: list[CostEstimate]
    cheapest: str
    recommended: str
    savings_vs_expensive: float


class MonthlyCost(Answer):
    month: int
    total_cost: float
    breakdown: CostBreakdown


class YearlyCost(Answer):
    year: int
    total_cost: float
    monthly_average: float
    monthly_breakdown: list[MonthlyCost]


class SizeAsked(Asked):
    disk_size_gb: float = Field(gt=0, le=1e9, allow_inf_nan=False)
    format: Literal["ovf", "ova", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"] = "ova"
    include_snapshots: bool = False


class SizeEstimate(Answer):
    vm_id: str
    vm_name: str
    total_disk_size_gb: float
    estimated_export_gb: float
    compression_ratio: float
    format: str
    include_snapshots: bool
