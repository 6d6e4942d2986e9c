package oversight

import (
	"context"
	"fmt"
	"reflect"

	fastjson "github.com/goccy/go-json"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
)

var (
	assignedData = reflect.TypeFor[casework.ResponsibleAssigned]()
	acceptedData = reflect.TypeFor[casework.HandOverAccepted]()

	// needed are the types of data that the index looks at.
	needed = []reflect.Type{
		reflect.TypeFor[access.Read](), reflect.TypeFor[record.Voided](), reflect.TypeFor[record.Corrected](), reflect.TypeFor[record.Proposed](),
		reflect.TypeFor[record.Approved](), reflect.TypeFor[record.Rejected](), reflect.TypeFor[staff.GlassBroken](),
		reflect.TypeFor[person.Merged](), reflect.TypeFor[person.Unmerged](), assignedData, acceptedData, reflect.TypeFor[casework.ResponsibleEnded](),
	}
)

// Opener is the follow.Opener for an Index: of most events it reads what an index keeps of the metadata, and leaves the
// data sealed. Its events are of no use to anything else.
type Opener struct {
	codec *catalog.Codec
	whole map[string]bool // stored types to open
}

// NewOpener makes an opener. It opens through the codec what must be opened.
func NewOpener(codec *catalog.Codec) *Opener {
	o := &Opener{codec: codec, whole: map[string]bool{}}
	for _, k := range codec.Catalog.Categories {
		for i := range k.Events {
			for _, t := range needed {
				if k.Events[i].Type == t {
					o.whole[k.Events[i].Name] = true
				}
			}
		}
	}
	return o
}

// Open is documented at follow.Opener. An event whose data stayed sealed has none, and is not Erased.
func (o *Opener) Open(ctx context.Context, s journal.Stored) (e record.Event, known bool, err error) {
	if o.whole[s.Type] {
		return o.codec.Open(ctx, s)
	}
	if _, ok := o.codec.Catalog.Of(s.Stream); !ok {
		return e, false, nil
	}
	e = record.Event{ID: s.ID, Stream: s.Stream, Revision: s.Revision, Position: s.Position, Type: s.Type}
	if readMeta(s.Meta, &e.Meta) {
		return e, true, nil
	}
	e.Meta = record.Meta{}
	if err := fastjson.Unmarshal(s.Meta, &e.Meta); err != nil {
		return e, true, fmt.Errorf("event %s at position %d: metadata: %w", s.ID, s.Position, err)
	}
	return e, true, nil
}
