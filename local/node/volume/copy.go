package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// copyStep is how much is copied between two looks at the context and two reports.
const copyStep = 8 << 20

// copyFile copies a file to a new one, which is on disk when it returns. Where the file system can, both share their
// blocks until one is written; else the data is copied and the holes are kept.
func copyFile(ctx context.Context, from, to string, progress func(done, total int64)) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	if unix.IoctlFileClone(int(target.Fd()), int(source.Fd())) != nil {
		if err := copySparse(ctx, source, target, progress); err != nil {
			return fmt.Errorf("copy disk: %w", err)
		}
	}
	if err := target.Sync(); err != nil {
		return fmt.Errorf("copy disk: %w", err)
	}
	return nil
}

func copySparse(ctx context.Context, source, target *os.File, progress func(done, total int64)) error {
	info, err := source.Stat()
	if err != nil {
		return err //nolint:wrapcheck // wrapped by copyFile
	}
	total := info.Size()
	if err := target.Truncate(total); err != nil {
		return err //nolint:wrapcheck // wrapped by copyFile
	}
	for at := int64(0); at < total; {
		start, end, err := extent(source, at, total)
		if err != nil || start == total {
			return err
		}
		if err := copyRange(ctx, source, target, start, end, func(done int64) { progress(done, total) }); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// extent is the next piece of data at or after an offset; it begins at the file's end when only a hole is left.
func extent(file *os.File, at, total int64) (start, end int64, err error) {
	start, err = file.Seek(at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return total, total, nil
	}
	if err != nil {
		return 0, 0, err //nolint:wrapcheck // wrapped by copyFile
	}
	end, err = file.Seek(start, unix.SEEK_HOLE)
	return start, end, err //nolint:wrapcheck // wrapped by copyFile
}

func copyRange(ctx context.Context, source, target *os.File, start, end int64, progress func(done int64)) error {
	for at := start; at < end; {
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // wrapped by copyFile
		}
		step := min(end-at, copyStep)
		n, err := io.Copy(io.NewOffsetWriter(target, at), io.NewSectionReader(source, at, step))
		if err != nil {
			return err //nolint:wrapcheck // wrapped by copyFile
		}
		if n < step {
			return io.ErrUnexpectedEOF
		}
		at += n
		progress(at)
	}
	return nil
}

// reserve takes as much room for a file as another has, and some for tables, beyond its end. A file system that cannot do
// that must at least have the room now.
func reserve(file, like string) error {
	var stat unix.Stat_t
	if err := unix.Stat(like, &stat); err != nil {
		return fmt.Errorf("size up disk: %w", err)
	}
	const block, margin = 512, 4 << 20
	room := stat.Blocks*block + stat.Blocks*block/1024 + margin
	target, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("reserve room: %w", err)
	}
	defer target.Close()
	err = unix.Fallocate(int(target.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, room)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = hasRoom(target, room)
	}
	if err != nil {
		return fmt.Errorf("reserve %d bytes: %w", room, err)
	}
	return nil
}

func hasRoom(file *os.File, room int64) error {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &stat); err != nil {
		return fmt.Errorf("look for room: %w", err)
	}
	if int64(stat.Bavail)*stat.Bsize < room {
		return unix.ENOSPC
	}
	return nil
}

// settle gives back what was reserved beyond a file's end, and has the rest on disk.
func settle(file string) error {
	target, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("settle disk: %w", err)
	}
	defer target.Close()
	info, err := target.Stat()
	if err == nil {
		err = target.Truncate(info.Size())
	}
	if err == nil {
		err = target.Sync()
	}
	if err != nil {
		return fmt.Errorf("settle disk: %w", err)
	}
	return nil
}
