package main

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const envelope = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope vmw:buildId="build-22385739" xmlns="http://schemas.dmtf.org/ovf/envelope/1"` +
	` xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common"` +
	` xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"` +
	` xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"` +
	` xmlns:vmw="http://www.vmware.com/schema/ovf"` +
	` xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"` +
	` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
`

const streamFormat = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

// descriptor writes an OVF 1.1 envelope as vCenter does.
type descriptor struct {
	machine *machine
	params  types.OvfCreateDescriptorParams
	text    strings.Builder
	items   int
	disks   map[int32]string // "vmdisk1" by device key
}

func (m *machine) descriptor(params types.OvfCreateDescriptorParams) string {
	d := &descriptor{machine: m, params: params, disks: map[int32]string{}}
	d.text.WriteString(envelope)
	d.references()
	d.diskSection()
	d.networks()
	d.system()
	d.line("</Envelope>")
	return d.text.String()
}

// line adds one line; values are escaped.
func (d *descriptor) line(format string, values ...any) {
	escaped := make([]any, len(values))
	for index, value := range values {
		var out strings.Builder
		_ = xml.EscapeText(&out, []byte(fmt.Sprint(value)))
		escaped[index] = out.String()
	}
	fmt.Fprintf(&d.text, format+"\n", escaped...)
}

func (d *descriptor) references() {
	d.line("  <References>")
	for index, file := range d.params.OvfFiles {
		d.line(`    <File ovf:href="%s" ovf:id="file%s" ovf:size="%s" />`, file.Path, index+1, file.Size)
	}
	d.line("  </References>")
}

// device is the virtual device that a file of the client is of.
func (d *descriptor) device(file types.OvfFile) types.BaseVirtualDevice {
	devices := d.machine.Config.Hardware.Device
	for _, device := range devices {
		if strings.HasSuffix(file.DeviceId, "/"+deviceName(devices, device)) {
			return device
		}
	}
	return nil
}

func (d *descriptor) diskSection() {
	d.line("  <DiskSection>")
	d.line("    <Info>Virtual disk information</Info>")
	for index, file := range d.params.OvfFiles {
		device, is := d.device(file).(*types.VirtualDisk)
		if !is {
			continue
		}
		name := fmt.Sprintf("vmdisk%d", len(d.disks)+1)
		d.disks[device.Key] = name
		d.line(`    <Disk ovf:capacity="%s" ovf:capacityAllocationUnits="byte" ovf:diskId="%s" ovf:fileRef="file%s"`+
			` ovf:format="%s" ovf:populatedSize="%s" />`,
			device.CapacityInBytes, name, index+1, streamFormat, file.PopulatedSize)
	}
	d.line("  </DiskSection>")
}

func (d *descriptor) networks() {
	d.line("  <NetworkSection>")
	d.line("    <Info>The list of logical networks</Info>")
	seen := map[string]bool{}
	for _, card := range d.cards() {
		name := d.network(card)
		if seen[name] {
			continue
		}
		seen[name] = true
		d.line(`    <Network ovf:name="%s">`, name)
		d.line("      <Description>The %s network</Description>", name)
		d.line("    </Network>")
	}
	d.line("  </NetworkSection>")
}

func (d *descriptor) cards() []types.BaseVirtualEthernetCard {
	var found []types.BaseVirtualEthernetCard
	for _, device := range d.machine.Config.Hardware.Device {
		if card, is := device.(types.BaseVirtualEthernetCard); is {
			found = append(found, card)
		}
	}
	return found
}

func (d *descriptor) network(card types.BaseVirtualEthernetCard) string {
	switch backing := card.GetVirtualEthernetCard().Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return backing.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		for _, reference := range d.machine.Network {
			group, is := d.machine.lab.registry().Get(reference).(*simulator.DistributedVirtualPortgroup)
			if is && group.Key == backing.Port.PortgroupKey {
				return group.Name
			}
		}
	}
	return "VM Network"
}

func (d *descriptor) system() {
	m := d.machine
	name := d.params.Name
	if name == "" {
		name = m.Name
	}
	d.line(`  <VirtualSystem ovf:id="%s">`, name)
	d.line("    <Info>A virtual machine</Info>")
	d.line("    <Name>%s</Name>", name)
	if note := d.params.Description + m.Config.Annotation; note != "" {
		d.line("    <AnnotationSection>\n      <Info>A human-readable annotation</Info>")
		d.line("      <Annotation>%s</Annotation>\n    </AnnotationSection>", note)
	}
	d.line(`    <OperatingSystemSection ovf:id="%s" vmw:osType="%s">`, systemNumber(m.Config.GuestId), m.Config.GuestId)
	d.line("      <Info>The kind of installed guest operating system</Info>")
	d.line("    </OperatingSystemSection>")
	d.hardware()
	d.line("  </VirtualSystem>")
}

// systemNumber is CIM's number of a guest operating system, as VMware maps it.
func systemNumber(guest string) int {
	switch {
	case strings.HasPrefix(guest, "ubuntu64"):
		return 94
	case strings.HasPrefix(guest, "rhel") && strings.HasSuffix(guest, "_64Guest"):
		return 80
	case strings.HasPrefix(guest, "debian"):
		return 96
	case strings.HasPrefix(guest, "windows"):
		return 74
	case strings.Contains(guest, "64"):
		return 102
	default:
		return 1
	}
}
