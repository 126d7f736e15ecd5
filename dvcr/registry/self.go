package registry

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// loopback is the name that the server calls itself by.
const loopback = "localhost"

// handlerTransport answers requests by a handler in this process, so that the server needs neither an address nor its own
// certificate to talk to itself.
type handlerTransport struct{ handler http.Handler }

// RoundTrip implements http.RoundTripper.
func (t handlerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, write := io.Pipe()
	w := &pipeWriter{header: http.Header{}, body: write, ready: make(chan struct{})}
	request := r.Clone(r.Context())
	request.RequestURI = r.URL.RequestURI()
	if request.Body == nil {
		request.Body = http.NoBody
	}
	go func() {
		t.handler.ServeHTTP(w, request)
		w.WriteHeader(http.StatusOK)
		_ = write.Close() // never fails
		_ = request.Body.Close()
	}()
	select {
	case <-w.ready:
	case <-r.Context().Done():
		_ = body.Close()
		return nil, r.Context().Err() //nolint:wrapcheck // as it is
	}
	return &http.Response{
		Status: http.StatusText(w.code), StatusCode: w.code, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: contentLength(w.sent), Request: r,
	}, nil
}

// pipeWriter hands the header over when it is complete, and then the body as it comes.
type pipeWriter struct {
	header, sent http.Header
	code         int
	body         *io.PipeWriter
	ready        chan struct{}
	once         sync.Once
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(code int) {
	w.once.Do(func() {
		w.code, w.sent = code, w.header.Clone()
		close(w.ready)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p) //nolint:wrapcheck // the reader's word
}

// FlushError lets http.ResponseController flush: what is written is there already.
func (w *pipeWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// contentLength is -1 where the header does not tell.
func contentLength(h http.Header) int64 {
	n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
