package kubetest

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

func TestPrefixMakesNamespaceNames(t *testing.T) {
	cases := map[string]struct{ test, want string }{
		"plain":        {test: "TestDisk", want: "test-testdisk-"},
		"a subtest":    {test: "TestDisk/from_an_image", want: "test-from-an-image-"},
		"odd letters":  {test: "TestÜber/größe", want: "test-gr--e-"},
		"starts oddly": {test: "Test/__x", want: "test-x-"},
		"long":         {test: "Test" + strings.Repeat("x", 80), want: "test-test" + strings.Repeat("x", 36) + "-"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := prefix(tc.test)
			if got != tc.want {
				t.Errorf("prefix %q, want %q", got, tc.want)
			}
			// The server appends five letters.
			if problems := validation.IsDNS1123Label(got + "abcde"); len(problems) > 0 {
				t.Errorf("%q makes no namespace: %v", got, problems)
			}
		})
	}
}
