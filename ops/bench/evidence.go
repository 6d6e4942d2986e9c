package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"

	"yidang/domain/journal"
	"yidang/domain/notary"
)

// This file holds what the evidence costs: the record of a reading, the wait for a checkpoint, and verifying the log.

// evidence measures against the running server.
func (b *bench) evidence(ctx context.Context, s *server, t town, overseer *client) error {
	lead := newClient(s.base)
	if err := lead.signIn(ctx, t.Callers[0].Login, t.Password); err != nil {
		return err
	}
	kase := t.Callers[0].Cases[0].String()
	// The lead's own file is recorded once for an hour, so that is reading without the record; the overseer's each time.
	for name, as := range map[string]*client{"read.own.p50": lead, "read.recorded.p50": overseer} {
		out := hammer(ctx, 1, b.lasting/4, func(int, int) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/cases/"+kase, nil)
			if err != nil {
				return err
			}
			return as.do(r)
		})
		if out.first != nil {
			b.lacks(name, out.first.Error())
			continue
		}
		b.set(name, percentile(out.took, 50))
	}
	var slowest time.Duration
	for range 10 {
		took, err := lead.proved(ctx, kase)
		if err != nil {
			b.lacks("checkpoint.delay", err.Error())
			return nil
		}
		slowest = max(slowest, took)
	}
	b.set("checkpoint.delay", ms(slowest))
	return nil
}

// proved records a visit and tells how long it took from the answer until the event could be proved.
func (c *client) proved(ctx context.Context, kase string) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/drugs/"+kase+"/record-visit", bytes.NewReader([]byte(`{"outcome":"met"}`)))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Cookie", c.cookie)
	a, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	var receipt struct{ Events []struct{ ID string } }
	if err := errors.Join(json.NewDecoder(a.Body).Decode(&receipt), a.Body.Close()); err != nil {
		return 0, err
	}
	if len(receipt.Events) == 0 {
		return 0, fmt.Errorf("record-visit: %s", a.Status)
	}
	began := time.Now()
	for time.Since(began) < time.Minute {
		var proof struct{ Index int64 }
		if err := c.get(ctx, "/v1/proofs/"+receipt.Events[0].ID, &proof); err == nil {
			return time.Since(began), nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return 0, errors.New("no proof after a minute")
}

// held is a part of a journal in memory, so that verifying is measured and not reading.
type held []journal.Stored

// All gives the events in order.
func (h held) All(context.Context, uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range h {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Stream is asked for the stream of checkpoints, of which there is none here.
func (h held) Stream(context.Context, string, uint64) iter.Seq2[journal.Stored, error] {
	return func(func(journal.Stored, error) bool) {}
}

// verify measures the cryptographic part of yidang verify, and with it what reading through the client adds.
func (b *bench) verify(ctx context.Context) error {
	o, err := b.open(ctx, nil, 0)
	if err != nil {
		return err
	}
	defer o.close()
	_, vkey, err := note.GenerateKey(nil, "yidang.example/bench")
	if err != nil {
		return err
	}
	key, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	v := notary.VerifyOptions{Journal: o.journal, Policy: (*notary.Policy)(nil).WithLogs(key)}
	read := func(name string) error {
		began := time.Now()
		sum, err := notary.Verify(ctx, v, func(notary.Finding) {})
		b.set(name, float64(sum.Leaves)/time.Since(began).Seconds())
		return err
	}
	if err := read("verify.client.rate"); err != nil {
		return err
	}
	var events held
	for e, err := range o.journal.All(ctx, 0) {
		if err != nil {
			return err
		}
		if events = append(events, e); len(events) == 300_000 {
			break
		}
	}
	v.Journal = events
	return read("verify.rate")
}
