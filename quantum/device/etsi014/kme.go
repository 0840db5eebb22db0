package etsi014

import (
	"context"
	"encoding/json"
	"errors"
	"math/bits"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/internal/etsi014"
	"github.com/quantum-secure-cloud/qsc/quantum/device/twins"
)

// kme is a vendor's key management entity as a source of keys.
type kme struct {
	client *etsi014.Client
	peer   string
	size   int64 // bytes of a key; 0: as large as it gives
}

// Limits implements twins.Source. The largest keys cost the fewest calls.
func (k *kme) Limits(ctx context.Context, block int64) (twins.Limits, error) {
	st, err := k.client.Status(ctx, k.peer)
	if err != nil {
		return twins.Limits{}, later(err)
	}
	if k.size == 0 {
		k.size = min(st.MaxSize/8, block)
		if k.size > 0 {
			k.size = 1 << (bits.Len64(uint64(k.size)) - 1) // vendors test powers of two
		}
		k.size = max(k.size, st.MinSize/8)
	}
	return twins.Limits{Size: k.size, Batch: min(st.MaxPerRequest, etsi014.MaxKeys)}, nil
}

// Draw implements twins.Source.
func (k *kme) Draw(ctx context.Context, n int) (*twins.Keys, error) {
	c, err := k.client.EncKeys(ctx, k.peer, etsi014.KeyRequest{Number: n, Size: 8 * k.size})
	return keys(c, err)
}

// Twins implements twins.Source.
func (k *kme) Twins(ctx context.Context, ids []qsc.KeyID) (*twins.Keys, error) {
	c, err := k.client.DecKeys(ctx, k.peer, ids...)
	return keys(c, err)
}

func keys(c *etsi014.Container, err error) (*twins.Keys, error) {
	if err != nil {
		return nil, later(err)
	}
	return &twins.Keys{IDs: c.IDs, Size: c.Size, Bytes: c.Bytes, Class: told(c.Extension)}, nil
}

// told reads the class that a QSC node gives with its keys; a vendor's KME says
// nothing.
func told(extension []byte) qsc.Class {
	var x struct {
		Class *qsc.Class `json:"qsc_class"`
	}
	if len(extension) == 0 || json.Unmarshal(extension, &x) != nil || x.Class == nil {
		return 0
	}
	return *x.Class
}

// later carries the time that a KME says with its refusal.
func later(err error) error {
	var refusal *etsi014.Refusal
	if errors.As(err, &refusal) && refusal.RetryAfter > 0 {
		return &twins.Later{Err: err, After: refusal.RetryAfter}
	}
	return err
}
