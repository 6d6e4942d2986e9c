// Package vault keeps the keys that make a file readable, and destroys them when a file must be forgotten.
//
// Every stream that holds personal data has one random AES-256 key of its own. Whatever the record stores about the
// stream is sealed with it, so destroying 60 bytes here erases the data everywhere at once: in the journal, which never
// deletes, in the views, and in every backup of either.
//
// Keys are wrapped three deep. A Wrapper (a 0600 key file, or a KMS) wraps one random root; the root wraps each stream's
// key and the master secret from which MAC and Secret derive. The wrapper is called when the vault is opened and when it
// is rewrapped, never while casework is going on, so a slow or absent KMS costs nothing once the service is up.
//
// What Destroy promises, and what it cannot. When it has returned, the wrapped key is nowhere in the vault's files: its
// bytes were overwritten in place and the write-ahead log that had carried them is empty. It cannot reach copies: a backup
// of the vault taken earlier still holds the key, wrapped, until that backup expires. The horizon of an erasure is
// therefore the retention of the vault's backups: back the vault up apart from the journal and keep those backups for as
// short a time as the operator dares, and no longer than record.KeyBackupDays, 30 days, which every erasure announces.
// Blocks that a file system or a flash disk freed without overwriting them are such copies too. Rewrap to a new wrapper and
// destruction of the old one makes all of them unreadable.
//
// Who holds only the vault file learns stream names, when each key was made or destroyed, and the stated reason; no
// content. Who holds the vault file and the key file reads everything not yet erased: keep them on different media.
package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"yidang/domain/record"
)

// ErrErased is the answer to every use of a stream whose key was destroyed.
var ErrErased = &record.Problem{
	Kind:    record.Erased,
	Message: "the key of this file was destroyed: its content is gone for ever",
	Zh:      "本档密钥已销毁，内容不可恢复",
}

// ErrAltered is the answer of Open to bytes that this stream's key did not seal with this AAD.
var ErrAltered = &record.Problem{
	Kind:    record.Invalid,
	Message: "sealed data was altered, or belongs to another stream or event",
	Zh:      "密文被改动，或不属于本档",
}

var errClosed = &record.Problem{Kind: record.Unavailable, Message: "the vault is closed"}

// Options says where a vault is and what opens it.
type Options struct {
	Path    string  // the SQLite file; created when missing, in a directory that exists
	Wrapper Wrapper // opens the root; must be the one that wrapped it last

	// CacheKeys is how many streams' opened keys stay in memory, about 1 KiB each. Zero means 16384.
	CacheKeys int

	vfs string // tests inject faults through a VFS of this name
}

// Vault is safe for concurrent use. One process at a time may have a vault open.
type Vault struct {
	lock    io.Closer
	writer  *conn // owned by the run goroutine once it has started
	readers chan *conn
	cache   *cache

	// mu orders reading a key from the file against destroying and rewrapping keys: whoever holds it for reading may
	// put what it read into the cache, because no key can be destroyed between the two.
	mu     sync.RWMutex
	root   tink.AEAD
	erased map[string]struct{}

	master  []byte // never changes during the life of a vault, not even by Rewrap
	derived sync.Map

	jobs    chan *job
	quit    chan struct{} // closed by Close: no new jobs
	stopped chan struct{} // closed by run: no job is in hand
	closed  atomic.Bool
}

// Open opens the vault, or creates it. Normal start and recovery after a crash are the same path: whatever an interrupted
// Destroy left in the write-ahead log is flushed out before Open returns.
func Open(ctx context.Context, o Options) (*Vault, error) {
	if o.Wrapper == nil {
		return nil, record.Errorf(record.Invalid, "open vault: no wrapper given")
	}
	if o.CacheKeys <= 0 {
		o.CacheKeys = 16384
	}
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, err
	}
	v := &Vault{
		lock:    lock,
		readers: make(chan *conn, readerConns),
		cache:   newCache(o.CacheKeys),
		erased:  map[string]struct{}{},
		jobs:    make(chan *job, 256),
		quit:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if err := v.open(ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault %s: %w", o.Path, err), v.release())
	}
	go v.run()
	return v, nil
}

func (v *Vault) open(ctx context.Context, o Options) (err error) {
	if v.writer, err = openFile(o); err != nil {
		return err
	}
	if v.root, v.master, err = v.writer.loadRoot(ctx, o.Wrapper); err != nil {
		return err
	}
	if err = v.writer.flush(); err != nil {
		return err
	}
	if v.erased, err = v.writer.loadErased(); err != nil {
		return err
	}
	for range readerConns {
		r, err := openConn(o)
		if err != nil {
			return err
		}
		v.readers <- r
	}
	return nil
}

// Ensure creates the keys that are missing. When it returns nil, all of them are on disk. It answers ErrErased, and
// creates none of them, when one of the streams was erased. When ctx ends first, the keys may or may not exist: calling
// again is safe.
func (v *Vault) Ensure(ctx context.Context, streams ...string) error {
	if v.closed.Load() {
		return errClosed
	}
	var missing []string
	for _, s := range streams {
		_, err := v.key(ctx, s)
		switch {
		case err == nil:
		case errors.Is(err, errNoKey):
			missing = append(missing, s)
		default:
			return err
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return v.submit(ctx, &job{ctx: ctx, ensure: missing, done: make(chan error, 1)})
}

// Seal encrypts plaintext for a stream, making the stream's key durable first when there is none.
//
// The sealed form is Tink's: the byte 1, the key's number in four bytes (always 1), a random nonce of 12 bytes, the
// ciphertext and a tag of 16 bytes. aad is bound, not stored: Open needs the same.
func (v *Vault) Seal(ctx context.Context, stream string, plaintext, aad []byte) ([]byte, error) {
	key, err := v.key(ctx, stream)
	if errors.Is(err, errNoKey) {
		if err = v.Ensure(ctx, stream); err == nil {
			key, err = v.key(ctx, stream)
		}
	}
	if err != nil {
		return nil, err
	}
	sealed, err := key.Encrypt(plaintext, aad)
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", stream, err)
	}
	return sealed, nil
}

// Open decrypts what Seal returned. It answers ErrErased when the stream's key was destroyed, NotFound when the stream
// never had one, and ErrAltered when the bytes, the AAD or the stream are not those of Seal.
func (v *Vault) Open(ctx context.Context, stream string, sealed, aad []byte) ([]byte, error) {
	key, err := v.key(ctx, stream)
	if err != nil {
		return nil, err
	}
	plaintext, err := key.Decrypt(sealed, aad)
	if err != nil {
		return nil, ErrAltered.Because(err)
	}
	return plaintext, nil
}

// Erased says whether the stream's key was destroyed.
func (v *Vault) Erased(stream string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	_, ok := v.erased[stream]
	return ok
}

// Close waits for the work in hand and closes the files. Later calls answer Unavailable, except MAC and Secret.
func (v *Vault) Close() error {
	if v.closed.Swap(true) {
		return nil
	}
	close(v.quit)
	<-v.stopped
	return v.release()
}

func (v *Vault) release() error {
	var errs []error
	for range cap(v.readers) {
		select {
		case r := <-v.readers:
			errs = append(errs, r.Close())
		default: // Open failed before it made all of them
		}
	}
	if v.writer != nil {
		errs = append(errs, v.writer.Close())
	}
	return errors.Join(append(errs, v.lock.Close())...)
}

// errNoKey is the NotFound of a stream that never had a key.
var errNoKey = &record.Problem{Kind: record.NotFound, Message: "nothing was ever sealed for this stream"}

// key returns the stream's opened key from the cache or the file.
func (v *Vault) key(ctx context.Context, stream string) (*streamKey, error) {
	if v.closed.Load() {
		return nil, errClosed
	}
	if key, ok := v.cache.get(stream); ok {
		return key, nil
	}
	var r *conn
	select {
	case r = <-v.readers:
	case <-ctx.Done():
		return nil, record.Errorf(record.Unavailable, "read the key of %s: %w", stream, ctx.Err())
	case <-v.quit:
		return nil, errClosed
	}
	defer func() { v.readers <- r }()

	v.mu.RLock()
	defer v.mu.RUnlock()
	if _, ok := v.erased[stream]; ok {
		return nil, ErrErased
	}
	wrapped, err := r.readKey(stream)
	if err != nil {
		return nil, err
	}
	raw, err := v.root.Decrypt(wrapped, keyAAD(stream))
	if err != nil {
		return nil, fmt.Errorf("the vault holds a damaged key for %s; restore the vault from a backup: %w", stream, err)
	}
	key, err := newStreamKey(raw)
	if err != nil {
		return nil, err
	}
	v.cache.put(stream, key)
	return key, nil
}

const keyBytes = 32

func keyAAD(stream string) []byte { return []byte("yidang vault key\x00" + stream) }

func newAEAD(raw []byte) (tink.AEAD, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: keyBytes, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
	})
	if err != nil {
		return nil, fmt.Errorf("make AES-256-GCM: %w", err)
	}
	key, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), 1, params)
	if err != nil {
		return nil, fmt.Errorf("make AES-256-GCM: %w", err)
	}
	return aesgcm.NewAEAD(key)
}
