package embedded

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3/vfs"
)

// faultVFS is the operating system's file system with faults to switch on, and with a memory of what was synced: a
// power cut leaves what was synced and nothing else for sure.
type faultVFS struct {
	vfs.VFS
	name   string
	fail   atomic.Pointer[fault]
	failed atomic.Int64 // faults that hit
	shadow string       // directory that holds what was synced; empty keeps no record

	power sync.RWMutex // read-held by every change of a file, held to cut the power at one moment for all files
	mu    sync.Mutex
	files map[string]*shadowFile
}

// fault says which operations fail, with what.
type fault struct {
	file  string // ending of the file's name, such as "-wal"; empty for all
	write error
	sync  error
	read  error
}

func newFaultVFS(t *testing.T, shadow string) *faultVFS {
	t.Helper()
	f := &faultVFS{VFS: vfs.Find(""), name: "fault-" + uuid.NewString(), shadow: shadow, files: map[string]*shadowFile{}}
	vfs.Register(f.name, f)
	t.Cleanup(func() { vfs.Unregister(f.name) })
	return f
}

func (v *faultVFS) Open(name string, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return v.open(name, func() (vfs.File, vfs.OpenFlag, error) { return v.VFS.Open(name, flags) })
}

func (v *faultVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return v.open(name.String(), func() (vfs.File, vfs.OpenFlag, error) { return v.VFS.(vfs.VFSFilename).OpenFilename(name, flags) })
}

func (v *faultVFS) open(name string, open func() (vfs.File, vfs.OpenFlag, error)) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := open()
	if err != nil {
		return nil, flags, err
	}
	return &faultFile{File: file, vfs: v, name: name, synced: v.shadowOf(name)}, flags, nil
}

func (v *faultVFS) Delete(name string, syncDir bool) error {
	v.power.RLock()
	defer v.power.RUnlock()
	err := v.VFS.Delete(name, syncDir)
	if err == nil && v.shadow != "" {
		v.mu.Lock()
		delete(v.files, name)
		v.mu.Unlock()
		os.Remove(filepath.Join(v.shadow, filepath.Base(name)))
	}
	return err
}

func (v *faultVFS) hit(name string, which func(*fault) error) error {
	f := v.fail.Load()
	if f == nil || !strings.HasSuffix(name, f.file) {
		return nil
	}
	err := which(f)
	if err != nil {
		v.failed.Add(1)
	}
	return err
}

// shadowFile is what is known to be on the platter, and what was written since.
type shadowFile struct {
	mu      sync.Mutex
	path    string
	pending []change
}

type change struct {
	offset int64
	data   []byte // nil truncates to offset
}

func (v *faultVFS) shadowOf(name string) *shadowFile {
	if v.shadow == "" || name == "" || strings.HasSuffix(name, "-shm") {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.files[name]
	if f == nil {
		f = &shadowFile{path: filepath.Join(v.shadow, filepath.Base(name))}
		v.files[name] = f
	}
	return f
}

func (s *shadowFile) note(c change) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, c)
}

// settle writes to the shadow what survives: all after a sync, the changes that keep says after a power cut.
func (s *shadowFile) settle(keep func() bool) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, c := range s.pending {
		if !keep() {
			continue
		}
		if c.data == nil {
			err = f.Truncate(c.offset)
		} else {
			_, err = f.WriteAt(c.data, c.offset)
		}
		if err != nil {
			return err
		}
	}
	s.pending = nil
	return nil
}

type faultFile struct {
	vfs.File
	vfs    *faultVFS
	name   string
	synced *shadowFile
}

func (f *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.vfs.hit(f.name, func(x *fault) error { return x.read }); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.vfs.hit(f.name, func(x *fault) error { return x.write }); err != nil {
		return 0, err
	}
	f.vfs.power.RLock()
	defer f.vfs.power.RUnlock()
	n, err := f.File.WriteAt(p, off)
	if err == nil && f.synced != nil {
		f.synced.note(change{off, append([]byte{}, p...)})
	}
	return n, err
}

func (f *faultFile) Truncate(size int64) error {
	f.vfs.power.RLock()
	defer f.vfs.power.RUnlock()
	err := f.File.Truncate(size)
	if err == nil && f.synced != nil {
		f.synced.note(change{offset: size})
	}
	return err
}

func (f *faultFile) Sync(flags vfs.SyncFlag) error {
	if err := f.vfs.hit(f.name, func(x *fault) error { return x.sync }); err != nil {
		return err
	}
	f.vfs.power.RLock()
	defer f.vfs.power.RUnlock()
	if err := f.File.Sync(flags); err != nil {
		return err
	}
	return f.synced.settle(func() bool { return true })
}

// SharedMemory lets SQLite use the write-ahead log through the wrapper.
func (f *faultFile) SharedMemory() vfs.SharedMemory {
	if s, ok := f.File.(vfs.FileSharedMemory); ok {
		return s.SharedMemory()
	}
	return nil
}
