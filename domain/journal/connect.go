package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"yidang/domain/record"
)

// Journal is a connection to a server. It is safe for concurrent use, and finds its server again after an outage.
//
// The official client has three habits that this type keeps away from its callers. While it looks for its server every
// call waits inside it, deaf to contexts; when it gives up it is closed for good, and calls that still wait hang; and a
// call that fails while another goroutine closes it panics. So calls run in goroutines that their callers can leave,
// none is let in while the server is away, the client never gives up, and it is closed after its last call.
type Journal struct {
	address string // for messages, without credentials
	client  *esdb.Client
	life    context.Context // ends with Close, and every call with it
	stop    context.CancelFunc

	mu     sync.Mutex
	up     chan struct{} // closed while the server is there
	closed bool
	calls  sync.WaitGroup // calls that are inside the client

	tails sync.Mutex
	tail  *tail // nil when nobody follows
}

const (
	outagePatience = 2 * time.Second // how long a call waits for a server that is away
	closePatience  = 2 * time.Second
)

// Open connects and asks the server for its head, so that a wrong address or wrong credentials show now.
func Open(ctx context.Context, connection string) (*Journal, error) {
	config, err := parseConnection(connection)
	if err != nil {
		return nil, err
	}
	j := &Journal{address: addressOf(config), up: make(chan struct{})}
	if err := j.probe(ctx, *config); err != nil {
		return nil, err
	}
	// From here on it never gives up: one that did would have to be replaced under the calls that wait in it.
	config.MaxDiscoverAttempts = 1 << 30
	config.DiscoveryInterval = max(config.DiscoveryInterval, 250)
	if j.client, err = esdb.NewClient(config); err != nil {
		return nil, record.Errorf(record.Invalid, "journal at %s: %w", j.address, err)
	}
	j.life, j.stop = context.WithCancel(context.Background())
	close(j.up)
	if _, _, err := j.Head(ctx); err != nil {
		j.Close()
		return nil, err
	}
	return j, nil
}

// probe looks for the server with a client of its own, which gives up after a few attempts.
func (j *Journal) probe(ctx context.Context, config esdb.Configuration) error {
	config.MaxDiscoverAttempts = min(config.MaxDiscoverAttempts, 3)
	client, err := esdb.NewClient(&config)
	if err != nil {
		return record.Errorf(record.Invalid, "journal at %s: %w", j.address, err)
	}
	found := make(chan error, 1)
	go func() {
		_, err := client.GetServerVersion()
		client.Close()
		found <- err
	}()
	select {
	case err = <-found:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if kind := statusKind(err); kind != "" {
		return record.Errorf(kind, "journal: the server at %s refuses the connection: %w", j.address, err)
	}
	return record.Errorf(record.Unavailable, "journal: no server can be reached at %s: %w", j.address, err)
}

// socketScheme is embedded.SocketScheme; the server imports nothing of this package and this package not the server.
const socketScheme = "esdb+unix://"

// CheckConnection says what is wrong with a connection string, as far as that shows without the server.
func CheckConnection(connection string) error {
	_, err := parseConnection(connection)
	return err
}

func parseConnection(connection string) (*esdb.Configuration, error) {
	path, socket := strings.CutPrefix(connection, socketScheme)
	if socket {
		connection = "esdb://localhost?tls=false"
	}
	config, err := esdb.ParseConnectionString(connection)
	if err != nil {
		// The parser's errors may quote the string, and with it the password.
		return nil, record.Errorf(record.Invalid, "journal: the connection string is not one of EventStoreDB (esdb://… or esdb+discover://…)")
	}
	if socket {
		config.Address = "unix://" + path
	}
	config.Logger = esdb.NoopLogging() // callers log the errors they get
	return config, nil
}

func addressOf(config *esdb.Configuration) string {
	if config.Address != "" {
		return config.Address
	}
	seeds := make([]string, len(config.GossipSeeds))
	for i, seed := range config.GossipSeeds {
		seeds[i] = seed.String()
	}
	return strings.Join(seeds, ",")
}

// Close ends the connection and the calls that run.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.stop()
	idle := make(chan struct{})
	go func() {
		j.calls.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return j.client.Close()
	case <-time.After(closePatience):
		return nil // a call is stuck looking for a server that is away; closing under it would panic
	}
}

// enter lets a call into the client, waiting a little for a server that is away. Every nil is followed by calls.Done.
func (j *Journal) enter(ctx context.Context) error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return errClosed
	}
	up := j.up
	j.calls.Add(1)
	j.mu.Unlock()
	select {
	case <-up:
		return nil
	default:
	}
	var err error
	select {
	case <-up:
		return nil
	case <-time.After(outagePatience):
		err = errAway
	case <-ctx.Done():
		err = ctx.Err()
	case <-j.life.Done():
		err = errClosed
	}
	j.calls.Done()
	return err
}

// leave notes how a call ended. When the server was not there, nobody is let in until it is.
func (j *Journal) leave(err error) {
	defer j.calls.Done()
	if err == nil || codeOf(err) != esdb.ErrorUnavailable {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case <-j.up:
	default:
		return // known already
	}
	if j.closed {
		return
	}
	up := make(chan struct{})
	j.up = up
	j.calls.Add(1)
	go func() {
		defer j.calls.Done()
		j.client.GetServerVersion() // returns when the client has found a server
		close(up)
	}()
}

// start runs open in the client. What open returns is run in the same goroutine, after start has returned.
func (j *Journal) start(ctx context.Context, open func(context.Context, *esdb.Client) (func() error, error)) error {
	if err := j.enter(ctx); err != nil {
		return err
	}
	inner, cancel := context.WithCancel(ctx)
	unhook := context.AfterFunc(j.life, cancel)
	opened := make(chan error, 1)
	go func() {
		rest, err := open(inner, j.client)
		opened <- err
		if err == nil {
			err = rest()
		}
		unhook()
		cancel()
		j.leave(err)
	}()
	select {
	case err := <-opened:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-j.life.Done():
		return errClosed
	}
}

// call runs one call in the client and returns its result, or the context's error when that ends first. The call itself goes
// on then: it is ended by its own deadline, or with the connection. A client that is interrupted while it sends reads what
// gRPC is still writing.
func call[T any](ctx context.Context, j *Journal, run func(context.Context, *esdb.Client) (T, error)) (T, error) {
	var none T
	if err := j.enter(ctx); err != nil {
		return none, fmt.Errorf("%w: %w", errNotSent, err)
	}
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(j.life, cancel)
	go func() {
		value, err := run(inner, j.client)
		done <- outcome{value, err}
		unhook()
		cancel()
		j.leave(err)
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

var (
	errClosed  = errors.New("the connection was closed")
	errAway    = errors.New("the server is away")
	errNotSent = errors.New("nothing was sent")
)
