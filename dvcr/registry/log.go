package registry

import (
	"fmt"
	"io"
	"net/http"

	"github.com/sirupsen/logrus"
)

// logOf returns where a server logs to.
func logOf(c Config) io.Writer {
	if c.Log == nil {
		return io.Discard
	}
	return c.Log
}

// setLog directs the one logger that the registry library has.
func setLog(w io.Writer) {
	logrus.SetOutput(w)
	logrus.SetLevel(logrus.WarnLevel)
	logrus.SetFormatter(failures{&logrus.TextFormatter{DisableColors: true}})
}

// failures drops what the library logs as errors but clients cause every day: a blob that is looked for and not there yet,
// a first request without credentials.
type failures struct{ logrus.Formatter }

func (f failures) Format(e *logrus.Entry) ([]byte, error) {
	if status, ok := e.Data["http.response.status"].(int); ok && status < http.StatusInternalServerError {
		return nil, nil
	}
	if e.Level == logrus.WarnLevel && e.Data["http.request.method"] != nil {
		return nil, nil
	}
	b, err := f.Formatter.Format(e)
	if err != nil {
		return nil, fmt.Errorf("format log entry: %w", err)
	}
	return b, nil
}
