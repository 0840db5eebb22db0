package tunnels

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var scratch string

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "qsc-tunnels-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// program builds qsc once and returns its path.
var program = sync.OnceValues(func() (string, error) {
	exe := filepath.Join(scratch, "qsc")
	out, err := exec.Command("go", "build", "-ldflags=-w", "-o", exe, "github.com/quantum-secure-cloud/qsc/cmd/qsc").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("qsc cannot be built: %w: %s", err, out)
	}
	return exe, err
})
