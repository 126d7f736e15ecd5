package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"slipway.dev/slipway/dvcr/upload"
)

// serveUploads listens on loopback for the images that users upload. Address and
// key are remembered, so that an upload goes on after a restart.
func (p *Platform) serveUploads() (*upload.Server, error) {
	dir := p.options.Layout.Imports()
	key, err := upload.LoadKey(filepath.Join(dir, "upload.key"))
	if err != nil {
		return nil, err
	}
	listener, err := stableListener(filepath.Join(dir, "upload.address"))
	if err != nil {
		return nil, err
	}
	base := "http://" + listener.Addr().String()
	uploads, err := upload.NewServer(upload.Options{Key: key, External: base, InCluster: base})
	if err != nil {
		listener.Close()
		return nil, err
	}
	server := uploads.NewHTTPServer()
	p.onStop(func(context.Context) error { return server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("receiving uploads has ended: %w", err))
		}
	}()
	return uploads, nil
}
