package attachments

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	"gocloud.dev/blob/s3blob"

	"yidang/domain/record"
	"yidang/domain/vault"
)

// Open opens the store of a URL: file:///directory, which is created when missing, or s3://bucket?region=… with the
// parameters of gocloud.dev's s3blob (endpoint=…&use_path_style=true for a server of one's own) and the usual AWS
// environment for credentials. The vault stays the caller's to close.
func Open(ctx context.Context, rawURL string, v *vault.Vault, limits Limits) (*Store, error) {
	u, err := parseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("open attachments: %w", err)
	}
	s := &Store{vault: v, limits: limits.withDefaults()}
	if u.Scheme == "s3" {
		s.bucket, err = (&s3blob.URLOpener{}).OpenBucketURL(ctx, u)
	} else {
		err = s.openDir(filepath.FromSlash(u.Path))
	}
	if err != nil {
		return nil, fmt.Errorf("open attachments at %s: %w", u.Redacted(), err)
	}
	return s, nil
}

// CheckURL says what is wrong with the URL of a store, as far as that shows without the store.
func CheckURL(rawURL string) error {
	_, err := parseURL(rawURL)
	return err
}

func parseURL(rawURL string) (*url.URL, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil: // it may quote a password
		return nil, record.Errorf(record.Invalid, "the URL cannot be read; write file:///directory or s3://bucket?region=…")
	case u.Scheme == "file" && ((u.Host != "" && u.Host != "localhost") || u.RawQuery != "" || u.Path == ""):
		return nil, record.Errorf(record.Invalid, "a file URL is file:///directory, nothing else")
	case u.Scheme == "s3" && u.Host == "":
		return nil, record.Errorf(record.Invalid, "an S3 URL is s3://bucket?region=…, and names the bucket")
	case u.Scheme != "file" && u.Scheme != "s3":
		return nil, record.Errorf(record.Invalid, "the URL begins with %q; file:// and s3:// are known", u.Scheme)
	}
	return u, nil
}

func (s *Store) openDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := sweep(dir, time.Now().Add(-24*time.Hour)); err != nil {
		return err
	}
	bucket, err := fileblob.OpenBucket(dir, &fileblob.Options{
		DirFileMode: 0o700,
		NoTempDir:   true, // a rename is atomic within one file system only
		Metadata:    fileblob.MetadataDontWrite,
	})
	s.bucket, s.dir = bucket, dir
	return err
}

// sweep removes what puts that a crash interrupted have left: fileblob's temporary files older than any put still at work.
func sweep(dir string, before time.Time) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".tmp") {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().Before(before) {
			err = os.Remove(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// write stores an object and returns once it is durable. S3 answers when it is. fileblob writes to a temporary file and
// renames it, but syncs neither file nor directory: that is done here, the file before its rename.
func (s *Store) write(ctx context.Context, name string, head []byte, content *spool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File
	w, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{
		ContentType: "application/octet-stream", // given, so that gocloud does not look for itself
		BeforeWrite: func(as func(any) bool) error {
			if s.dir != "" && !as(&file) {
				return errors.New("fileblob gives no file to sync")
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	_, err = w.Write(head)
	if err == nil {
		err = content.copyTo(w)
	}
	if err == nil && file != nil {
		err = file.Sync()
	}
	if err != nil {
		cancel() // before Close, which would else store what there is
		return errors.Join(err, ignoreCancelled(w.Close()))
	}
	if err := w.Close(); err != nil {
		return err
	}
	return s.sync(name)
}

func ignoreCancelled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// sync makes an object's name durable: its directory's entry, and the directory's own entry in the bucket's.
func (s *Store) sync(name string) error {
	if s.dir == "" {
		return nil
	}
	for _, dir := range []string{filepath.Join(s.dir, filepath.Dir(name)), s.dir} {
		if err := syncDir(dir); err != nil {
			return record.Errorf(record.Unavailable, "sync attachment: %w", err)
		}
	}
	return nil
}

// removeFolder removes the empty directory of a case, durably.
func (s *Store) removeFolder(stream string) error {
	if s.dir == "" {
		return nil
	}
	err := os.Remove(filepath.Join(s.dir, filepath.FromSlash(s.folder(stream))))
	if err == nil {
		err = syncDir(s.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return record.Errorf(record.Unavailable, "remove the attachments of an erased case: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
