package embedded

import "testing"

// Ensure that a batch of 200,000 rows goes in complete, as one part.
func TestLargeInsert(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	execute(t, c, "CREATE TABLE t (a UInt64, b String) ENGINE = MergeTree ORDER BY a")
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t (a, b)")
	if err != nil {
		t.Fatal(err)
	}
	const rows = 200_000
	for i := range rows {
		if err := b.Append(uint64(i), "a row of some length"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	if n := number(t, c, "SELECT count() FROM t"); n != rows {
		t.Errorf("%d rows of %d", n, rows)
	}
	if s := number(t, c, "SELECT sum(a) FROM t"); s != rows*(rows-1)/2 {
		t.Errorf("sum %d", s)
	}
	if n := number(t, c, "SELECT count() FROM system.parts WHERE table = 't' AND active"); n != 1 {
		t.Errorf("the batch went into %d parts: a crash could keep some of them", n)
	}
}
