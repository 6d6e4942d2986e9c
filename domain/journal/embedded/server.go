// Package embedded serves EventStoreDB's gRPC protocol from an append-only SQLite file, so that one machine needs no
// other process and the rest of the program still speaks to EventStoreDB through the official client.
//
// The rules, in plain words:
//
//   - An append is acknowledged after its transaction was fsynced, never before. One goroutine writes; appends that wait
//     while it syncs share the next transaction (group commit).
//   - Positions are 1, 2, 3, … without a gap, revisions of a stream 0, 1, 2, … without a gap. A reader sees an event
//     only when it is durable.
//   - Nothing is ever changed or removed. Triggers in the file refuse UPDATE, DELETE and REPLACE; delete, tombstone and
//     retention metadata are answered as access denied.
//   - The server refuses a file whose structure, position sequence or revisions are wrong, and a directory that another
//     process holds.
//
// Where it differs from EventStoreDB, on purpose:
//
//   - Delete, Tombstone, $maxAge, $maxCount, $tb and $acl metadata, and appends to $all are refused with access denied.
//     $acl is among them because a rule that is stored but not enforced would be a lie; who may read and write is decided
//     by the users of the listener.
//   - Stream metadata must be a JSON object (a lenient parser elsewhere could find a retention rule in anything else).
//   - Positions count events; they are not byte offsets. Any number is a valid place to read from.
//   - Expected revision "any" finds a repeated append among the last 65,536 events, also after a restart (EventStoreDB
//     promises its best effort and forgets at a restart).
//   - No persistent subscriptions, projections, batch append or user management: they answer UNIMPLEMENTED.
package embedded

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Options of a server. Dir is required; the rest has useful zero values.
type Options struct {
	Dir    string // data directory: journal.db, journal.lock, journal.sock; made with mode 0700
	Socket string // path of the unix socket (mode 0600); default Dir/journal.sock, or a private temp path if that is too long

	Listen   string      // TCP address to serve as well, such as "127.0.0.1:2113"; empty serves the socket only
	TLS      *tls.Config // certificate of the TCP listener; required unless Insecure
	Users    []User      // who may use the TCP listener; required unless Insecure
	Insecure bool        // TCP without TLS, any credentials accepted; loopback addresses only

	VFS      string       // name of a registered SQLite VFS; empty is the operating system's. The seam for fault tests
	Log      *slog.Logger // nil discards
	OnBroken func(error)  // called once if the file is found damaged after Start; the server then refuses appends
}

// Server is a running journal server. It is safe for concurrent use.
type Server struct {
	options   Options
	store     *store
	writer    *writer
	socketDir string // temp directory of a socket that did not fit into Dir; removed by Close
	socket    string
	tcp       net.Listener
	servers   []*grpc.Server
	stop      context.CancelFunc // ends subscriptions and the background check
	tasks     sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// maxMessage is what one gRPC message may hold: a record of 16 MiB with its envelope.
const maxMessage = 17 << 20

// Start opens the journal in options.Dir, checks it and serves it. It returns when clients can connect. The context
// bounds the opening only; Close ends the server.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	st, err := openStore(ctx, options.Dir, options.VFS)
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.Background())
	s := &Server{options: options, store: st, stop: stop}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	checked := make(chan error, 1)
	s.tasks.Go(func() { checked <- st.checkDeeply(life) })
	pending := false
	select {
	case err = <-checked:
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(checkPatience):
		pending = true
	}
	if err != nil {
		return nil, fmt.Errorf("journal file %s is refused: %w", st.path, err)
	}
	s.writer = startWriter(st)
	if err := s.listen(life); err != nil {
		return nil, err
	}
	if pending {
		s.tasks.Go(func() {
			if err := <-checked; err != nil && life.Err() == nil {
				s.broken(err)
			}
		})
	}
	return s, nil
}

// checkPatience is how long a start waits until the whole file has been read: enough for some 600,000 events. A start
// that waited to the end would take longer with every year of the record, so the check of a bigger file goes on beside
// the server.
const checkPatience = time.Second

// broken ends appending to a file that is damaged. Reads go on: they are what the damage is repaired with.
func (s *Server) broken(err error) {
	s.options.Log.Error("journal file is damaged; appends are refused", "file", s.store.path, "error", err)
	s.writer.refuse(err)
	if s.options.OnBroken != nil {
		s.options.OnBroken(err)
	}
}

func (o Options) check() error {
	if o.Dir == "" {
		return errors.New("journal: no data directory given")
	}
	if o.Listen == "" {
		return nil
	}
	if o.Insecure {
		host, _, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return fmt.Errorf("journal: listen address %q: %w", o.Listen, err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("journal: %s is not a loopback address; without TLS the journal is served on loopback only", o.Listen)
		}
		return nil
	}
	if o.TLS == nil {
		return fmt.Errorf("journal: listening on %s needs a TLS certificate, or the insecure option on a loopback address", o.Listen)
	}
	if len(o.Users) == 0 {
		return fmt.Errorf("journal: listening on %s needs at least one user", o.Listen)
	}
	return checkUsers(o.Users)
}

func (s *Server) listen(life context.Context) error {
	socket, err := s.listenSocket()
	if err != nil {
		return err
	}
	// Whoever can open the socket (its owner: mode 0600 in a 0700 directory) is trusted: the client sends no
	// credentials on a connection without TLS.
	s.serve(life, socket, trusted{}, nil)
	if s.options.Listen == "" {
		return nil
	}
	if s.tcp, err = net.Listen("tcp", s.options.Listen); err != nil {
		return fmt.Errorf("journal: listening on %s: %w", s.options.Listen, err)
	}
	if s.options.Insecure {
		s.serve(life, s.tcp, trusted{}, nil)
	} else {
		s.serve(life, s.tcp, newUsers(s.options.Users), credentials.NewTLS(s.options.TLS))
	}
	return nil
}

func (s *Server) listenSocket() (net.Listener, error) {
	s.socket = s.options.Socket
	if s.socket == "" {
		s.socket = filepath.Join(s.options.Dir, "journal.sock")
		if len(s.socket) > maxSocketPath {
			dir, err := os.MkdirTemp("", "journal")
			if err != nil {
				return nil, fmt.Errorf("journal: making a directory for the socket: %w", err)
			}
			s.socketDir, s.socket = dir, filepath.Join(dir, "journal.sock")
		}
	}
	path, err := filepath.Abs(s.socket)
	if err != nil {
		return nil, fmt.Errorf("journal: socket path: %w", err)
	}
	s.socket = path
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("journal: socket path %s is longer than the %d bytes the system allows", path, maxSocketPath)
	}
	if err := privateDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// A socket left behind by a killed process is dead: the lock on the directory is ours.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("journal: removing the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("journal: listening on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("journal: closing the socket to others: %w", err)
	}
	return l, nil
}

// maxSocketPath is the size of sun_path less its zero byte, on the smallest of the systems we run on.
const maxSocketPath = 103

func (s *Server) serve(life context.Context, l net.Listener, who gate, secure credentials.TransportCredentials) {
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.WriteBufferSize(256 << 10),
		grpc.InitialWindowSize(1 << 20),
		grpc.InitialConnWindowSize(4 << 20),
		// The official client pings every ten seconds, also without a call; the default policy would hang up on it.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.ChainUnaryInterceptor(who.unary),
		grpc.ChainStreamInterceptor(who.stream),
	}
	if secure != nil {
		options = append(options, grpc.Creds(secure), grpc.MaxConcurrentStreams(1000))
	}
	server := grpc.NewServer(options...)
	streams.RegisterStreamsServer(server, &service{store: s.store, writer: s.writer, life: life})
	serverfeatures.RegisterServerFeaturesServer(server, features{})
	if l.Addr().Network() == "tcp" {
		gossip.RegisterGossipServer(server, newMember(l.Addr()))
	}
	s.servers = append(s.servers, server)
	s.tasks.Go(func() {
		if err := server.Serve(l); err != nil {
			s.options.Log.Error("journal listener ended", "address", l.Addr().String(), "error", err)
		}
	})
}

// Connection returns the string that journal.Open takes for this server's socket.
func (s *Server) Connection() string { return SocketScheme + s.socket }

// SocketScheme begins the connection string of a server on a unix socket; the path follows.
const SocketScheme = "esdb+unix://"

// Addr returns the address of the TCP listener, or nil when there is none.
func (s *Server) Addr() net.Addr {
	if s.tcp == nil {
		return nil
	}
	return s.tcp.Addr()
}

// Head returns the position of the newest event, 0 when there is none.
func (s *Server) Head() uint64 { return s.store.head.Load() }

// Close answers the appends that were accepted, ends reads and subscriptions, and closes the file.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.stop()
		for _, server := range s.servers {
			stopped := make(chan struct{})
			go func() {
				server.GracefulStop()
				close(stopped)
			}()
			select {
			case <-stopped:
			case <-time.After(closeGrace):
				server.Stop() // a client that does not read its answer must not hold up the end
				<-stopped
			}
		}
		if s.writer != nil {
			s.writer.close()
		}
		s.tasks.Wait()
		s.closeErr = s.store.close()
		if s.socketDir != "" {
			os.RemoveAll(s.socketDir)
		}
	})
	return s.closeErr
}

const closeGrace = 5 * time.Second
