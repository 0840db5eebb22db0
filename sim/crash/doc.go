// Package crash is the fault test of the whole spine: real node processes, taps
// on every wire, kill -9 at any moment, and an oracle that looks at everything
// that passed a wire and at every byte on every disk.
//
// It holds tests and their harness only. The matrix of what is tested where, here
// and beside each floor, is docs/design/faults.md. It does not test power cuts:
// those are the rooms' own (keymgmt/keymgmttest, cloud/site/local), which can
// take back what a disk was not told to keep.
//
//	QSC_SEED=7   the crash loop's plan again
//	QSC_LONG=1   1,000 rounds instead of 50
//	QSC_LOG=1    every step of the plan on standard error
//	QSC_KEEP=1   the directories of what failed, with the stacks of nodes that hung
package crash
