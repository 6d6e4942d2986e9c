package policy

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"yidang/domain/record"
)

// Book answers for every version of the policy that was ever in force. Versions never change, so it may cache them.
type Book struct {
	sets []*Rules
	load func(context.Context) ([]record.Event, error)

	mu       sync.Mutex
	changes  []record.Event // the policy stream, oldest first
	versions map[string]*Rules
}

// NewBook reads the rule sets of the binary. load reads the whole policy stream; nil means there is none.
func NewBook(load func(context.Context) ([]record.Event, error)) (*Book, error) {
	sets, err := builtIn()
	if err != nil {
		return nil, err
	}
	return &Book{sets: sets, load: load, versions: map[string]*Rules{}}, nil
}

// InForce gives the rules of a day, given how many changes the policy stream holds (its revision + 1).
func (b *Book) InForce(ctx context.Context, day time.Time, changes int) (*Rules, error) {
	set := b.sets[0]
	for _, s := range b.sets[1:] {
		if s.From <= day.In(record.Zone).Format(record.Day) {
			set = s
		}
	}
	v := set.Version
	if changes > 0 {
		v += "+" + strconv.Itoa(changes)
	}
	return b.Version(ctx, v)
}

// Version gives the rules of a version.
func (b *Book) Version(ctx context.Context, version string) (*Rules, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r, ok := b.versions[version]; ok {
		return r, nil
	}
	r, err := b.make(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("policy version %s: %w", version, err)
	}
	b.versions[version] = r
	return r, nil
}

func (b *Book) make(ctx context.Context, version string) (*Rules, error) {
	name, n, err := splitVersion(version)
	if err != nil {
		return nil, err
	}
	var set *Rules
	for _, s := range b.sets {
		if s.Version == name {
			set = s
		}
	}
	if set == nil {
		return nil, fmt.Errorf("rule set %s is not in this program: it was written by a newer one", name)
	}
	if n > len(b.changes) && b.load != nil {
		if b.changes, err = b.load(ctx); err != nil {
			return nil, err
		}
	}
	if n > len(b.changes) {
		return nil, fmt.Errorf("the policy stream has %d changes, not %d", len(b.changes), n)
	}
	r := *set
	r.Version = version
	r.Settings = make(map[string]Setting, len(set.Settings))
	for k, s := range set.Settings {
		r.Settings[k] = s
	}
	voided := record.VoidedIn(b.changes[:n], record.At{})
	for _, e := range b.changes[:n] {
		c, ok := e.Data.(SettingChanged)
		if _, gone := voided[e.ID]; !ok || gone {
			continue
		}
		s := r.Settings[c.Setting]
		s.Days = c.Days
		r.Settings[c.Setting] = s
	}
	return &r, nil
}
