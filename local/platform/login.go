package platform

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// gitUser is who may clone and push what this machine serves.
const gitUser = "slipway"

// gitLogin is the log-in to the Git server, with the password in the file, which
// is made first when there is none: clones of an earlier start go on working. An
// empty file is what a crash while writing it leaves.
func gitLogin(path string) (*url.Userinfo, error) {
	password, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(password) == 0 {
		password = []byte(rand.Text())
		err = os.WriteFile(path, password, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("password of the Git server: %w", err)
	}
	return url.UserPassword(gitUser, string(password)), nil
}

// loginSecret holds the log-in for the controllers.
func (p *Platform) loginSecret() *corev1.Secret {
	password, _ := p.gitLogin.Password()
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: p.name() + "-git", Namespace: p.options.Namespace},
		Data:       map[string][]byte{"username": []byte(p.gitLogin.Username()), "password": []byte(password)},
	}
}
