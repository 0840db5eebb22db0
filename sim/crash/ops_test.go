package crash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quantum-secure-cloud/qsc"
	"github.com/quantum-secure-cloud/qsc/gateway/admin"
)

// opTime bounds one operation: a node that answers neither yes nor no for so
// long hangs.
const opTime = 90 * time.Second

// op is one operation at the home node, as planned.
type op struct {
	kind   string // put, replace, get, range, rm
	name   string
	policy string
	v      version
	offset int
	length int
}

func (o op) String() string {
	switch o.kind {
	case "put", "replace":
		return fmt.Sprintf("%s %s %q %v", o.kind, o.name, o.policy, o.v)
	case "range":
		return fmt.Sprintf("range %s %d+%d", o.name, o.offset, o.length)
	}
	return o.kind + " " + o.name
}

var kinds = []string{"put", "put", "replace", "replace", "replace", "replace", "get", "get", "get", "range", "range", "rm"}

func planOp(r *rand.Rand, name string) op {
	o := op{kind: kinds[r.IntN(len(kinds))], name: name, v: version{r.Uint32() | 1, planSize(r)}}
	o.policy = []string{"default", "two", "two", "near"}[r.IntN(4)]
	o.offset, o.length = r.IntN(100_000), r.IntN(200_000)
	return o
}

// planSize is mostly small, now and then up to 2 MiB, and sometimes an edge.
func planSize(r *rand.Rand) int {
	switch r.IntN(10) {
	case 0:
		return []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1}[r.IntN(5)]
	case 1, 2:
		return r.IntN(2<<20 + 1)
	case 3, 4, 5:
		return r.IntN(512 << 10)
	}
	return r.IntN(64 << 10)
}

// do runs an operation and tells the model. What comes back is a fault of the
// system, not of the operation.
func (w *world) do(o op) (result string, fault error) {
	ctx, cancel := context.WithTimeout(w.T.Context(), opTime)
	defer cancel()
	var err error
	switch o.kind {
	case "put", "replace":
		err, fault = w.put(ctx, o)
	case "rm":
		err, fault = w.remove(ctx, o)
	default:
		err, fault = w.read(ctx, o)
	}
	if fault == nil && ctx.Err() != nil {
		fault = fmt.Errorf("no answer for %v", opTime)
	}
	if fault == nil {
		fault = w.mayFail(o, err)
	}
	if err == nil {
		return "ok", fault
	}
	return err.Error(), fault
}

func (w *world) put(ctx context.Context, o op) (err, fault error) {
	_, err = w.home.Put(ctx, o.name, bytes.NewReader(o.v.bytes()), admin.PutOptions{Policy: o.policy, Size: int64(o.v.size), Replace: o.kind == "replace"})
	switch {
	case err == nil && o.kind == "put" && !w.model.mayBeAbsent(o.name):
		return nil, fmt.Errorf("a put over an object that is there was acknowledged")
	case err == nil:
		w.model.settle(o.name, o.v)
	case !qsc.IsKind(err, qsc.Exists):
		w.model.doubt(o.name, o.v)
	}
	return err, nil
}

func (w *world) remove(ctx context.Context, o op) (err, fault error) {
	err = w.home.Delete(ctx, o.name)
	switch {
	case err == nil && !w.model.mayBeThere(o.name):
		return nil, fmt.Errorf("an object that is not there was removed")
	case err == nil || qsc.IsKind(err, qsc.NotFound) && w.model.mayBeAbsent(o.name):
		w.model.settle(o.name, version{})
	case !qsc.IsKind(err, qsc.NotFound):
		w.model.doubt(o.name, version{})
	}
	return err, nil
}

func (w *world) read(ctx context.Context, o op) (err, fault error) {
	offset, length := 0, -1
	if o.kind == "range" {
		offset, length = o.offset, o.length
	}
	var got bytes.Buffer
	_, err = w.home.Get(ctx, o.name, &got, int64(offset), int64(length))
	if err != nil && got.Len() == 0 {
		return err, nil
	}
	if _, ok := w.model.match(o.name, got.Bytes(), offset, length, err == nil); !ok {
		return err, fmt.Errorf("%d bytes came back (%v) that are of none of %v", got.Len(), err, w.model.get(o.name))
	}
	return err, nil
}

// mayFail judges an error: under kills and cuts these may come, but nothing is
// ever damaged, and what is there is not denied.
func (w *world) mayFail(o op, err error) error {
	switch qsc.KindOf(err) {
	case qsc.Unreachable, qsc.Insufficient, qsc.Timeout, qsc.Exhausted, qsc.Busy:
		return nil
	case qsc.NotFound:
		if w.model.mayBeAbsent(o.name) {
			return nil
		}
	case qsc.Exists:
		if w.model.mayBeThere(o.name) {
			return nil
		}
	case qsc.Invalid:
		if o.kind == "range" { // the offset may lie behind the end
			return nil
		}
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("an error that no kill excuses: %w (possible: %v)", err, w.model.get(o.name))
}
