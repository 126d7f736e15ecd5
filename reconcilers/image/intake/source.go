package intake

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
)

// HTTP is the import of a file on a web server.
func HTTP(s *v1alpha2.HTTPSource) importer.Source {
	source := &importer.HTTPSource{URL: s.URL, CABundle: s.CABundle}
	if s.Checksum != nil {
		source.SHA256, source.MD5 = s.Checksum.SHA256, s.Checksum.MD5
	}
	return importer.Source{HTTP: source}
}

// Upload is the import of what a user sends. maxSize refuses larger disks; 0 leaves that to the importer's limit.
func Upload(maxSize int64) importer.Source {
	return importer.Source{Upload: &importer.UploadSource{MaxSize: maxSize}}
}

// Registry is the import of a disk out of a container image, with a login where
// the registry wants one.
func Registry(s *v1alpha2.ContainerImageSource, login Login) importer.Source {
	return importer.Source{Registry: &importer.RegistrySource{
		Image:    string(s.Image),
		CABundle: s.CABundle,
		Username: login.Username,
		Password: login.Password,
	}}
}

// Login is how to log in at a registry; the zero value is anonymous.
type Login struct{ Username, Password string }

// LoginOf is how what runs in a namespace logs in at DVCR: an account that may read
// what the namespace may, and no more. It is copied to where tenants see it.
type LoginOf func(namespace string) Login

// ErrBadSecret tells that a Secret does not hold registry credentials.
var ErrBadSecret = errors.New("the Secret holds no registry credentials")

const dockerHub = "docker.io"

type dockerConfig struct {
	Auths map[string]dockerAuth `json:"auths"`
}

type dockerAuth struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// LoginFor reads the login for an image's registry out of a Secret of type
// kubernetes.io/dockerconfigjson. A Secret that knows other registries only
// gives an anonymous login, as container runtimes have it.
func LoginFor(secret *corev1.Secret, image string) (Login, error) {
	data, found := secret.Data[corev1.DockerConfigJsonKey]
	if !found {
		return Login{}, fmt.Errorf("read Secret %s: %w: it has no key %s", secret.Name, ErrBadSecret, corev1.DockerConfigJsonKey)
	}
	var config dockerConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return Login{}, fmt.Errorf("read Secret %s: %w: %w", secret.Name, ErrBadSecret, err)
	}
	for server, auth := range config.Auths {
		if host(server) == hostOfImage(image) {
			return auth.login(secret.Name)
		}
	}
	return Login{}, nil
}

func (a dockerAuth) login(secret string) (Login, error) {
	if a.Username != "" || a.Auth == "" {
		return Login{Username: a.Username, Password: a.Password}, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(a.Auth)
	if err != nil {
		return Login{}, fmt.Errorf("read Secret %s: %w: field auth: %w", secret, ErrBadSecret, err)
	}
	user, password, _ := strings.Cut(string(decoded), ":")
	return Login{Username: user, Password: password}, nil
}

// host is the registry's host in a key of a docker configuration, which may be
// written as a URL.
func host(server string) string {
	_, rest, found := strings.Cut(server, "://")
	if !found {
		rest = server
	}
	name, _, _ := strings.Cut(rest, "/")
	if name == "index.docker.io" || name == "registry-1.docker.io" {
		return dockerHub
	}
	return name
}

// hostOfImage is the registry that an image reference means; a first part
// without a dot, a port or the name localhost belongs to the path at Docker Hub.
func hostOfImage(image string) string {
	first, _, found := strings.Cut(image, "/")
	if !found || (first != "localhost" && !strings.ContainsAny(first, ".:")) {
		return dockerHub
	}
	return host(first)
}
