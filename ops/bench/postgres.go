package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// postgresScript writes what pgbench needs: a table with the columns of the journal's, and the insert of an event of the
// size of a stored visit. The table has its primary key and no other index, which is more than fair to PostgreSQL.
func (b *bench) postgresScript() error {
	t, err := b.readTown()
	if err != nil {
		return err
	}
	schema := `CREATE TABLE events (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream bigint NOT NULL, revision bigint NOT NULL,
	id uuid NOT NULL, type text NOT NULL, created timestamptz NOT NULL, json boolean NOT NULL, meta bytea NOT NULL, data bytea NOT NULL);
`
	insert := fmt.Sprintf(`\set stream random(1, %d)
\set revision random(0, 500)
INSERT INTO events (stream, revision, id, type, created, json, meta, data)
	VALUES (:stream, :revision, gen_random_uuid(), 'casework.visit_recorded', now(), false, '%s', '%s');
`, t.Cases, strings.Repeat("m", t.VisitMeta), strings.Repeat("d", t.VisitData))
	for file, text := range map[string]string{"schema.sql": schema, "insert.sql": insert} {
		if err := os.WriteFile(filepath.Join(b.dir, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
