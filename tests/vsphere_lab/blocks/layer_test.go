package blocks

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func content(t *testing.T, layer *Layer) []byte {
	t.Helper()
	read := make([]byte, layer.Capacity)
	if _, err := layer.ReadAt(read, 0); err != nil {
		t.Fatal(err)
	}
	return read
}

func write(t *testing.T, layer *Layer, text string, offset int64) {
	t.Helper()
	if _, err := layer.WriteAt([]byte(text), offset); err != nil {
		t.Fatal(err)
	}
}

func TestALayerShowsWhatIsBelow(t *testing.T) {
	store := NewStore(t.TempDir())
	base := store.Blank(4*Size + 10)
	write(t, base, "base", Size-2)
	over := store.Over(base, base.Capacity)
	write(t, over, "over", Size)
	expected := make([]byte, base.Capacity)
	copy(expected[Size-2:], "ba")
	copy(expected[Size:], "over")
	if !bytes.Equal(content(t, over), expected) {
		t.Error("the layer does not show its own blocks over its parent's")
	}
	if got := content(t, base)[Size-2 : Size+2]; string(got) != "base" {
		t.Errorf("the parent changed: %q", got)
	}
	if got := over.Allocated().Extents(over.Capacity); len(got) != 1 || got[0] != (Extent{0, 2 * Size}) {
		t.Errorf("allocated: %v", got)
	}
}

func TestALayerNobodyHoldsIsMerged(t *testing.T) {
	folder := t.TempDir()
	store := NewStore(folder)
	base := store.Blank(4 * Size)
	write(t, base, "base", 0)
	over := store.Over(base, base.Capacity)
	write(t, over, "over", 2*Size)
	before := content(t, over)
	if err := store.Release(base); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, over), before) || over.parent != nil {
		t.Error("the merge changed the content, or did not happen")
	}
	if err := store.Release(over); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) != 0 {
		t.Errorf("files were left: %v", left)
	}
}

func TestALayerWithTwoOverItStays(t *testing.T) {
	store := NewStore(t.TempDir())
	base := store.Blank(2 * Size)
	write(t, base, "base", 0)
	left, right := store.Over(base, 2*Size), store.Over(base, 2*Size)
	write(t, left, "left", 0)
	if err := store.Release(base); err != nil {
		t.Fatal(err)
	}
	if string(content(t, right)[:4]) != "base" || string(content(t, left)[:4]) != "left" {
		t.Error("branches are mixed up")
	}
}

func TestASparseFileBecomesALayer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.raw")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte("data"), 100*Size); err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(1 << 30); err != nil {
		t.Fatal(err)
	}
	layer, err := NewStore(t.TempDir()).Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if layer.Allocated().Count() != 1 || layer.Capacity != 1<<30 {
		t.Errorf("%d blocks of %d bytes", layer.Allocated().Count(), layer.Capacity)
	}
	grown := NewStore(t.TempDir()).Over(layer, 2<<30)
	write(t, grown, "end", 2<<30-3)
}
