// Package catalog is the one list of categories: everything that can be recorded, and every command that records it.
// Adding a program is one folder and two lines here: the import and the list.
//
// testdata holds one fixture per stored form, <event>.vN.json. A fixture may be added, never changed: it is what is in
// somebody's journal.
package catalog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"yidang/domain/access"
	"yidang/domain/intake"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// categories is the list.
func categories() []*record.Category {
	return []*record.Category{
		&person.Category,
		&units.Category,
		&staff.Category,
		&policy.Category,
		&intake.Category,
		&access.Category,
		&drugs.Category,
	}
}

// Catalog answers for names.
type Catalog struct {
	Categories []*record.Category
	byName     map[string]*record.Category
	events     map[string]map[string]*record.EventRow
}

var (
	eventName   = regexp.MustCompile(`^[a-z]+\.[a-z][a-z0-9_]+$`)
	commandName = regexp.MustCompile(`^[a-z]+\.[a-z][a-z0-9_]+$`)
)

// New checks the list and indexes it.
func New() (*Catalog, error) {
	c := &Catalog{Categories: categories(), byName: map[string]*record.Category{}, events: map[string]map[string]*record.EventRow{}}
	for _, k := range c.Categories {
		if _, twice := c.byName[k.Name]; twice {
			return nil, fmt.Errorf("category %s is listed twice", k.Name)
		}
		if err := check(k); err != nil {
			return nil, fmt.Errorf("category %s: %w", k.Name, err)
		}
		c.byName[k.Name] = k
		c.events[k.Name] = map[string]*record.EventRow{}
		for i := range k.Events {
			c.events[k.Name][k.Events[i].Name] = &k.Events[i]
		}
	}
	return c, nil
}

func check(k *record.Category) error {
	if len(k.Readers) == 0 {
		return fmt.Errorf("nobody may read it: Readers is empty")
	}
	var names []string
	for _, e := range k.Events {
		if !eventName.MatchString(e.Name) {
			return fmt.Errorf("event %q: the stored name is not of the form noun.what_happened", e.Name)
		}
		if e.Title.Zh == "" || e.Title.En == "" {
			return fmt.Errorf("event %s has no title in both languages", e.Name)
		}
		names = append(names, e.Name)
	}
	for _, r := range k.Commands {
		if !commandName.MatchString(r.Name) {
			return fmt.Errorf("command %q: the name is not of the form noun.do_this", r.Name)
		}
		if len(r.Grants) == 0 || r.Source == "" || r.Title.Zh == "" || r.Title.En == "" {
			return fmt.Errorf("command %s needs a grant, a source and a title in both languages", r.Name)
		}
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if len(slices.Compact(slices.Clone(names))) != len(names) {
		return fmt.Errorf("a name is used twice among %s", strings.Join(names, ", "))
	}
	return nil
}

// Category finds a category by name.
func (c *Catalog) Category(name string) (*record.Category, bool) {
	k, ok := c.byName[name]
	return k, ok
}

// Of finds the category of a stream; ok is false for reservation and system streams.
func (c *Catalog) Of(stream string) (*record.Category, bool) {
	name, _, ok := record.SplitStream(stream)
	if !ok {
		return nil, false
	}
	return c.Category(name)
}

// Event finds the row of an event type within a category.
func (c *Catalog) Event(category, name string) (*record.EventRow, bool) {
	r, ok := c.events[category][name]
	return r, ok
}

// Command finds a command by name within a category.
func (c *Catalog) Command(category, name string) (*record.CommandRow, bool) {
	k, ok := c.byName[category]
	if !ok {
		return nil, false
	}
	for i := range k.Commands {
		if k.Commands[i].Name == name {
			return &k.Commands[i], true
		}
	}
	return nil, false
}
