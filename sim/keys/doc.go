// Package keys is the fault test of the key management layer as applications see
// it: real node processes with their ETSI GS QKD 014 and 004 doors, SAEs that draw
// key from all of them at once, kill -9, partitions, lost replies and replayed
// requests, and an oracle that knows every key which anybody has seen.
//
// It holds tests and their harness only. What it promises and how is
// docs/design/key-faults.md. It looks at the links' wires only for one-time pads
// that serve twice (sim/tap); what passes there is sim/crash's.
//
//	QSC_SEED=7   the same plan again
//	QSC_LONG=1   10^7 keys in place of 10^5
//	QSC_LOG=1    every step of the plan on standard error
//	QSC_KEEP=1   the directories of what failed, with the stacks of nodes that hung
package keys
