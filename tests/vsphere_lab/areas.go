package main

import (
	"hypersdk/vspherelab/blocks"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// everything asks for allocated areas instead of changed ones.
const everything = "*"

// allocationUnit is what a VMFS datastore allocates at once: "*" answers in these.
const allocationUnit = 1 << 20

// QueryChangedDiskAreas tells which areas of a disk were written since a bookmark, page by page.
func (m *machine) QueryChangedDiskAreas(_ *simulator.Context, req *types.QueryChangedDiskAreas) soap.HasFault {
	body := &methods.QueryChangedDiskAreasBody{}
	found, capacity, fault := m.changedAreas(req)
	if fault == nil && (req.StartOffset < 0 || req.StartOffset >= capacity) {
		fault = &types.InvalidArgument{InvalidProperty: "startOffset"}
	}
	if fault != nil {
		body.Fault_ = simulator.Fault("changed areas", fault)
		return body
	}
	if m.lab.faults.take("lying_areas", m.spotOfDisk(req.DeviceKey)) != nil && len(found) > 0 {
		found = found[:len(found)-1]
	}
	page := m.lab.page(found, req.StartOffset, capacity)
	m.spoil(&page, m.spotOfDisk(req.DeviceKey), capacity)
	body.Res = &types.QueryChangedDiskAreasResponse{Returnval: page}
	return body
}

// changedAreas are all areas that an answer is about, and the capacity of the disk.
func (m *machine) changedAreas(req *types.QueryChangedDiskAreas) ([]blocks.Extent, int64, types.BaseMethodFault) {
	devices, layers := m.Config.Hardware.Device, snapshotLinks(nil)
	if req.Snapshot != nil {
		taken, known := m.lab.registry().Get(*req.Snapshot).(*simulator.VirtualMachineSnapshot)
		if !known || taken.Vm != m.Self {
			return nil, 0, &types.NotFound{}
		}
		m.lab.mu.Lock()
		devices, layers = taken.Config.Hardware.Device, m.lab.snapshots[taken.Self]
		m.lab.mu.Unlock()
	}
	for _, device := range disksAmong(devices) {
		if device.Key == req.DeviceKey {
			return m.areasOf(device, layers[device.Key], req.ChangeId)
		}
	}
	return nil, 0, &types.InvalidArgument{InvalidProperty: "deviceKey"}
}

func (m *machine) areasOf(device *types.VirtualDisk, frozen *link, since string) ([]blocks.Extent, int64, types.BaseMethodFault) {
	content := m.diskWithKey(device)
	layer, until := content.live.layer, ""
	if frozen != nil {
		layer, until = frozen.layer, changeID(device)
	}
	content.tracker.mu.Lock()
	on := content.tracker.on
	content.tracker.mu.Unlock()
	if !on || (frozen != nil && until == "") {
		return nil, 0, &types.FileFault{File: backingFile(device)}
	}
	if since == everything {
		if !content.thin {
			return []blocks.Extent{{Start: 0, Length: layer.Capacity}}, layer.Capacity, nil
		}
		return rounded(layer.Allocated().Extents(layer.Capacity), layer.Capacity), layer.Capacity, nil
	}
	if !wellFormed(since) {
		return nil, 0, &types.InvalidArgument{InvalidProperty: "changeId"}
	}
	changed, known := content.tracker.changed(since, until)
	if !known {
		return nil, 0, &types.FileFault{File: backingFile(device)}
	}
	return changed.Extents(layer.Capacity), layer.Capacity, nil
}

// diskWithKey is the disk that a device of a snapshot is about, which may be called otherwise now.
func (m *machine) diskWithKey(device *types.VirtualDisk) *disk {
	for _, current := range m.virtualDisks() {
		if current.Key == device.Key {
			return m.lab.disk(current)
		}
	}
	return m.lab.disk(device)
}

func changeID(device *types.VirtualDisk) string {
	if backing, flat := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo); flat {
		return backing.ChangeId
	}
	return ""
}

// wellFormed tells whether a string looks like "52 f3 …/n".
func wellFormed(bookmark string) bool {
	name, number := len(bookmark), 0
	for index, letter := range bookmark {
		if letter == '/' {
			name, number = index, len(bookmark)-index-1
		}
	}
	return name == len("52 00 00 00 00 00 00 00-00 00 00 00 00 00 00 00") && number > 0
}

// rounded widens extents to whole allocation units, and joins those that then touch.
func rounded(extents []blocks.Extent, capacity int64) []blocks.Extent {
	var wide []blocks.Extent
	for _, extent := range extents {
		start := extent.Start / allocationUnit * allocationUnit
		end := (extent.Start + extent.Length + allocationUnit - 1) / allocationUnit * allocationUnit
		end = min(end, capacity)
		if last := len(wide) - 1; last >= 0 && wide[last].Start+wide[last].Length >= start {
			wide[last].Length = end - wide[last].Start
			continue
		}
		wide = append(wide, blocks.Extent{Start: start, Length: end - start})
	}
	return wide
}

// page is the answer from start on: no more areas than the limit. Its length ends where the next
// page begins, and may hold no area at all.
func (l *Lab) page(areas []blocks.Extent, start, capacity int64) types.DiskChangeInfo {
	info := types.DiskChangeInfo{StartOffset: start, Length: capacity - start}
	limit := l.options.areasPage
	for _, area := range areas {
		from, end := max(area.Start, start), area.Start+area.Length
		if end <= start {
			continue
		}
		if len(info.ChangedArea) == limit {
			info.Length = from - start
			break
		}
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: from, Length: end - from})
	}
	return info
}

// spoil makes a page as wrong as was asked for.
func (m *machine) spoil(page *types.DiskChangeInfo, where spot, capacity int64) {
	if m.lab.faults.take("wrong_page", where) != nil {
		page.StartOffset += blocks.Size
		page.ChangedArea = append(page.ChangedArea, types.DiskChangeExtent{Start: capacity, Length: blocks.Size})
	}
	if m.lab.faults.take("zero_page", where) != nil {
		page.Length, page.ChangedArea = 0, nil
	}
	if m.lab.faults.find("empty_page", where) != nil && m.empty(page) {
		m.lab.faults.take("empty_page", where)
	}
}

// empty makes a page that reaches to its first area and holds none. A page that begins with an area
// cannot be empty without lying: it is cut after that area, so that the next one can.
func (m *machine) empty(page *types.DiskChangeInfo) bool {
	if len(page.ChangedArea) == 0 {
		return true
	}
	first := page.ChangedArea[0]
	if first.Start == page.StartOffset {
		page.ChangedArea = page.ChangedArea[:1]
		page.Length = first.Length
		return false
	}
	page.Length, page.ChangedArea = first.Start-page.StartOffset, nil
	return true
}

func (m *machine) spotOfDisk(key int32) spot {
	where := spot{vm: m.Name, disk: -1, host: m.lab.hostName(m.VirtualMachine)}
	for index, device := range m.virtualDisks() {
		if device.Key == key {
			where.disk = index
		}
	}
	return where
}
