package catalog

// Every statement of the catalogue. One text for SQLite and PostgreSQL:
// numbered placeholders, standard types and clauses only. TestPortable runs
// them past a list of dialect words and, where a PostgreSQL server is
// installed, past that server.
const (
	columns = `o.owner, o.object, o.version, o.name, o.state, o.size, o.chunk, o.k, o.n, o.w, o.class, o.policy, o.created, p.point, p.site, p.state, p.hash_key`
	joined  = ` JOIN placements AS p ON p.owner = o.owner AND p.object = o.object AND p.version = o.version`

	sqlInsert = `INSERT INTO objects (owner, object, version, name, state, size, chunk, k, n, w, class, policy, created)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (owner, object, version) DO NOTHING RETURNING version`

	sqlChange = `UPDATE objects SET state = $4, size = $5, chunk = $6, k = $7, w = $8, class = $9, policy = $10, created = $11
WHERE owner = $1 AND object = $2 AND version = $3`

	sqlPlace = `INSERT INTO placements (owner, object, version, point, site, state, hash_key)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (owner, object, version, point) DO UPDATE SET site = excluded.site, state = excluded.state, hash_key = excluded.hash_key`

	sqlUnplace = `DELETE FROM placements WHERE owner = $1 AND object = $2 AND version = $3 AND point = $4`

	sqlByRef = `SELECT ` + columns + ` FROM objects AS o` + joined + `
WHERE o.owner = $1 AND o.object = $2 AND o.version = $3 ORDER BY p.point`

	sqlByName = `SELECT ` + columns + ` FROM objects AS o` + joined + `
WHERE o.name = $1 AND o.state = 1 ORDER BY p.point`

	// One state at a time, so that the index gives the order and a short list
	// of doomed objects is not searched for among millions of stored ones.
	sqlPage = `SELECT ` + columns + ` FROM (
SELECT * FROM objects WHERE state = $1 AND (name, version, object, owner) > ($2, $3, $4, $5) AND name < $6
ORDER BY name, version, object, owner LIMIT $7) AS o` + joined + `
ORDER BY o.name, o.version, o.object, o.owner, p.point`

	// The same for records with a placement that is not durable (state 1); the
	// index placements_open makes it cost what there is to mend.
	sqlOpenPage = `SELECT ` + columns + ` FROM (
SELECT d.* FROM (SELECT DISTINCT owner, object, version FROM placements WHERE state <> 1) AS q
JOIN objects AS d ON d.owner = q.owner AND d.object = q.object AND d.version = q.version
WHERE d.state = $1 AND (d.name, d.version, d.object, d.owner) > ($2, $3, $4, $5) AND d.name < $6
ORDER BY d.name, d.version, d.object, d.owner LIMIT $7) AS o` + joined + `
ORDER BY o.name, o.version, o.object, o.owner, p.point`

	sqlCount = `SELECT COUNT(*) FROM objects WHERE state = 1`

	// $2, $3 and $4 are the record that takes the name.
	sqlRival = `SELECT version FROM objects WHERE name = $1 AND state = 1 AND version >= $4 AND NOT (owner = $2 AND object = $3 AND version = $4)`
	sqlDoom  = `UPDATE objects SET state = 2 WHERE name = $1 AND state = 1 AND version < $2`

	sqlForgetMasks  = `DELETE FROM masks WHERE owner = $1 AND object = $2 AND version = $3`
	sqlForgetPlaces = `DELETE FROM placements WHERE owner = $1 AND object = $2 AND version = $3`
	sqlForget       = `DELETE FROM objects WHERE owner = $1 AND object = $2 AND version = $3`

	sqlShares = `SELECT n FROM objects WHERE owner = $1 AND object = $2 AND version = $3`

	// The runs that touch chunks $4 … $5-1: from the last one that begins at or
	// before $4 on. Runs do not overlap, so none further back can reach $4.
	sqlRuns = `SELECT first, chunks, masks FROM masks WHERE owner = $1 AND object = $2 AND version = $3 AND first < $5
AND first >= (SELECT COALESCE(MAX(m.first), 0) FROM masks AS m WHERE m.owner = $1 AND m.object = $2 AND m.version = $3 AND m.first <= $4)
ORDER BY first`

	sqlDropRun = `DELETE FROM masks WHERE owner = $1 AND object = $2 AND version = $3 AND first = $4`
	sqlPutRun  = `INSERT INTO masks (owner, object, version, first, chunks, masks) VALUES ($1, $2, $3, $4, $5, $6)`
)

// Each pool prepares what runs on it.
var (
	readStatements  = []string{sqlByName, sqlPage, sqlOpenPage, sqlCount, sqlShares, sqlRuns}
	writeStatements = []string{
		sqlInsert, sqlChange, sqlPlace, sqlUnplace, sqlByRef, sqlRival, sqlDoom,
		sqlForgetMasks, sqlForgetPlaces, sqlForget, sqlShares, sqlRuns, sqlDropRun, sqlPutRun,
	}
)
