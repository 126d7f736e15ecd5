package decrypt

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/getsops/sops/v3/shamir"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// metadata is what SOPS notes down beside the values.
type metadata struct {
	keyGroup                `yaml:",inline"`
	KeyGroups               []keyGroup `yaml:"key_groups"`
	ShamirThreshold         int        `yaml:"shamir_threshold"`
	LastModified            string     `yaml:"lastmodified"`
	MAC                     string     `yaml:"mac"`
	UnencryptedSuffix       *string    `yaml:"unencrypted_suffix"`
	EncryptedSuffix         string     `yaml:"encrypted_suffix"`
	UnencryptedRegex        string     `yaml:"unencrypted_regex"`
	EncryptedRegex          string     `yaml:"encrypted_regex"`
	UnencryptedCommentRegex string     `yaml:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string     `yaml:"encrypted_comment_regex"`
	MACOnlyEncrypted        bool       `yaml:"mac_only_encrypted"`
}

// keyGroup are keys of which one is enough.
type keyGroup struct {
	Age []struct {
		Recipient string `yaml:"recipient"`
		Enc       string `yaml:"enc"`
	} `yaml:"age"`
	PGP []struct {
		FP  string `yaml:"fp"`
		Enc string `yaml:"enc"`
	} `yaml:"pgp"`
	KMS     []any `yaml:"kms"`
	GCPKMS  []any `yaml:"gcp_kms"`
	HCKMS   []any `yaml:"hckms"`
	AzureKV []any `yaml:"azure_kv"`
	HCVault []any `yaml:"hc_vault"`
}

// services names the key services of a group.
func (g keyGroup) services() []string {
	var names []string
	for _, s := range []struct {
		keys []any
		name string
	}{
		{g.KMS, "AWS KMS"}, {g.GCPKMS, "Google Cloud KMS"}, {g.HCKMS, "Huawei Cloud KMS"}, {g.AzureKV, "Azure Key Vault"}, {g.HCVault, "HashiCorp Vault"},
	} {
		if len(s.keys) > 0 {
			names = append(names, s.name)
		}
	}
	return names
}

// groups are the key groups of a file; most have one.
func (m metadata) groups() []keyGroup {
	if len(m.KeyGroups) > 0 && len(m.Age)+len(m.PGP)+len(m.services()) == 0 {
		return m.KeyGroups
	}
	return []keyGroup{m.keyGroup}
}

// maxGroups is more key groups than anybody has.
const maxGroups = 32

func readMetadata(n *yaml.Node) (metadata, error) {
	var m metadata
	if err := n.Decode(&m); err != nil || m.MAC == "" {
		return m, damaged("its sops metadata is incomplete")
	}
	if len(m.KeyGroups) > maxGroups {
		return m, damaged("it has too many key groups")
	}
	if m.UnencryptedCommentRegex+m.EncryptedCommentRegex != "" {
		return m, &Error{Problem: "is encrypted by comments, which is not supported", Remedy: "encrypt it with encrypted_regex or encrypted_suffix"}
	}
	return m, nil
}

// stamp is the time of the last change as it goes into the authentication of the MAC.
func (m metadata) stamp() (string, error) {
	t, err := time.Parse(time.RFC3339, m.LastModified)
	if err != nil {
		return "", damaged("its time of change is not a time")
	}
	return t.Format(time.RFC3339), nil
}

// rule reports whether the value under a path of keys is encrypted.
type rule func(path []string) bool

// defaultUnencrypted is the ending of keys whose values stay in clear when a file says nothing else.
const defaultUnencrypted = "_unencrypted"

func (m metadata) rule() (rule, error) {
	given := 0
	for _, text := range []string{m.EncryptedSuffix, m.UnencryptedRegex, m.EncryptedRegex} {
		if text != "" {
			given++
		}
	}
	if m.UnencryptedSuffix != nil && *m.UnencryptedSuffix != "" {
		given++
	}
	switch {
	case given > 1:
		return nil, damaged("it has more than one rule of what is encrypted")
	case m.EncryptedSuffix != "":
		return whenAny(true, func(key string) bool { return strings.HasSuffix(key, m.EncryptedSuffix) }), nil
	case m.EncryptedRegex != "":
		return matching(m.EncryptedRegex, true)
	case m.UnencryptedRegex != "":
		return matching(m.UnencryptedRegex, false)
	}
	suffix := defaultUnencrypted
	if given == 1 {
		suffix = *m.UnencryptedSuffix
	}
	return whenAny(false, func(key string) bool { return strings.HasSuffix(key, suffix) }), nil
}

func matching(pattern string, found bool) (rule, error) {
	expression, err := regexp.Compile(pattern)
	if err != nil {
		return nil, damaged("its rule of what is encrypted is not a regular expression")
	}
	return whenAny(found, expression.MatchString), nil
}

// whenAny is a rule that answers found when one key of a path fits.
func whenAny(found bool, fits func(string) bool) rule {
	return func(path []string) bool {
		for _, key := range path {
			if fits(key) {
				return found
			}
		}
		return !found
	}
}

// combine puts a data key together from its shares.
func combine(parts [][]byte) (key []byte, err error) {
	defer func() {
		if recover() != nil {
			key, err = nil, damaged("the shares of its key do not fit together")
		}
	}()
	key, err = shamir.Combine(parts)
	if err != nil {
		return nil, fmt.Errorf("%w", damaged("the shares of its key do not fit together"))
	}
	return key, nil
}
