// Package wide is the test of a whole network of real node processes: SAEs with
// certificates draw key by ETSI GS QKD 014, with curl and with our own client,
// between nodes that no link joins, over several disjoint paths, while a node in
// the middle of a path is killed or stands still and while the leading controller
// dies.
//
// It holds tests and their harness only. It looks at no wire and no disk (package
// sim/crash does), hunts for no key that is given twice (sim/keys) and models no
// time (sim).
//
//	QSC_LONG=1   the generated network of 100 nodes too, and what it costs
//	QSC_LOG=1    the supervisor's log on standard error
//	QSC_KEEP=1   keep the directory of a test that failed
package wide
