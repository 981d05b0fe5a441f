// Package sparse writes and reads streamOptimized VMDKs: the form in which vSphere sends disks out
// and takes them in (VMware's "Virtual Disk Format 5.0", sections on stream-optimized extents).
package sparse

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	sector        = 512
	grainSize     = 64 << 10
	grainSectors  = grainSize / sector
	tableEntries  = 512 // grains a grain table points to
	overhead      = 128 // sectors before the first marker
	flags         = 0x30001
	directoryLate = ^uint64(0) // the directory's place stands in the footer

	markerEnd       = 0
	markerTable     = 1
	markerDirectory = 2
	markerFooter    = 3
)

var magic = [4]byte{'K', 'D', 'M', 'V'}

// header is a sparse extent's header, which is also its footer.
type header struct {
	Magic            [4]byte
	Version          uint32
	Flags            uint32
	Capacity         uint64 // this and the following in sectors
	GrainSize        uint64
	DescriptorOffset uint64
	DescriptorSize   uint64
	TableEntries     uint32
	RedundantOffset  uint64
	DirectoryOffset  uint64
	Overhead         uint64
	Unclean          uint8
	LineEnds         [4]byte
	Compression      uint16
	_                [433]byte
}

func newHeader(capacity int64, directory uint64) header {
	return header{
		Magic: magic, Version: 3, Flags: flags, Capacity: uint64(capacity / sector),
		GrainSize: grainSectors, DescriptorOffset: 1, DescriptorSize: 20,
		TableEntries: tableEntries, DirectoryOffset: directory, Overhead: overhead,
		LineEnds: [4]byte{'\n', ' ', '\r', '\n'}, Compression: 1,
	}
}

func (h header) bytes() []byte {
	packed, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err) // a fixed structure always packs
	}
	return packed
}

func parseHeader(packed []byte) (header, error) {
	var h header
	if _, err := binary.Decode(packed, binary.LittleEndian, &h); err != nil {
		return h, err
	}
	if h.Magic != magic {
		return h, errors.New("no VMDK: the magic number is missing")
	}
	if h.Flags&flags != flags || h.GrainSize != grainSectors || h.Compression != 1 {
		return h, fmt.Errorf("no streamOptimized VMDK: flags %#x, grain %d", h.Flags, h.GrainSize)
	}
	if h.Overhead < 1 || h.Overhead > 1<<16 || h.Capacity > 1<<40 {
		return h, fmt.Errorf("overhead %d or capacity %d out of bounds", h.Overhead, h.Capacity)
	}
	return h, nil
}

func marker(value uint64, kind uint32) []byte {
	packed := make([]byte, sector)
	binary.LittleEndian.PutUint64(packed, value)
	binary.LittleEndian.PutUint32(packed[12:], kind)
	return packed
}

func descriptor(capacity int64, name string) []byte {
	text := fmt.Sprintf(`# Disk DescriptorFile
version=1
CID=%08x
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RDONLY %d SPARSE "%s"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "%d"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.virtualHWVersion = "20"
`, uint32(capacity/sector)*2654435761, capacity/sector, name, capacity/sector/(255*63))
	padded := make([]byte, (overhead-1)*sector)
	copy(padded, text)
	return padded
}
