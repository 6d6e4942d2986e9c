package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
	"yidang/domain/vault"
)

// core is the record itself: journal, vault, catalog and the executor of commands. Every subcommand that touches data
// opens one, by the same path after a clean stop and after a crash.
type core struct {
	server   *embedded.Server // nil when the journal is another machine's
	journal  *journal.Journal
	vault    *vault.Vault
	catalog  *catalog.Catalog
	exec     *commands.Executor
	packer   *record.Packer // of every file kept in memory, here and in the projections
	blobs    *attachments.Store
	registry *prometheus.Registry
	closers  []func() error
}

// openCore opens the record. now is the clock of commands; nil is the real one.
func openCore(p *program, now func() time.Time) (_ *core, err error) {
	thrift()
	c := &core{registry: prometheus.NewRegistry(), packer: record.NewPacker()}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	for _, dir := range []string{p.config.domainDir(), p.config.projectionsDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("data folder: %w", err)
		}
	}
	if err := c.openJournal(p); err != nil {
		return nil, err
	}
	if err := c.openVault(p); err != nil {
		return nil, err
	}
	if c.catalog, err = catalog.New(); err != nil {
		return nil, err
	}
	url := p.config.Attachments.URL
	if url == "" {
		dir, err := filepath.Abs(filepath.Join(p.config.domainDir(), "attachments"))
		if err != nil {
			return nil, err
		}
		url = "file://" + dir
	}
	if c.blobs, err = attachments.Open(p.ctx, url, c.vault, attachmentLimits(p.config)); err != nil {
		return nil, err
	}
	c.closers = append(c.closers, c.blobs.Close)
	c.exec, err = commands.New(commands.Options{
		Catalog: c.catalog, Journal: c.journal, Vault: c.vault, Now: now, Cache: int(p.config.Limits.Files), Packer: c.packer, Metrics: commands.NewMetrics(c.registry),
		Vouch: casework.Uploaded(c.blobs),
	})
	return c, err
}

func (c *core) openJournal(p *program) (err error) {
	connection := p.config.Journal.Connection
	if connection == "" {
		o, err := embeddedOptions(p)
		if err != nil {
			return err
		}
		if c.server, err = embedded.Start(p.ctx, o); err != nil {
			return err
		}
		c.closers = append(c.closers, c.server.Close)
		connection = c.server.Connection()
	}
	ctx, cancel := context.WithTimeout(p.ctx, 15*time.Second)
	defer cancel()
	if c.journal, err = journal.Open(ctx, connection); err != nil {
		return err
	}
	c.closers = append(c.closers, c.journal.Close)
	return nil
}

func (c *core) openVault(p *program) error {
	wrapper, err := vault.KeyFile(p.config.keyFile())
	if err != nil {
		return err
	}
	if c.vault, err = vault.Open(p.ctx, vault.Options{Path: filepath.Join(p.config.domainDir(), "vault.db"), Wrapper: wrapper}); err != nil {
		return err
	}
	c.closers = append(c.closers, c.vault.Close)
	return nil
}

func attachmentLimits(c Config) attachments.Limits {
	l := attachments.DefaultLimits()
	l.MaxBytes = c.Limits.UploadBytes
	return l
}

// close closes in reverse order of opening and gives the first error.
func (c *core) close() (first error) {
	for i := len(c.closers) - 1; i >= 0; i-- {
		if err := c.closers[i](); err != nil && first == nil {
			first = err
		}
	}
	c.closers = nil
	return first
}
