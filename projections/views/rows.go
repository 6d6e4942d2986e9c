package views

import (
	"encoding/binary"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// personRow is a row of people.
type personRow struct {
	n           int64
	id          uuid.UUID
	name        string
	citizen     string
	sex         int
	birth, died int64
	phone       string
	village     int64
	also        []int64
	erased      bool
	revision    uint64
}

// caseRow is a row of cases.
type caseRow struct {
	n                       int64
	id                      uuid.UUID
	program                 string
	person                  int64
	village                 int64
	tier                    string
	open, sealed, erased    bool
	lead                    int64
	handlers                []int64
	opened, closed, lastMet int64
	revision                uint64
	owed                    []owed
	packed                  []byte // the same as stored, in a row read for a list; owed is empty then
}

// owed is an open duty of a case, with who owes it.
type owed struct {
	casework.Duty
	number int64 // see dutyNumber
	holder int64
}

// endedRow is a row of ended.
type endedRow struct {
	kase     int64
	position uint64
	seq      int
	holder   int64 // who owed it when it ended
	duty     casework.Duty
}

const peopleColumns = `n, id, name, citizen, sex, birth, phone, village, also, died, erased, revision`

func scanPerson(st *sqlite3.Stmt) *personRow {
	return &personRow{
		n: st.ColumnInt64(0), id: columnID(st, 1), name: st.ColumnText(2), citizen: st.ColumnText(3), sex: st.ColumnInt(4),
		birth: st.ColumnInt64(5), phone: st.ColumnText(6), village: st.ColumnInt64(7), also: numbers(st.ColumnRawBlob(8)),
		died: st.ColumnInt64(9), erased: st.ColumnBool(10), revision: uint64(st.ColumnInt64(11)),
	}
}

func (p *personRow) save(c *sealed.Conn) error {
	return exec(c, `INSERT INTO people (`+peopleColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (n) DO UPDATE SET name = excluded.name, citizen = excluded.citizen, sex = excluded.sex, birth = excluded.birth,
		phone = excluded.phone, village = excluded.village, also = excluded.also, died = excluded.died, erased = excluded.erased,
		revision = excluded.revision`,
		p.n, p.id[:], p.name, p.citizen, p.sex, p.birth, p.phone, p.village, packNumbers(p.also), p.died, p.erased, int64(p.revision))
}

const caseColumns = `n, id, program, person, village, tier, open, sealed, erased, lead, handlers, opened, closed, last_met, revision, owed`

func scanCase(st *sqlite3.Stmt) (k *caseRow, err error) {
	k = scanListed(st)
	k.owed, err = unpackOwed(k.packed)
	k.packed = nil
	return k, err
}

// scanListed leaves the duties packed: a page of a worklist wants one of each case.
func scanListed(st *sqlite3.Stmt) *caseRow {
	return &caseRow{
		n: st.ColumnInt64(0), id: columnID(st, 1), program: st.ColumnText(2), person: st.ColumnInt64(3), village: st.ColumnInt64(4),
		tier: st.ColumnText(5), open: st.ColumnBool(6), sealed: st.ColumnBool(7), erased: st.ColumnBool(8), lead: st.ColumnInt64(9),
		handlers: numbers(st.ColumnRawBlob(10)), opened: st.ColumnInt64(11), closed: st.ColumnInt64(12), lastMet: st.ColumnInt64(13),
		revision: uint64(st.ColumnInt64(14)), packed: st.ColumnBlob(15, nil),
	}
}

func (k *caseRow) save(c *sealed.Conn) error {
	return exec(c, `INSERT INTO cases (`+caseColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (n) DO UPDATE SET person = excluded.person, village = excluded.village, tier = excluded.tier, open = excluded.open,
		sealed = excluded.sealed, erased = excluded.erased, lead = excluded.lead, handlers = excluded.handlers,
		opened = excluded.opened, closed = excluded.closed, last_met = excluded.last_met, revision = excluded.revision, owed = excluded.owed`,
		k.n, k.id[:], k.program, k.person, k.village, k.tier, k.open, k.sealed, k.erased, k.lead, packNumbers(k.handlers),
		k.opened, k.closed, k.lastMet, int64(k.revision), packOwed(k.owed))
}

// personOf makes the row of a person's file.
func (w *writer) personOf(f *record.File, n int64) (*personRow, error) {
	row := &personRow{n: n, id: f.ID, erased: f.Erased, revision: f.Revision}
	p, ok := f.State.(*person.Person)
	if !ok || f.Erased {
		return row, nil
	}
	row.name, row.citizen, row.sex, row.phone = p.Name, p.CitizenID, p.Sex, p.Phone
	row.birth, row.died = millis(p.Birth), millis(p.Died)
	var err error
	row.village, err = w.s.places.village(w.c, p.Village)
	return row, err
}

// caseOf makes the row of a case's file.
func (w *writer) caseOf(d *dirty, n, person int64) (*caseRow, error) {
	f := d.file
	row := &caseRow{n: n, id: f.ID, program: f.Category.Name, person: person, erased: f.Erased, revision: f.Revision}
	program, ok := f.State.(casework.Program)
	if f.Erased || !ok {
		row.opened = millis(d.opened) // of an erased case only dates are left
		if had := d.oldCase; had != nil && d.opened.IsZero() {
			row.opened = had.opened
		}
		return row, nil
	}
	c := program.Core()
	row.tier, row.open, row.sealed = program.Tier(), c.IsOpen(), isSealed(f.State)
	row.opened, row.closed, row.lastMet = millis(c.Opened), millis(c.Closed), millis(c.LastMet)
	var err error
	number := func(id uuid.UUID) (n int64) {
		if err == nil {
			n, err = w.s.places.number(w.c, id)
		}
		return n
	}
	if row.village, err = w.s.places.village(w.c, c.Village); err != nil {
		return nil, err
	}
	row.lead = number(c.Lead())
	for _, r := range c.Responsible {
		if h := number(r.Officer); !slices.Contains(row.handlers, h) {
			row.handlers = append(row.handlers, h)
		}
	}
	for _, duty := range c.Duties.Open {
		row.owed = append(row.owed, owed{Duty: duty, number: dutyNumber(duty), holder: number(c.Holder(duty))})
	}
	return row, err
}

// isSealed tells whether a case is sealed (S-16). A program says so by a field of its state, Sealed bool.
func isSealed(state any) bool {
	v := reflect.Indirect(reflect.ValueOf(state))
	if v.Kind() != reflect.Struct {
		return false
	}
	f := v.FieldByName("Sealed")
	return f.IsValid() && f.Kind() == reflect.Bool && f.Bool()
}

// millis and instant keep a time; zero stays zero. No event was at that very millisecond in 1970.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func day(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).In(record.Zone)
}

// dayNumber counts days in record.Zone.
func dayNumber(t time.Time) int64 {
	return (t.Unix() + 8*3600) / 86400
}

func packNumbers(ns []int64) []byte {
	b := []byte{} // nil would be NULL
	for _, n := range ns {
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

func numbers(b []byte) (ns []int64) {
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			return ns
		}
		ns, b = append(ns, int64(n)), b[size:]
	}
	return ns
}

// packOwed writes for each duty its number, the length of the rest, who holds it, and the duty.
func packOwed(list []owed) []byte {
	b, one := []byte{}, []byte(nil)
	for _, o := range list {
		one = binary.AppendUvarint(one[:0], uint64(o.holder))
		one = packDuty(one, o.Duty)
		b = binary.BigEndian.AppendUint64(b, uint64(o.number))
		b = binary.AppendUvarint(b, uint64(len(one)))
		b = append(b, one...)
	}
	return b
}

func unpackOwed(b []byte) (list []owed, err error) {
	err = eachOwed(b, func(number int64, one []byte) error {
		o, err := unpackOne(number, one)
		list = append(list, o)
		return err
	})
	return list, err
}

// findOwed unpacks one duty.
func findOwed(b []byte, number int64) (o owed, ok bool, err error) {
	err = eachOwed(b, func(n int64, one []byte) (err error) {
		if n == number {
			ok = true
			o, err = unpackOne(n, one)
		}
		return err
	})
	return o, ok, err
}

func eachOwed(b []byte, do func(number int64, one []byte) error) error {
	for len(b) > 0 {
		if len(b) < 9 {
			return errDuty
		}
		number := int64(binary.BigEndian.Uint64(b))
		n, size := binary.Uvarint(b[8:])
		if size <= 0 || uint64(len(b)-8-size) < n {
			return errDuty
		}
		b = b[8+size:]
		if err := do(number, b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func unpackOne(number int64, b []byte) (o owed, err error) {
	holder, size := binary.Uvarint(b)
	if size <= 0 {
		return o, errDuty
	}
	o.number, o.holder = number, int64(holder)
	o.Duty, _, err = unpackDuty(b[size:])
	return o, err
}

var errDuty = errors.New("a stored duty cannot be read")

// packDuty appends a duty. It is read and written a hundred thousand times in a rebuild, which JSON would dominate.
func packDuty(b []byte, d casework.Duty) []byte {
	for _, s := range []string{d.Code, d.Key, string(d.Status), string(d.Owner), d.Policy, d.Calendar} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, t := range []time.Time{d.From, d.Opens, d.Due, d.EndedOn} {
		b = binary.AppendVarint(b, millis(t))
	}
	for _, id := range []uuid.UUID{d.Named, d.Officer, d.Started, d.Ended} {
		b = append(b, id[:]...)
	}
	return b
}

func unpackDuty(b []byte) (d casework.Duty, rest []byte, err error) {
	var status, owner string
	for _, s := range []*string{&d.Code, &d.Key, &status, &owner, &d.Policy, &d.Calendar} {
		n, size := binary.Uvarint(b)
		if size <= 0 || uint64(len(b)-size) < n {
			return d, nil, errDuty
		}
		*s, b = string(b[size:size+int(n)]), b[size+int(n):]
	}
	d.Status, d.Owner = casework.Status(status), record.Role(owner)
	for _, t := range []*time.Time{&d.From, &d.Opens, &d.Due} {
		ms, size := binary.Varint(b)
		if size <= 0 {
			return d, nil, errDuty
		}
		*t, b = day(ms), b[size:]
	}
	ms, size := binary.Varint(b)
	if size <= 0 || len(b)-size < 64 {
		return d, nil, errDuty
	}
	d.EndedOn, b = instant(ms), b[size:]
	for i, id := range []*uuid.UUID{&d.Named, &d.Officer, &d.Started, &d.Ended} {
		copy(id[:], b[16*i:])
	}
	return d, b[64:], nil
}
