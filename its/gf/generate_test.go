//go:build amd64 && !purego

package gf

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The assembly in the repository is what the generator writes.
func TestAssemblyIsCurrent(t *testing.T) {
	if os.Getenv("QSC_LONG") == "" {
		t.Skip("set QSC_LONG=1: this builds the generator")
	}
	const name, stubs = "bulk_amd64.s", "bulk_amd64.go"
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "-modfile=../../tools/go.mod", "asm.go", "asm_gfni.go", "asm_avx2.go",
		"-out", filepath.Join(dir, name), "-stubs", filepath.Join(dir, stubs), "-pkg", "gf")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, f := range []string{name, stubs} {
		got, err := os.ReadFile(filepath.Join(dir, f))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// The first line names the command, and with it the directory.
		if !bytes.Equal(afterFirstLine(got), afterFirstLine(want)) {
			t.Errorf("%s is not what asm.go writes: run go generate ./its/gf", f)
		}
	}
}

func afterFirstLine(b []byte) []byte {
	_, rest, _ := bytes.Cut(b, []byte("\n"))
	return rest
}
