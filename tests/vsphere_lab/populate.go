package main

import (
	"fmt"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

const (
	// populators make machines at a time: the simulator's tasks wait for each other by sleeping.
	populators = 32
	// inventoryDisk is the capacity of a disk that nobody reads, in bytes.
	inventoryDisk = 10 << 30
)

// populate makes machines that are only to be listed, named as the simulator names its own.
func (l *Lab) populate(count int) error {
	prefix := "DC0_C0_RP0"
	if l.options.esx {
		prefix = "ha-host"
	}
	numbers, failures := make(chan int), make(chan error, populators)
	var workers sync.WaitGroup
	for range populators {
		workers.Go(func() {
			for number := range numbers {
				if err := l.addListed(fmt.Sprintf("%s_VM%d", prefix, number)); err != nil {
					select {
					case failures <- err:
					default: // others failed before
					}
				}
			}
		})
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	workers.Wait()
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func (l *Lab) addListed(name string) error {
	request := machineRequest{
		Name: name, Datastore: "LocalDS_0", VCPUs: 1, MemoryMB: 1024, Firmware: "bios",
		GuestOS: "ubuntu64Guest", Disks: []diskRequest{{Size: inventoryDisk}},
	}
	request.NICs = append(request.NICs, struct {
		Network string `json:"network"`
	}{"VM Network"})
	layers, err := l.load(request.Disks)
	if err != nil {
		return err
	}
	m, err := l.place(request, layers)
	if err != nil {
		return err
	}
	var fault types.BaseMethodFault
	ctx := l.context()
	ctx.WithLock(m.VirtualMachine, func() { fault = m.powerTo(ctx, types.VirtualMachinePowerStatePoweredOn) })
	if fault != nil {
		return fmt.Errorf("power on %s: %T", name, fault)
	}
	return nil
}
