"""Domains made from domains, and templates."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fastapi import Request

from hypersdk.api.known import beyond, reach
from hypersdk.api.known.power import note, room_for
from hypersdk.api.known.reach import Reached, Which
from hypersdk.api.known.spelling import told
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.api.submitting import submit_one
from hypersdk.contract.jobs import NewJobRecord
from hypersdk.contract.known.domains import (
    CloneAnswer,
    CloneAsked,
    CloneManyAnswer,
    CloneManyAsked,
    CloneResult,
    DeployAsked,
    Deployed,
    TemplateAsked,
    TemplateExportAsked,
    TemplateExported,
    TemplateMade,
    TemplatesAnswer,
)
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import HyperSDKError, InvalidState, NotSupported
from hypersdk.model.instances import Instance
from hypersdk.model.specs import NicSpec
from hypersdk.model.units import MIB

#: Tag by which the libvirt driver shows that a domain is a template.
_TEMPLATE_TAG = "hypersdk:template"
_INSIDE = "Nothing here changes what is inside a guest: run virt-sysprep on the template, or use "
_CUSTOMIZE = f"{_INSIDE}cloud-init in it."


def known_clone_domain(
    services: WithServices, who: Who, request: Request, body: CloneAsked, hypervisor: Which = ""
) -> CloneAnswer:
    """It gets an identity and MAC addresses of its own; the original must be stopped."""
    if body.files or body.preserve:
        raise NotSupported(
            "files and preserve: where the disks of a clone go, the hypervisor decides",
            hint="Leave both out: the disks come beside those of the original.",
        )
    if not body.new_mac:
        raise NotSupported(
            "new_mac: two domains of one MAC address disturb each other", hint="Leave it out."
        )
    room_for(services, who)
    with reach.libvirt(services, who, hypervisor) as here:
        reach.clones(here.hypervisor).clone(body.source, body.target)
        note(services, who, request, here, body.target, "cloned")
    return CloneAnswer(
        message=f"Domain {body.source} cloned to {body.target}",
        source=body.source,
        target=body.target,
    )


def known_clone_domains(
    services: WithServices, who: Who, request: Request, body: CloneManyAsked, hypervisor: Which = ""
) -> CloneManyAnswer:
    """One after another, called `<name_prefix>-<number>`. One that fails does not end it."""
    room_for(services, who, body.count)
    results = []
    with reach.libvirt(services, who, hypervisor) as here:
        clones = reach.clones(here.hypervisor)
        reach.inventory(here.hypervisor).instance(body.source)
        for number in range(body.start_index, body.start_index + body.count):
            name = f"{body.name_prefix}-{number}"
            try:
                clones.clone(body.source, name)
            except HyperSDKError as error:
                results.append(CloneResult(name=name, success=False, error=told(error)))
            else:
                note(services, who, request, here, name, "cloned")
                results.append(CloneResult(name=name, success=True))
    done = sum(each.success for each in results)
    return CloneManyAnswer(
        source=body.source,
        total=len(results),
        successful=done,
        failed=len(results) - done,
        results=results,
    )


def known_create_template(
    services: WithServices, who: Who, request: Request, body: TemplateAsked, hypervisor: Which = ""
) -> TemplateMade:
    """The domain itself stays as it is; it must be stopped."""
    if body.seal or body.metadata:
        raise NotSupported("seal and metadata: a template is an exact copy", hint=_CUSTOMIZE)
    room_for(services, who)
    name = body.name or f"{body.domain}-template"
    with reach.libvirt(services, who, hypervisor) as here:
        clones = reach.clones(here.hypervisor)
        own = beyond.domains(here.hypervisor)
        if body.description and own is None:
            raise NotSupported(
                f"{here.hypervisor.url} keeps no descriptions", hint="Leave the description out."
            )
        clones.clone(body.domain, name)
        try:
            if own is not None and body.description:
                own.describe(name, body.description)
            clones.make_template(name)
        except BaseException:
            _discard(here.hypervisor, name)
            raise
        note(services, who, request, here, name, "cloned")
    return TemplateMade(
        message=f"Template {name} created from {body.domain}",
        template=name,
        source=body.domain,
        sealed=False,
        description=body.description,
    )


def known_deploy_template(
    services: WithServices, who: Who, request: Request, body: DeployAsked, hypervisor: Which = ""
) -> Deployed:
    """Memory and processors within the room that the template was defined with. Nothing is left
    of a domain that could not be made as it was wanted."""
    if body.customize:
        raise NotSupported("customize: a deployed domain is an exact copy", hint=_CUSTOMIZE)
    room_for(services, who)
    with reach.libvirt(services, who, hypervisor) as here:
        if not is_template(here.hypervisor, _instance(here, body.template)):
            raise InvalidState(
                f"'{body.template}' is no template",
                hint="Make one of it: POST /libvirt/template/create; or clone it.",
            )
        reach.clones(here.hypervisor).clone(body.template, body.name)
        try:
            made = _adjusted(here.hypervisor, body)
        except BaseException:
            _discard(here.hypervisor, body.name)
            raise
        note(services, who, request, here, body.name, "deployed")
    return Deployed(
        message=f"VM {body.name} deployed from template {body.template}",
        vm=body.name,
        template=body.template,
        started=body.autostart,
        memory_mb=made.memory // MIB,
        vcpus=made.vcpus,
    )


def known_list_templates(
    services: WithServices, who: Who, hypervisor: Which = ""
) -> TemplatesAnswer:
    """By name."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = [
            each.name
            for each in reach.inventory(here.hypervisor).instances()
            if is_template(here.hypervisor, each)
        ]
    return TemplatesAnswer(templates=found, total=len(found))


def known_export_template(
    services: WithServices,
    who: Who,
    request: Request,
    body: TemplateExportAsked,
    hypervisor: Which = "",
) -> TemplateExported:
    """Its folder must be one that jobs may write to. `compress` makes an OVA, packed."""
    exports = Path(services.settings.folders.exports)
    folder = str((exports / who.tenant if who.tenant else exports) / body.export_path)
    with reach.libvirt(services, who, hypervisor) as here:
        name = _instance(here, body.template).name
        wanted = NewJobRecord(
            kind="export",
            name=f"export of template {name}",
            request={
                "hypervisor": here.name,
                "instance": name,
                "output": folder,
                "format": "ova" if body.compress else "ovf",
                "compress": body.compress,
            },
        )
    job = submit_one(services, who, wanted)
    note_change(request, f"jobs/{job.id}", None, {"kind": "export"})
    return TemplateExported(
        message=f"Template {name} is exported to {folder}",
        template=name,
        export_path=folder,
        compressed=body.compress,
        job_id=job.id,
    )


def is_template(hypervisor: Hypervisor, found: Instance) -> bool:
    """Whether it is there to be cloned from."""
    if _TEMPLATE_TAG in found.tags:
        return True
    details = hypervisor.details
    return details is not None and bool(details.details(found.id).template)


def _instance(here: Reached, name: str) -> Instance:
    return reach.inventory(here.hypervisor).instance(name)


def _adjusted(hypervisor: Hypervisor, wanted: DeployAsked) -> Instance:
    inventory, name = reach.inventory(hypervisor), wanted.name
    if wanted.memory:
        reach.hotplug(hypervisor).set_memory(name, wanted.memory * MIB)
    if wanted.vcpus:
        reach.hotplug(hypervisor).set_vcpus(name, wanted.vcpus)
    if wanted.network:
        _connect(hypervisor, name, wanted.network)
    made = inventory.instance(name)  # a guest that just starts has not given memory back yet
    if wanted.autostart:
        reach.lifecycle(hypervisor).start(name)
    return made


def _connect(hypervisor: Hypervisor, name: str, network: str) -> None:
    """One network card, to this network, in the place of those that it has."""
    hotplug = reach.hotplug(hypervisor)
    for mac in _macs(hypervisor, name):
        hotplug.detach_nic(name, mac)
    hotplug.attach_nic(name, NicSpec(network=network))


def _macs(hypervisor: Hypervisor, name: str) -> list[str]:
    if (own := beyond.domains(hypervisor)) is not None:
        return list(own.of(name).macs)
    if hypervisor.details is None:
        raise NotSupported(
            f"{hypervisor.url} does not tell which network cards there are",
            hint="Leave the network out, and change it afterwards.",
        )
    return [nic.mac for nic in hypervisor.details.details(name).nics]


def _discard(hypervisor: Hypervisor, name: str) -> None:
    """What was made; the first error is the one to tell."""
    with suppress(HyperSDKError):
        if hypervisor.lifecycle is not None:
            hypervisor.lifecycle.stop(name, force=True)
            hypervisor.lifecycle.delete(name, disks=True)


HANDLERS = {
    "known_clone_domain": known_clone_domain,
    "known_clone_domains": known_clone_domains,
    "known_create_template": known_create_template,
    "known_deploy_template": known_deploy_template,
    "known_list_templates": known_list_templates,
    "known_export_template": known_export_template,
}
