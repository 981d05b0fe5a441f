package blocks

import "math/bits"

// Bitmap marks blocks of a disk, one bit for each block.
type Bitmap []uint64

// NewBitmap has room for the blocks of a disk of this many bytes.
func NewBitmap(capacity int64) Bitmap {
	count := (capacity + Size - 1) / Size
	return make(Bitmap, (count+63)/64)
}

// Has tells whether a block is marked; blocks past the end never are.
func (b Bitmap) Has(block int64) bool {
	word := block / 64
	return word < int64(len(b)) && b[word]&(1<<(uint(block)%64)) != 0
}

// Set marks a block.
func (b Bitmap) Set(block int64) { b[block/64] |= 1 << (uint(block) % 64) }

// Clear takes a mark away.
func (b Bitmap) Clear(block int64) { b[block/64] &^= 1 << (uint(block) % 64) }

// Merge marks every block that other marks and b has room for.
func (b Bitmap) Merge(other Bitmap) {
	for word := range min(len(b), len(other)) {
		b[word] |= other[word]
	}
}

// Count is how many blocks are marked.
func (b Bitmap) Count() int64 {
	total := 0
	for _, word := range b {
		total += bits.OnesCount64(word)
	}
	return int64(total)
}

// Next is the first marked block at or after from, or -1.
func (b Bitmap) Next(from int64) int64 {
	word := from / 64
	if word >= int64(len(b)) {
		return -1
	}
	current := b[word] >> (uint(from) % 64)
	if current != 0 {
		return from + int64(bits.TrailingZeros64(current))
	}
	for word++; word < int64(len(b)); word++ {
		if b[word] != 0 {
			return word*64 + int64(bits.TrailingZeros64(b[word]))
		}
	}
	return -1
}

// Extents are the runs of marked blocks, in bytes, clipped to the capacity.
func (b Bitmap) Extents(capacity int64) []Extent {
	var found []Extent
	for block := b.Next(0); block >= 0; {
		end := block
		for b.Has(end) {
			end++
		}
		stop := min(end*Size, capacity)
		found = append(found, Extent{Start: block * Size, Length: stop - block*Size})
		block = b.Next(end)
	}
	return found
}

// Extent is a run of bytes of a disk.
type Extent struct{ Start, Length int64 }
