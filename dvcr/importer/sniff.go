package importer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/foreign"
)

// Formats of images that can be imported, besides those of package foreign.
const (
	FormatRaw   = "raw"
	FormatQCOW2 = "qcow2"
	FormatISO   = "iso"
)

// sniffSize is how many bytes the format is decided by: enough for the superblock that lies deepest, that of btrfs.
const sniffSize = 128 << 10

// mark is a signature at an offset.
type mark struct {
	off   int
	bytes string
	what  string
}

func (m mark) in(head []byte) bool {
	return len(head) >= m.off+len(m.bytes) && string(head[m.off:m.off+len(m.bytes)]) == m.bytes
}

func find(marks []mark, head []byte) (mark, bool) {
	for _, m := range marks {
		if m.in(head) {
			return m, true
		}
	}
	return mark{}, false
}

// decoded are marks of formats that package foreign decodes.
var decoded = []mark{
	{0, "KDMV", foreign.VMDK},
	{0, "COWD", foreign.VMDK},
	{0, "# Disk DescriptorFile", foreign.VMDK},
	{0x40, "\x7f\x10\xda\xbe", foreign.VDI},
	{0, "vhdxfile", foreign.VHDX},
	{0, vhdFooter, foreign.VHD},
}

// refused are formats of disks that have to be converted first.
var refused = []mark{
	{0, "QED\x00", "QED"},
	{0, "WithoutFreeSpace", "Parallels"},
	{0, "WithouFreSpacExt", "Parallels"},
	{0, "QFI\xfb\x00\x00\x00\x01", "qcow (version 1)"},
	{0, "Bochs Virtual HD Image", "Bochs"},
	{0, "\xca\xfe\xba\xbe\x00\x00\x00\x02", "VMDK of ESXi (SESparse)"},
}

// vhdFooter begins the last sector of each VHD, and the first as well unless its size is fixed: then it is a raw disk but
// for the last sector.
const (
	vhdFooter     = "conectix"
	vhdFooterSize = 512
)

// isVHDFooter recognizes the last sector of a VHD of fixed size.
func isVHDFooter(b []byte) bool {
	const typeAt, fixed = 60, 2
	return len(b) == vhdFooterSize && strings.HasPrefix(string(b), vhdFooter) && binary.BigEndian.Uint32(b[typeAt:]) == fixed
}

// isDecoded tells whether package foreign reads a format.
func isDecoded(format string) bool {
	for _, m := range decoded {
		if m.what == format {
			return true
		}
	}
	return false
}

// discs are marks of optical media: volume descriptors of ISO 9660 and of UDF.
var discs = []mark{
	{0x8001, "CD001", "ISO 9660"},
	{0x8001, "BEA01", "UDF"},
}

// rawMarks are marks of what a raw disk may begin with besides a boot sector.
var rawMarks = []mark{
	{512, "EFI PART", "GPT"},
	{4096, "EFI PART", "GPT"},
	{1080, "\x53\xef", "ext2, ext3 or ext4"},
	{0, "XFSB", "XFS"},
	{0x10040, "_BHRfS_M", "btrfs"},
	{0, "hsqs", "SquashFS"},
	{1024, "\xe2\xe1\xf5\xe0", "EROFS"},
	{1024, "\x10\x20\xf5\xf2", "F2FS"},
	{512, "LABELONE", "LVM"},
	{4086, "SWAPSPACE2", "swap space"},
	{0, "LUKS\xba\xbe", "LUKS"},
	{0, "ER\x02\x00", "Apple partition map"},
}

// compressed are marks of compressed data.
var compressed = []mark{
	{0, "\x1f\x8b", "gzip"},
	{0, "\xfd7zXZ\x00", "xz"},
	{0, "\x28\xb5\x2f\xfd", "zstd"},
	{0, "BZh", "bzip2"},
	{0, "\x04\x22\x4d\x18", "LZ4"},
	{0, "\x5d\x00\x00", "LZMA"},
	{0, "LZIP", "lzip"},
}

// others are marks of files that people take for disk images, for a better message.
var others = []mark{
	{0, "PK\x03\x04", "a zip archive; unpack it and serve the image inside"},
	{257, "ustar", "a tar archive; unpack it and serve the image inside (an OVA is one: its disk is the .vmdk file)"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7-Zip archive; unpack it and serve the image inside"},
	{0, "Rar!", "a RAR archive; unpack it and serve the image inside"},
	{0, "\x7fELF", "a program (ELF)"},
	{0, "%PDF", "a PDF document"},
	{0, "\x89PNG", "a PNG picture"},
	{0, "\xff\xd8\xff", "a JPEG picture"},
	{0, "!<arch>", "a Debian package or library archive"},
	{0, "\xed\xab\xee\xdb", "an RPM package"},
	{0, "MZ", "a Windows program"},
	{0, "GIF8", "a GIF picture"},
	{0, "PMOC", "a Windows image without a disk (WIM)"},
	{0, "MSWIM", "a Windows image without a disk (WIM)"},
	{0, "MSCF", "a Windows cabinet archive"},
	{0, "\xca\xfe\xba\xbe", "a program (Java or macOS)"},
	{0, "\xcf\xfa\xed\xfe", "a program (macOS)"},
	{0, "SQLite format 3", "a SQLite database"},
}

// Sniff decides what an image is by its beginning, of which it wants 1 MiB or all: a format, or an error that says what it looks
// like instead and matches ErrNotDiskImage or ErrUnsupported.
func Sniff(head []byte) (format string, err error) {
	if kind, err := sniffCompression(head); err == nil {
		return "", fmt.Errorf("%w: it is %s data", ErrUnsupported, kind)
	}
	return sniffFormat(head)
}

// sniffFormat decides what an image is by its first bytes. A raw disk has no signature of its own, so one is accepted only
// when it begins with a partition table, a boot sector or a file system: an error page or an archive served in its place
// must not become a disk.
func sniffFormat(head []byte) (string, error) {
	if m, ok := find(decoded, head); ok {
		return m.what, nil
	}
	if m, ok := find(refused, head); ok {
		return "", fmt.Errorf("%w: this is a %s image; convert it with \"qemu-img convert -O qcow2\"", ErrUnsupported, m.what)
	}
	if (mark{0, disk.QCOW2Magic, ""}).in(head) {
		return FormatQCOW2, nil
	}
	if _, ok := find(discs, head); ok {
		return FormatISO, nil
	}
	if _, ok := find(rawMarks, head); ok || isBootSector(head) {
		return FormatRaw, nil
	}
	if m, ok := find(compressed, head); ok {
		return "", fmt.Errorf("%w: %s data inside the compressed image; compress it only once, with gzip, xz or zstd", ErrUnsupported, m.what)
	}
	return "", fmt.Errorf("%w: it looks like %s", ErrNotDiskImage, looksLike(head))
}

// isBootSector accepts a master boot record with a sane partition table, and the boot sectors of FAT and NTFS, which begin
// with a jump over their parameters.
func isBootSector(head []byte) bool {
	if len(head) < 512 || head[510] != 0x55 || head[511] != 0xaa {
		return false
	}
	if head[0] == 0xeb || head[0] == 0xe9 {
		return true
	}
	for entry := 446; entry < 510; entry += 16 {
		if status := head[entry]; status != 0 && status != 0x80 {
			return false
		}
	}
	return true
}

// looksLike describes what is not a disk.
func looksLike(head []byte) string {
	switch text := strings.ToLower(strings.TrimSpace(string(head[:min(len(head), 1024)]))); {
	case len(head) == 0:
		return "an empty file"
	case len(bytes.Trim(head, "\x00")) == 0:
		return "nothing but zeros; a blank disk needs no data source"
	case strings.HasPrefix(text, "<!doctype html"), strings.HasPrefix(text, "<html"), strings.Contains(text, "<head>"):
		return "a web page (HTML); check that the URL leads to the file itself and needs no login"
	case strings.HasPrefix(text, "<?xml"):
		return "an XML document"
	case strings.HasPrefix(text, "#!"):
		return "a script"
	case strings.HasPrefix(text, "-----begin"):
		return "a PEM file (a key, certificate or signature)"
	case strings.HasPrefix(text, "version https://git-lfs"):
		return "a Git LFS pointer in place of the file"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return "a JSON document"
	}
	if m, ok := find(others, head); ok {
		return m.what
	}
	if isText(head[:min(len(head), 1024)]) {
		return "a text file"
	}
	return fmt.Sprintf("unknown data that begins with %x, without partition table, boot sector or file system", head[:min(len(head), 8)])
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 && len(b) >= utf8.UTFMax {
			return false
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' {
			return false
		}
		b = b[n:]
	}
	return true
}

// Skippable frames of zstd have one of 16 magic numbers.
const (
	zstdSkippable     = 0x184d2a50
	zstdSkippableMask = 0xfffffff0
)

// errPlain says that data is not compressed.
var errPlain = errors.New("not compressed")

// sniffCompression names the compression of data by its first bytes: gzip, xz or zstd. errPlain means none, and
// ErrUnsupported one that cannot be read.
func sniffCompression(head []byte) (string, error) {
	if len(head) >= 4 && binary.LittleEndian.Uint32(head)&zstdSkippableMask == zstdSkippable {
		return "zstd", nil
	}
	m, ok := find(compressed, head)
	if !ok {
		return "", errPlain
	}
	switch m.what {
	case "gzip", "xz", "zstd":
		return m.what, nil
	}
	return "", fmt.Errorf("%w: it is compressed with %s; use gzip, xz or zstd", ErrUnsupported, m.what)
}
