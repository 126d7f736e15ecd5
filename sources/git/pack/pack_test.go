package pack_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"

	"slipway.dev/slipway/sources/git/pack"
)

func run(t testing.TB, dir, in string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", args...)
	c.Dir = dir
	c.Stdin = strings.NewReader(in)
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

func open(t testing.TB, content []byte, limits pack.Limits) (*pack.Pack, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pack")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return pack.Open(f, limits)
}

// TestRealPacks reads what git itself packs, with both kinds of differences, and compares each object with what git says.
func TestRealPacks(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "", "init", "-q")
	for i := range 12 {
		var b strings.Builder
		for line := range 400 {
			fmt.Fprintf(&b, "line %d of a file that changes a little, now %d\n", line, max(line, i*30))
		}
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "", "add", ".")
		run(t, dir, "", "commit", "-q", "-m", "change")
	}
	run(t, dir, "", "tag", "-a", "v1", "-m", "tag")
	listed := run(t, dir, "", "cat-file", "--batch-check", "--batch-all-objects")
	for name, args := range map[string][]string{"offsets": {"--delta-base-offset"}, "hashes": nil} {
		t.Run(name, func(t *testing.T) {
			packed := run(t, dir, "", append([]string{"pack-objects", "--revs", "--all", "--stdout", "-q"}, args...)...)
			p, err := open(t, []byte(packed), pack.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(listed) {
				words := strings.Fields(line)
				h, err := pack.ParseHash(words[0])
				if err != nil {
					t.Fatal(err)
				}
				typ, content, err := p.Get(h)
				if err != nil || typ.String() != words[1] || string(content) != run(t, dir, "", "cat-file", words[1], words[0]) {
					t.Errorf("%s: %v, %d bytes, %v", words, typ, len(content), err)
				}
				if size, err := p.Size(h); err != nil || fmt.Sprint(size) != words[2] {
					t.Errorf("size of %s is %d, %v", words, size, err)
				}
			}
		})
	}
}

// object is one entry of a pack made by hand.
func object(typ, size int, content []byte) []byte {
	first := byte(typ<<4 | size&15)
	size >>= 4
	var out []byte
	for size > 0 {
		out = append(out, first|0x80)
		first = byte(size & 0x7f)
		size >>= 7
	}
	out = append(out, first)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(content)
	_ = w.Close()
	return append(out, z.Bytes()...)
}

func packOf(count int, objects ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(count))
	b = append(b, bytes.Join(objects, nil)...)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

func varint(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func delta(typ int, base []byte, from, to int, ops ...byte) []byte {
	d := append(append(varint(from), varint(to)...), ops...)
	o := object(typ, len(d), d)
	at := 0
	for o[at]&0x80 != 0 {
		at++
	}
	return append(append(bytes.Clone(o[:at+1]), base...), o[at+1:]...)
}

func TestHostilePacks(t *testing.T) {
	blob := object(3, 5, []byte("hello"))
	small := pack.Limits{Objects: 10, Object: 1 << 20, Inflated: 4 << 20}
	back := []byte{byte(len(blob))}
	zeros := make([]byte, 3<<20)
	bad := packOf(1, blob)
	bad[len(bad)-1] ^= 1
	tests := map[string]struct {
		content []byte
		want    error
	}{
		"empty":                    {nil, pack.ErrMalformed},
		"no pack":                  {[]byte(strings.Repeat("<html>", 20)), pack.ErrMalformed},
		"cut off":                  {packOf(1, blob)[:20], pack.ErrMalformed},
		"wrong checksum":           {bad, pack.ErrMalformed},
		"fewer objects than said":  {packOf(2, blob), pack.ErrMalformed},
		"more objects than said":   {packOf(1, blob, blob), pack.ErrMalformed},
		"billions of objects":      {packOf(1 << 31), pack.ErrTooLarge},
		"longer than said":         {packOf(1, object(3, 4, []byte("hello"))), pack.ErrMalformed},
		"shorter than said":        {packOf(1, object(3, 6, []byte("hello"))), pack.ErrMalformed},
		"unknown type":             {packOf(1, object(5, 5, []byte("hello"))), pack.ErrMalformed},
		"type zero":                {packOf(1, object(0, 5, []byte("hello"))), pack.ErrMalformed},
		"bomb":                     {packOf(2, object(3, len(zeros), zeros), object(3, len(zeros), zeros)), pack.ErrTooLarge},
		"size of an exabyte":       {packOf(1, object(3, 1<<59, []byte("x"))), pack.ErrTooLarge},
		"size without an end":      {packOf(1, bytes.Repeat([]byte{0xff}, 30)), pack.ErrMalformed},
		"difference to nothing":    {packOf(1, delta(7, make([]byte, 20), 5, 5, 0x90, 5)), pack.ErrMalformed},
		"difference to before":     {packOf(1, delta(6, []byte{0x7f}, 5, 5, 0x90, 5)), pack.ErrMalformed},
		"difference to itself":     {packOf(1, delta(6, []byte{0}, 5, 5, 0x90, 5)), pack.ErrMalformed},
		"base of another size":     {packOf(2, blob, delta(6, back, 6, 5, 0x90, 5)), pack.ErrMalformed},
		"copies past the end":      {packOf(2, blob, delta(6, back, 5, 9, 0x90, 9)), pack.ErrMalformed},
		"copies from far away":     {packOf(2, blob, delta(6, back, 5, 1, 0x9f, 255, 255, 255, 255, 1)), pack.ErrMalformed},
		"makes more than said":     {packOf(2, blob, delta(6, back, 5, 4, 0x90, 5)), pack.ErrMalformed},
		"makes less than said":     {packOf(2, blob, delta(6, back, 5, 6, 0x90, 5)), pack.ErrMalformed},
		"reserved instruction":     {packOf(2, blob, delta(6, back, 5, 5, 0)), pack.ErrMalformed},
		"insertion past the end":   {packOf(2, blob, delta(6, back, 5, 5, 100, 'x')), pack.ErrMalformed},
		"copy without its offsets": {packOf(2, blob, delta(6, back, 5, 5, 0xff, 1)), pack.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := open(t, test.content, small); !errors.Is(err, test.want) {
				t.Errorf("Open() = %v, want %v", err, test.want)
			}
		})
	}
}

// TestDeltaBomb: each difference doubles its base, so that a few hundred bytes ask for more than the limit.
func TestDeltaBomb(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1<<12)
	objects := [][]byte{object(3, len(content), content)}
	for size := len(content); size < 1<<19; size *= 2 {
		op := []byte{0xb0, byte(size), byte(size >> 8)}
		if size > 0xffff {
			op = []byte{0xf0, byte(size), byte(size >> 8), byte(size >> 16)}
		}
		objects = append(objects, delta(6, []byte{byte(len(objects[len(objects)-1]))}, size, 2*size, append(bytes.Clone(op), op...)...))
	}
	whole := packOf(len(objects), objects...)
	if _, err := open(t, whole, pack.Limits{Objects: 100, Object: 1 << 20, Inflated: 16 << 20}); err != nil {
		t.Fatalf("within the limits: %v", err)
	}
	if _, err := open(t, whole, pack.Limits{Objects: 100, Object: 1 << 20, Inflated: 1 << 19}); !errors.Is(err, pack.ErrTooLarge) {
		t.Errorf("beyond them: %v, want ErrTooLarge", err)
	}
	p, err := open(t, whole, pack.Limits{Objects: 100, Object: 1 << 18, Inflated: 16 << 20})
	if err != nil {
		t.Fatalf("with an object that is too large: %v", err)
	}
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", 1<<19), bytes.Repeat([]byte("x"), 1<<19)...))
	if p.Has(pack.Hash(sum)) {
		t.Error("an object beyond the limit can be read")
	}
}

func FuzzOpen(f *testing.F) {
	blob := object(3, 5, []byte("hello"))
	f.Add(packOf(1, blob))
	f.Add(packOf(2, blob, delta(6, []byte{byte(len(blob))}, 5, 5, 0x90, 5)))
	f.Add(packOf(1, delta(7, make([]byte, 20), 5, 5, 0x90, 5)))
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 20 { // let the fuzzer get past the checksum
			sum := sha1.Sum(content[:len(content)-20])
			copy(content[len(content)-20:], sum[:])
		}
		p, err := open(t, content, pack.Limits{Objects: 1000, Object: 1 << 16, Inflated: 1 << 20})
		if err != nil {
			if !errors.Is(err, pack.ErrMalformed) && !errors.Is(err, pack.ErrTooLarge) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		err = p.Hashes(func(h pack.Hash, typ pack.Type) error {
			got, b, err := p.Get(h)
			if err != nil || got != typ {
				t.Fatalf("%s: %v, %v", h, got, err)
			}
			if want := pack.Hash(sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", typ, len(b)), b...))); want != h {
				t.Fatalf("the object of %s hashes to %s", h, want)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
