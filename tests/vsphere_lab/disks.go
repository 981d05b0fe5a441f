package main

import (
	"os"
	"path"
	"strings"

	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/vim25/types"
)

// link is one file of a disk's chain: the base, or the delta of a snapshot.
type link struct {
	file     string // datastore path of its descriptor
	parent   *link
	children int
	layer    *blocks.Layer
}

// disk is a virtual disk: its live link, and what was written when.
type disk struct {
	live     *link
	base     string // datastore path of the first descriptor
	deltas   int
	capacity int64
	thin     bool
	tracker  tracker
}

// addDisk makes content known under the datastore path of a descriptor.
func (l *Lab) addDisk(file string, layer *blocks.Layer, thin bool) *disk {
	made := &disk{
		live: &link{file: file, layer: layer}, base: file, capacity: layer.Capacity, thin: thin,
		tracker: newTracker(layer.Capacity),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disks[file] = made
	return made
}

// disk is the content behind a device; a disk nobody gave content is blank.
func (l *Lab) disk(device *types.VirtualDisk) *disk {
	file := backingFile(device)
	l.mu.Lock()
	known := l.disks[file]
	l.mu.Unlock()
	if known != nil {
		return known
	}
	thin := false
	if backing, is := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo); is {
		thin = backing.ThinProvisioned != nil && *backing.ThinProvisioned
	}
	return l.addDisk(file, l.store.Blank(device.CapacityInBytes), thin)
}

func backingFile(device types.BaseVirtualDevice) string {
	backing, is := device.GetVirtualDevice().Backing.(types.BaseVirtualDeviceFileBackingInfo)
	if !is {
		return ""
	}
	return backing.GetVirtualDeviceFileBackingInfo().FileName
}

// grow makes a disk larger.
func (l *Lab) grow(d *disk, capacity int64) error {
	old := d.live.layer
	d.live.layer = l.store.Over(old, capacity)
	d.capacity = capacity
	d.tracker.reset(capacity)
	return l.store.Release(old)
}

// freeze ends the live link, whose layer a snapshot holds from now on, and begins a delta over it.
func (l *Lab) freeze(d *disk) (*link, error) {
	frozen := d.live
	d.deltas++
	delta := &link{
		file: deltaName(d.base, d.deltas), parent: frozen, layer: l.store.Over(frozen.layer, d.capacity),
	}
	frozen.children++
	if err := l.describe(delta.file); err != nil {
		return nil, err
	}
	l.setLive(d, delta)
	return frozen, nil
}

func (l *Lab) setLive(d *disk, live *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.disks, d.live.file)
	d.live = live
	l.disks[live.file] = d
}

// describe puts a descriptor where the simulator looks for the files of a machine.
func (l *Lab) describe(file string) error {
	text := "# Disk DescriptorFile\nversion=1\ncreateType=\"vmfsSparse\"\n"
	for _, name := range []string{file, strings.TrimSuffix(file, ".vmdk") + "-sesparse.vmdk"} {
		if err := os.MkdirAll(path.Dir(l.local(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(l.local(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// undescribe takes the descriptor of a delta away.
func (l *Lab) undescribe(file string) {
	for _, name := range []string{file, strings.TrimSuffix(file, ".vmdk") + "-sesparse.vmdk"} {
		_ = os.Remove(l.local(name)) // a delta that was never described has none
	}
}

// rename gives a link another file name, as the host does when it merges a link into its parent.
func (l *Lab) rename(from *link, file string) {
	l.undescribe(from.file)
	l.mu.Lock()
	defer l.mu.Unlock()
	if d, live := l.disks[from.file]; live && d.live == from {
		delete(l.disks, from.file)
		l.disks[file] = d
	}
	from.file = file
}

// forget drops a disk whose files were deleted.
func (l *Lab) forget(file string) error {
	l.mu.Lock()
	d := l.disks[file]
	delete(l.disks, file)
	l.mu.Unlock()
	if d == nil {
		return nil
	}
	for current := d.live; current != nil; current = current.parent {
		if current.children > 0 {
			return nil // another disk or snapshot is over it
		}
		if err := l.store.Release(current.layer); err != nil {
			return err
		}
		if current.parent != nil {
			current.parent.children--
		}
	}
	return nil
}

// backing of a link, with those below it, as vSphere describes it; the rest is taken from like.
func (k *link) backing(like types.VirtualDiskFlatVer2BackingInfo) *types.VirtualDiskFlatVer2BackingInfo {
	like.FileName = k.file
	like.Parent = nil
	if k.parent != nil {
		like.Parent = k.parent.backing(like)
		like.Parent.ChangeId = ""
	}
	return &like
}
