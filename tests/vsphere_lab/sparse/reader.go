package sparse

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// largestGrain bounds a packed grain: deflate never makes content much larger.
const largestGrain = 2 * grainSize

// ErrNotSparse says that a stream does not begin like a streamOptimized VMDK.
var ErrNotSparse = errors.New("not a streamOptimized VMDK")

// Capacity of the disk in a stream, in bytes, without taking anything from it.
func Capacity(stream *bufio.Reader) (int64, error) {
	first, err := stream.Peek(sector)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotSparse, err)
	}
	h, err := parseHeader(first)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotSparse, err)
	}
	return int64(h.Capacity) * sector, nil
}

// Read unpacks a stream into a disk, up to its end-of-stream marker; a cut stream is an error.
func Read(stream *bufio.Reader, disk io.WriterAt) (capacity int64, err error) {
	if capacity, err = Capacity(stream); err != nil {
		return 0, err
	}
	first, _ := stream.Peek(sector)
	h, _ := parseHeader(first)
	if _, err := stream.Discard(int(h.Overhead) * sector); err != nil {
		return capacity, err
	}
	r := &reader{stream: stream, disk: disk, capacity: capacity}
	for {
		more, err := r.marker()
		if err != nil {
			return capacity, fmt.Errorf("broken stream: %w", err)
		}
		if !more {
			return capacity, nil
		}
	}
}

type reader struct {
	stream   *bufio.Reader
	disk     io.WriterAt
	capacity int64
	packed   [largestGrain]byte
	content  [grainSize]byte
}

// marker takes one marker and what belongs to it; false at the end of the stream.
func (r *reader) marker() (bool, error) {
	head := r.packed[:sector]
	if _, err := io.ReadFull(r.stream, head); err != nil {
		return false, err
	}
	value := binary.LittleEndian.Uint64(head)
	size := binary.LittleEndian.Uint32(head[8:])
	if size > 0 {
		return true, r.grain(int64(value)*sector, int(size))
	}
	switch kind := binary.LittleEndian.Uint32(head[12:]); kind {
	case markerEnd:
		return false, nil
	case markerTable, markerDirectory, markerFooter:
		_, err := io.CopyN(io.Discard, r.stream, int64(value)*sector)
		return true, err
	default:
		return false, fmt.Errorf("marker of unknown type %d", kind)
	}
}

func (r *reader) grain(offset int64, size int) error {
	if size+12 > largestGrain || offset < 0 || offset >= r.capacity || offset%grainSize != 0 {
		return fmt.Errorf("grain of %d bytes at %d is out of bounds", size, offset)
	}
	rest := (size + 12 + sector - 1) / sector * sector
	if _, err := io.ReadFull(r.stream, r.packed[sector:rest]); err != nil {
		return err
	}
	unpacker, err := zlib.NewReader(bytes.NewReader(r.packed[12 : 12+size]))
	if err != nil {
		return err
	}
	if _, err := io.ReadFull(unpacker, r.content[:]); err != nil {
		return fmt.Errorf("grain at %d: %w", offset, err)
	}
	_, err = r.disk.WriteAt(r.content[:min(grainSize, r.capacity-offset)], offset)
	return err
}
