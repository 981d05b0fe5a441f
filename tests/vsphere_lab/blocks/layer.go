// Package blocks keeps the contents of disks as layers of blocks, each over its parent, so that a
// snapshot or a clone of a disk of any size takes no time and no room until something is written.
package blocks

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Size of a block in bytes: the unit in which layers differ from their parents, and also what
// vSphere's change tracking was seen to report.
const Size = 64 << 10

// Layer holds the blocks written into it; all others are its parent's, or zeros.
//
// A layer lives while somebody holds it or while another layer lies over it.
type Layer struct {
	Capacity int64

	store  *Store
	parent *Layer
	file   *os.File // nil until something is written
	owned  bool     // the file is ours to write and to delete
	has    Bitmap   // nil until something is written
	// Blocks among them that the guest has unmapped: zeros that take no room.
	holes    Bitmap
	writes   int64 // how often the content changed
	holders  int
	children map[*Layer]bool
}

// Store makes layers and keeps them consistent; its one lock guards all of them.
type Store struct {
	mu     sync.RWMutex
	folder string
	made   int
}

// NewStore keeps the files of layers in this folder.
func NewStore(folder string) *Store { return &Store{folder: folder} }

// Blank is a layer of zeros, held once.
func (s *Store) Blank(capacity int64) *Layer {
	return &Layer{
		Capacity: capacity, store: s, owned: true, holders: 1,
		children: map[*Layer]bool{},
	}
}

// Over is an empty layer over parent, held once. It may be larger than its parent.
func (s *Store) Over(parent *Layer, capacity int64) *Layer {
	layer := s.Blank(capacity)
	s.mu.Lock()
	defer s.mu.Unlock()
	layer.parent = parent
	parent.children[layer] = true
	return layer
}

// Hold keeps a layer until it is released as often.
func (s *Store) Hold(layer *Layer) *Layer {
	s.mu.Lock()
	defer s.mu.Unlock()
	layer.holders++
	return layer
}

// Release gives a layer back. A layer nobody holds is merged into the only layer over it, or goes.
func (s *Store) Release(layer *Layer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	layer.holders--
	return s.settle(layer)
}

func (s *Store) settle(layer *Layer) error {
	if layer == nil || layer.holders > 0 || len(layer.children) > 1 {
		return nil
	}
	if len(layer.children) == 0 {
		layer.discard()
		parent := layer.parent
		if parent != nil {
			delete(parent.children, layer)
		}
		return s.settle(parent)
	}
	for child := range layer.children {
		return child.absorb(layer)
	}
	return nil
}

// absorb takes over what the layer below holds, by writing the own (fewer) blocks into its file.
// A file that is not ours stays below, hidden: it is never written.
func (l *Layer) absorb(below *Layer) error {
	if !below.owned || below.Capacity > l.Capacity {
		return nil
	}
	buffer := make([]byte, Size)
	for block := l.has.Next(0); block >= 0; block = l.has.Next(block + 1) {
		part := buffer[:min(Size, l.Capacity-block*Size)]
		if err := l.readOwn(part, block*Size); err != nil {
			return err
		}
		if err := below.writeOwn(part, block*Size); err != nil {
			return err
		}
	}
	l.discard()
	if l.has == nil {
		l.has = NewBitmap(l.Capacity)
	}
	l.has.Merge(below.has)
	if below.holes != nil { // without those that were written above
		if l.holes == nil {
			l.holes = NewBitmap(l.Capacity)
		}
		l.holes.Merge(below.holes)
	}
	l.file, l.parent = below.file, below.parent
	if l.parent != nil {
		delete(l.parent.children, below)
		l.parent.children[l] = true
	}
	return nil
}

func (l *Layer) discard() {
	if l.file == nil {
		return
	}
	name := l.file.Name()
	_ = l.file.Close()
	if l.owned {
		_ = os.Remove(name)
	}
	l.file = nil
}

// ReadAt fills p with the content at off; past the capacity it is an error.
func (l *Layer) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > l.Capacity {
		return 0, io.ErrUnexpectedEOF
	}
	l.store.mu.RLock()
	defer l.store.mu.RUnlock()
	for done := 0; done < len(p); {
		at := off + int64(done)
		owner, length := l.run(at, int64(len(p)-done))
		part := p[done : done+int(length)]
		if owner == nil {
			clear(part)
		} else if err := owner.readOwn(part, at); err != nil {
			return done, err
		}
		done += int(length)
	}
	return len(p), nil
}

// run is the layer that has the bytes at off, and for how long the following blocks are its too.
func (l *Layer) run(off, limit int64) (*Layer, int64) {
	owner := l.owner(off / Size)
	end := (off/Size + 1) * Size
	for end < off+limit && l.owner(end/Size) == owner {
		end += Size
	}
	return owner, min(end-off, limit)
}

func (l *Layer) owner(block int64) *Layer {
	for layer := l; layer != nil; layer = layer.parent {
		if layer.has.Has(block) {
			return layer
		}
	}
	return nil
}

func (l *Layer) readOwn(p []byte, off int64) error {
	count, err := l.file.ReadAt(p, off)
	if err == io.EOF {
		clear(p[count:]) // the file ends in a hole
		return nil
	}
	return err
}

// WriteAt writes into this layer; blocks written in part are completed from below.
func (l *Layer) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > l.Capacity {
		return 0, fmt.Errorf("write of %d bytes at %d into a disk of %d", len(p), off, l.Capacity)
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	for _, block := range []int64{off / Size, (off + int64(len(p)) - 1) / Size} {
		if err := l.complete(block); err != nil {
			return 0, err
		}
	}
	l.writes++
	return len(p), l.writeOwn(p, off)
}

// Writes is how often the content was changed: equal numbers mean equal content.
func (l *Layer) Writes() int64 {
	l.store.mu.RLock()
	defer l.store.mu.RUnlock()
	return l.writes
}

// complete copies a block from below, unless it is here already.
func (l *Layer) complete(block int64) error {
	if l.has.Has(block) {
		return nil
	}
	part := make([]byte, min(Size, l.Capacity-block*Size))
	if owner := l.owner(block); owner != nil {
		if err := owner.readOwn(part, block*Size); err != nil {
			return err
		}
	}
	return l.writeOwn(part, block*Size)
}

func (l *Layer) writeOwn(p []byte, off int64) error {
	if l.file == nil {
		if err := l.create(); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(p, off); err != nil {
		return err
	}
	if l.has == nil {
		l.has = NewBitmap(l.Capacity)
	}
	for block := off / Size; block*Size < off+int64(len(p)); block++ {
		l.has.Set(block)
		if l.holes != nil {
			l.holes.Clear(block)
		}
	}
	return nil
}

// Unmap makes an area zeros; its whole blocks are not allocated any more.
func (l *Layer) Unmap(off, length int64) error {
	if _, err := l.WriteAt(make([]byte, length), off); err != nil {
		return err
	}
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	if l.holes == nil {
		l.holes = NewBitmap(l.Capacity)
	}
	for block := (off + Size - 1) / Size; (block+1)*Size <= off+length; block++ {
		l.holes.Set(block)
	}
	return nil
}

func (l *Layer) create() error {
	l.store.made++
	name := filepath.Join(l.store.folder, fmt.Sprintf("layer-%d.raw", l.store.made))
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	l.file = file
	return err
}

// Allocated marks the blocks that any layer down to the base holds, but for those unmapped since.
func (l *Layer) Allocated() Bitmap {
	l.store.mu.RLock()
	defer l.store.mu.RUnlock()
	all, seen := NewBitmap(l.Capacity), NewBitmap(l.Capacity)
	for layer := l; layer != nil; layer = layer.parent {
		for block := layer.holes.Next(0); block >= 0; block = layer.holes.Next(block + 1) {
			if !seen.Has(block) {
				seen.Set(block) // decided here: what is below does not count
			}
		}
		for block := layer.has.Next(0); block >= 0; block = layer.has.Next(block + 1) {
			if !seen.Has(block) {
				seen.Set(block)
				all.Set(block)
			}
		}
	}
	return all
}
