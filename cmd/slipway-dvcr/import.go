package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

// importOptions are the flags of import.
type importOptions struct {
	order   string
	dir     string
	volume  string
	metrics string
	report  string
}

func newImport() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import",
		Short: "Import one image into the registry",
		Long: `Import one image into the registry and end. Progress is served as metrics while
it runs; how it ended stands in the termination message, as JSON. The exit code
is 0 when the image is there, 1 when it is not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runImport(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.order, "order", env("IMPORTER_ORDER", "/etc/slipway/import/order.json"), "file that says what to import, and where to")
	flags.StringVar(&o.dir, "dir", env("IMPORTER_DIR", "/var/lib/slipway/import"), "directory for what is downloaded")
	flags.StringVar(&o.volume, "volume", os.Getenv("IMPORTER_VOLUME"), "file or block device to read when the source is a volume")
	flags.StringVar(&o.metrics, "metrics-address", env("IMPORTER_METRICS_ADDRESS", ":8443"), "address to serve progress on")
	flags.StringVar(&o.report, "termination-log", env("IMPORTER_TERMINATION_LOG", "/dev/termination-log"), "file for the report")
	return cmd
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// errInterrupted says that the process was told to stop: the image is imported by the next one.
var errInterrupted = errors.New("the import was interrupted")

func runImport(ctx context.Context, o importOptions) error {
	order, err := importer.ReadOrder(o.order)
	if err != nil {
		return err
	}
	runner, err := newRunner(order, o)
	if err != nil {
		return err
	}
	defer runner.Close()
	stop, err := serveProgress(ctx, o.metrics, order, runner)
	if err != nil {
		return err
	}
	defer stop()
	state, err := wait(ctx, runner, order.Job)
	if err != nil {
		return err
	}
	text, err := importer.NewReport(state).Encode()
	if err == nil {
		err = os.WriteFile(o.report, text, 0o600)
	}
	return errors.Join(state.Err, err)
}

func newRunner(order importer.Order, o importOptions) (*importer.Runner, error) {
	var options []registry.Option
	if len(order.CABundle) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(order.CABundle) {
			return nil, errors.New("trust the registry: caBundle of the order holds no PEM certificate")
		}
		options = append(options, registry.WithRoots(roots))
	}
	client := registry.NewClient(order.Registry, registry.Credentials{Username: order.Username, Password: order.Password}, options...)
	return importer.NewRunner(client, importer.Options{
		Dir:         o.dir,
		Concurrency: 1,
		Egress:      egress.Policy{Allow: order.Allow},
		Volumes:     mounted(o.volume),
		Faces:       func(r *remote.Repository) disk.FaceMaker { return registry.Faces{Repository: r} },
	}), nil
}

// wait runs the job to its end.
func wait(ctx context.Context, runner *importer.Runner, job importer.Job) (importer.State, error) {
	for {
		state := runner.Ensure(ctx, job)
		if state.Phase == importer.Succeeded || state.Phase == importer.Failed {
			return state, nil
		}
		select {
		case <-ctx.Done():
			return importer.State{}, errInterrupted
		case <-runner.Events():
		}
	}
}

// serveProgress serves the job's progress until stop is called.
func serveProgress(ctx context.Context, address string, order importer.Order, runner *importer.Runner) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("serve progress: %w", err)
	}
	server := &http.Server{Handler: progress(ctx, order, runner), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // without progress the import goes on
	return func() { _ = server.Close() }, nil
}

// progress answers with the job's progress as metrics.
func progress(ctx context.Context, order importer.Order, runner *importer.Runner) http.Handler {
	metrics := prometheus.NewRegistry()
	labels := prometheus.Labels{"ownerUID": order.Owner}
	for name, value := range map[string]func(importer.State) float64{
		"registry_progress":      func(s importer.State) float64 { return share(s.Progress) * 100 },
		"registry_current_speed": func(s importer.State) float64 { return float64(s.Progress.BytesPerSecond) },
		"registry_done_bytes":    func(s importer.State) float64 { return float64(s.Progress.Done) },
		"registry_total_bytes":   func(s importer.State) float64 { return float64(s.Progress.Total) },
	} {
		gauge := prometheus.GaugeOpts{Name: name, Help: "Progress of the import that this process runs.", ConstLabels: labels}
		metrics.MustRegister(prometheus.NewGaugeFunc(gauge, func() float64 { return value(runner.Ensure(ctx, order.Job)) }))
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	return mux
}

func share(p importer.Progress) float64 {
	if p.Total <= 0 {
		return 0
	}
	return min(1, float64(p.Done)/float64(p.Total))
}

// mounted is the one volume that the pod has.
type mounted string

// Open implements importer.Volumes.
func (m mounted) Open(context.Context, string, string) (importer.Volume, error) {
	if m == "" {
		return importer.Volume{}, fmt.Errorf("%w: --volume names no file", importer.ErrInvalidSource)
	}
	path := string(m)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "disk.img")
	}
	return importer.Volume{Path: path, Format: importer.FormatRaw, Release: func() {}}, nil
}
