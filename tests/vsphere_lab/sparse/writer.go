package sparse

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"sync"

	"hypersdk/vspherelab/blocks"

	"github.com/klauspost/compress/zlib"
)

// batchGrains are packed by one worker at a time; a grain table's grains are a multiple of it.
const batchGrains = 16

var zeros = make([]byte, grainSize)

// Source is a disk to write: its content, and which of its blocks (of one grain) may hold data.
type Source struct {
	io.ReaderAt
	Capacity  int64
	Allocated blocks.Bitmap
}

// batch is a run of grains on its way from the disk to the stream.
type batch struct {
	grains []int64
	packed bytes.Buffer
	starts []int // of the packed grains in packed; grains of zeros have -1
	err    error
	done   chan struct{}
}

// writer counts what goes out, since tables hold sector numbers of the stream.
type writer struct {
	out       io.Writer
	at        int64
	tables    []uint32 // sector of each grain table, 0 where all grains are zeros
	table     [tableEntries]uint32
	tableOf   int64
	populated int64
}

// Write sends a disk as streamOptimized VMDK named name; grains of zeros are left out.
// It gives back the bytes of all grains sent, unpacked.
func Write(out io.Writer, source Source, name string) (int64, error) {
	capacity := (source.Capacity + sector - 1) / sector * sector
	count := (capacity + grainSize - 1) / grainSize
	w := &writer{out: out, tables: make([]uint32, (count+tableEntries-1)/tableEntries)}
	if err := w.put(newHeader(capacity, directoryLate).bytes()); err != nil {
		return 0, err
	}
	if err := w.put(descriptor(capacity, name)); err != nil {
		return 0, err
	}
	stop := make(chan struct{})
	var workers sync.WaitGroup
	defer workers.Wait() // the source must not be read any more when this returns
	defer close(stop)
	for packed := range pack(source, stop, &workers) {
		<-packed.done
		if err := w.batch(packed); err != nil {
			return w.populated, err
		}
	}
	return w.populated, w.finish(capacity)
}

// pack gives batches in order, while several workers fill them.
func pack(source Source, stop <-chan struct{}, workers *sync.WaitGroup) <-chan *batch {
	count := runtime.GOMAXPROCS(0)
	ordered := make(chan *batch, 4*count)
	work := make(chan *batch, 4*count)
	for range count {
		workers.Go(func() {
			packer, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed)
			buffer := make([]byte, grainSize)
			for b := range work {
				select {
				case <-stop:
				default:
					b.err = b.fill(source, packer, buffer)
				}
				close(b.done)
			}
		})
	}
	go func() {
		defer close(ordered)
		defer close(work)
		next := source.Allocated.Next(0)
		for next >= 0 {
			b := &batch{done: make(chan struct{})}
			for edge := (next/batchGrains + 1) * batchGrains; next >= 0 && next < edge; {
				b.grains = append(b.grains, next)
				next = source.Allocated.Next(next + 1)
			}
			select {
			case work <- b:
			case <-stop:
				return
			}
			select {
			case ordered <- b:
			case <-stop:
				return
			}
		}
	}()
	return ordered
}

func (b *batch) fill(source Source, packer *zlib.Writer, buffer []byte) error {
	for _, grain := range b.grains {
		part := buffer[:min(grainSize, source.Capacity-grain*grainSize)]
		clear(buffer[len(part):])
		if _, err := source.ReadAt(part, grain*grainSize); err != nil {
			return err
		}
		if bytes.Equal(part, zeros[:len(part)]) {
			b.starts = append(b.starts, -1)
			continue
		}
		b.starts = append(b.starts, b.packed.Len())
		if err := b.grain(grain, packer, buffer); err != nil {
			return err
		}
	}
	return nil
}

// grain appends one grain with its marker, padded to a sector.
func (b *batch) grain(grain int64, packer *zlib.Writer, content []byte) error {
	start := b.packed.Len()
	b.packed.Write(zeros[:12])
	packer.Reset(&b.packed)
	if _, err := packer.Write(content); err != nil {
		return err
	}
	if err := packer.Close(); err != nil {
		return err
	}
	mark := b.packed.Bytes()[start:]
	binary.LittleEndian.PutUint64(mark, uint64(grain*grainSectors))
	binary.LittleEndian.PutUint32(mark[8:], uint32(len(mark)-12))
	b.packed.Write(zeros[:-len(mark)&(sector-1)])
	return nil
}

func (w *writer) put(packed []byte) error {
	w.at += int64(len(packed))
	_, err := w.out.Write(packed)
	return err
}

func (w *writer) batch(b *batch) error {
	if b.err != nil {
		return b.err
	}
	if of := b.grains[0] / tableEntries; of != w.tableOf {
		if err := w.flushTable(); err != nil {
			return err
		}
		w.tableOf = of
	}
	for index, start := range b.starts {
		if start >= 0 {
			w.table[b.grains[index]%tableEntries] = uint32((w.at + int64(start)) / sector)
			w.populated += grainSize
		}
	}
	return w.put(b.packed.Bytes())
}

// flushTable writes the grain table of the grains just sent, unless all were zeros.
func (w *writer) flushTable() error {
	if w.table == [tableEntries]uint32{} {
		return nil
	}
	packed := marker(tableEntries*4/sector, markerTable)
	w.tables[w.tableOf] = uint32(w.at/sector) + 1
	packed, _ = binary.Append(packed, binary.LittleEndian, w.table)
	w.table = [tableEntries]uint32{}
	return w.put(packed)
}

// finish writes directory, footer and end of stream.
func (w *writer) finish(capacity int64) error {
	if err := w.flushTable(); err != nil {
		return err
	}
	sectors := (len(w.tables)*4 + sector - 1) / sector
	place := uint64(w.at/sector) + 1
	packed := marker(uint64(sectors), markerDirectory)
	packed, _ = binary.Append(packed, binary.LittleEndian, w.tables)
	packed = append(packed, zeros[:-len(packed)&(sector-1)]...)
	packed = append(packed, marker(1, markerFooter)...)
	packed = append(packed, newHeader(capacity, place).bytes()...)
	return w.put(append(packed, marker(0, markerEnd)...))
}
