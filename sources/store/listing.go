package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"slipway.dev/slipway/sources/tree"
)

const (
	modeFile       = "100644"
	modeExecutable = "100755"
	modeLink       = "120000"
	modeSubmodule  = "160000"

	digestPrefix = "sha256:"
)

// item is one line of a listing.
type item struct {
	mode string
	sum  string // hexadecimal SHA-256 of the content; empty content for links
	size int64
	path string
}

func (i item) entry() tree.Entry {
	return tree.Entry{Path: i.path, Mode: fileMode(i.mode), Size: i.size}
}

func fileMode(mode string) fs.FileMode {
	switch mode {
	case modeExecutable:
		return 0o755
	case modeLink:
		return fs.ModeSymlink
	case modeSubmodule:
		return tree.ModeSubmodule
	default:
		return 0o644
	}
}

// encode writes the canonical form: one line per file, sorted by path.
func encode(items []item) []byte {
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.path, b.path) })
	var out bytes.Buffer
	for _, i := range items {
		fmt.Fprintf(&out, "%s %s %d %s\n", i.mode, i.sum, i.size, i.path)
	}
	return out.Bytes()
}

func decode(listing []byte) ([]item, error) {
	var items []item
	lines := bufio.NewScanner(bytes.NewReader(listing))
	lines.Buffer(nil, 2*tree.MaxPath)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 4)
		if len(fields) != 4 {
			return nil, errors.New("a line has not four fields")
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("size of %s: %w", fields[3], err)
		}
		items = append(items, item{mode: fields[0], sum: fields[1], size: size, path: fields[3]})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("split into lines: %w", err)
	}
	return items, nil
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// hexOf returns the hexadecimal part of a digest; ok is false when it is not one of ours.
func hexOf(digest string) (string, bool) {
	h, found := strings.CutPrefix(digest, digestPrefix)
	if !found || len(h) != 2*sha256.Size || strings.ToLower(h) != h {
		return "", false
	}
	_, err := hex.DecodeString(h)
	return h, err == nil
}
