package instance

import (
	"os"
	"path/filepath"
	"testing"
)

func TestALogIsBegunAnewUnderItsWriter(t *testing.T) {
	tests := map[string]struct {
		before   string
		log, old string
		without  bool
	}{
		"small":   {before: "12345678", log: "12345678+"},
		"large":   {before: "123456789", log: "+", old: "23456789"},
		"missing": {without: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "console.log")
			write := func(string) {}
			if !tc.without {
				writer, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
				if err != nil {
					t.Fatal(err)
				}
				defer writer.Close()
				write = func(text string) { _, _ = writer.WriteString(text) }
			}
			write(tc.before)
			if err := trim(path, 8); err != nil {
				t.Fatal(err)
			}
			write("+")
			if got, _ := os.ReadFile(path); string(got) != tc.log {
				t.Errorf("log %q, want %q", got, tc.log)
			}
			if got, _ := os.ReadFile(path + ".old"); string(got) != tc.old {
				t.Errorf("kept %q, want %q", got, tc.old)
			}
		})
	}
}
