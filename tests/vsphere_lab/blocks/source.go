package blocks

import (
	"errors"
	"io"
	"os"
	"syscall"
)

const (
	seekData = 3 // SEEK_DATA of lseek(2)
	seekHole = 4 // SEEK_HOLE
	// Sources with less data than this are copied, so that their owner may reuse the file.
	copyLimit = 128 << 20
)

// Open is a layer with the content of a raw file. A file with much data is used as it is, and must
// not be changed; a smaller one is copied.
func (s *Store) Open(path string) (*Layer, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	information, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	layer := s.Blank(information.Size())
	if layer.has, err = dataOf(file, layer.Capacity); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if layer.has.Count()*Size > copyLimit {
		layer.file, layer.owned = file, false
		return layer, nil
	}
	return layer, errors.Join(layer.copyFrom(file), file.Close())
}

// Import is a layer whose content is written by others into the file given back, from now on ours.
func (s *Store) Import(path string) (*Layer, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	information, err := file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	layer := s.Blank(information.Size())
	layer.file = file
	layer.has, err = dataOf(file, layer.Capacity)
	return layer, err
}

func (l *Layer) copyFrom(file *os.File) error {
	has := l.has
	l.has = NewBitmap(l.Capacity)
	l.store.mu.Lock()
	defer l.store.mu.Unlock()
	buffer := make([]byte, Size)
	for block := has.Next(0); block >= 0; block = has.Next(block + 1) {
		part := buffer[:min(Size, l.Capacity-block*Size)]
		if _, err := file.ReadAt(part, block*Size); err != nil && err != io.EOF {
			return err
		}
		if err := l.writeOwn(part, block*Size); err != nil {
			return err
		}
	}
	return nil
}

// dataOf marks the blocks of a sparse file that hold data.
func dataOf(file *os.File, capacity int64) (Bitmap, error) {
	has := NewBitmap(capacity)
	for at := int64(0); at < capacity; {
		start, err := file.Seek(at, seekData)
		if errors.Is(err, syscall.ENXIO) {
			return has, nil
		}
		if err != nil {
			return nil, err
		}
		end, err := file.Seek(start, seekHole)
		if err != nil {
			return nil, err
		}
		for block := start / Size; block*Size < min(end, capacity); block++ {
			has.Set(block)
		}
		at = end
	}
	return has, nil
}
