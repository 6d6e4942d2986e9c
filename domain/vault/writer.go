package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/internal/sqlitefile"
)

// job is one request to the goroutine that writes: create keys, or something that is done alone.
type job struct {
	ctx    context.Context
	ensure []string
	alone  func() error
	done   chan error // buffered: the writer never waits for a caller that left
}

// submit hands a job to the writer and waits for its result.
func (v *Vault) submit(ctx context.Context, j *job) error {
	select {
	case v.jobs <- j:
	case <-v.quit:
		return errClosed
	case <-ctx.Done():
		return record.Errorf(record.Unavailable, "the vault did not get to it: %w", ctx.Err())
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return record.Errorf(record.Unavailable, "the vault's answer was not waited for; ask again: %w", ctx.Err())
	case <-v.stopped:
	}
	select {
	case err := <-j.done: // it was the last job done
		return err
	default:
		return errClosed
	}
}

// run owns the writing connection. Requests for keys that arrive while one commit is being fsynced share the next one.
func (v *Vault) run() {
	defer close(v.stopped)
	for {
		var j *job
		select {
		case j = <-v.jobs:
		case <-v.quit:
			return
		}
		var batch []*job
		for j != nil && j.alone == nil && len(batch) < cap(v.jobs) {
			batch = append(batch, j)
			select {
			case j = <-v.jobs:
			default:
				j = nil
			}
		}
		if len(batch) > 0 {
			v.ensureAll(batch)
		}
		switch {
		case j == nil:
		case j.alone != nil:
			j.done <- j.alone()
		default: // the batch was full
			v.ensureAll([]*job{j})
		}
	}
}

// ensureAll creates what the jobs ask for in one transaction, and answers them once it is on disk.
func (v *Vault) ensureAll(batch []*job) {
	refused := make([]error, len(batch))
	made := map[string][]byte{}
	err := v.transact(func() error {
		for i, j := range batch {
			if refused[i] = v.refuse(j); refused[i] != nil {
				continue
			}
			for _, stream := range j.ensure {
				if err := v.create(stream, made); err != nil {
					return fmt.Errorf("create the key of %s: %w", stream, err)
				}
			}
		}
		return nil
	})
	if err == nil {
		for stream, raw := range made {
			if key, err := newStreamKey(raw); err == nil {
				v.cache.put(stream, key)
			}
		}
	}
	for i, j := range batch {
		switch {
		case refused[i] != nil:
			j.done <- refused[i]
		case err != nil:
			j.done <- record.Errorf(record.Unavailable, "the vault could not store a key: %w", err)
		default:
			j.done <- nil
		}
	}
}

// refuse says why nothing is to be created for a job, before anything is.
func (v *Vault) refuse(j *job) error {
	if err := j.ctx.Err(); err != nil {
		return record.Errorf(record.Unavailable, "the vault did not get to it: %w", err)
	}
	for _, stream := range j.ensure {
		if len(stream) == 0 || len(stream) > 200 {
			return record.Errorf(record.Invalid, "a stream's name has 1 to 200 bytes, not %d", len(stream))
		}
		if _, ok := v.erased[stream]; ok { // only this goroutine writes to the map
			return ErrErased
		}
	}
	return nil
}

// create adds a key for the stream unless it has one; made collects the new ones.
func (v *Vault) create(stream string, made map[string][]byte) error {
	_, err := v.writer.readKey(stream)
	if err == nil || !errors.Is(err, errNoKey) {
		return err
	}
	raw := make([]byte, keyBytes)
	rand.Read(raw)
	wrapped, err := v.root.Encrypt(raw, keyAAD(stream)) // only this goroutine replaces the root
	if err != nil {
		return err
	}
	made[stream] = raw
	return v.writer.writeKey(stream, wrapped)
}

// Destroy makes a stream unreadable for ever. The tombstone and the overwritten key become durable in one transaction,
// then the log that had carried the key is emptied; a crash between the two is made good by the next Open. Destroying
// again is no error and changes nothing. A Seal that overlaps Destroy may still succeed; what it sealed is unreadable.
//
// reason is stored in the clear, for auditors: a clause or an order's number, never personal data.
func (v *Vault) Destroy(ctx context.Context, stream, reason string) error {
	if v.closed.Load() {
		return errClosed
	}
	return v.submit(ctx, &job{ctx: ctx, done: make(chan error, 1), alone: func() error {
		if err := v.destroy(stream, reason); err != nil {
			return fmt.Errorf("destroy the key of %s: %w", stream, err)
		}
		return nil
	}})
}

func (v *Vault) destroy(stream, reason string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.erased[stream]; !ok {
		if _, err := v.writer.readKey(stream); err != nil {
			return err
		}
		err := v.transact(func() error {
			err := v.exec(`UPDATE keys SET wrapped = zeroblob(length(wrapped)) WHERE stream = ?`, stream)
			if err != nil {
				return err
			}
			return v.exec(`INSERT INTO erased (stream, at, reason) VALUES (?, ?, ?)`, stream, time.Now().UnixMilli(), reason)
		})
		if err != nil {
			return record.Errorf(record.Unavailable, "nothing was erased: %w", err)
		}
		v.erased[stream] = struct{}{}
		v.cache.remove(stream)
	}
	if err := v.writer.flush(); err != nil {
		return record.Errorf(record.Unavailable, "the key is unusable but its bytes are still in the log; repeat: %w", err)
	}
	return nil
}

// Rewrap moves the vault to another wrapper: a new root, with every key and the master secret wrapped anew under it, in
// one transaction. Afterwards the old wrapper, and any copy of the vault made before, opens nothing in the file. Calls
// that need a key from the file wait meanwhile.
func (v *Vault) Rewrap(ctx context.Context, w Wrapper) error {
	if v.closed.Load() {
		return errClosed
	}
	return v.submit(ctx, &job{ctx: ctx, done: make(chan error, 1), alone: func() error {
		if err := v.rewrap(ctx, w); err != nil {
			return fmt.Errorf("rewrap the vault: %w", err)
		}
		return nil
	}})
}

func (v *Vault) rewrap(ctx context.Context, w Wrapper) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	root := v.root
	err := v.transact(func() error {
		var err error
		if root, err = v.writer.writeRoot(ctx, w, v.master); err != nil {
			return err
		}
		update, _, err := v.writer.Prepare(`UPDATE keys SET wrapped = ? WHERE slot = ?`)
		if err != nil {
			return err
		}
		defer update.Close()
		var failed error
		err = sqlitefile.Query(v.writer.Conn, `SELECT slot, stream, wrapped FROM keys
			WHERE stream NOT IN (SELECT stream FROM erased)`, func(s *sqlite3.Stmt) {
			if failed != nil {
				return
			}
			stream := s.ColumnText(1)
			raw, err := v.root.Decrypt(s.ColumnBlob(2, nil), keyAAD(stream))
			if err != nil {
				failed = fmt.Errorf("the key of %s is damaged: %w", stream, err)
				return
			}
			wrapped, err := root.Encrypt(raw, keyAAD(stream))
			failed = errors.Join(err, update.BindBlob(1, wrapped), update.BindInt64(2, s.ColumnInt64(0)))
			if failed == nil {
				failed = update.Exec()
			}
		})
		return errors.Join(err, failed)
	})
	if err != nil {
		return err
	}
	v.root = root
	if err := v.writer.flush(); err != nil {
		return record.Errorf(record.Unavailable, "rewrapped, but keys under the old root are still in the log; reopen: %w", err)
	}
	return nil
}

// transact runs f in a transaction that is on disk when transact returns nil.
func (v *Vault) transact(f func() error) (err error) {
	tx, err := v.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	return f()
}

func (v *Vault) exec(sql string, args ...any) error {
	s, _, err := v.writer.Prepare(sql)
	if err != nil {
		return err
	}
	defer s.Close()
	for i, a := range args {
		switch a := a.(type) {
		case string:
			err = s.BindText(i+1, a)
		case int64:
			err = s.BindInt64(i+1, a)
		}
		if err != nil {
			return err
		}
	}
	return s.Exec()
}
