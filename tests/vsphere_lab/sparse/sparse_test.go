package sparse

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"hypersdk/vspherelab/blocks"
)

func disk(t testing.TB, capacity int64) Source {
	t.Helper()
	layer := blocks.NewStore(t.TempDir()).Blank(capacity)
	random := rand.NewChaCha8([32]byte{})
	noise := make([]byte, 3*grainSize)
	_, _ = random.Read(noise)
	for _, offset := range []int64{0, 40 * grainSize, 513*grainSize + 7, capacity - int64(len(noise))} {
		if _, err := layer.WriteAt(noise, offset); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := layer.WriteAt(make([]byte, grainSize), 100*grainSize); err != nil {
		t.Fatal(err)
	}
	return Source{ReaderAt: layer, Capacity: capacity, Allocated: layer.Allocated()}
}

func TestAStreamComesBack(t *testing.T) {
	source := disk(t, 1100*grainSize+sector)
	var stream bytes.Buffer
	populated, err := Write(&stream, source, "disk.vmdk")
	if err != nil {
		t.Fatal(err)
	}
	if populated != 14*grainSize {
		t.Errorf("%d bytes of grains", populated)
	}
	back := blocks.NewStore(t.TempDir()).Blank(source.Capacity)
	if _, err := Read(bufio.NewReader(&stream), back); err != nil {
		t.Fatal(err)
	}
	before, after := make([]byte, source.Capacity), make([]byte, source.Capacity)
	_, _ = source.ReadAt(before, 0)
	_, _ = back.ReadAt(after, 0)
	if !bytes.Equal(before, after) {
		t.Error("the disk is another")
	}
}

func TestACutStreamIsAnError(t *testing.T) {
	source := disk(t, 1100*grainSize)
	var stream bytes.Buffer
	if _, err := Write(&stream, source, "disk.vmdk"); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{0, 100, 65536, stream.Len() / 2, stream.Len() - sector} {
		back := blocks.NewStore(t.TempDir()).Blank(source.Capacity)
		cut := bufio.NewReader(bytes.NewReader(stream.Bytes()[:length]))
		if _, err := Read(cut, back); err == nil {
			t.Errorf("%d bytes were taken for the whole disk", length)
		}
	}
}

func TestAWriterThatFailsEndsTheStream(t *testing.T) {
	reader, writer := io.Pipe()
	_ = reader.Close()
	if _, err := Write(writer, disk(t, 1100*grainSize), "disk.vmdk"); err == nil {
		t.Error("the failure was lost")
	}
}

func BenchmarkWrite(b *testing.B) {
	source := disk(b, 1100*grainSize)
	b.SetBytes(source.Capacity)
	for b.Loop() {
		if _, err := Write(io.Discard, source, "disk.vmdk"); err != nil {
			b.Fatal(err)
		}
	}
}
