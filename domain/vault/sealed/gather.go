package sealed

import (
	"encoding/binary"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// gatherVFS writes a transaction into the write-ahead log in one piece. SQLite writes each page of it in two, a header of
// 24 bytes and the page, and neither falls on the cipher's blocks: three blocks would be read, deciphered, changed and
// enciphered for every page, where a long piece costs one for every page and two more at its ends.
//
// It is for a log that one connection writes: what that connection held of a transaction it rolled back may still be
// written later, to the place where its next one goes.
type gatherVFS struct{ vfs.VFS }

// OpenFilename opens everything but a log as the VFS below does.
func (g gatherVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfsutil.WrapOpenFilename(g.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_WAL == 0 {
		return file, out, err
	}
	return &gatheredLog{File: file}, out, nil
}

const (
	frameHeader = 24
	gatherLimit = 1 << 20 // bytes; a longer transaction is written in several pieces
)

// gatheredLog is a connection's write-ahead log. What it holds back is never more than the frames of a transaction that is
// not committed: the last frame's header says so, and with its page everything is written, before SQLite lets other
// connections see the transaction. An error of writing is thus an error of the commit, as it would be without it.
type gatheredLog struct {
	vfs.File
	held       []byte
	at         int64 // where held begins
	committing bool  // the frame being written is the last of its transaction
}

func (l *gatheredLog) WriteAt(p []byte, off int64) (int, error) {
	if off != l.at+int64(len(l.held)) {
		if err := l.flush(); err != nil {
			return 0, err
		}
		l.at = off
	}
	l.held = append(l.held, p...)
	header := len(p) == frameHeader
	if header { // its second number is the size of the database after the commit, 0 within a transaction
		l.committing = binary.BigEndian.Uint32(p[4:]) != 0
	}
	if !header && l.committing || len(l.held) >= gatherLimit {
		if err := l.flush(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush writes what is held. What could not be written is dropped: SQLite takes the transaction back.
func (l *gatheredLog) flush() error {
	if len(l.held) == 0 {
		return nil
	}
	n, err := l.File.WriteAt(l.held, l.at)
	l.at += int64(n)
	l.held = l.held[:0]
	return err
}

func (l *gatheredLog) ReadAt(p []byte, off int64) (int, error) {
	if off < l.at+int64(len(l.held)) && l.at < off+int64(len(p)) {
		if err := l.flush(); err != nil {
			return 0, err
		}
	}
	return l.File.ReadAt(p, off)
}

func (l *gatheredLog) Truncate(size int64) error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.File.Truncate(size)
}

func (l *gatheredLog) Sync(flags vfs.SyncFlag) error {
	if err := l.flush(); err != nil {
		return err
	}
	return l.File.Sync(flags)
}

func (l *gatheredLog) Size() (int64, error) {
	if err := l.flush(); err != nil {
		return 0, err
	}
	return l.File.Size()
}

// Close drops what was never committed.
func (l *gatheredLog) Close() error { return l.File.Close() }
