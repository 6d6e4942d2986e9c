package audit_test

import (
	"testing"

	"yidang/domain/audit"
)

// Ensure that a township in which everything went by the rules has nothing wrong, and that everything was looked at.
func TestClean(t *testing.T) {
	w := start(t)
	w.live()
	w.sign(w.notaryDir())
	s, found := w.verify()
	if bad := failures(found); len(bad) > 0 {
		t.Errorf("failures:%s", show(bad))
	}
	if s.Leaves == 0 || s.Checkpoints == 0 || s.Readings != 3 || s.Approvals < 8 || s.Attachments != 2 || s.Erased != 1 || s.Claims < 12 || len(s.Unchecked) != 0 {
		t.Errorf("%+v", s)
	}
	if len(found) != 1 || found[0].Severity != audit.Note || found[0].Check != audit.Clocks {
		t.Errorf("of the clock of the tests there is one note; found:%s", show(found))
	}
}
