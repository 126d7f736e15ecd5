package importer

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"slipway.dev/slipway/dvcr/foreign"
)

// TestSniffRealFileSystems makes file systems with the real tools.
func TestSniffRealFileSystems(t *testing.T) {
	tools := map[string][]string{
		"ext4":       {"mkfs.ext4", "-q", "-F"},
		"ext2":       {"mkfs.ext2", "-q", "-F"},
		"swap space": {"mkswap"},
	}
	for name, tool := range tools {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(path, make([]byte, 4<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			bin, err := exec.LookPath(tool[0])
			if err != nil {
				bin = filepath.Join("/usr/sbin", tool[0])
			}
			if out, err := exec.Command(bin, append(tool[1:], path)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %v\n%s", tool, err, out)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if format, err := sniffFormat(b[:sniffSize]); format != FormatRaw || err != nil {
				t.Errorf("%s is taken for %q (%v)", name, format, err)
			}
		})
	}
}

func TestSniffMarks(t *testing.T) {
	put := func(off int, mark string) []byte {
		b := make([]byte, sniffSize)
		copy(b[off:], mark)
		return b
	}
	sector := func(edit func([]byte)) []byte {
		b := make([]byte, sniffSize)
		b[510], b[511] = 0x55, 0xaa
		edit(b)
		return b
	}
	cases := map[string]struct {
		head   []byte
		format string
		want   error
		says   string
	}{
		"GPT":                   {head: put(512, "EFI PART"), format: FormatRaw},
		"GPT of 4k sectors":     {head: put(4096, "EFI PART"), format: FormatRaw},
		"XFS":                   {head: put(0, "XFSB"), format: FormatRaw},
		"btrfs":                 {head: put(0x10040, "_BHRfS_M"), format: FormatRaw},
		"LVM":                   {head: put(512, "LABELONE"), format: FormatRaw},
		"LUKS":                  {head: put(0, "LUKS\xba\xbe"), format: FormatRaw},
		"MBR":                   {head: sector(func(b []byte) { b[446] = 0x80 }), format: FormatRaw},
		"FAT":                   {head: sector(func(b []byte) { b[0] = 0xeb; b[446] = 7 }), format: FormatRaw},
		"UDF":                   {head: put(0x8001, "BEA01"), format: FormatISO},
		"qcow2":                 {head: put(0, "QFI\xfb"), format: FormatQCOW2},
		"signature by accident": {head: sector(func(b []byte) { b[446] = 'x' }), want: ErrNotDiskImage},
		"VMDK descriptor":       {head: []byte("# Disk DescriptorFile\nversion=1"), format: foreign.VMDK},
		"VHD":                   {head: put(0, "conectix"), format: foreign.VHD},
		"VMDK of ESXi":          {head: put(0, "\xca\xfe\xba\xbe\x00\x00\x00\x02"), want: ErrUnsupported, says: "SESparse"},
		"Java class":            {head: put(0, "\xca\xfe\xba\xbe\x00\x00\x00\x34"), want: ErrNotDiskImage, says: "Java"},
		"Parallels":             {head: put(0, "WithoutFreeSpace"), want: ErrUnsupported, says: "Parallels"},
		"JSON":                  {head: []byte(`{"error":"denied"}`), want: ErrNotDiskImage, says: "JSON"},
		"XML":                   {head: []byte(`<?xml version="1.0"?><Error/>`), want: ErrNotDiskImage, says: "XML"},
		"HTML without doctype":  {head: []byte("\n <HTML><body>"), want: ErrNotDiskImage, says: "web page"},
		"HTML after a comment":  {head: []byte("<!-- x --><head>"), want: ErrNotDiskImage, says: "web page"},
		"tar":                   {head: put(257, "ustar"), want: ErrNotDiskImage, says: "tar"},
		"ELF":                   {head: put(0, "\x7fELF"), want: ErrNotDiskImage, says: "ELF"},
		"text in UTF-8":         {head: []byte(strings.Repeat("grüße ", 300)), want: ErrNotDiskImage, says: "text"},
		"short":                 {head: []byte{1, 2, 3}, want: ErrNotDiskImage, says: "010203"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			format, err := sniffFormat(c.head)
			if format != c.format || !errors.Is(err, c.want) {
				t.Errorf("taken for %q (%v), want %q (%v)", format, err, c.format, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not speak of %q", err, c.says)
			}
		})
	}
}

func TestSniffCompression(t *testing.T) {
	cases := map[string]struct {
		head []byte
		kind string
		want error
	}{
		"gzip":           {head: []byte("\x1f\x8b\x08"), kind: "gzip"},
		"xz":             {head: []byte("\xfd7zXZ\x00"), kind: "xz"},
		"zstd":           {head: []byte("\x28\xb5\x2f\xfd"), kind: "zstd"},
		"skippable zstd": {head: []byte("\x5e\x2a\x4d\x18"), kind: "zstd"},
		"bzip2":          {head: []byte("BZh9"), want: ErrUnsupported},
		"LZ4":            {head: []byte("\x04\x22\x4d\x18"), want: ErrUnsupported},
		"nothing":        {want: errPlain},
		"plain":          {head: []byte("\xeb\x63\x90"), want: errPlain},
	}
	for name, c := range cases {
		if kind, err := sniffCompression(c.head); kind != c.kind || !errors.Is(err, c.want) {
			t.Errorf("%s is taken for %q (%v)", name, kind, err)
		}
	}
}

func TestXZDictionary(t *testing.T) {
	head := []byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00")
	if got := xzDictionary(head); got != 8<<20 {
		t.Errorf("the dictionary of \"xz -6\" is read as %d bytes", got)
	}
	head[16] = 40
	if got := xzDictionary(head); got != 1<<32-1 {
		t.Errorf("the largest dictionary is read as %d bytes", got)
	}
	for n := range head {
		xzDictionary(head[:n])
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("<html>"))
	f.Add([]byte("\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00"))
	f.Add(make([]byte, 600))
	f.Fuzz(func(t *testing.T, head []byte) {
		format, err := sniffFormat(head)
		if (err == nil) == (format == "") {
			t.Fatalf("format %q with error %v", format, err)
		}
		if err != nil && !utf8.ValidString(err.Error()) {
			t.Fatalf("the message is no text: %q", err)
		}
		_, _ = sniffCompression(head)
		xzDictionary(head)
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-1/2", "bytes 5-9/*", "bytes 9-5/10", "bytes */5", "items 1-2/3", "bytes 1-2/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, total, err := parseContentRange(s)
		if err == nil && (first < 0 || total != -1 && total <= first) {
			t.Fatalf("%q is read as %d of %d", s, first, total)
		}
	})
}
