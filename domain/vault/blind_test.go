package vault

import (
	"errors"
	"testing"

	"yidang/domain/record"
)

// Ensure that what blinds an event is the same after a restart, is another for each name and stream, and is gone with the
// stream's key.
func TestBlind(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	ctx := t.Context()
	if _, err := v.Blind(ctx, "person-1", []byte("a")); record.KindOf(err) != record.NotFound {
		t.Errorf("a stream without a key: %v", err)
	}
	if err := v.Ensure(ctx, "person-1", "person-2"); err != nil {
		t.Fatal(err)
	}
	seen := map[[32]byte]string{}
	first := map[string][32]byte{}
	for _, stream := range []string{"person-1", "person-2"} {
		for _, name := range []string{"a", "b", ""} {
			s, err := v.Blind(ctx, stream, []byte(name))
			if err != nil {
				t.Fatal(err)
			}
			if other, twice := seen[s]; twice {
				t.Errorf("%s and %s have the same", stream+"/"+name, other)
			}
			seen[s], first[stream+"/"+name] = stream+"/"+name, s
		}
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = openTest(t, dir)
	if s, err := v.Blind(ctx, "person-1", []byte("a")); err != nil || s != first["person-1/a"] {
		t.Errorf("after a restart it is another: %v", err)
	}
	if err := v.Destroy(ctx, "person-1", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Blind(ctx, "person-1", []byte("a")); !errors.Is(err, ErrErased) {
		t.Errorf("after the key was destroyed: %v", err)
	}
}
