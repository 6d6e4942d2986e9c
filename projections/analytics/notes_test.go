package analytics

import (
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"testing"

	"yidang/domain/casework"
	"yidang/domain/record"
)

func keyed(key string) MAC {
	return func(purpose string, parts ...[]byte) []byte {
		h := hmac.New(sha256.New, []byte(key+purpose))
		for _, p := range parts {
			h.Write(p)
		}
		return h.Sum(nil)
	}
}

func noted(text string) record.Event {
	return record.Event{Data: casework.VisitRecorded{Outcome: casework.Met, Note: text}}
}

func alike(a, b Note) bool {
	for i := range a.Near {
		if a.Near[i] == b.Near[i] {
			return true
		}
	}
	return false
}

// Ensure that what is written differently but says the same has one hash, that a word more or less is near, that what
// differs is not, that short notes have no hash, and that all of it hangs on the key.
func TestNotes(t *testing.T) {
	n := newNotes(keyed("a"))
	const text = "3月18日上门走访，本人在家，情绪稳定，近期在镇上务工，已提醒按时参加尿检，家属配合"
	first := n.of(noted(text))
	if first.Hash == 0 || first.Length != 32 {
		t.Fatalf("%+v", first)
	}
	for _, same := range []string{
		"3 月 18 日上门走访。本人在家;情绪稳定、近期在镇上务工,已提醒按时参加尿检,家属配合!\n",
		"１２月０２日上门走访，本人在家，情绪稳定，近期在镇上务工，已提醒按时参加尿检，家属配合",
	} {
		if n.of(noted(same)) != first {
			t.Errorf("%q is another note", same)
		}
	}
	if a, b := n.of(noted("Met at home, ALL is well")), n.of(noted("ｍｅｔ at home all is WELL.")); a != b || a.Hash == 0 {
		t.Errorf("%+v\n%+v", a, b)
	}
	near := n.of(noted("3月18日上门走访，本人在家，情绪稳定，近期在县上务工，已提醒按时参加尿检，家属配合"))
	if near.Hash == first.Hash || !alike(near, first) {
		t.Errorf("one word differs: %+v\n%+v", near, first)
	}
	other := n.of(noted("电话约见后在村委会谈话，反映与父亲争吵，想去外地找工作，建议先办理请假手续再离开"))
	if other.Hash == first.Hash || alike(other, first) {
		t.Errorf("two notes: %+v\n%+v", other, first)
	}
	for text, length := range map[string]uint16{"": 0, "，。！": 0, "在家": 1, "在家，一切正常。": 1, "本人在家，情绪稳定": 8} {
		got := n.of(noted(text))
		if got.Length != length || (got.Hash != 0) != (length >= 8) || (got.Near != [4]uint64{}) != (length >= 8) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if n.of(record.Event{Data: casework.NoteAdded{Text: text}}) != (Note{}) || n.of(record.Event{}) != (Note{}) {
		t.Error("what is no visit has a hash")
	}
	theirs := newNotes(keyed("b")).of(noted(text))
	if theirs.Hash == first.Hash || alike(theirs, first) {
		t.Error("another key gives the same hashes")
	}
	all := append(first.Near[:], first.Hash)
	slices.Sort(all)
	if len(slices.Compact(all)) != 5 {
		t.Errorf("hashes of one note are equal: %+v", first)
	}
}

// BenchmarkNote is the cost of one note of forty characters.
func BenchmarkNote(b *testing.B) {
	n := newNotes(keyed("a"))
	e := noted("3月18日上门走访，本人在家，情绪稳定，近期在镇上务工，已提醒按时参加尿检，家属配合")
	for b.Loop() {
		n.of(e)
	}
}
