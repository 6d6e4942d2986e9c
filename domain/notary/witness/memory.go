package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/record"
)

// memory is what a witness must never forget: of each log, the last checkpoint it cosigned, in a file of its own.
type memory struct {
	dir  string
	own  note.Verifier
	lock *os.File

	mu   sync.Mutex // held while a log's checkpoint is compared and replaced
	logs map[string]remembered
}

type remembered struct {
	tree     tlog.Tree
	cosigned []byte
}

func openMemory(dir string, own note.Verifier) (*memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "witness.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, record.Errorf(record.Unavailable, "another witness holds it: %w", err)
	}
	m := &memory{dir: dir, own: own, lock: lock, logs: map[string]remembered{}}
	if err := m.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return m, nil
}

func (m *memory) close() error { return m.lock.Close() }

// load reads what was cosigned. A file that this witness did not sign is an error: going on without it would be
// forgetting.
func (m *memory) load() error {
	names, err := filepath.Glob(filepath.Join(m.dir, "*.checkpoint"))
	if err != nil {
		return err
	}
	for _, name := range names {
		cosigned, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		n, err := note.Open(cosigned, note.VerifierList(m.own))
		if err != nil {
			return fmt.Errorf("%s is damaged, or was cosigned with another key: %w", name, err)
		}
		c, err := torchwood.ParseCheckpoint(n.Text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if m.path(c.Origin) != name {
			return fmt.Errorf("%s is about another log, %q", name, c.Origin)
		}
		m.logs[c.Origin] = remembered{c.Tree, cosigned}
	}
	return nil
}

func (m *memory) path(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:])+".checkpoint")
}

func (m *memory) last(origin string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.logs[origin].cosigned
}

// change replaces a log's checkpoint by what decide makes of the last one; it is durable on return. After an error the
// last one stands.
func (m *memory) change(origin string, decide func(last tlog.Tree) (cosigned []byte, err error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cosigned, err := decide(m.logs[origin].tree)
	if err != nil {
		return err
	}
	n, err := note.Open(cosigned, note.VerifierList(m.own))
	if err != nil {
		return fmt.Errorf("the cosignature just made does not verify: %w", err)
	}
	c, err := torchwood.ParseCheckpoint(n.Text)
	if err != nil {
		return err
	}
	if err := writeFile(m.path(origin), cosigned); err != nil {
		return err
	}
	m.logs[origin] = remembered{c.Tree, cosigned}
	return nil
}

// writeFile replaces a file so that a crash leaves the old content or the new, and the new once it has returned.
func writeFile(path string, content []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
