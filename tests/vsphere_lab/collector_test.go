package main

import (
	"slices"
	"testing"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

func TestOnlyWantedPropertiesAreTouched(t *testing.T) {
	wanted := types.PropertySpec{PathSet: []string{
		"name", "runtime.powerState", "config.hardware.device[4000]", "guest",
	}}
	for changed, expected := range map[string][]string{
		"name":                   {"name"},
		"nameless":               nil,
		"runtime":                {"runtime.powerState"},
		"runtime.host":           nil,
		"config.hardware.device": {"config.hardware.device[4000]"},
		"guest.net":              {"guest"},
	} {
		if got := touched(wanted, map[string]bool{changed: true}); !slices.Equal(got, expected) {
			t.Errorf("%s: %v instead of %v", changed, got, expected)
		}
	}
	all := types.PropertySpec{All: types.NewBool(true)}
	got := touched(all, map[string]bool{"guest.net": true, "guest.hostName": true, "name": true})
	if !slices.Equal(got, []string{"guest", "name"}) {
		t.Errorf("all: %v", got)
	}
}

func TestLongAnswersAreCut(t *testing.T) {
	set := &types.UpdateSet{FilterSet: []types.PropertyFilterUpdate{
		{ObjectSet: make([]types.ObjectUpdate, 3)}, {ObjectSet: make([]types.ObjectUpdate, 4)},
	}}
	var counts []int
	for set != nil {
		rest, count := cut(set, 2), 0
		for _, filter := range set.FilterSet {
			count += len(filter.ObjectSet)
		}
		if (rest != nil) != (set.Truncated != nil) {
			t.Errorf("an answer says of itself: %v", set.Truncated)
		}
		counts, set = append(counts, count), rest
	}
	if !slices.Equal(counts, []int{2, 2, 2, 1}) {
		t.Errorf("objects in each answer: %v", counts)
	}
}

// follower waits for changes of all machines, as a client does.
type follower struct {
	t         *testing.T
	ctx       *simulator.Context
	collector *collector
	version   string
}

func follow(t *testing.T, lab *Lab) *follower {
	ctx := lab.context()
	ctx.Session = &simulator.Session{Registry: simulator.NewRegistry(), Map: lab.registry()}
	service := lab.registry().Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"})
	content := service.(*simulator.ServiceInstance).Content
	views := lab.registry().Get(*content.ViewManager).(*simulator.ViewManager)
	view := views.CreateContainerView(ctx, &types.CreateContainerView{
		Container: content.RootFolder, Type: []string{"VirtualMachine"}, Recursive: true,
	}).(*methods.CreateContainerViewBody).Res.Returnval
	lab.collecting(ctx.Session, content.PropertyCollector)
	ours := ctx.Session.Get(content.PropertyCollector).(*collector)
	ours.CreateFilter(ctx, &types.CreateFilter{Spec: types.PropertyFilterSpec{
		PropSet: []types.PropertySpec{{Type: "VirtualMachine", PathSet: []string{"name", "runtime.powerState"}}},
		ObjectSet: []types.ObjectSpec{{Obj: view, Skip: types.NewBool(true), SelectSet: []types.BaseSelectionSpec{
			&types.TraversalSpec{Type: "ContainerView", Path: "view"},
		}}},
	}})
	return &follower{t: t, ctx: ctx, collector: ours}
}

// next is the next answer, nil when nothing changes for a second.
func (f *follower) next() []types.ObjectUpdate {
	f.t.Helper()
	second := int32(1)
	body := f.collector.WaitForUpdatesEx(f.ctx, &types.WaitForUpdatesEx{
		Version: f.version, Options: &types.WaitOptions{MaxWaitSeconds: &second},
	}).(*methods.WaitForUpdatesExBody)
	if body.Fault_ != nil {
		f.t.Fatalf("fault: %+v", body.Fault_)
	}
	if body.Res.Returnval == nil {
		return nil
	}
	f.version = body.Res.Returnval.Version
	return body.Res.Returnval.FilterSet[0].ObjectSet
}

func TestOfManyMachinesOneChangeIsTold(t *testing.T) {
	lab, err := newLab(options{hosts: 2, vms: 150, user: "lab", password: "lab"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.model.Remove)
	f := follow(t, lab)
	if first, rest := len(f.next()), len(f.next()); first != updatesMost || rest != 50 {
		t.Fatalf("%d and %d machines at first", first, rest)
	}
	vm := lab.machines()[0]
	ctx := lab.context()
	ctx.WithLock(vm.VirtualMachine, func() {
		ctx.Update(vm.VirtualMachine, []types.PropertyChange{
			{Name: "guest.hostName", Val: "other"},
			{Name: "runtime.powerState", Val: types.VirtualMachinePowerStateSuspended},
		})
	})
	told := f.next()
	if len(told) != 1 || told[0].Kind != types.ObjectUpdateKindModify || len(told[0].ChangeSet) != 1 ||
		told[0].ChangeSet[0].Val != types.VirtualMachinePowerStateSuspended {
		t.Errorf("told of a change: %+v", told)
	}
	if err := lab.addListed("coming"); err != nil {
		t.Fatal(err)
	}
	if told = f.next(); len(told) != 1 || told[0].Kind != types.ObjectUpdateKindEnter {
		t.Errorf("told of a machine that came: %+v", told)
	}
	began := time.Now()
	if told = f.next(); told != nil || time.Since(began) < time.Second/2 {
		t.Errorf("told of nothing: %+v after %s", told, time.Since(began))
	}
}

func TestAWaitEndsWhenItIsCancelled(t *testing.T) {
	lab, err := newLab(options{hosts: 1, user: "lab", password: "lab"}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.model.Remove)
	f := follow(t, lab)
	f.collector.WaitForUpdatesEx(f.ctx, &types.WaitForUpdatesEx{})
	time.AfterFunc(50*time.Millisecond, func() { f.collector.CancelWaitForUpdates(nil) })
	body := f.collector.WaitForUpdatesEx(f.ctx, &types.WaitForUpdatesEx{Version: "1"}).(*methods.WaitForUpdatesExBody)
	if body.Fault_ == nil {
		t.Fatal("no fault")
	}
	if _, is := body.Fault_.Detail.Fault.(*types.RequestCanceled); !is {
		t.Errorf("fault: %+v", body.Fault_.Detail.Fault)
	}
}
