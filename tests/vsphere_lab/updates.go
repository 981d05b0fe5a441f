package main

import (
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

// next is what is to be told now: the rest of a long answer, or what changed.
func (c *collector) next(ctx *simulator.Context) (*types.UpdateSet, types.BaseMethodFault) {
	if c.pending != nil {
		return c.pending, nil
	}
	c.mu.Lock()
	changed := c.changed
	c.changed = map[reference]*change{}
	c.mu.Unlock()
	set := &types.UpdateSet{}
	for _, self := range c.Filter {
		filter, is := ctx.Session.Get(self).(*simulator.PropertyFilter)
		if !is {
			continue
		}
		objects, fault := c.told(ctx, filter, changed)
		if fault != nil {
			return nil, fault
		}
		if len(objects) > 0 {
			set.FilterSet = append(set.FilterSet, types.PropertyFilterUpdate{Filter: self, ObjectSet: objects})
		}
	}
	return set, nil
}

// told is what a filter has to tell of what changed; of all, the first time.
func (c *collector) told(ctx *simulator.Context, filter *simulator.PropertyFilter, changed map[reference]*change) ([]types.ObjectUpdate, types.BaseMethodFault) {
	known, again := c.members[filter.Self]
	if !again {
		known = map[reference]bool{}
		c.members[filter.Self] = known
	}
	var updates []types.ObjectUpdate
	for object, one := range changed {
		if one.removed && known[object] {
			delete(known, object)
			updates = append(updates, types.ObjectUpdate{Obj: object, Kind: types.ObjectUpdateKindLeave})
		}
	}
	for object, one := range changed {
		if known[object] {
			if modified := c.modified(ctx, filter.Spec, object, one); len(modified.ChangeSet) > 0 {
				updates = append(updates, modified)
			}
		}
	}
	if again && !moves(filter.Spec, changed) {
		return updates, nil
	}
	entered, fault := c.entered(ctx, filter.Spec, known)
	return append(updates, entered...), fault
}

// moves tells whether a change may have brought other objects into a filter. A change of objects
// that it goes through does; of those on longer ways than through a view, we do not know which.
func moves(spec types.PropertyFilterSpec, changed map[reference]*change) bool {
	for _, from := range spec.ObjectSet {
		for _, step := range from.SelectSet {
			way, whole := step.(*types.TraversalSpec)
			through := whole && way.Path == "view" && len(way.SelectSet) == 0
			if _, touched := changed[from.Obj]; touched || (!through && len(changed) > 0) {
				return true
			}
		}
	}
	return false
}

// entered are the objects of a filter that were not told yet, with all that is wanted of them.
func (c *collector) entered(ctx *simulator.Context, spec types.PropertyFilterSpec, known map[reference]bool) ([]types.ObjectUpdate, types.BaseMethodFault) {
	bare := spec
	bare.PropSet = nil
	for _, wanted := range spec.PropSet {
		bare.PropSet = append(bare.PropSet, types.PropertySpec{Type: wanted.Type})
	}
	all, fault := c.read(ctx, bare)
	if fault != nil {
		return nil, fault
	}
	fresh := types.PropertyFilterSpec{PropSet: spec.PropSet, ReportMissingObjectsInResults: types.NewBool(true)}
	for _, one := range all {
		if !known[one.Obj] {
			known[one.Obj] = true
			fresh.ObjectSet = append(fresh.ObjectSet, types.ObjectSpec{Obj: one.Obj})
		}
	}
	found, fault := c.read(ctx, fresh)
	var updates []types.ObjectUpdate
	for _, one := range found {
		update := types.ObjectUpdate{Obj: one.Obj, Kind: types.ObjectUpdateKindEnter}
		for _, value := range one.PropSet {
			update.ChangeSet = append(update.ChangeSet, assigned(value.Name, value.Val))
		}
		updates = append(updates, update)
	}
	return updates, fault
}

// modified is what of a change a filter wants to know. An object that ended meanwhile gives nothing.
func (c *collector) modified(ctx *simulator.Context, spec types.PropertyFilterSpec, object reference, one *change) types.ObjectUpdate {
	update := types.ObjectUpdate{Obj: object, Kind: types.ObjectUpdateKindModify}
	for _, wanted := range spec.PropSet {
		names := touched(wanted, one.names)
		if len(names) == 0 {
			continue
		}
		found, _ := c.read(ctx, types.PropertyFilterSpec{
			PropSet:                       []types.PropertySpec{{Type: wanted.Type, PathSet: names}},
			ObjectSet:                     []types.ObjectSpec{{Obj: object}},
			ReportMissingObjectsInResults: types.NewBool(true),
		})
		if len(found) == 0 {
			continue // of another kind
		}
		values := map[string]types.AnyType{}
		for _, value := range found[0].PropSet {
			values[value.Name] = value.Val
		}
		for _, name := range names {
			update.ChangeSet = append(update.ChangeSet, assigned(name, values[name]))
		}
	}
	return update
}

// touched are the wanted properties that a change of others concerns: themselves, what they are in,
// and what is in them.
func touched(wanted types.PropertySpec, names map[string]bool) []string {
	paths := slices.Clone(wanted.PathSet)
	if wanted.All != nil && *wanted.All {
		for name := range names {
			top, _, _ := strings.Cut(name, ".")
			paths = append(paths, top)
		}
		slices.Sort(paths)
		paths = slices.Compact(paths)
	}
	var found []string
	for _, path := range paths {
		for name := range names {
			if within(path, name) || within(name, path) {
				found = append(found, path)
				break
			}
		}
	}
	return found
}

// within tells whether a property is another, or in it: config.hardware.device[4000] in config.
func within(path, of string) bool {
	rest, is := strings.CutPrefix(path, of)
	return is && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

func assigned(name string, value types.AnyType) types.PropertyChange {
	return types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign, Val: value}
}

func (c *collector) read(ctx *simulator.Context, spec types.PropertyFilterSpec) ([]types.ObjectContent, types.BaseMethodFault) {
	answer := c.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{
		This: c.Self, SpecSet: []types.PropertyFilterSpec{spec},
	}).(*methods.RetrievePropertiesExBody)
	if answer.Fault_ != nil {
		return nil, vimFault(answer.Fault_)
	}
	return answer.Res.Returnval.Objects, nil
}
