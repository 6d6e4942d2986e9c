package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/vault"
)

// opened is the record in a data folder, laid out as the server lays it out.
type opened struct {
	server  *embedded.Server
	journal *journal.Journal
	vault   *vault.Vault
	catalog *catalog.Catalog
	exec    *commands.Executor
}

func (b *bench) data(names ...string) string {
	return filepath.Join(append([]string{b.dir, "data"}, names...)...)
}

// open opens the record. keys is how many keys the vault keeps in memory, 0 for what a server keeps.
func (b *bench) open(ctx context.Context, now func() time.Time, keys int) (_ *opened, err error) {
	o := &opened{}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	for _, dir := range []string{b.data("domain"), b.data("projections")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if o.server, err = embedded.Start(ctx, embedded.Options{Dir: b.data("domain", "journal")}); err != nil {
		return nil, err
	}
	if o.journal, err = journal.Open(ctx, o.server.Connection()); err != nil {
		return nil, err
	}
	wrapper, err := vault.KeyFile(b.data("domain", "key"))
	if err != nil {
		return nil, err
	}
	if o.vault, err = vault.Open(ctx, vault.Options{Path: b.data("domain", "vault.db"), Wrapper: wrapper, CacheKeys: keys}); err != nil {
		return nil, err
	}
	if o.catalog, err = catalog.New(); err != nil {
		return nil, err
	}
	o.exec, err = commands.New(commands.Options{Catalog: o.catalog, Journal: o.journal, Vault: o.vault, Now: now})
	return o, err
}

func (o *opened) close() error {
	var errs []error
	if o.journal != nil {
		errs = append(errs, o.journal.Close())
	}
	if o.server != nil {
		errs = append(errs, o.server.Close())
	}
	if o.vault != nil {
		errs = append(errs, o.vault.Close())
	}
	return errors.Join(errs...)
}
