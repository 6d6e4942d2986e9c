package policy

import (
	"fmt"
	"time"

	"yidang/domain/record"
)

// Calendar is the working-day calendar. In a year it does not list, Saturdays and Sundays are the days off; Known tells.
type Calendar struct {
	Version string         `json:"version"`
	Source  string         `json:"source"`
	Years   []CalendarYear `json:"years"`

	off, on map[string]bool
	known   map[int]bool
}

// CalendarYear lists where a year differs from plain weekends.
type CalendarYear struct {
	Year   int      `json:"year"`
	Source string   `json:"source"`
	Off    []string `json:"off"` // public holidays, as days
	On     []string `json:"on"`  // weekend days worked instead
}

func (c *Calendar) index() error {
	c.off, c.on, c.known = map[string]bool{}, map[string]bool{}, map[int]bool{}
	for _, y := range c.Years {
		c.known[y.Year] = true
		for set, days := range map[*map[string]bool][]string{&c.off: y.Off, &c.on: y.On} {
			for _, d := range days {
				if t, err := time.Parse(record.Day, d); err != nil || t.Year() != y.Year {
					return fmt.Errorf("calendar: %q is not a day of %d", d, y.Year)
				}
				(*set)[d] = true
			}
		}
	}
	return nil
}

// Known tells whether the year's holidays were published when this calendar was made.
func (c *Calendar) Known(year int) bool { return c.known[year] }

// Working tells whether offices are open that day.
func (c *Calendar) Working(t time.Time) bool {
	day := t.In(record.Zone).Format(record.Day)
	if c.on[day] {
		return true
	}
	w := t.In(record.Zone).Weekday()
	return !c.off[day] && w != time.Saturday && w != time.Sunday
}

// AddWorkingDays counts n working days after from; from itself is not counted.
func (c *Calendar) AddWorkingDays(from time.Time, n int) time.Time {
	t := record.DayOf(from)
	for n > 0 {
		t = t.AddDate(0, 0, 1)
		if c.Working(t) {
			n--
		}
	}
	return t
}

// Roll moves a day off to the next working day.
func (c *Calendar) Roll(t time.Time) time.Time {
	for !c.Working(t) {
		t = t.AddDate(0, 0, 1)
	}
	return t
}
