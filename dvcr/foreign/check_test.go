package foreign_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"slipway.dev/slipway/dvcr/foreign"
)

// edit returns a copy of a file's content with other bytes at an offset.
func edit(t *testing.T, f *os.File, off int, with []byte) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	copy(b[off:], with)
	return b
}

func TestCheck(t *testing.T) {
	raw := make([]byte, 2*mib)
	vmdk, vdi, vhd := convert(t, raw, "-O", "vmdk"), convert(t, raw, "-O", "vdi"), convert(t, raw, "-O", "vpc")
	two := []byte("RW 8 SPARSE \"a.vmdk\"\nRW 8 FLAT \"/etc/shadow\" 0\n")
	cases := map[string]struct {
		content []byte
		format  string
		want    error
		says    string
	}{
		"vmdk":                      {edit(t, vmdk, 0, nil), foreign.VMDK, nil, ""},
		"vmdk of version 3":         {append([]byte("COWD"), make([]byte, 600)...), foreign.VMDK, nil, ""},
		"vmdk descriptor":           {append([]byte("# Disk DescriptorFile\n"), make([]byte, 600)...), foreign.VMDK, foreign.ErrUnsupported, "other files"},
		"vmdk without capacity":     {edit(t, vmdk, 12, make([]byte, 8)), foreign.VMDK, foreign.ErrUnsupported, "other files"},
		"vmdk with a parent":        {edit(t, vmdk, 512, []byte(`parentFileNameHint="/etc/shadow"`)), foreign.VMDK, foreign.ErrUnsupported, "difference"},
		"vmdk of two files":         {edit(t, vmdk, 512, two), foreign.VMDK, foreign.ErrUnsupported, "files or more"},
		"vmdk of two, in its words": {edit(t, vmdk, 28, binary.LittleEndian.AppendUint64(nil, 100)), foreign.VMDK, nil, ""},
		"vmdk, short":               {[]byte("KDMV"), foreign.VMDK, foreign.ErrInvalidImage, "header"},
		"vmdk, other signature":     {make([]byte, 600), foreign.VMDK, foreign.ErrInvalidImage, "signature"},
		"vdi":                       {edit(t, vdi, 0, nil), foreign.VDI, nil, ""},
		"vdi difference":            {edit(t, vdi, 0x4c, []byte{4}), foreign.VDI, foreign.ErrUnsupported, "difference"},
		"vdi, short":                {make([]byte, 10), foreign.VDI, foreign.ErrInvalidImage, "header"},
		"vhd":                       {edit(t, vhd, 0, nil), foreign.VHD, nil, ""},
		"vhd difference":            {edit(t, vhd, 60, []byte{0, 0, 0, 4}), foreign.VHD, foreign.ErrUnsupported, "difference"},
		"vhdx":                      {nil, foreign.VHDX, nil, ""},
		"qcow2":                     {nil, "qcow2", foreign.ErrUnsupported, "not known"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := foreign.Check(bytes.NewReader(c.content), int64(len(c.content)), c.format)
			if !errors.Is(err, c.want) {
				t.Fatalf("checked with %v, want %v", err, c.want)
			}
			if c.want != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error does not speak of %q: %v", c.says, err)
			}
		})
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte("KDMV"), foreign.VMDK)
	f.Add(append([]byte("KDMV"), bytes.Repeat([]byte{1}, 700)...), foreign.VMDK)
	f.Add(make([]byte, 100), foreign.VDI)
	f.Add(make([]byte, 100), foreign.VHD)
	f.Fuzz(func(t *testing.T, b []byte, format string) {
		err := foreign.Check(bytes.NewReader(b), int64(len(b)), format)
		if err == nil && format == foreign.VMDK && bytes.Contains(b[512:min(len(b), 512+10<<10)], []byte("parentFileNameHint")) && !bytes.HasPrefix(b, []byte("COWD")) {
			t.Error("an image with a parent passes")
		}
	})
}
