// Package sealedtest reads what lies in the files of an encrypted database, deleted things too: for tests of what must not
// be there.
package sealedtest

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"lukechampine.com/adiantum"
)

// Plain gives the file of a database, and its log if there is one, deciphered block by block as the VFS does.
func Plain(path string, key []byte) (file, log []byte, err error) {
	if file, err = decipher(path, key); err != nil {
		return nil, nil, err
	}
	log, err = decipher(path+"-wal", key)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return file, log, err
}

func decipher(path string, key []byte) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	const block = 4096
	cipher := adiantum.New(key)
	for at := 0; at+block <= len(content); at += block {
		cipher.Decrypt(content[at:at+block], binary.LittleEndian.AppendUint64(nil, uint64(at)))
	}
	return content, nil
}
