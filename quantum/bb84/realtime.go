package bb84

import (
	"time"

	"github.com/quantum-secure-cloud/qsc/quantum"
)

// Realtime measures how many times faster than the devices one core simulates and
// sifts a link, both ends' work counted together: seconds of device time over
// seconds of work. It needs no wire and waits for nothing. Error: Invalid.
func Realtime(d Device, ch quantum.Channel, seconds float64) (factor float64, err error) {
	d, err = d.checked()
	if err != nil {
		return 0, err
	}
	loss, err := d.lossOf(ch)
	if err != nil {
		return 0, err
	}
	w := quantum.World{Seed: [32]byte{'r', 'e', 'a', 'l'}}
	e := &end{device: d, loss: loss}
	r, s, l := newReceiver(w, d, 0, e.conditions), &sender{src: newSource(w, d)}, &listener{}
	c, out := new(clicks), []byte(nil)
	end := uint64(seconds * d.Clock)
	begin := time.Now()
	for r.pos < end {
		c.reset(r.pos)
		r.run(min(r.pos+uint64(d.Clock/20)+1, end), c)
		if out, err = exchange(s, l, c, out, d.Decoys); err != nil {
			return 0, err
		}
	}
	return seconds / time.Since(begin).Seconds(), nil
}

// exchange carries a message of clicks to Alice and her answer to Bob in memory.
func exchange(s *sender, l *listener, c *clicks, buf []byte, decoys int) ([]byte, error) {
	buf = c.append(buf[:0])
	h, err := parseClicks(buf)
	if err == nil {
		err = s.take(&h)
	}
	if err != nil {
		return buf, err
	}
	buf = s.kept.append(buf[:0], stateMore)
	a, err := parseKept(buf, len(c.pulse))
	if err != nil {
		return buf, err
	}
	return buf, l.take(c, &a, decoys)
}
