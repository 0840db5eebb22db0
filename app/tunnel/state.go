package tunnel

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/quantum-secure-cloud/qsc"
)

// State is the file in which an end remembers the ID of the last key that both
// settled on. It holds no key. The zero value remembers nothing.
type State struct{ Path string }

type stateFile struct {
	Tunnel string    `json:"tunnel"`
	Last   string    `json:"last"`
	At     time.Time `json:"at"`
}

// Last returns the remembered ID, or a zero one. Errors: Corrupt, Denied.
func (s State) Last() (qsc.KeyID, error) { return s.read() }

func (s State) read() (qsc.KeyID, error) {
	if s.Path == "" {
		return qsc.KeyID{}, nil
	}
	text, err := os.ReadFile(s.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return qsc.KeyID{}, nil
	case err != nil:
		return qsc.KeyID{}, qsc.E("tunnel.State", qsc.Denied, "", "cannot read the tunnel's state: %w", err)
	}
	var f stateFile
	if err := json.Unmarshal(text, &f); err != nil {
		return qsc.KeyID{}, qsc.E("tunnel.State", qsc.Corrupt, "", "%s is damaged; remove it, the next rotation writes it anew: %w", s.Path, err)
	}
	return ParseKeyID(f.Last)
}

// write replaces the file: a reader sees the old one or the new one.
func (s State) write(tunnel string, id qsc.KeyID) error {
	if s.Path == "" {
		return nil
	}
	text, err := json.Marshal(stateFile{tunnel, id.String(), time.Now().UTC()})
	if err == nil {
		err = replace(s.Path, append(text, '\n'))
	}
	if err != nil {
		return qsc.E("tunnel.State", qsc.KindOf(err), "", "the key is in use, but its ID cannot be remembered: %w", err)
	}
	return nil
}

func replace(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".qsc-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
