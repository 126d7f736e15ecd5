package instance

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// logLimit is how large a log may be when it is looked at, every agentEvery. The part before is kept once, so that a
// guest that never stops to talk takes twice the limit, and what it writes between two looks.
const logLimit = 4 << 20

// trimLogs bounds the files that a guest can fill by itself: its console, and what QEMU says about it. The log of events
// is not among them: QEMU limits their rate, and how a guest ended is read from it.
func (m *machine) trimLogs() {
	for _, path := range []string{m.files.console(), m.files.logs().Messages} {
		if err := trim(path, logLimit); err != nil {
			m.runtime.log.Warn("log is not trimmed", "instance", m.key().String(), "error", err)
		}
	}
}

// trim begins a log anew when it is over the limit, and keeps its end beside it. QEMU has the file open and appends, so
// that it goes on where the file now ends.
func trim(path string, limit int64) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("trim log: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || info.Size() <= limit {
		return err //nolint:wrapcheck // names the file
	}
	if err := keepEnd(file, info.Size(), limit, path+".old"); err != nil {
		return fmt.Errorf("trim log: %w", err)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("trim log: %w", err)
	}
	return nil
}

func keepEnd(file *os.File, size, limit int64, path string) error {
	next := path + ".partial"
	kept, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by trim
	}
	_, err = io.Copy(kept, io.NewSectionReader(file, size-limit, limit))
	if err := errors.Join(err, kept.Close()); err != nil {
		return err
	}
	return os.Rename(next, path) //nolint:wrapcheck // wrapped by trim
}
