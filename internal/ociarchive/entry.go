package ociarchive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// capability is the extended attribute that a layer keeps of a file: what the
// program may do without being root.
const capability = "security.capability"

// Entry is one file, directory or link of a layer.
type Entry struct {
	// Name is the path in the image, with or without a leading slash.
	Name string
	// Mode is the kind of entry and its permissions.
	Mode fs.FileMode
	// UID and GID own it.
	UID, GID int
	// Link is where a symbolic link leads.
	Link string
	// Capability is the value of the file's attribute security.capability.
	Capability []byte
	// Size of the content, and how to read it; for regular files.
	Size int64
	Open func() (io.ReadCloser, error)
}

// Bytes is a file of root's with the content.
func Bytes(name string, content []byte, mode fs.FileMode) Entry {
	return Entry{
		Name: name, Mode: mode.Perm(), Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}
}

// Symlink is a link of root's.
func Symlink(name, target string) Entry {
	return Entry{Name: name, Mode: fs.ModeSymlink | 0o777, Link: target}
}

// Directory is an empty directory.
func Directory(name string, mode fs.FileMode, uid, gid int) Entry {
	return Entry{Name: name, Mode: fs.ModeDir | mode, UID: uid, GID: gid}
}

// File is a file of the host, owned by root in the image.
func File(name, source string, mode fs.FileMode) (Entry, error) {
	info, err := os.Stat(source)
	if err != nil {
		return Entry{}, fmt.Errorf("add %s to the image: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return Entry{}, fmt.Errorf("add %s to the image: %s is not a regular file", name, source)
	}
	return Entry{
		Name: name, Mode: mode.Perm() | mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky), Size: info.Size(),
		Open: func() (io.ReadCloser, error) { return open(source) },
	}, nil
}

// Tree is everything below a directory with its owners and permissions. Devices
// and sockets are left out, and what skip, which may be nil, says of a path in
// the image without a leading slash; nothing below a skipped directory is asked for.
func Tree(dir string, skip func(name string) bool) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(dir, func(source string, d fs.DirEntry, err error) error {
		if err != nil || source == dir {
			return err
		}
		relative, err := filepath.Rel(dir, source)
		if err != nil {
			return fmt.Errorf("name %s: %w", source, err)
		}
		name := filepath.ToSlash(relative)
		if skip != nil && skip(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		entry, ok, err := read(name, source, d)
		if ok {
			entries = append(entries, entry)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", dir, err)
	}
	return entries, nil
}

func read(name, source string, d fs.DirEntry) (Entry, bool, error) {
	info, err := d.Info()
	if err != nil {
		return Entry{}, false, fmt.Errorf("look at %s: %w", source, err)
	}
	kind := info.Mode().Type()
	if kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink {
		return Entry{}, false, nil
	}
	entry := Entry{Name: name, Mode: info.Mode()}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		entry.UID, entry.GID = int(owner.Uid), int(owner.Gid)
	}
	switch kind {
	case fs.ModeSymlink:
		entry.Link, err = os.Readlink(source)
	case 0:
		entry.Size = info.Size()
		entry.Open = func() (io.ReadCloser, error) { return open(source) }
		entry.Capability, err = readCapability(source)
	}
	return entry, true, err
}

func readCapability(source string) ([]byte, error) {
	value := make([]byte, 64)
	n, err := unix.Lgetxattr(source, capability, value)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read capability of %s: %w", source, err)
	}
	return value[:n], nil
}

func open(source string) (io.ReadCloser, error) {
	f, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("read for the image: %w", err)
	}
	return f, nil
}

// clean is the name without leading slash and dots.
func (e Entry) clean() string { return strings.TrimPrefix(path.Clean("/"+e.Name), "/") }

func (e Entry) header() *tar.Header {
	h := &tar.Header{Name: e.clean(), Mode: int64(permissions(e.Mode)), Uid: e.UID, Gid: e.GID, Format: tar.FormatPAX}
	switch e.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Link
	default:
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	}
	if e.Capability != nil {
		h.PAXRecords = map[string]string{"SCHILY.xattr." + capability: string(e.Capability)}
	}
	return h
}

// permissions are the twelve bits that a tar header has.
func permissions(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}
