package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	// updatesMost is vCenter's limit of objects in one answer, whatever a client asks for.
	updatesMost = 100
	// gathering is how long changes come together before they are told.
	gathering = 10 * time.Millisecond
)

// reference is short for what the API calls every object by.
type reference = types.ManagedObjectReference

// collector tells of changes at the price of what changed, as a vCenter does. The simulator's own
// reads all objects of its filters anew for each change: seconds, with ten thousand machines.
//
// It lives as long as the session whose it is. The simulator keeps making and ending its filters.
type collector struct {
	*simulator.PropertyCollector

	mu      sync.Mutex
	changed map[reference]*change
	wake    chan struct{} // holds one: something changed
	cancel  context.CancelFunc

	waits   sync.Mutex                       // one call at a time waits, and has what follows
	members map[reference]map[reference]bool // objects told, by filter
	pending *types.UpdateSet
	version int
}

// change is what happened to one object since the last answer.
type change struct {
	names   map[string]bool
	removed bool
}

// collecting puts ours in the place of a session's collector, once.
func (l *Lab) collecting(session *simulator.Session, self reference) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if theirs, is := session.Get(self).(*simulator.PropertyCollector); is {
		session.Registry.Put(&collector{
			PropertyCollector: theirs, changed: map[reference]*change{}, wake: make(chan struct{}, 1),
			members: map[reference]map[reference]bool{},
		})
	}
}

// WaitForUpdatesEx gives all there is for the version "", else what changed, when something did.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, req *types.WaitForUpdatesEx) soap.HasFault {
	body := &methods.WaitForUpdatesExBody{}
	over, most := limits(req.Options)
	wait, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.waits.Lock()
	defer c.waits.Unlock()
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	if req.Version == "" {
		c.pending, c.members = nil, map[reference]map[reference]bool{}
		ctx.Map.AddHandler(c)
	}
	for {
		found, fault := c.next(ctx)
		if fault != nil {
			body.Fault_ = simulator.Fault("", fault)
			return body
		}
		if len(found.FilterSet) > 0 || req.Version == "" {
			c.pending = cut(found, most)
			c.version++
			found.Version = strconv.Itoa(c.version)
			body.Res = &types.WaitForUpdatesExResponse{Returnval: found}
			return body
		}
		select {
		case <-c.wake:
			time.Sleep(gathering)
		case <-over:
			body.Res = &types.WaitForUpdatesExResponse{}
			return body
		case <-wait.Done():
			body.Fault_ = simulator.Fault("", &types.RequestCanceled{})
			return body
		}
	}
}

// limits are what a client asks of an answer: until when it waits, and for how many objects at most.
// Zero seconds are over at once; none at all never are.
func limits(asked *types.WaitOptions) (over <-chan time.Time, most int) {
	if asked == nil {
		return nil, updatesMost
	}
	if asked.MaxWaitSeconds != nil {
		over = time.After(time.Duration(*asked.MaxWaitSeconds) * time.Second)
	}
	if limit := int(asked.MaxObjectUpdates); limit > 0 && limit < updatesMost {
		return over, limit
	}
	return over, updatesMost
}

// WaitForUpdates is the older way to ask the same.
func (c *collector) WaitForUpdates(ctx *simulator.Context, req *types.WaitForUpdates) soap.HasFault {
	answer := c.WaitForUpdatesEx(ctx, &types.WaitForUpdatesEx{This: req.This, Version: req.Version})
	full := answer.(*methods.WaitForUpdatesExBody)
	if full.Fault_ != nil {
		return &methods.WaitForUpdatesBody{Fault_: full.Fault_}
	}
	return &methods.WaitForUpdatesBody{Res: &types.WaitForUpdatesResponse{Returnval: *full.Res.Returnval}}
}

// CancelWaitForUpdates has a call that waits return.
func (c *collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	c.mu.Lock()
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	return &methods.CancelWaitForUpdatesBody{Res: &types.CancelWaitForUpdatesResponse{}}
}

// DestroyPropertyCollector ends it, and a call that waits.
func (c *collector) DestroyPropertyCollector(ctx *simulator.Context, req *types.DestroyPropertyCollector) soap.HasFault {
	c.CancelWaitForUpdates(nil)
	return c.PropertyCollector.DestroyPropertyCollector(ctx, req)
}

// CreateFilter adds objects to those that are told of, also for a call that waits.
func (c *collector) CreateFilter(ctx *simulator.Context, req *types.CreateFilter) soap.HasFault {
	answer := c.PropertyCollector.CreateFilter(ctx, req)
	c.call()
	return answer
}

func (c *collector) call() {
	select {
	case c.wake <- struct{}{}:
	default: // it is called already
	}
}

// PutObject is called for each object that comes into being.
func (c *collector) PutObject(_ *simulator.Context, object mo.Reference) {
	c.note(object.Reference(), func(*change) {})
}

// UpdateObject is called for each object that changes, by whoever holds its lock.
func (c *collector) UpdateObject(_ *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	c.note(object.Reference(), func(one *change) {
		for _, each := range changes {
			one.names[each.Name] = true
		}
	})
}

// RemoveObject is called for each object that ends.
func (c *collector) RemoveObject(_ *simulator.Context, object reference) {
	c.note(object, func(one *change) { one.removed = true })
}

func (c *collector) note(object reference, what func(*change)) {
	c.mu.Lock()
	one := c.changed[object]
	if one == nil {
		one = &change{names: map[string]bool{}}
		c.changed[object] = one
	}
	what(one)
	c.mu.Unlock()
	c.call()
}

// cut shortens an answer to so many objects, and gives the rest; nil when it is short enough.
func cut(set *types.UpdateSet, most int) *types.UpdateSet {
	set.Truncated = nil
	for index, filter := range set.FilterSet {
		if len(filter.ObjectSet) <= most {
			most -= len(filter.ObjectSet)
			continue
		}
		rest := filter
		rest.ObjectSet = filter.ObjectSet[most:]
		later := append([]types.PropertyFilterUpdate{rest}, set.FilterSet[index+1:]...)
		set.FilterSet = set.FilterSet[:index+1]
		set.FilterSet[index].ObjectSet = filter.ObjectSet[:most]
		set.Truncated = types.NewBool(true)
		return &types.UpdateSet{FilterSet: later}
	}
	return nil
}
