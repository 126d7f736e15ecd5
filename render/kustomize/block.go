package kustomize

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxKey is how long a key may be that stands before its colon on one line; YAML allows 1024 characters.
const maxKey = 1000

// blockText is an object as a YAML document with one field or item on a line and quotes around all text.
//
// It is not JSON because kustomize writes and reads each object anew for many of its changes, in the style in which it
// found it. Its parser keeps whatever follows an opening brace on the same line until it knows that no colon comes behind
// the closing one, which takes as long again as all the rest. A YAML library would write the same style, in fourteen times
// the time.
func blockText(object map[string]any) ([]byte, error) {
	text, err := appendMapping([]byte("---"), object, 0)
	return append(text, '\n'), err
}

// appendBlock writes a value after its key or dash: a scalar on the same line, what has fields or items below it.
func appendBlock(out []byte, value any, depth int) ([]byte, error) {
	switch v := value.(type) {
	case map[string]any:
		return appendMapping(out, v, depth)
	case []any:
		return appendSequence(out, v, depth)
	case string:
		return appendQuoted(append(out, ' '), v), nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode scalar: %w", err)
	}
	return append(append(out, ' '), text...), nil
}

func appendMapping(out []byte, fields map[string]any, depth int) (_ []byte, err error) {
	if len(fields) == 0 {
		return append(out, " {}"...), nil
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		out = appendKey(appendLine(out, depth), key, depth)
		if out, err = appendBlock(out, fields[key], depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendKey(out []byte, key string, depth int) []byte {
	start := len(out)
	if out = appendQuoted(out, key); len(out)-start <= maxKey {
		return append(out, ':')
	}
	out = appendQuoted(append(out[:start], "? "...), key)
	return append(appendLine(out, depth), ':')
}

func appendSequence(out []byte, items []any, depth int) (_ []byte, err error) {
	if len(items) == 0 {
		return append(out, " []"...), nil
	}
	for _, item := range items {
		if out, err = appendBlock(append(appendLine(out, depth), '-'), item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendLine(out []byte, depth int) []byte {
	out = append(out, '\n')
	for range depth {
		out = append(out, ' ')
	}
	return out
}

// appendQuoted quotes text as Go does, with escapes that YAML knows, too. What is not text becomes U+FFFD, as in JSON.
func appendQuoted(out []byte, text string) []byte {
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	return strconv.AppendQuote(out, text)
}
