package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Formats that can be read, by the names that QEMU gives them.
const (
	VMDK = "vmdk"
	VDI  = "vdi"
	VHD  = "vpc"
	VHDX = "vhdx"
)

// Errors of this package.
var (
	// ErrUnsupported says that the image uses a feature that is refused on purpose, such as another file.
	ErrUnsupported = errors.New("image is not supported")
	// ErrInvalidImage says that the image is damaged, or not what it claims to be.
	ErrInvalidImage = errors.New("image is damaged")
	// ErrUnavailable says that this machine cannot decode foreign formats.
	ErrUnavailable = errors.New("no decoder")
)

// Check looks at what qemu-nbd must never see: an image that leads to other files, which it would open. A file of size
// bytes that passes is self-contained, though it may still be damaged.
func Check(r io.ReaderAt, size int64, format string) error {
	var err error
	switch format {
	case VMDK:
		err = checkVMDK(r, size)
	case VDI:
		err = checkVDI(r)
	case VHD:
		err = checkVHD(r)
	case VHDX:
	default:
		err = fmt.Errorf("%w: format %q is not known", ErrUnsupported, format)
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: it ends inside its header", ErrInvalidImage)
	}
	if err != nil {
		return fmt.Errorf("check %s image: %w", format, err)
	}
	return nil
}

// Where things stand in a VMDK sparse header; numbers are little-endian, offsets count sectors.
const (
	vmdkMagic      = "KDMV"
	vmdkMagic3     = "COWD"
	vmdkText       = "# Disk DescriptorFile"
	vmdkHeaderSize = 512
	vmdkCapacity   = 12
	vmdkDescOffset = 28
	vmdkDescSize   = 36
	sector         = 512
	// vmdkMaxDescriptor is above any descriptor of one file; qemu-nbd reads 10 KiB.
	vmdkMaxDescriptor = 64 << 10
)

// extentLine matches the line of a VMDK descriptor that names a file: access, sectors, type.
var extentLine = regexp.MustCompile(`(?m)^[ \t]*(?:RW|RDONLY|NOACCESS)[ \t]+\d+[ \t]+[A-Z]+`)

// checkVMDK accepts a file that carries its own data. The descriptor inside may name one extent, which is the file itself.
func checkVMDK(r io.ReaderAt, size int64) error {
	head := make([]byte, vmdkHeaderSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return err //nolint:wrapcheck // Check wraps it
	}
	switch {
	case strings.HasPrefix(string(head), vmdkText):
		return fmt.Errorf("%w: it is only the descriptor of a disk whose data lies in other files; export the disk as one file (monolithicSparse or streamOptimized)", ErrUnsupported)
	case strings.HasPrefix(string(head), vmdkMagic3):
		return nil
	case !strings.HasPrefix(string(head), vmdkMagic):
		return fmt.Errorf("%w: no VMDK signature", ErrInvalidImage)
	case binary.LittleEndian.Uint64(head[vmdkCapacity:]) == 0:
		return fmt.Errorf("%w: its data lies in other files; export the disk as one file", ErrUnsupported)
	}
	// The decoder looks for the parent right behind the header, whatever the header says.
	for _, at := range []int64{vmdkHeaderSize, sectors(head[vmdkDescOffset:])} {
		if err := checkDescriptor(r, at, size); err != nil {
			return err
		}
	}
	return nil
}

// sectors reads a count of sectors as bytes; one that no file reaches becomes 0.
func sectors(b []byte) int64 {
	n := binary.LittleEndian.Uint64(b)
	if n > 1<<50 {
		return 0
	}
	return int64(n) * sector
}

func checkDescriptor(r io.ReaderAt, at, size int64) error {
	if at <= 0 || at >= size {
		return nil
	}
	text := make([]byte, min(vmdkMaxDescriptor, size-at))
	if _, err := r.ReadAt(text, at); err != nil {
		return err //nolint:wrapcheck // Check wraps it
	}
	if strings.Contains(string(text), "parentFileNameHint") {
		return fmt.Errorf("%w: it is the difference to another image; flatten it first", ErrUnsupported)
	}
	if n := len(extentLine.FindAll(text, 3)); n > 1 {
		return fmt.Errorf("%w: its data lies in %d files or more; export the disk as one file", ErrUnsupported, n)
	}
	return nil
}

// checkVDI accepts dynamic and fixed images; the others are differences to a parent.
func checkVDI(r io.ReaderAt) error {
	const typeAt, dynamic, fixed = 0x4c, 1, 2
	b := make([]byte, 4)
	if _, err := r.ReadAt(b, typeAt); err != nil {
		return err //nolint:wrapcheck // Check wraps it
	}
	if t := binary.LittleEndian.Uint32(b); t != dynamic && t != fixed {
		return fmt.Errorf("%w: it is the difference to another image (VDI type %d); flatten it first", ErrUnsupported, t)
	}
	return nil
}

// checkVHD refuses differencing images.
func checkVHD(r io.ReaderAt) error {
	const typeAt, differencing = 60, 4
	b := make([]byte, 4)
	if _, err := r.ReadAt(b, typeAt); err != nil {
		return err //nolint:wrapcheck // Check wraps it
	}
	if binary.BigEndian.Uint32(b) == differencing {
		return fmt.Errorf("%w: it is the difference to another image; merge it first", ErrUnsupported)
	}
	return nil
}
