package main

import (
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// work is a task of ours on an entity; its work may call methods of the simulator that are tasks.
func work(ctx *simulator.Context, entity mo.Reference, name string, do func() (types.AnyType, types.BaseMethodFault)) types.ManagedObjectReference {
	task := simulator.CreateTask(entity.Reference(), name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return do()
	})
	return task.Run(ctx)
}

// finished waits for the task that a method of the simulator began, and gives its result.
func finished(ctx *simulator.Context, answer soap.HasFault) (types.AnyType, types.BaseMethodFault) {
	if fault := answer.Fault(); fault != nil {
		return nil, vimFault(fault)
	}
	reference := reflect.ValueOf(answer).Elem().FieldByName("Res").Elem().FieldByName("Returnval")
	task := ctx.Map.Get(reference.Interface().(types.ManagedObjectReference)).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}

func vimFault(fault *soap.Fault) types.BaseMethodFault {
	if known, is := fault.VimFault().(types.BaseMethodFault); is {
		return known
	}
	return systemError(fault.String)
}

// systemError is the fault for what went wrong in the lab itself.
func systemError(reason string) types.BaseMethodFault {
	return &types.SystemError{Reason: reason}
}
