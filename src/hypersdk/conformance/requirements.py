"""What a driver can promise, each in one sentence. The ids are those that ``Limit.aspect`` uses.

A part that a driver has promises all of its aspects, but for those it lists in ``limits``.
"""

from __future__ import annotations

from collections.abc import Mapping

#: What a case may need besides requirements: it comes from the target.
NEEDS = ("observer", "guest")

REQUIREMENTS: Mapping[str, str] = {
    "core": "What holds for every driver: its parts are whole, its limits true, its errors of the "
    "classes of the ports, its answers observed.",
    "host": "The host says what it is and how much room it has, as observed.",
    "inventory": "All instances are listed and found by name and id, by every connection alike.",
    "details": "More of an instance than a listing tells is told, as it is at this moment.",
    "events": "Whoever follows events knows all instances at the beginning and hears of each "
    "change once.",
    "events.state": "Changes of state are among the events.",
    "lifecycle": "Instances are created, started, stopped and deleted; each state answers each "
    "operation as the table of operations says.",
    "lifecycle.pause": "Running instances can be paused and resumed.",
    "lifecycle.reset": "Instances can be reset without asking their guests.",
    "lifecycle.start_paused": "Instances can be started paused.",
    "lifecycle.graceful_stop": "Guests are asked to power down, and are left alone when they "
    "do not.",
    "lifecycle.cpu_weight": "The share of processor time in a spec is in force in the backend.",
    "lifecycle.cpu_limit": "The limit of processor time in a spec is in force in the backend.",
    "lifecycle.memory_limit": "The memory in a spec is in force in the backend.",
    "lifecycle.disks": "Disks of a spec are made, kept or removed with their instance.",
    "lifecycle.nics": "NICs of a spec are there in the backend.",
    "lifecycle.env": "Variables of a spec reach the first process.",
    "lifecycle.mounts": "Folders of the host are seen inside.",
    "lifecycle.ports": "Ports of the host lead inside, and a port that is taken is refused.",
    "lifecycle.pids_limit": "The limit of processes in a spec is in force in the backend.",
    "lifecycle.cloud_init": "First-boot settings are put at the guest's disposal.",
    "lifecycle.tags": "Tags and folder are kept in the backend.",
    "clones": "Instances are copied, with an identity of their own; templates are not started.",
    "clones.linked": "Clones can hold only what differs from their template.",
    "snapshots": "Points in time are made, listed as they are, and deleted without loss.",
    "snapshots.memory": "A snapshot can keep the running state.",
    "snapshots.running": "Snapshots are made of running instances.",
    "snapshots.quiesce": "A snapshot freezes filesystems through the guest agent, or fails.",
    "snapshots.revert": "Reverting brings back the content of the disks.",
    "snapshots.tree": "Snapshots that were made after reverting branch off.",
    "disks": "All disks are read as they were at one moment, and nothing but that.",
    "disks.running": "Disks are read while the instance runs and writes on.",
    "disks.random_access": "Areas of a disk are read in any order, again, and by many at once.",
    "disks.changed_blocks": "What changed since an earlier view is reported, zeroed areas too, and "
    "a record that cannot be trusted is not used.",
    "disks.rewrite": "Disks of stopped instances are written in place.",
    "checkpoints": "Records of changed blocks are listed and removed.",
    "provisioning": "Instances are built from what a restore point holds, wholly or not at all.",
    "leftovers": "What killed runs left is cleaned up, what lives is left alone.",
    "metrics": "What instances use is known for all in one call, from the backend's counters.",
    "metrics.cpu": "Processor time is counted.",
    "metrics.memory": "Memory in use is measured.",
    "metrics.disk": "Reads and writes of disks are counted.",
    "metrics.nic": "Traffic of NICs is counted.",
    "console": "What a person in front of the machine would see can be seen.",
    "console.display": "It is known where the screen can be watched.",
    "console.serial": "The first serial line can be read and written.",
    "console.screenshot": "Pictures of the screen are taken.",
    "console.keys": "Keys are pressed.",
    "guest_agent": "The agent inside the guest is spoken with, and its absence is a typed error.",
    "guest_agent.freeze": "Filesystems are frozen and thawed through the agent.",
    "hotplug": "Devices change while instances run or are stopped, and outlive a restart.",
    "hotplug.disk": "Disks are attached and detached.",
    "hotplug.nic": "NICs are attached and detached.",
    "hotplug.vcpus": "The number of processors changes.",
    "hotplug.memory": "The memory changes.",
    "hotplug.media": "Media are put into CD drives and taken out.",
    "live_migration": "Running instances move to another host; a failure leaves them running.",
    "storage": "Pools and volumes are made, listed and deleted.",
    "networks": "Networks are made, listed and deleted.",
    "networks.stop": "Networks can be stopped and started.",
    "execution": "Commands run inside, with their input, output and exit code.",
    "execution.timeout": "A command that takes too long is killed.",
    "logs": "What the first process wrote can be read.",
    "logs.follow": "What the first process writes can be followed.",
    "images": "Images are listed and deleted.",
    "images.load": "Images are taken in from archives.",
    "archives": "The filesystem is exported as a tar archive.",
    "archives.content": "The archive holds what was written inside.",
}
