"""A known job definition as a job of kind ``export``.

What cannot be done as asked is refused, with what to do instead: nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypersdk.api.known import reach
from hypersdk.api.known.documents import checked
from hypersdk.api.services import Services
from hypersdk.api.submitting import Planner
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.contract.known.jobs import JobDefinition, KnownOptions
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import AlreadyExists, HyperSDKError, InvalidInput, NotFound, NotSupported
from hypersdk.model.estate import HypervisorRecord
from hypersdk.model.jobs import NewJob

KIND = "export"
#: The daemon's own way to export, as clients call it, and those that it does not use. A definition
#: may name any of them: clients fall back to the first.
METHOD = "web"
METHODS = ("ctl", "govc", "ovftool", METHOD)
#: Tags by which the definition is shown again as it was.
_OWN_TAGS = "known."
NAME_TAG, PATH_TAG = f"{_OWN_TAGS}name", f"{_OWN_TAGS}vm_path"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: What may not stand in the name of a folder.
_ODD = re.compile(r'[<>:"|?*/\\\x00-\x1f]')
_FORMATS = frozenset({"ovf", "ova", "qcow2", "raw", "vmdk", "vhdx", "vdi", "vhd"})
#: Options that ask for something after the export, and what does it here.
_AFTERWARDS: Mapping[str, str] = {
    "enable_pipeline": "hyper2kvm is not run by the daemon. Export, then POST "
    "/api/workflow/manifest/submit with the manifest that the export writes; or run hyperexport "
    "--pipeline.",
    "libvirt_integration": "Export, then POST /api/workflow/manifest/submit with the manifest and "
    "the hypervisor to define the machine on.",
    "hyper2kvm_daemon": "Export with hyperexport --hyper2kvm-daemon, or copy the manifest into "
    "hyper2kvm's folder yourself.",
}


class Submitting:
    """Definitions of one request."""

    def __init__(
        self, services: Services, who: Principal, *, hypervisor: str = "", later: bool = False
    ) -> None:
        """``hypervisor``: of all that name no vCenter. ``later``: they are kept in schedules."""
        self._services = services
        self._who = who
        self._hypervisor = hypervisor
        self._planner = Planner(services, who, later=later)

    def job(self, document: Any, place: str = "") -> NewJob:
        """Checked, and complete. Raises InvalidInput, NotFound, NotSupported, NotAllowed,
        QuotaExceeded."""
        definition = checked(JobDefinition, document, place)
        _refuse_credentials(definition)
        options = definition.options or KnownOptions()
        _refuse_afterwards(options)
        record = self._hypervisor_of(definition)
        instance = instance_named(record, definition.vm_path, definition.datacenter)
        if definition.format not in _FORMATS:
            raise InvalidInput(
                f"format: '{definition.format}' is none", hint=f"Say {', '.join(sorted(_FORMATS))}."
            )
        request: dict[str, Any] = {
            "hypervisor": record.name,
            "instance": instance,
            "output": self._output(definition, instance),
            "format": definition.format,
            "compress": definition.compress,
        }
        if options.parallel_downloads is not None:
            request["parallel"] = options.parallel_downloads
        planned = self._planner.job(
            NewJobRecord(kind=KIND, request=request, name=definition.name, tags=_tags(definition))
        )
        return replace(planned, id=_id(definition.id)) if definition.id else planned

    def _hypervisor_of(self, definition: JobDefinition) -> HypervisorRecord:
        server = definition.vcenter.server if definition.vcenter else ""
        server = server or definition.vcenter_url
        if server:
            return reach.matching(self._services, self._who, server, self._hypervisor)
        return reach.record(self._services, self._who, self._hypervisor)

    def _output(self, definition: JobDefinition, instance: str) -> str:
        """Relative ones are below the daemon's folder of exports; so is one that is not said."""
        given = definition.output_path or definition.output_dir
        if definition.output_path and definition.output_dir not in ("", definition.output_path):
            raise InvalidInput(
                "output_path and output_dir are both given, and differ", hint="Give one of them."
            )
        exports = Path(self._services.settings.folders.exports)
        if self._who.tenant:
            exports /= self._who.tenant
        folder = given or _ODD.sub("_", instance.rpartition("/")[2]).strip(".") or "export"
        return str(exports / folder)


def submit(
    services: Services, who: Principal, documents: list[tuple[str, Any]], hypervisor: str = ""
) -> list[str | HyperSDKError]:
    """The id of each, or why it is refused. Those that are not refused are stored together."""
    submitting = Submitting(services, who, hypervisor=hypervisor)
    planned: list[NewJob | HyperSDKError] = []
    for place, document in documents:
        try:
            planned.append(submitting.job(document, place))
        except HyperSDKError as error:
            if error.retryable:  # the database is away, not one of the jobs wrong
                raise
            planned.append(error)
    good = [each for each in planned if isinstance(each, NewJob)]
    stored = iter(services.jobs.submit(good) if good else ())
    return [
        each if isinstance(each, HyperSDKError) else _visible(services, who, next(stored).id)
        for each in planned
    ]


def _visible(services: Services, who: Principal, id: str) -> str | HyperSDKError:
    """An id that somebody else's job has was not used for this one."""
    if not who.tenant:
        return id
    try:
        return services.jobs.get(id, tenant=who.tenant).id
    except NotFound:
        return AlreadyExists(f"there is a job {id} already", hint="Choose another id, or none.")


def separate(document: Any) -> list[tuple[str, Any]]:
    """One definition, ``{"jobs": […]}`` or a list, each with its place. Raises InvalidInput."""
    if isinstance(document, Mapping) and "jobs" in document:
        if odd := sorted(str(key) for key in set(document) - {"jobs"}):
            raise InvalidInput(
                f"{odd[0]}: there is no such field beside jobs", hint="Put it into the jobs."
            )
        document = document["jobs"]
        if not isinstance(document, list):
            raise InvalidInput("jobs is no list", hint='Write {"jobs": [{…}, {…}]}.')
    if isinstance(document, list):
        if not document:
            raise InvalidInput("there is no job in it", hint='Write {"jobs": [{"vm_path": …}]}.')
        return [(f"jobs[{number}]", each) for number, each in enumerate(document)]
    if not isinstance(document, Mapping):
        raise InvalidInput(
            "the body is no job",
            hint='Write {"vm_path": …, "output_path": …}, {"jobs": […]} or a list.',
        )
    return [("", document)]


def instance_named(record: HypervisorRecord, path: str, datacenter: str = "") -> str:
    """The instance as its hypervisor knows it: inventory paths are vSphere's; elsewhere the last
    part of one is the name."""
    plain = path.strip("/")
    if reach.scheme_of(record.url) != "vsphere":
        return plain.rpartition("/")[2] or plain
    if datacenter and not plain.startswith(f"{datacenter}/"):
        return f"{datacenter}/vm/{plain}"
    return plain


def _refuse_credentials(definition: JobDefinition) -> None:
    vcenter = definition.vcenter
    given = [definition.username, definition.password]
    given += [vcenter.username, vcenter.password] if vcenter else []
    if any(given):
        raise InvalidInput(
            "a job holds no credentials: they would be stored and shown with it",
            hint="Add the hypervisor once with a reference to its password, and leave username and "
            "password out: hyperctl hypervisor add NAME 'vsphere://USER@HOST/?password-from=env:X'",
        )
    if definition.insecure or (vcenter and vcenter.insecure):
        raise InvalidInput(
            "a job cannot say that any certificate is trusted",
            hint="Add the hypervisor with ?fingerprint=SHA256 of its certificate; leave insecure "
            "out.",
        )


def _refuse_afterwards(options: KnownOptions) -> None:
    for name, hint in _AFTERWARDS.items():
        if getattr(options, name):
            raise NotSupported(f"options.{name}: an export job ends with the export", hint=hint)
    wanted = {
        name: value
        for name, value in options.model_dump(exclude_none=True).items()
        if name.startswith(("pipeline_", "hyper2kvm_", "libvirt_"))
    }
    if odd := next(iter(_asking(wanted)), None):
        raise NotSupported(
            f"options.{odd}: it means nothing without the pipeline, which export jobs have not",
            hint=_AFTERWARDS["enable_pipeline"],
        )


def _asking(options: Mapping[str, object]) -> Iterator[str]:
    """Those that would do something: clients send falsehoods and zeroes along."""
    return (name for name, value in options.items() if value not in (False, "", 0))


def _tags(definition: JobDefinition) -> dict[str, str]:
    for word in (definition.export_method, definition.method):
        if word not in ("", "auto", *METHODS):
            raise InvalidInput(
                f"export_method: '{word}' is none", hint=f"Say {', '.join(METHODS)}, or nothing."
            )
    if odd := next((name for name in definition.metadata if name.startswith(_OWN_TAGS)), None):
        raise InvalidInput(f"metadata.{odd}: such names are the daemon's", hint="Rename it.")
    return {
        **definition.metadata,
        **({NAME_TAG: definition.name} if definition.name else {}),
        PATH_TAG: definition.vm_path,
    }


def shown_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Without those that are ours."""
    return {name: value for name, value in tags.items() if not name.startswith(_OWN_TAGS)}


def _id(id: str) -> str:
    if not _ID.fullmatch(id):
        raise InvalidInput(
            f"id: {id!r:.80} is none",
            hint="Letters, digits, '.', '_' and '-', at most 64; or leave it out.",
        )
    return id
