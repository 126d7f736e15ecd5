package importer_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/upload"
)

// uploads starts an upload server.
func uploads(t *testing.T, key byte) *upload.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	base := "http://" + server.Listener.Addr().String()
	u, err := upload.NewServer(upload.Options{Key: bytes.Repeat([]byte{key}, 32), External: base, InCluster: base})
	if err != nil {
		t.Fatal(err)
	}
	server.Config = u.NewHTTPServer()
	server.Start()
	t.Cleanup(server.Close)
	return u
}

// uploading starts a runner and a job that waits for an upload, and returns the address.
func uploading(t *testing.T, r *importer.Runner, maxSize int64) (importer.Job, string) {
	t.Helper()
	job := importer.Job{ID: "one", Source: importer.Source{Upload: &importer.UploadSource{MaxSize: maxSize}}, Destination: "vi/team/debian:v1"}
	return job, until(t, r, job, importer.Waiting).Upload.External
}

// until waits for a phase.
func until(t *testing.T, r *importer.Runner, job importer.Job, phase importer.Phase) importer.State {
	t.Helper()
	for {
		s := r.Ensure(t.Context(), job)
		if s.Phase == phase {
			return s
		}
		if s.Phase == importer.Failed {
			t.Fatal(s.Err)
		}
		if _, ok := <-r.Events(); !ok {
			t.Fatal("the runner closed")
		}
	}
}

func uploadOptions(t *testing.T) importer.Options {
	o := loopback()
	o.Dir, o.Uploads = t.TempDir(), uploads(t, 1)
	return o
}

// send makes one request and returns its answer.
func send(t *testing.T, method, url string, body io.Reader, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// TestUploadCurl uses the tool that the documentation names.
func TestUploadCurl(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	qcow2 := convert(t, raw, "-O", "qcow2")
	path := filepath.Join(t.TempDir(), "disk.qcow2")
	if err := os.WriteFile(path, qcow2, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{
		"file":    {"-T", path},
		"chunked": {"-T", path, "-H", "Transfer-Encoding: chunked"},
		"form":    {"-F", "note=x", "-F", "file=@" + path},
		"post":    {"--data-binary", "@" + path, "-H", "Content-Type: application/octet-stream"},
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			reg, o := dvcr(t).Client(), uploadOptions(t)
			r := newRunner(t, reg, o)
			job, url := uploading(t, r, 0)
			out, err := exec.Command("curl", append(args, "-sS", "-w", "%{http_code}", url)...).CombinedOutput()
			if err != nil || !strings.HasSuffix(string(out), "201") {
				t.Fatalf("curl: %v, %s", err, out)
			}
			state := finishJob(t, r, job)
			if state.Err != nil {
				t.Fatal(state.Err)
			}
			if state.Upload != nil || state.Result.Format != "qcow2" || state.Result.SourceSize != int64(len(qcow2)) {
				t.Errorf("the state is %+v", state)
			}
			same(t, stored(t, reg, job.Destination), raw)
			if left := leftovers(t, o.Dir); len(left) > 0 {
				t.Errorf("%v are left of the upload", left)
			}
			if code, _, _ := send(t, http.MethodGet, url, nil); code != http.StatusNotFound {
				t.Errorf("the address still answers with %d", code)
			}
		})
	}
}

// breakOff sends the beginning of a file over a connection that then ends.
func breakOff(t *testing.T, url string, content []byte, n int, headers string) {
	t.Helper()
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", path, len(content), headers)
	if _, err := conn.Write(content[:n]); err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// offset asks how much has arrived until it is n.
func offset(t *testing.T, r *importer.Runner, job importer.Job, url, n string) {
	t.Helper()
	for {
		_, _, h := send(t, http.MethodHead, url, nil)
		if h.Get("Upload-Offset") == n && r.Ensure(t.Context(), job).Phase == importer.Waiting {
			return
		}
		<-r.Events()
	}
}

// TestUploadResumes breaks an upload off, then ends the process, and sends the rest with curl.
func TestUploadResumes(t *testing.T) {
	raw := rawDisk(1, 4*mib)
	reg, o := dvcr(t).Client(), uploadOptions(t)
	r := importer.NewRunner(reg, o)
	job, url := uploading(t, r, 0)
	breakOff(t, url, raw, mib+5, "")
	offset(t, r, job, url, fmt.Sprint(mib+5))
	r.Close()
	if code, _, _ := send(t, http.MethodHead, url, nil); code != http.StatusNotFound {
		t.Errorf("without a runner the address answers with %d", code)
	}

	o.Uploads = uploads(t, 1)
	r = newRunner(t, reg, o)
	job, again := uploading(t, r, 0)
	if _, before, _ := strings.Cut(url, "/upload/"); !strings.HasSuffix(again, before) {
		t.Errorf("the path was %s and is %s", url, again)
	}
	code, text, h := send(t, http.MethodPut, again, bytes.NewReader(raw[100:]), "Content-Range", fmt.Sprintf("bytes 100-%d/%d", len(raw)-1, len(raw)))
	if code != http.StatusRequestedRangeNotSatisfiable || h.Get("Upload-Offset") != fmt.Sprint(mib+5) {
		t.Errorf("bytes that are here are answered with %d, %s", code, text)
	}
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("curl", "-sS", "-T", path, "-C", fmt.Sprint(mib+5), "-w", "%{http_code}", again).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "201") {
		t.Fatalf("curl: %v, %s", err, out)
	}
	if state := finishJob(t, r, job); state.Err != nil {
		t.Fatal(state.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

// TestUploadInParts sends a file in several requests.
func TestUploadInParts(t *testing.T) {
	raw := rawDisk(1, 3*mib)
	reg := dvcr(t).Client()
	r := newRunner(t, reg, uploadOptions(t))
	job, url := uploading(t, r, 0)
	for at := 0; at < len(raw); at += mib {
		code, text, _ := send(t, http.MethodPut, url, bytes.NewReader(raw[at:at+mib]), "Content-Range", fmt.Sprintf("bytes %d-%d/%d", at, at+mib-1, len(raw)))
		if want := map[bool]int{false: http.StatusAccepted, true: http.StatusCreated}[at+mib == len(raw)]; code != want {
			t.Fatalf("the part at %d is answered with %d, want %d: %s", at, code, want, text)
		}
	}
	if state := finishJob(t, r, job); state.Err != nil {
		t.Fatal(state.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

// TestUploadAnew sends another file after a broken one, first a part of it, then all.
func TestUploadAnew(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	reg := dvcr(t).Client()
	r := newRunner(t, reg, uploadOptions(t))
	job, url := uploading(t, r, 0)
	for range 2 {
		breakOff(t, url, rawDisk(2, 2*mib), mib/2, "")
		offset(t, r, job, url, fmt.Sprint(mib/2))
		if code, text, _ := send(t, http.MethodPut, url, bytes.NewReader(raw[:mib]), "Content-Range", fmt.Sprintf("bytes 0-%d/%d", mib-1, len(raw))); code != http.StatusAccepted {
			t.Fatalf("beginning anew is answered with %d: %s", code, text)
		}
	}
	if code, text, _ := send(t, http.MethodPut, url, bytes.NewReader(raw)); code != http.StatusCreated {
		t.Fatalf("beginning anew is answered with %d: %s", code, text)
	}
	if state := finishJob(t, r, job); state.Err != nil {
		t.Fatal(state.Err)
	}
	same(t, stored(t, reg, job.Destination), raw)
}

func TestUploadRefuses(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	var form bytes.Buffer
	fields := multipart.NewWriter(&form)
	if err := fields.WriteField("note", "no file"); err != nil {
		t.Fatal(err)
	}
	fields.Close()
	cases := map[string]struct {
		body    []byte
		headers []string
		max     int64
		code    int
		says    string
		fails   error
	}{
		"zero bytes":          {code: 400, says: "empty"},
		"a page":              {body: []byte("<!DOCTYPE html><html>"), code: 422, says: "web page", fails: importer.ErrNotDiskImage},
		"text":                {body: []byte("hello"), code: 422, says: "text file", fails: importer.ErrNotDiskImage},
		"too long for limit":  {body: make([]byte, 20*mib), max: mib, code: 413, says: "limit"},
		"disk over limit":     {body: raw, max: mib, code: 422, says: "too large", fails: importer.ErrTooLarge},
		"form without file":   {body: form.Bytes(), headers: []string{"Content-Type", fields.FormDataContentType()}, code: 400, says: "no file"},
		"broken form":         {body: []byte("x"), headers: []string{"Content-Type", "multipart/form-data"}, code: 400, says: "form"},
		"cut off form":        {body: []byte("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n" + string(raw[:mib/2])), headers: []string{"Content-Type", "multipart/form-data; boundary=b"}, code: 200},
		"odd range":           {body: raw, headers: []string{"Content-Range", "bytes */5"}, code: 400, says: "Content-Range"},
		"range of other size": {body: raw, headers: []string{"Content-Range", "bytes 0-5/10"}, code: 400, says: "fit"},
		"hole before it":      {body: raw[mib:], headers: []string{"Content-Range", fmt.Sprintf("bytes %d-%d/%d", mib, 2*mib-1, 2*mib)}, code: 416, says: "0 bytes are here"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := uploadOptions(t)
			r := newRunner(t, dvcr(t).Client(), o)
			job, url := uploading(t, r, c.max)
			code, text, _ := send(t, http.MethodPut, url, bytes.NewReader(c.body), c.headers...)
			if code != c.code || !strings.Contains(text, c.says) {
				t.Errorf("answered with %d and %q, want %d and %q", code, text, c.code, c.says)
			}
			if c.fails == nil {
				until(t, r, job, importer.Waiting)
				return
			}
			if state := finishJob(t, r, job); !errors.Is(state.Err, c.fails) {
				t.Errorf("failed with %v, want %v", state.Err, c.fails)
			}
			if left := leftovers(t, o.Dir); len(left) > 0 {
				t.Errorf("%v are left of the upload", left)
			}
		})
	}
}

// TestUploadOneAtATime starts a second upload while one is under way.
func TestUploadOneAtATime(t *testing.T) {
	raw := rawDisk(1, 2*mib)
	r := newRunner(t, dvcr(t).Client(), uploadOptions(t))
	job, url := uploading(t, r, 0)
	in, out := io.Pipe()
	done := make(chan int)
	go func() {
		code, _, _ := send(t, http.MethodPut, url, in)
		done <- code
	}()
	if _, err := out.Write(raw[:mib]); err != nil {
		t.Fatal(err)
	}
	until(t, r, job, importer.Running)
	if code, text, _ := send(t, http.MethodPut, url, bytes.NewReader(raw)); code != http.StatusServiceUnavailable {
		t.Errorf("the second upload is answered with %d: %s", code, text)
	}
	if _, err := out.Write(raw[mib:]); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if code := <-done; code != http.StatusCreated {
		t.Errorf("the first upload is answered with %d", code)
	}
}

// TestUploadExpires lets the time pass in which something must come.
func TestUploadExpires(t *testing.T) {
	o := uploadOptions(t)
	clock := &testClock{}
	o.Clock = clock
	r := newRunner(t, dvcr(t).Client(), o)
	job, url := uploading(t, r, 0)
	clock.ring()
	if state := finishJob(t, r, job); !errors.Is(state.Err, importer.ErrUploadTimeout) {
		t.Errorf("failed with %v", state.Err)
	}
	if code, _, _ := send(t, http.MethodGet, url, nil); code != http.StatusNotFound {
		t.Errorf("the address still answers with %d", code)
	}
}

func TestUploadsAreRefusedWithoutServer(t *testing.T) {
	o := loopback()
	job := importer.Job{ID: "one", Source: importer.Source{Upload: &importer.UploadSource{}}, Destination: "vi/team/debian:v1"}
	if state := finishJob(t, newRunner(t, dvcr(t).Client(), o), job); !errors.Is(state.Err, importer.ErrUnsupported) {
		t.Errorf("failed with %v", state.Err)
	}
}

// TestUploadsDoNotHoldUpOthers lets more jobs wait for users than may run.
func TestUploadsDoNotHoldUpOthers(t *testing.T) {
	o := uploadOptions(t)
	o.Concurrency = 1
	r := newRunner(t, dvcr(t).Client(), o)
	uploading(t, r, 0)
	job := httpJob(serve(t, rawDisk(1, mib)))
	job.ID = "two"
	if state := finishJob(t, r, job); state.Err != nil {
		t.Fatal(state.Err)
	}
}
