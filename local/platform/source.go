package platform

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/samples"
	"slipway.dev/slipway/local/gitserver"
	"slipway.dev/slipway/local/sampleimage"
)

// Names of the demo: its repository and the image that it serves.
const (
	demoName   = "demo"
	sampleFile = "sample.qcow2"
	// pollInterval is how often a source on this machine is looked at without a
	// push; pushes are told at once.
	pollInterval = time.Minute
)

func (p *Platform) demo() bool { return p.options.Source == "" }

func (p *Platform) remote() bool { return strings.Contains(p.options.Source, "://") }

// name is what the source and the Environment are called.
func (p *Platform) name() string {
	if p.demo() {
		return demoName
	}
	return "main"
}

// prepareDemo has the image that the demo's disk is made from.
func (p *Platform) prepareDemo(ctx context.Context) (string, error) {
	if !p.demo() {
		return "not needed", nil
	}
	if p.options.SampleImage != "" {
		return p.options.SampleImage, nil
	}
	digest, err := sampleimage.Digest()
	if err != nil {
		return "", err
	}
	path := filepath.Join(p.options.Layout.Demo(), digest[:16]+".qcow2")
	p.options.SampleImage = path
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for the sample image: %w", err)
	}
	if err := sampleimage.Build(ctx, path+".new", &lineWriter{line: p.progress.Detail}); err != nil {
		return "", err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("keep the sample image: %w", err)
	}
	return path, nil
}

// lineWriter hands whole lines on.
type lineWriter struct {
	line    func(string)
	partial string
}

// Write implements io.Writer.
func (w *lineWriter) Write(text []byte) (int, error) {
	lines := strings.Split(w.partial+string(text), "\n")
	w.partial = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		w.line(line)
	}
	return len(text), nil
}

// startGit serves the demo's repository or the local directory.
func (p *Platform) startGit(ctx context.Context) (string, error) {
	if p.remote() {
		p.ready.GitURL = p.options.Source
		return "from " + p.options.Source, nil
	}
	address, err := stableAddress(filepath.Join(p.options.Layout.Git(), "address"))
	if err != nil {
		return "", err
	}
	if p.gitLogin, err = gitLogin(filepath.Join(p.options.Layout.Git(), "password")); err != nil {
		return "", err
	}
	p.git, err = gitserver.New(gitserver.Options{Addr: address, Login: p.gitLogin, OnPush: func(string) { p.pushed(ctx) }})
	if err != nil {
		return "", err
	}
	if err := p.addRepository(ctx); err != nil {
		return "", err
	}
	if err := p.git.Start(ctx); err != nil {
		return "", err
	}
	p.onStop(func(context.Context) error { return p.git.Close() })
	p.ready.GitURL = p.git.CloneURL(p.name())
	return p.git.URL(p.name()), nil
}

func (p *Platform) addRepository(ctx context.Context) error {
	if !p.demo() {
		return p.git.AddWorkTree(p.name(), p.options.Source)
	}
	tree, err := p.demoTree()
	if err != nil {
		return err
	}
	dir := filepath.Join(p.options.Layout.Git(), demoName+".git")
	if err := gitserver.InitDemo(ctx, dir, tree); err != nil {
		return err
	}
	return p.git.AddBare(demoName, dir)
}

// demoTree is the demo's first commit, with the address of the image, which this
// process serves, and the user's key in it.
func (p *Platform) demoTree() (fs.FS, error) {
	key, err := sshKey(p.options.Layout.SSHKey())
	if err != nil {
		return nil, err
	}
	sum, err := sha256Of(p.options.SampleImage)
	if err != nil {
		return nil, err
	}
	url, err := p.serveSample()
	if err != nil {
		return nil, err
	}
	return samples.Demo{ImageURL: url, ImageSHA256: sum, SSHPublicKey: key}.Tree()
}

func sha256Of(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open the sample image: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read the sample image: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// serveSample serves the sample image over HTTP, as a vendor would.
func (p *Platform) serveSample() (string, error) {
	listener, err := stableListener(filepath.Join(p.options.Layout.Demo(), "address"))
	if err != nil {
		return "", err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/"+sampleFile {
				http.NotFound(w, r)
				return
			}
			http.ServeFile(w, r, p.options.SampleImage)
		}),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("serve the sample image: %w", err))
		}
	}()
	p.onStop(server.Shutdown)
	return "http://" + listener.Addr().String() + "/" + sampleFile, nil
}

// followSource makes the source and the Environment.
func (p *Platform) followSource(ctx context.Context) (string, error) {
	meta := metav1.ObjectMeta{Name: p.name(), Namespace: p.options.Namespace}
	source := &v1alpha1.GitRepository{ObjectMeta: meta, Spec: v1alpha1.GitRepositorySpec{
		URL: p.ready.GitURL, Interval: metav1.Duration{Duration: pollInterval},
	}}
	objects := []client.Object{source}
	if p.git != nil {
		login := p.loginSecret()
		source.Spec.URL = p.git.URL(p.name())
		source.Spec.SecretRef = &v1alpha1.LocalObjectReference{Name: login.Name}
		objects = []client.Object{login, source}
	}
	environment := &v1alpha1.Environment{ObjectMeta: meta, Spec: v1alpha1.EnvironmentSpec{
		SourceRef:          v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: p.name()},
		Path:               p.options.Path,
		TargetNamespace:    p.options.Namespace,
		ServiceAccountName: p.options.ServiceAccount,
	}}
	for _, obj := range append(objects, environment) {
		if err := apply(ctx, p.client, obj); err != nil {
			return "", err
		}
	}
	p.pushed(ctx)
	p.ready.PID = os.Getpid()
	p.ready.Namespace, p.ready.Environment = p.options.Namespace, p.name()
	return source.Spec.URL, nil
}

// pushed asks for the source at once, as a push webhook would.
func (p *Platform) pushed(ctx context.Context) {
	source := &v1alpha1.GitRepository{ObjectMeta: metav1.ObjectMeta{Name: p.name(), Namespace: p.options.Namespace}}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, time.Now().UTC().Format(time.RFC3339Nano))
	err := p.client.Patch(ctx, source, client.RawPatch("application/merge-patch+json", []byte(patch)))
	if err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
		p.progress.Detail(fmt.Sprintf("cannot ask for the source, it is looked at within %s: %v", pollInterval, err))
	}
}
