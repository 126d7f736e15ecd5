package sampleimage

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// hashTree hashes names and contents of all files, in lexical order.
func hashTree(files fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err //nolint:wrapcheck // wrapped once, by digest
		}
		_, err = fmt.Fprintf(hash, "%s\x00%d\x00%s", path, len(data), data)
		return err //nolint:wrapcheck // a hash never fails to write
	})
	if err != nil {
		return "", err //nolint:wrapcheck // wrapped once, by digest
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// lastLine keeps the end of what a program wrote, to put it into an error.
type lastLine struct{ text []byte }

// Write never fails.
func (l *lastLine) Write(p []byte) (int, error) {
	l.text = append(l.text, p...)
	if len(l.text) > 4096 {
		l.text = l.text[len(l.text)-4096:]
	}
	return len(p), nil
}

func (l *lastLine) err() error {
	lines := bytes.Split(bytes.TrimSpace(l.text), []byte("\n"))
	text := strings.TrimSpace(string(lines[len(lines)-1]))
	if text == "" {
		return nil
	}
	return errors.New(text)
}
