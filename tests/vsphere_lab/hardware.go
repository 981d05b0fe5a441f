package main

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// element is one line of an Item: RASD wants them in alphabetical order.
type element struct {
	name  string
	value any
}

func (d *descriptor) hardware() {
	m := d.machine
	d.line("    <VirtualHardwareSection>")
	d.line("      <Info>Virtual hardware requirements</Info>")
	d.line("      <System>")
	d.line("        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>")
	d.line("        <vssd:InstanceID>0</vssd:InstanceID>")
	d.line("        <vssd:VirtualSystemIdentifier>%s</vssd:VirtualSystemIdentifier>", m.Name)
	d.line("        <vssd:VirtualSystemType>%s</vssd:VirtualSystemType>", m.Config.Version)
	d.line("      </System>")
	hardware := m.Config.Hardware
	d.item("", []element{
		{"AllocationUnits", "hertz * 10^6"}, {"Description", "Number of Virtual CPUs"},
		{"ElementName", fmt.Sprintf("%d virtual CPU(s)", hardware.NumCPU)}, {"InstanceID", d.next()},
		{"ResourceType", 3}, {"VirtualQuantity", hardware.NumCPU},
	}, fmt.Sprintf(`<vmw:CoresPerSocket ovf:required="false">%d</vmw:CoresPerSocket>`, max(cores(hardware), 1)))
	d.item("", []element{
		{"AllocationUnits", "byte * 2^20"}, {"Description", "Memory Size"},
		{"ElementName", fmt.Sprintf("%dMB of memory", hardware.MemoryMB)}, {"InstanceID", d.next()},
		{"ResourceType", 4}, {"VirtualQuantity", hardware.MemoryMB},
	}, "")
	controllers := d.controllers()
	d.drives(controllers)
	d.networkCards()
	d.settings()
	d.line("    </VirtualHardwareSection>")
}

func cores(hardware types.VirtualHardware) int32 {
	if hardware.NumCoresPerSocket == nil {
		return 1
	}
	return *hardware.NumCoresPerSocket
}

func (d *descriptor) next() int {
	d.items++
	return d.items
}

func (d *descriptor) item(required string, elements []element, more string) {
	d.line("      <Item" + required + ">")
	for _, one := range elements {
		d.line("        <rasd:"+one.name+">%s</rasd:"+one.name+">", one.value)
	}
	if more != "" {
		d.text.WriteString("        " + more + "\n")
	}
	d.line("      </Item>")
}

// controllers adds those that disks and drives hang on, and gives their instances by device key.
func (d *descriptor) controllers() map[int32]int {
	instances := map[int32]int{}
	for _, device := range d.machine.Config.Hardware.Device {
		kind, number, label := "", 0, ""
		switch device.(type) {
		case *types.ParaVirtualSCSIController:
			kind, number, label = "VirtualSCSI", 6, "SCSI Controller"
		case *types.VirtualLsiLogicController:
			kind, number, label = "lsilogic", 6, "SCSI Controller"
		case *types.VirtualLsiLogicSASController:
			kind, number, label = "lsilogicsas", 6, "SCSI Controller"
		case *types.VirtualIDEController:
			number, label = 5, "IDE Controller"
		case *types.VirtualAHCIController:
			kind, number, label = "vmware.sata.ahci", 20, "SATA Controller"
		case *types.VirtualNVMEController:
			kind, number, label = "vmware.nvme.controller", 20, "NVMe Controller"
		default:
			continue
		}
		bus := device.(types.BaseVirtualController).GetVirtualController().BusNumber
		instance := d.next()
		instances[device.GetVirtualDevice().Key] = instance
		elements := []element{
			{"Address", bus}, {"Description", label}, {"ElementName", fmt.Sprintf("%s %d", label, bus)},
			{"InstanceID", instance},
		}
		if kind != "" {
			elements = append(elements, element{"ResourceSubType", kind})
		}
		d.item("", append(elements, element{"ResourceType", number}), "")
	}
	return instances
}

func (d *descriptor) drives(controllers map[int32]int) {
	count := 0
	for _, device := range d.machine.Config.Hardware.Device {
		own := device.GetVirtualDevice()
		unit := int32(0)
		if own.UnitNumber != nil {
			unit = *own.UnitNumber
		}
		switch device.(type) {
		case *types.VirtualDisk:
			if d.disks[own.Key] == "" {
				continue
			}
			count++
			d.item("", []element{
				{"AddressOnParent", unit}, {"ElementName", fmt.Sprintf("Hard Disk %d", count)},
				{"HostResource", "ovf:/disk/" + d.disks[own.Key]}, {"InstanceID", d.next()},
				{"Parent", controllers[own.ControllerKey]}, {"ResourceType", 17},
			}, "")
		case *types.VirtualCdrom:
			d.item(` ovf:required="false"`, []element{
				{"AddressOnParent", unit}, {"AutomaticAllocation", "false"}, {"ElementName", "CD/DVD drive 1"},
				{"InstanceID", d.next()}, {"Parent", controllers[own.ControllerKey]},
				{"ResourceSubType", "vmware.cdrom.remotepassthrough"}, {"ResourceType", 15},
			}, "")
		}
	}
}

func (d *descriptor) networkCards() {
	for index, card := range d.cards() {
		kind := "VmxNet3"
		switch card.(type) {
		case *types.VirtualE1000:
			kind = "E1000"
		case *types.VirtualE1000e:
			kind = "E1000e"
		}
		name := d.network(card)
		d.item("", []element{
			{"AddressOnParent", 7 + index}, {"AutomaticAllocation", "true"}, {"Connection", name},
			{"Description", kind + ` ethernet adapter on "` + name + `"`},
			{"ElementName", fmt.Sprintf("Network adapter %d", index+1)}, {"InstanceID", d.next()},
			{"ResourceSubType", kind}, {"ResourceType", 10},
		}, "")
	}
}

// settings are VMware's own, among them the firmware and where the UEFI variables are.
func (d *descriptor) settings() {
	if d.machine.Config.Firmware == string(types.GuestOsDescriptorFirmwareTypeEfi) {
		d.line(`      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi" />`)
	}
	for index, file := range d.params.OvfFiles {
		if strings.HasSuffix(file.DeviceId, "/nvram") {
			d.line(`      <vmw:ExtraConfig ovf:required="false" vmw:key="nvram" vmw:value="ovf:/file/file%s" />`, index+1)
		}
	}
	for _, option := range d.params.ExportOption {
		if option == "extraconfig" {
			d.extraConfig()
		}
	}
}

func (d *descriptor) extraConfig() {
	for _, option := range d.machine.Config.ExtraConfig {
		value := option.GetOptionValue()
		if !strings.HasPrefix(value.Key, "lab.") {
			d.line(`      <vmw:ExtraConfig ovf:required="false" vmw:key="%s" vmw:value="%s" />`, value.Key, value.Value)
		}
	}
}
