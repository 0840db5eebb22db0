// Package photons is the test of live quantum links between real node processes:
// devices simulated click by click, key distilled for real by the two ends, while
// applications draw it by ETSI GS QKD 014, eavesdroppers come and go, ends are
// killed in the middle of rounds and public channels are cut.
//
// Its oracle holds the records of both ends against each other and against what was
// written before (no number of a block twice, the same round told alike at both
// ends, no round under full attack), the ledgers' books, and every key drawn.
//
// It holds tests and their harness only. It looks at no frame (sim/crash), hunts for
// no key that is given twice (sim/keys) and proves nothing about light: what it runs
// on is simulated, and says so.
//
//	QSC_LONG=1     the built-in networks for minutes, every preset that can be run
//	QSC_MINUTES=5  how long each of them; 3 if not given
//	QSC_LOG=1      the supervisor's log on standard error
//	QSC_KEEP=1     keep the directory of a test that failed
package photons
