package vault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"yidang/domain/record"
)

// lockFile keeps a second process out: it would go on using cached keys that this one has destroyed. The kernel drops the
// lock with the process, however it ends.
func lockFile(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock vault: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			p := record.Errorf(record.Unavailable, "the vault is in use by another process (%s)", path)
			p.Remedy = "stop the other process first"
			return nil, p
		}
		return nil, fmt.Errorf("lock vault: %w", err)
	}
	return f, nil
}
