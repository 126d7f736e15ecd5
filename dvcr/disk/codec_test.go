package disk

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// TestDecodeFrameRefuses offers frames that are sound in themselves but not the ones that are asked for.
func TestDecodeFrameRefuses(t *testing.T) {
	chunk, other := noise(1, 70000), noise(2, 70000)
	e, d := newEncoder(1), newDecoder(1)
	defer d.Close()
	frame := e.EncodeAll(chunk, nil)
	cases := map[string]struct {
		frame []byte
		size  int
		want  error
	}{
		"the chunk":            {frame, len(chunk), nil},
		"another chunk":        {e.EncodeAll(other, nil), len(chunk), ErrCorrupt},
		"more than one frame":  {append(bytes.Clone(frame), frame...), len(chunk), ErrCorrupt},
		"larger than the size": {frame, len(chunk) - 1, ErrCorrupt},
		"less than the size":   {frame, len(chunk) + 1, ErrCorrupt},
		"nothing":              {nil, len(chunk), ErrCorrupt},
		"no frame":             {[]byte("no frame"), len(chunk), ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := decodeFrame(d, c.frame, make([]byte, 2*len(chunk)), c.size, sha256.Sum256(chunk))
			if !errors.Is(err, c.want) || err == nil && !bytes.Equal(got, chunk) {
				t.Errorf("decoded %d bytes with %v, want %v", len(got), err, c.want)
			}
		})
	}
}

// TestEncoderIsDeterministic compresses the same content alone and side by side: the format's digests depend on it.
func TestEncoderIsDeterministic(t *testing.T) {
	chunk := text(200_000)
	want := newEncoder(1).EncodeAll(chunk, nil)
	e := newEncoder(4)
	results := make(chan []byte, 16)
	for range cap(results) {
		go func() { results <- e.EncodeAll(chunk, nil) }()
	}
	for range cap(results) {
		if !bytes.Equal(<-results, want) {
			t.Fatal("the encoder gives different frames for one chunk")
		}
	}
}
