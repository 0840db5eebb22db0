package manage

// Every statement of the store: one text for SQLite and PostgreSQL. The whole
// suite of the store runs on both.
const (
	sqlSetting  = `SELECT value, version FROM settings WHERE name = $1`
	sqlSettings = `SELECT name, value, version FROM settings ORDER BY name`
	sqlAddSet   = `INSERT INTO settings (name, value, version) VALUES ($1, $2, 1) ON CONFLICT (name) DO NOTHING RETURNING version`
	sqlSet      = `UPDATE settings SET value = $2, version = version + 1 WHERE name = $1 AND version = $3 RETURNING version`

	sqlPutApp = `INSERT INTO applications (app, node, title) VALUES ($1, $2, $3)
ON CONFLICT (app) DO UPDATE SET node = excluded.node, title = excluded.title`
	sqlDropApp = `DELETE FROM applications WHERE app = $1 RETURNING app`
	sqlApps    = `SELECT app, node, title FROM applications ORDER BY app`

	sqlPutPair = `INSERT INTO pairs (master, slave, paths, need, min_rate, max_rate, priority, ttl, retry)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (master, slave) DO UPDATE SET paths = excluded.paths, need = excluded.need, min_rate = excluded.min_rate,
max_rate = excluded.max_rate, priority = excluded.priority, ttl = excluded.ttl, retry = excluded.retry`
	sqlDropPair = `DELETE FROM pairs WHERE master = $1 AND slave = $2 RETURNING master`
	sqlPairs    = `SELECT master, slave, paths, need, min_rate, max_rate, priority, ttl, retry FROM pairs ORDER BY master, slave`

	sqlPutHop = `INSERT INTO hops (link, node, begins, ends, prev, rest, bandwidth, unused)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (link, node) DO UPDATE SET begins = excluded.begins, ends = excluded.ends, prev = excluded.prev,
rest = excluded.rest, bandwidth = excluded.bandwidth, unused = excluded.unused`
	sqlDropHop = `DELETE FROM hops WHERE link = $1 AND node = $2 RETURNING link`
	sqlHops    = `SELECT link, node, begins, ends, prev, rest, bandwidth, unused FROM hops ORDER BY link, node`

	// Each of these is one statement: the engine's row lock makes it one step.
	sqlLease   = `SELECT holder, epoch, beat FROM lease WHERE id = 1`
	sqlTake    = `UPDATE lease SET holder = $1, epoch = epoch + 1, beat = 0 WHERE id = 1 AND epoch = $2 AND beat = $3 RETURNING epoch`
	sqlKeep    = `UPDATE lease SET beat = beat + 1 WHERE id = 1 AND epoch = $1 AND holder = $2 RETURNING epoch`
	sqlRelease = `UPDATE lease SET holder = '', beat = beat + 1 WHERE id = 1 AND epoch = $1 AND holder = $2 RETURNING epoch`
	sqlRaise   = `UPDATE lease SET epoch = $3, beat = 0 WHERE id = 1 AND epoch = $1 AND holder = $2 AND epoch < $3 RETURNING epoch`
)
