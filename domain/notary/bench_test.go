package notary

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
)

// benchEvents are events of the size that casework has.
func benchEvents(count, streams int) memory {
	m := make(memory, count)
	next := make([]uint64, streams)
	for i := range m {
		s := i % streams
		data := make([]byte, 420)
		rand.Read(data)
		m[i] = journal.Stored{ID: uuid.New(), Stream: fmt.Sprintf("drugs-%08d-0000-4000-8000-000000000000", s), Revision: next[s], Position: uint64(i + 1),
			Type: "drugs.visit_recorded", Meta: fmt.Appendf(nil, `{"form":1,"actor":"%s","post":"%s","role":"community-police","unit":"%s","person":"%s","case":"%s","occurredAt":"2026-03-01T00:00:00Z","recordedAt":"2026-03-01T01:00:00Z","command":"%s"}`,
				uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New(), uuid.New()), Data: data}
		next[s]++
	}
	return m
}

// BenchmarkLeaf makes leaves of events and adds them to a tree, on one core.
func BenchmarkLeaf(b *testing.B) {
	m := benchEvents(10_000, 500)
	b.ReportAllocs()
	var e edge
	var leaf []byte
	for i := 0; b.Loop(); i++ {
		leaf = appendLeaf(leaf[:0], m[i%len(m)])
		e.add(leafHash(leaf), nil)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkVerify verifies a journal in memory: the cryptographic part, on all cores.
func BenchmarkVerify(b *testing.B) {
	m := benchEvents(200_000, 20_000)
	w := &Policy{}
	w = w.WithLogs(nil)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Verify(b.Context(), VerifyOptions{Journal: m, Policy: w}, func(f Finding) { b.Error(f) })
		if err != nil || s.Leaves != int64(len(m)) {
			b.Fatal(s, err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(m))/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkFollow catches up with a journal: reading over the protocol, hashing, and storing.
func BenchmarkFollow(b *testing.B) {
	const size = 200_000
	dir := b.TempDir()
	server, err := embedded.Start(b.Context(), embedded.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	j, err := journal.Open(b.Context(), server.Connection())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	for i, m := 0, benchEvents(size, 2000); i < size; i += 1000 {
		events := make([]journal.Proposed, 1000)
		for k, e := range m[i : i+1000] {
			events[k] = journal.Proposed{ID: e.ID, Type: e.Type, Binary: true, Meta: e.Meta, Data: e.Data}
		}
		if _, err := j.Append(b.Context(), fmt.Sprintf("drugs-%d", i/1000), journal.NoStream, events...); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		n, err := Open(b.Context(), Options{Journal: j, Dir: b.TempDir(), Origin: origin, Scrub: -1})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		n.until(ctx, 0, func(s *seen) bool { return s.size == size })
		stop()
		<-done
		n.Close()
	}
	b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
}

// BenchmarkProof proves single events of a tree of 300,000.
func BenchmarkProof(b *testing.B) {
	n := stuff(b, 300_000)
	b.ReportAllocs()
	for i := int64(0); b.Loop(); i++ {
		if _, err := n.Proof(b.Context(), madeUp(i*7919%300_000).ID); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDelay appends one event at a time and waits until its checkpoint is published, with the defaults.
func BenchmarkDelay(b *testing.B) {
	server, err := embedded.Start(b.Context(), embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	j, err := journal.Open(b.Context(), server.Connection())
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	k := makeKey(b)
	n, err := Open(b.Context(), Options{Journal: j, Dir: b.TempDir(), Signer: signer(b, k), Keys: []note.Verifier{publicKey(b, k)}, Scrub: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	longest := time.Duration(0)
	for i := int64(1); b.Loop(); i++ {
		time.Sleep(time.Duration(i*37%1500) * time.Millisecond)
		began := time.Now()
		if _, err := j.Append(b.Context(), "drugs-1", journal.Any, event(int(i))); err != nil {
			b.Fatal(err)
		}
		n.until(ctx, 0, func(s *seen) bool { return s.tree.N >= i })
		longest = max(longest, time.Since(began))
	}
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
	stop()
	<-done
}
