package api

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"
)

// Limits bound what one caller may cost. The zero value is replaced by DefaultLimits.
type Limits struct {
	Body        int64   // bytes of a JSON body
	Upload      int64   // bytes of an attachment or roster
	PerAddress  float64 // requests per second from one network address; a township office may sit behind one
	PerSession  float64 // requests per second of one session or token
	SignIns     float64 // attempts to sign in per second from one address
	Burst       int     // how many seconds' worth of requests may come at once
	ReadHeader  time.Duration
	Read, Write time.Duration
	Idle        time.Duration
	Wait        time.Duration // longest wait for a position (atLeast)
}

// DefaultLimits suit a township: some dozens of officers behind one address.
func DefaultLimits() Limits {
	return Limits{
		Body: 256 << 10, Upload: 20 << 20, PerAddress: 200, PerSession: 50, SignIns: 1, Burst: 10,
		ReadHeader: 5 * time.Second, Read: 30 * time.Second, Write: 60 * time.Second, Idle: 2 * time.Minute, Wait: 10 * time.Second,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, p := range []struct{ v, d *int64 }{{&l.Body, &d.Body}, {&l.Upload, &d.Upload}} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	for _, p := range []struct{ v, d *float64 }{{&l.PerAddress, &d.PerAddress}, {&l.PerSession, &d.PerSession}, {&l.SignIns, &d.SignIns}} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	for _, p := range []struct{ v, d *time.Duration }{{&l.ReadHeader, &d.ReadHeader}, {&l.Read, &d.Read}, {&l.Write, &d.Write}, {&l.Idle, &d.Idle}, {&l.Wait, &d.Wait}} {
		if *p.v == 0 {
			*p.v = *p.d
		}
	}
	if l.Burst == 0 {
		l.Burst = d.Burst
	}
	return l
}

// limits counts requests. The least recent callers are forgotten, so memory is bounded however many addresses come.
type limits struct {
	addresses   bucket[netip.Addr]
	credentials bucket[uuid.UUID]
	signIns     bucket[netip.Addr]
}

type bucket[K comparable] struct {
	callers *lru.Cache[K, *rate.Limiter]
	every   rate.Limit
	burst   int
}

func newBucket[K comparable](perSecond float64, burst int) (b bucket[K], err error) {
	b.callers, err = lru.New[K, *rate.Limiter](20_000)
	b.every, b.burst = rate.Limit(perSecond), max(1, int(perSecond*float64(burst)))
	return b, err
}

func (b bucket[K]) allow(k K) bool {
	l, ok := b.callers.Get(k)
	if !ok {
		fresh := rate.NewLimiter(b.every, b.burst)
		if had, found, _ := b.callers.PeekOrAdd(k, fresh); found {
			l = had
		} else {
			l = fresh
		}
	}
	return l.Allow()
}

func newLimits(l Limits) (out *limits, err error) {
	out = &limits{}
	if out.addresses, err = newBucket[netip.Addr](l.PerAddress, l.Burst); err != nil {
		return nil, err
	}
	if out.credentials, err = newBucket[uuid.UUID](l.PerSession, l.Burst); err != nil {
		return nil, err
	}
	out.signIns, err = newBucket[netip.Addr](l.SignIns, l.Burst)
	return out, err
}

// network is what a limit counts: one IPv4 address, or the /64 that one IPv6 customer has.
func network(a netip.Addr) netip.Addr {
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

func (l *limits) address(a netip.Addr) bool    { return l.addresses.allow(network(a)) }
func (l *limits) credential(id uuid.UUID) bool { return l.credentials.allow(id) }
func (l *limits) signIn(a netip.Addr) bool     { return l.signIns.allow(network(a)) }
