package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/dvcr/registry"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	config       registry.Config
	cert, key    string
	shutdownTime time.Duration
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the registry until it is told to stop",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), cmd, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.config.Dir, "dir", "/var/lib/dvcr", "where the blobs and the generated credentials are kept")
	flags.StringVar(&o.config.Addr, "address", ":5000", "address to listen on")
	flags.StringVar(&o.config.Htpasswd, "htpasswd", "", "file with further users, in bcrypt")
	flags.BoolVar(&o.config.Tokens, "tokens", false, "exchange passwords for short-lived tokens")
	flags.StringVar(&o.cert, "tls-cert", "", "certificate, in PEM; without one the registry speaks plain HTTP")
	flags.StringVar(&o.key, "tls-key", "", "key of the certificate, in PEM")
	flags.DurationVar(&o.shutdownTime, "shutdown-time", 30*time.Second, "how long requests under way may take to finish")
	return cmd
}

func serve(ctx context.Context, cmd *cobra.Command, o serveOptions) error {
	o.config.Log = os.Stderr
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return fmt.Errorf("load the certificate: %w", err)
		}
		o.config.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	server, err := registry.NewServer(o.config)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "serving on %s\n", server.Addr())
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.shutdownTime)
	defer cancel()
	return server.Close(stopping)
}
