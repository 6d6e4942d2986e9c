package dossier

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
)

// This file is the zip. A dossier uses one spelling of the format only: entries stored without compression, no extra
// fields, no comments, no data descriptors, every time stamp the first of 1980, the central directory right after the last
// entry and in its order. The whole file follows from the list of names and contents, so the reader builds every header
// again and compares: there is no byte that could be another one.

const (
	localSize   = 30
	centralSize = 46
	endSize     = 22

	maxArchive = 1<<32 - 2 // without zip64
	maxEntries = 1<<16 - 2
	maxName    = 160
)

// nameForm is every name that an entry may have: no absolute path, no "..", nothing that a file system reads in another way.
var nameForm = regexp.MustCompile(`^(?:[a-z]+/)?[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)?$`)

func validName(name string) bool { return len(name) <= maxName && nameForm.MatchString(name) }

// entry is a file in the archive.
type entry struct {
	name string
	size int64
	crc  uint32
	at   int64 // of its content
}

func (e entry) local() []byte {
	b := make([]byte, 0, localSize+len(e.name))
	b = binary.LittleEndian.AppendUint32(b, 0x04034b50)
	b = e.common(b)
	return append(b, e.name...)
}

// common is what both headers of an entry have: version 1.0, no flags, stored, 1980-01-01 00:00, sums and sizes, no extra.
func (e entry) common(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(b, 10)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 0x0021<<16)
	b = binary.LittleEndian.AppendUint32(b, e.crc)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.size))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.size))
	return binary.LittleEndian.AppendUint32(b, uint32(len(e.name)))
}

func (e entry) central() []byte {
	b := make([]byte, 0, centralSize+len(e.name))
	b = binary.LittleEndian.AppendUint32(b, 0x02014b50)
	b = binary.LittleEndian.AppendUint16(b, 10)
	b = e.common(b)
	b = append(b, make([]byte, 10)...) // no comment, first disk, no attributes
	b = binary.LittleEndian.AppendUint32(b, uint32(e.at-localSize-int64(len(e.name))))
	return append(b, e.name...)
}

func endRecord(count int, size, at int64) []byte {
	b := make([]byte, 0, endSize)
	b = binary.LittleEndian.AppendUint32(b, 0x06054b50)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	return binary.LittleEndian.AppendUint16(b, 0)
}

// archiver writes an archive, one entry after the other.
type archiver struct {
	w       io.Writer
	at      int64
	entries []entry
}

// add writes an entry whose size and CRC-32 are known already; content must have exactly them.
func (a *archiver) add(name string, size int64, crc uint32, content io.Reader) error {
	e := entry{name: name, size: size, crc: crc, at: a.at + localSize + int64(len(name))}
	if !validName(name) {
		return fmt.Errorf("%q is no name for a file of a dossier", name)
	}
	if len(a.entries) >= maxEntries || e.at+size > maxArchive {
		return errTooLarge
	}
	if _, err := a.w.Write(e.local()); err != nil {
		return err
	}
	sum := crc32.NewIEEE()
	n, err := io.CopyBuffer(io.MultiWriter(a.w, sum), struct{ io.Reader }{content}, make([]byte, 64<<10))
	if err != nil {
		return err
	}
	if n != size || sum.Sum32() != crc {
		return fmt.Errorf("%s changed while it was read", name)
	}
	a.at = e.at + size
	a.entries = append(a.entries, e)
	return nil
}

func (a *archiver) addBytes(name string, content []byte) error {
	return a.add(name, int64(len(content)), crc32.ChecksumIEEE(content), bytes.NewReader(content))
}

// close writes the central directory.
func (a *archiver) close() error {
	at := a.at
	for _, e := range a.entries {
		n, err := a.w.Write(e.central())
		if err != nil {
			return err
		}
		a.at += int64(n)
	}
	if a.at > maxArchive {
		return errTooLarge
	}
	_, err := a.w.Write(endRecord(len(a.entries), a.at-at, at))
	return err
}

// readArchive lists the entries of an archive after it has built every header again. Contents are not read.
func readArchive(r io.ReaderAt, size int64) ([]entry, *Fault) {
	wrong := func(name, zh, en string) *Fault {
		return fault(name, "压缩包结构不符："+zh, "the zip is not in its one form: "+en)
	}
	if size < endSize || size > maxArchive+endSize {
		return nil, wrong("", "大小", "its size")
	}
	end := make([]byte, endSize)
	if err := readAt(r, end, size-endSize); err != nil {
		return nil, unread(err)
	}
	count := int(binary.LittleEndian.Uint16(end[10:]))
	dirSize, dirAt := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
	if !bytes.Equal(end, endRecord(count, dirSize, dirAt)) || dirAt+dirSize+endSize != size || dirSize > int64(count)*(centralSize+maxName) {
		return nil, wrong("", "结尾记录", "the record at its end")
	}
	dir := make([]byte, dirSize)
	if err := readAt(r, dir, dirAt); err != nil {
		return nil, unread(err)
	}
	entries, at := make([]entry, 0, count), int64(0)
	seen := make(map[string]bool, count)
	for range count {
		if len(dir) < centralSize {
			return nil, wrong("", "目录不完整", "the directory is cut short")
		}
		n := int(binary.LittleEndian.Uint16(dir[28:]))
		if n > maxName || len(dir) < centralSize+n {
			return nil, wrong("", "目录不完整", "the directory is cut short")
		}
		e := entry{name: string(dir[centralSize : centralSize+n]), size: int64(binary.LittleEndian.Uint32(dir[24:])), crc: binary.LittleEndian.Uint32(dir[16:])}
		e.at = at + localSize + int64(n)
		if !validName(e.name) || seen[e.name] {
			return nil, wrong("", fmt.Sprintf("文件名 %q", e.name), fmt.Sprintf("the name %q", e.name))
		}
		if !bytes.Equal(dir[:centralSize+n], e.central()) || e.at+e.size > dirAt {
			return nil, wrong(e.name, "目录项", "its entry in the directory")
		}
		local := make([]byte, localSize+n)
		if err := readAt(r, local, at); err != nil {
			return nil, unread(err)
		}
		if !bytes.Equal(local, e.local()) {
			return nil, wrong(e.name, "文件头", "the header before it")
		}
		seen[e.name] = true
		at, dir = e.at+e.size, dir[centralSize+n:]
		entries = append(entries, e)
	}
	if len(dir) != 0 || at != dirAt {
		return nil, wrong("", "有多余字节", "there are bytes that belong to nothing")
	}
	return entries, nil
}

// readAt reads all of b; io.EOF is no error when b is full.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
