package upload

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// incoming is a request to send content.
type incoming struct {
	first int64 // where the content begins in the file
	total int64 // how long the file is, or -1
	body  *bufio.Reader
}

// parse reads what a request declares.
func parse(r *http.Request) (*incoming, error) {
	in := &incoming{total: r.ContentLength}
	from := io.Reader(r.Body)
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch span := r.Header.Get("Content-Range"); {
	case span != "":
		if in.first, in.total, err = parseRange(span, r.ContentLength); err != nil {
			return nil, err
		}
	case err == nil && kind == "multipart/form-data":
		in.total = -1
		if from, err = formFile(r); err != nil {
			return nil, err
		}
	}
	in.body = bufio.NewReaderSize(from, 64<<10)
	return in, nil
}

// begin sees that at least one byte comes.
func (in *incoming) begin() error {
	_, err := in.body.Peek(1)
	if errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "the file is empty")
	}
	return err //nolint:wrapcheck // the connection is broken, nobody reads it
}

// formFile finds the file of a form.
func formFile(r *http.Request) (io.Reader, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the form cannot be read: %v", err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, refuse(http.StatusBadRequest, "the form holds no file")
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the form cannot be read: %v", err)
		}
		if part.FileName() != "" {
			return part, nil
		}
	}
}

// parseRange reads "bytes first-last/total" of a request whose body has length bytes, or -1.
func parseRange(s string, length int64) (first, total int64, err error) {
	bad := refuse(http.StatusBadRequest, "Content-Range %q is not of the form \"bytes FIRST-LAST/TOTAL\"", s)
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, bad
	}
	span, size, ok := strings.Cut(rest, "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return 0, 0, bad
	}
	first, err = number(from)
	last, err2 := number(to)
	total, err3 := number(size)
	switch {
	case errors.Join(err, err2, err3) != nil || last < first || total <= last:
		return 0, 0, bad
	case length >= 0 && length != last-first+1:
		return 0, 0, refuse(http.StatusBadRequest, "Content-Range %q does not fit the %d bytes of the request", s, length)
	}
	return first, total, nil
}

// number reads digits; unlike ParseInt it takes no sign.
func number(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err //nolint:wrapcheck // parseRange says what is wrong
}
