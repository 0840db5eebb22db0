package qsc_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const whyITS = `
Why: what travels between nodes and rests at sites is to stay secret whatever
computers will be able to do. One cipher, hash or generator on that path, in a
dependency of a dependency, and everything on it is only as good as that. Draw
randomness through share.Source, whose class is recorded; put what is
computational into fips/, where it carries its class.`

// mathOnly is all that its/ may reach in the standard library's crypto and
// random trees and among foreign modules.
var mathOnly = map[string]string{
	"crypto/subtle":                         "constant-time comparison, XOR",
	"crypto/internal/constanttime":          "part of crypto/subtle",
	"crypto/internal/fips140/alias":         "part of crypto/subtle",
	"crypto/internal/fips140/subtle":        "part of crypto/subtle",
	"crypto/internal/fips140deps/byteorder": "part of crypto/subtle",
	"internal/chacha8rand":                  "part of package runtime (map seeds), cannot be imported",
	"github.com/klauspost/cpuid/v2":         "reads CPU features to choose a kernel",
}

// computational reports whether a package is in the trees of ciphers, hashes or
// generators, or foreign: what its/ reaches of those is listed above.
func computational(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case path == module || strings.HasPrefix(path, module+"/"):
		return false
	case strings.Contains(first, "."), strings.HasPrefix(path, "vendor/golang.org/x/crypto"):
		return true
	}
	return first == "crypto" || first == "hash" || path == "math/rand" || path == "math/rand/v2" || path == "internal/chacha8rand"
}

// Law 2, over everything that its/ depends on, for every build of it.
func TestLaw2ITSReachesNothingComputational(t *testing.T) {
	gobin, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go tool on the PATH: the dependencies of its/ cannot be listed here")
	}
	for _, build := range []struct{ arch, tags string }{{"amd64", ""}, {"amd64", "purego"}, {"arm64", ""}} {
		cmd := exec.Command(gobin, "list", "-deps", "-tags="+build.tags, "./its/...")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+build.arch)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v: %s", err, stderr.String())
		}
		paths := strings.Fields(string(out))
		if len(paths) < 20 {
			t.Fatalf("its/ depends on %d packages: the law looks in the wrong place", len(paths))
		}
		for _, p := range paths {
			if computational(p) && mathOnly[p] == "" {
				t.Errorf("its/ (%s %s) depends on %s; go mod why and go list -deps show through what.%s", build.arch, build.tags, p, whyITS)
			}
		}
	}
	for _, p := range []string{"crypto/aes", "crypto/internal/fips140/drbg", "hash/crc32", "math/rand/v2", "golang.org/x/crypto/chacha20", "vendor/golang.org/x/crypto/chacha20", "crypto/sha256"} {
		if !computational(p) || mathOnly[p] != "" {
			t.Errorf("the law does not see %s", p)
		}
	}
}

// Floors between the kernels and the door: all that they say to each other is
// under one-time pad, so they have no use for a cipher.
var padOnly = []string{"its", "keymgmt", "control", "transport", "cloud", "internal"}

// Law 2, for what these floors import themselves.
func TestLaw2NothingButPadsBetweenNodes(t *testing.T) {
	allowed := except(map[string]string{
		"transport crypto/rand":              "session identifiers, no secrets",
		"control/manage crypto/tls":          "the bus of reports and tables, recomputable and labelled computational",
		"cloud/site/local crypto/rand":       "the salt of a segment's records: tells them from old bytes, no secret",
		"cloud/vault github.com/google/uuid": "object identifiers, no secrets",
		"internal/etsi014 crypto/tls":        "the TLS that ETSI GS QKD 014 prescribes; no pad passes, and what comes through it is of class Computational",
		"internal/etsi004 crypto/tls":        "as internal/etsi014, for ETSI GS QKD 004",
		"keymgmt/supply crypto/aes":          "key identifiers: a permutation of public positions, so that they look random; protects no key and is called computational",
		"keymgmt/supply crypto/cipher":       "the type of an AES block",
		"keymgmt/supply crypto/rand":         "stream identifiers; random numbers and key between applications of one node, labelled os-random",
		"internal/durable math/rand/v2":      "the disk in memory, a test double, chooses what a crash leaves",
	})
	for _, s := range load(t, false) {
		for _, path := range s.imports() {
			if !onPadPath(s.dir) || !cipherOrGenerator(path) || allowed.allow(s.dir+" "+path) {
				continue
			}
			t.Errorf("%s imports %s.%s", s.path, path, whyITS)
		}
	}
	allowed.check(t)
}

func onPadPath(dir string) bool {
	for _, tree := range padOnly {
		if under(dir, tree) {
			return true
		}
	}
	return false
}

// cipherOrGenerator reports whether a package encrypts, signs, negotiates keys
// or draws numbers. Hashes are law 4's.
func cipherOrGenerator(path string) bool {
	if path == "github.com/google/uuid" || path == "math/rand" || path == "math/rand/v2" {
		return true
	}
	if strings.HasPrefix(path, "golang.org/x/crypto") {
		return true
	}
	return strings.HasPrefix(path, "crypto/") && path != "crypto/subtle" && !hashes(path)
}
