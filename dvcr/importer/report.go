package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Report is how a job ended, for somebody in another process: an importer in a pod leaves it in its termination message.
type Report struct {
	// Result is set when the job succeeded.
	Result *Result `json:"result,omitempty"`
	// Kind names one of the package's errors when it failed, and Message is the text.
	Kind    string `json:"kind,omitempty"`
	Message string `json:"message,omitempty"`
}

// kindNames name the package's errors in reports. A name is never given to another error.
var kindNames = map[string]error{
	"InvalidSource": ErrInvalidSource, "ForbiddenAddress": ErrForbiddenAddress, "NotFound": ErrNotFound,
	"Unauthorized": ErrUnauthorized, "Untrusted": ErrUntrusted, "Unreachable": ErrUnreachable, "Checksum": ErrChecksum,
	"NotDiskImage": ErrNotDiskImage, "Unsupported": ErrUnsupported, "TooLarge": ErrTooLarge, "NoSpace": ErrNoSpace,
	"UploadTimeout": ErrUploadTimeout, "Unsigned": ErrUnsigned, "Registry": ErrRegistry,
}

// NewReport describes the state of a job that has ended.
func NewReport(s State) Report {
	if s.Err == nil {
		return Report{Result: s.Result}
	}
	r := Report{Message: s.Err.Error()}
	for name, kind := range kindNames {
		if errors.Is(s.Err, kind) {
			r.Kind = name
		}
	}
	return r
}

// maxMessage keeps a report below the 4096 bytes that a termination message may have, whatever it quotes.
const maxMessage = 1500

// Encode writes the report.
func (r Report) Encode() ([]byte, error) {
	r.Message = strings.ToValidUTF8(r.Message[:min(len(r.Message), maxMessage)], "?")
	r.Message = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, r.Message)
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return out.Bytes(), nil
}

// ErrNoReport says that an importer ended without telling how.
var ErrNoReport = errors.New("the importer left no report")

// DecodeReport reads what Encode wrote.
func DecodeReport(b []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	if (r.Result == nil) == (r.Message == "") {
		return Report{}, ErrNoReport
	}
	return r, nil
}

// State is the state that the report describes. Its error matches the one that was reported.
func (r Report) State() State {
	if r.Result != nil {
		return State{Phase: Succeeded, Result: r.Result}
	}
	return State{Phase: Failed, Err: &reported{kind: kindNames[r.Kind], text: r.Message}}
}

// reported is an error of another process.
type reported struct {
	kind error
	text string
}

func (e *reported) Error() string { return e.text }

func (e *reported) Unwrap() error { return e.kind }
